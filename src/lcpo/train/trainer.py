"""LCPO on TRL: a GRPOTrainer that gives every rollout its own budget and takes its advantages from lcpo.

TRL repeats one row G times and has no hook for advantages. So `_generate_and_score_completions` is overridden: budgets
go into the prompts before TRL generates, and what it computed as advantages is replaced by lcpo's before TRL shuffles.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import datasets
import numpy as np
import torch
from transformers import AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from lcpo.advantages import advantage as advantage_named
from lcpo.budgets import BudgetSampler
from lcpo.engines.base import LogitsProcessor, Request, Segment, sub_seed
from lcpo.engines.local import LocalEngine
from lcpo.errors import ConfigError, EngineError
from lcpo.objectives import Objective
from lcpo.recipes.recipe import Ramp, changed, check_budgets, check_kinds
from lcpo.tasks.base import Task
from lcpo.train import checkpoint, metrics
from lcpo.train.batches import by_length, micro_batches, part_of
from lcpo.train.data import ask, columns
from lcpo.train.logprobs import LARGEST, SHARED, WORTH, distinct, logprobs, shareable
from lcpo.train.policy import plain, without_cudnn_attention
from lcpo.train.reward import COLUMNS, LcpoReward
from lcpo.types import Budget, FloatArray, Outcomes


@dataclass(frozen=True)
class Options:
    """What LcpoTrainer does beyond GRPO; the fields are those of a recipe."""

    advantage: str = "grpo"
    template: str = "l1"
    schedule: tuple[Ramp, ...] = ()
    sampler: str = "auto"
    bins: int = 5
    box: Literal["prefer", "require"] = "prefer"
    filler: float = 1.0
    task: Task | None = None
    useless: float = 1.0


class LcpoTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPO with a budget per rollout. The data set has `prompt` (without a budget) and `answers` or `answer`.

    `record` holds what the last generation showed (lcpo.train.metrics), `rollouts` its rollouts, one dict each.
    """

    tokens, cpu_before = 0, 0.0
    """Tokens generated so far, and CPU seconds before this process resumed the run."""
    _engine: LocalEngine | None = None

    def __init__(
        self,
        model: Any,
        *,
        objective: Objective | str | Mapping[str, Any],
        budget: BudgetSampler,
        verifier: str = "math",
        options: Options | None = None,
        processing_class: Any = None,
        reward_funcs: Any = (),
        args: GRPOConfig,
        train_dataset: Any = None,
        order: Sequence[int] | None = None,
        **rest: Any,
    ) -> None:
        """objective, budget, verifier, options: as in a recipe. Everything else goes to GRPOTrainer unchanged.

        reward_funcs: one or several more, added to the objective's reward. order: which row of the data set each visit
        takes (None: one pass, in TRL's order). TRL is handed places in the data set only, since it fetches the rows of
        a generation again for every micro-batch. Raises ConfigError for an eval_dataset, and for budgets of a kind that
        the objective has no rule for, or that args.max_completion_length cuts off.
        """
        without_cudnn_attention()
        self.options = options or Options()
        if rest.get("eval_dataset") is not None:
            raise ConfigError("LcpoTrainer takes no eval_dataset; leave it out, and run  lcpo eval  on what it saves")
        if processing_class is None:
            source = model if isinstance(model, str) else model.config._name_or_path
            processing_class = AutoTokenizer.from_pretrained(source, padding_side="left")
        self.budget, self.advantage = budget, advantage_named(self.options.advantage)
        self.reward = LcpoReward(
            objective,
            processing_class,
            verifier=verifier,
            **{name: getattr(self.options, name) for name in ("box", "filler", "task", "useless")},
        )
        self.base_objective = self.reward.objective
        check_kinds(self.base_objective, budget)
        check_budgets(budget, args.max_completion_length)
        self.pool: list[list[list[int]]] = []
        self.edges = metrics.edges(budget, self.options.bins) if budget.largest is not None else [1]
        self.record: dict[str, Any] = {}
        self.rollouts: list[dict[str, Any]] = []
        self.seconds = {"generate": 0.0, "score": 0.0, "update": 0.0}
        self.keep_checkpoints, args.save_total_limit = args.save_total_limit or 2**31, None
        self.examples = train_dataset
        visits = list(range(len(train_dataset)) if order is None else order)
        super().__init__(
            model=model,
            reward_funcs=[self.reward, *(reward_funcs if isinstance(reward_funcs, (list, tuple)) else [reward_funcs])],
            processing_class=processing_class,
            args=args,
            train_dataset=datasets.Dataset.from_dict({"index": visits}),
            **rest,
        )
        self.reward.marks = replace(self.reward.marks, eos=frozenset(self.eos_token_ids))
        self.updates_per_generation = self.num_iterations * max(
            1, self.args.steps_per_generation // self.args.gradient_accumulation_steps
        )
        self.own_sampler, self.shares_prompts = self._may_sample(), self._may_share_prompts()

    # ---- budgets into prompts -------------------------------------------------------------------------------------

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        group = self.num_generations
        step = int(self.state.global_step)
        self.reward.objective = self._objective_at(step)
        inputs = self._with_budgets(inputs, step, group)
        mixed = np.random.default_rng([17, self.args.seed, step, self.accelerator.process_index])
        torch.manual_seed(int(mixed.integers(2**31)))
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        self._replace_advantages(output, len(inputs), group)
        return output

    def _with_budgets(self, inputs: list[dict[str, Any]], step: int, group: int) -> list[dict[str, Any]]:
        """Every copy with its own prompt and budget; its place in a group follows from its place over all processes."""
        first = self.accelerator.process_index * len(inputs)
        self._fetched: dict[int, dict[str, Any]] = {}
        drawn: dict[tuple[int, int], list[Budget]] = {}
        result, self._where, self._caps = [], [], []
        for i, given in enumerate(inputs):
            place, copy = divmod(first + i, group)
            row = int(given["index"])
            if row not in self._fetched:
                self._fetched[row] = self.examples[row]
            example = self._fetched[row]
            if (place, row) not in drawn:
                drawn[place, row] = self.budget.draw(self.args.seed, step, row, group)
            budget = drawn[place, row][copy]
            prompt = ask(example["prompt"], budget, self.options.template)
            result.append({**example, "prompt": prompt, **columns(budget), "asked_tokens": budget.tokens or 0})
            cap = self.reward.objective.cap(budget) if len(self.reward_funcs) == 1 else None
            self._caps.append(self.max_completion_length if cap is None else min(cap, self.max_completion_length))
            self._where.append((row, place * group + copy))
        self._step_now = step
        return result

    # ---- generation -----------------------------------------------------------------------------------------------

    def _may_share_prompts(self) -> bool:
        single = self.accelerator.distributed_type.value == "NO" and self.accelerator.device.type == "cpu"
        return single and shareable(self.model) and not (self.args.gradient_checkpointing or self.aux_loss_enabled)

    def _may_sample(self) -> bool:
        args = self.args
        plain = not (self.use_vllm or args.use_transformers_continuous_batching or args.generation_kwargs)
        plain = plain and args.repetition_penalty == 1.0 and args.cache_implementation is None
        local = self.accelerator.distributed_type.value in ("NO", "MULTI_CPU", "MULTI_GPU")
        return self.options.sampler == "auto" and plain and local and not self._is_vlm

    def _generate_single_turn(self, prompt_ids: Any, *args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        if self.own_sampler:
            result: Any = self._sample(prompt_ids), None
        else:
            result = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        self.seconds["generate"] += time.perf_counter() - started
        return result

    def _sample(self, prompt_ids: Sequence[Sequence[int]]) -> list[list[int]]:
        model = self.accelerator.unwrap_model(self.model_wrapped)
        if self._engine is None:
            self._engine = LocalEngine(model, self._tokenizer)
        requests = [
            Request(
                Segment(tuple(ids), ""),
                cap,
                seed=sub_seed(self.args.seed, "rollout", self._step_now, row, copy),
                temperature=self.temperature,
                top_p=self.top_p,
                top_k=self.top_k,
                min_p=self.min_p or 0.0,
                processors=self._processors(),
            )
            for ids, cap, (row, copy) in zip(prompt_ids, self._caps, self._where, strict=True)
        ]
        return [list(generation.written.ids or ()) for generation in self._engine.generate(requests)]

    def _processors(self) -> tuple[LogitsProcessor, ...]:
        """What changes logits in rollouts: nothing, except in experiments."""
        return ()

    # ---- rewards and advantages -----------------------------------------------------------------------------------

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
        started = time.perf_counter()
        self._log_completion_extra("asked", [row["asked_tokens"] for row in inputs])
        self._log_completion_extra("row", [row for row, _ in self._where])
        self._log_completion_extra("gold", [(row.get("answers") or [row.get("answer")])[0] for row in inputs])
        self._log_completion_extra("text", self._tokenizer.batch_decode(completion_ids_list))
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        self._gathered = rewards
        self.seconds["score"] += time.perf_counter() - started
        return rewards

    def _replace_advantages(self, output: dict[str, Any], local: int, group: int) -> None:
        """lcpo's advantages for TRL's, in the output (this process's slice) and in the log (all)."""
        total = len(self._gathered)
        extra = {name: list(values)[-total:] for name, values in self._logs["extra"].items()}
        outcomes = metrics.outcomes_of(extra, group)
        terms = self._terms(outcomes)
        advantages = self.advantage(terms, outcomes.budget)
        flat = torch.tensor(advantages.ravel(), dtype=torch.float32, device=output["advantages"].device)
        first = self.accelerator.process_index * local
        output["advantages"] = flat[first : first + local]
        self._logs["advantages"].clear()
        self._logs["advantages"].extend(flat.tolist())
        self.tokens += sum(extra["tokens"])
        self._note(outcomes, terms.sum(axis=0), extra, advantages)

    def _terms(self, outcomes: Outcomes) -> FloatArray:
        """The reward's terms [K, P, G], weighted; every further reward function of the user is a term of its own."""
        weights = self.reward_weights.cpu().numpy().astype(np.float64)
        own = self.reward.objective.terms(outcomes) * weights[0]
        others = self._gathered[:, 1:].cpu().numpy().astype(np.float64) * weights[1:]
        others = np.nan_to_num(others).T.reshape(len(weights) - 1, *outcomes.length.shape)
        return np.concatenate([own, others])

    def _note(self, o: Outcomes, rewards: FloatArray, extra: Mapping[str, list[Any]], advantages: FloatArray) -> None:
        self.record = metrics.describe(o, extra, rewards, self.edges, self.pool)
        self.record["objective"] = {ramp.key: ramp.at(self._step_now) for ramp in self.options.schedule}
        for name, value in metrics.scalars(self.record).items():
            self._metrics["train"][f"lcpo/{name}"].append(value)
        names = (*COLUMNS, "asked", "row", "gold", "text")
        prompts = list(self._logs["prompt"])[-rewards.size :]
        self.rollouts = [
            {
                "prompt": prompt if isinstance(prompt, str) else prompt[-1]["content"],
                **{name: extra[name][i] for name in names},
                "reward": float(rewards.ravel()[i]),
                "advantage": float(advantages.ravel()[i]),
            }
            for i, prompt in enumerate(prompts)
        ]

    # ---- schedules ------------------------------------------------------------------------------------------------

    def _objective_at(self, step: int) -> Objective:
        """The objective with the ramps of the schedule at a step."""
        result = self.base_objective
        for ramp in self.options.schedule:
            result = changed(result, ramp.key, ramp.at(step))
        return result

    # ---- the update -----------------------------------------------------------------------------------------------

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        if not self.model.training:
            return super()._prepare_inputs(generation_batch)
        steps = self.args.steps_per_generation
        if self._step % (steps * self.num_iterations) == 0 or self._buffered_inputs is None:
            output = self._generate_and_score_completions(generation_batch)
            updates = max(1, steps // self.args.gradient_accumulation_steps)
            self._buffered_inputs: list[dict[str, Any]] | None = micro_batches(
                output, updates, steps // updates, self.loss_type == "bnpo"
            )
        return self._buffered_inputs[self._step % steps]

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, *args: Any, **kwargs: Any
    ) -> Any:
        """TRL's, or where prompts repeat and one process trains on a CPU, the same with each prompt read once."""
        cut = input_ids.shape[1] - logits_to_keep
        shares = distinct(input_ids[:, :cut]) if self.shares_prompts else None
        large = len(input_ids) * logits_to_keep * self.model.config.vocab_size > LARGEST
        if shares is None or len(shares[0]) > WORTH * len(input_ids) or large:
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
            )
        batch = dict(zip(SHARED, (input_ids, attention_mask, input_ids, attention_mask), strict=True))
        batch = {name: ids[:, :cut] if name.startswith("prompt") else ids[:, cut:] for name, ids in batch.items()}
        size = kwargs.get("batch_size") or len(input_ids)
        if size >= len(input_ids):
            with self.accelerator.autocast():
                logps, entropies = logprobs(plain(model), batch, self.temperature, shares, self._entropy_bonus_enabled)
            return logps, entropies if kwargs.get("compute_entropy") else None, None
        logps = torch.zeros(batch["completion_ids"].shape, device=input_ids.device)
        # TRL asks for parts where no gradient is wanted: old and reference log-probabilities
        for chosen in torch.split(torch.argsort(by_length(batch), stable=True), size):
            part = part_of(batch, chosen)
            with self.accelerator.autocast():
                some, _ = logprobs(plain(model), part, self.temperature, distinct(part["prompt_ids"]))
            logps[chosen, : some.shape[1]] = some
        return logps, None, None

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """TRL's step, with the seconds of the update counted apart from those of generation and scoring."""
        started, before = time.perf_counter(), sum(self.seconds.values())
        loss = super().training_step(model, inputs, num_items_in_batch)
        others = sum(self.seconds.values()) - before
        self.seconds["update"] += time.perf_counter() - started - others
        if not torch.isfinite(loss):
            raise EngineError(f"the loss is {float(loss)} at step {self.state.global_step}; lower trl.learning_rate")
        return loss

    # ---- checkpoints ----------------------------------------------------------------------------------------------

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        checkpoint.save(self, lambda: super(LcpoTrainer, self)._save_checkpoint(model, trial))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        marker = json.loads((Path(resume_from_checkpoint) / checkpoint.MARKER).read_text(encoding="utf-8"))
        self.pool = marker["pool"]
        self.cpu_before, self.tokens = float(marker["cpu_seconds"]), int(marker["tokens"])

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Nothing: lcpo writes its own card, with the numbers of the run."""
