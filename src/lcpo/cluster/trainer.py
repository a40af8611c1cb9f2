"""verl's synchronous trainer with lcpo's advantages where verl cannot feed them, and with the dial in its training log.

verl's registered estimators see token rewards and groups only. Here the budgets, lengths and grades of a batch are
fetched too, so advantages that read them, and objectives that look at whole groups, come out as under TRL.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transfer_queue as tq
from omegaconf import open_dict
from tensordict import TensorDict
from verl.trainer.ppo.v1 import PPOTrainerSync, register_trainer

from lcpo.advantages import advantage
from lcpo.cluster.advantages import groups
from lcpo.cluster.check import check_nodes
from lcpo.cluster.settings import FED
from lcpo.cluster.setup import Setup
from lcpo.errors import ConfigError, EngineError
from lcpo.measure.files import write_text
from lcpo.train import metrics as dial
from lcpo.types import BoolArray, IntArray, Outcomes

FIELDS = ("correct", "length", "budget", "kind", "truncated")


@dataclass(frozen=True)
class Batch:
    """The complete groups of a batch: their places in it [P, G], outcomes, what prompts asked for, and what was made.

    tokens counts everything that the batch generated, incomplete groups included.
    """

    places: IntArray
    outcomes: Outcomes
    asked: IntArray
    no_answer: BoolArray
    tokens: int
    incomplete: int


@register_trainer("lcpo")
class LcpoVerlTrainer(PPOTrainerSync):  # type: ignore[misc]
    """verl's sync trainer. `trainer.v1.trainer_mode = "lcpo"` chooses it; verl itself then reads "sync" there."""

    def __init__(self, config: Any) -> None:
        """config: verl's, with lcpo's table. Raises EngineError where a node lacks the plug-in."""
        with open_dict(config):
            config.trainer.v1.trainer_mode = "sync"  # verl chooses its replay buffer and data loader by this word
        self.setup = Setup.of(config)
        recipe = self.setup.recipe
        if recipe.advantage not in FED and config.algorithm.use_kl_in_reward:
            raise ConfigError(
                f"advantage '{recipe.advantage}' is computed without verl's KL in the reward; use actor.use_kl_loss"
            )
        check_nodes()
        self.edges = dial.edges(recipe.budget.sampler, recipe.log.bins) if recipe.budget.largest else [1]
        last = _last_line(Path(self.setup.run) / "metrics.jsonl")
        self.generated, self.before = int(last.get("tokens", 0)), float(last.get("seconds", 0.0))
        self.started = time.perf_counter()
        self.pool: list[list[list[int]]] = []
        super().__init__(config=config)

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        batch = super()._compute_advantage(batch, metrics)
        found = self._fetch(batch)
        recipe = self.setup.recipe
        if recipe.advantage in FED:
            return batch
        objective = self.setup.objective(self.global_steps)
        values = advantage(recipe.advantage)(objective.terms(found.outcomes), found.outcomes.budget)
        each = np.zeros(len(batch.keys))
        each[found.places.ravel()] = values.ravel()
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["response_mask"])
        rows = [mask.float() * float(value) for mask, value in zip(data["response_mask"].unbind(), each, strict=True)]
        nested = torch.nested.as_nested_tensor(rows, layout=torch.jagged)
        fields = TensorDict({"advantages": nested, "returns": nested.clone()}, batch_size=len(batch.keys))
        return tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields)

    def _fetch(self, batch: Any) -> Batch:
        """What the reward manager measured, by groups. Raises EngineError where most groups lost rollouts."""
        real = [i for i, tag in enumerate(batch.tags) if not tag.get("is_padding", False)]
        real.sort(key=lambda i: int(batch.keys[i].rsplit("_", 2)[1]))  # uid_session_index: a group in session order
        keys = [batch.keys[i] for i in real]
        data = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
        extra = dict(zip(real, list(data["extra_fields"]), strict=True))
        names = [key.rsplit("_", 2)[0] for key in keys]
        places = groups(names, real)
        size = int(self.config.actor_rollout_ref.rollout.n)
        total = len(set(names))
        if not places.size or places.shape[1] != size or 2 * len(places) < total:
            raise EngineError(
                f"{total - len(places)} of {total} groups of step {self.global_steps} lost rollouts, or have other "
                f"than {size}; their errors stand above in this log"
            )
        seen = [[extra[i]["reward_extra_info"] for i in group] for group in places.tolist()]
        asked = np.array([[extra[i]["lcpo"]["tokens"] for i in group] for group in places.tolist()], dtype=np.int64)
        outcomes = Outcomes(
            correct=_grid(seen, "acc", np.float64),
            length=_grid(seen, "length", np.int64),
            budget=_grid(seen, "budget", np.int64),
            kind=_grid(seen, "kind", np.str_),
            truncated=_grid(seen, "truncated", np.bool_),
        )
        tokens = sum(int(one["reward_extra_info"]["tokens"]) for one in extra.values())
        return Batch(places, outcomes, asked, _grid(seen, "no_answer", np.bool_), tokens, total - len(places))

    def _compute_metrics(self, batch: Any, metrics: dict[str, Any], timing_raw: Any, *args: Any, **kwargs: Any) -> None:
        super()._compute_metrics(batch, metrics, timing_raw, *args, **kwargs)
        found = self._fetch(batch)
        rewards = self.setup.objective(self.global_steps)(found.outcomes)
        record = dial.describe(found.outcomes, found.asked, found.no_answer, rewards, self.edges, self.pool)
        metrics.update({f"lcpo/{name}": value for name, value in dial.scalars(record).items()})
        metrics["lcpo/incomplete_groups"] = found.incomplete
        self.generated += found.tokens
        line = {
            "step": self.global_steps,
            **record,
            "kl": _number(metrics, "actor/kl_loss"),
            "entropy": _number(metrics, "actor/entropy"),
            "grad_norm": _number(metrics, "actor/grad_norm"),
            "tokens": self.generated,
            "seconds_generate": _number(timing_raw, "gen"),
            "seconds_update": _number(timing_raw, "update_actor"),
            "seconds": round(self.before + time.perf_counter() - self.started, 3),
        }
        self._write(batch, found, rewards, line)

    def _write(self, batch: Any, found: Batch, rewards: Any, line: dict[str, Any]) -> None:
        """A line of metrics.jsonl, and now and then a sample of rollouts, in the run folder (a shared file system)."""
        run, log = Path(self.setup.run), self.setup.recipe.log
        with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
        if (self.global_steps - 1) % log.rollouts_every or not log.rollouts:
            return
        chosen = found.places.ravel()[: log.rollouts].tolist()
        keys = [batch.keys[i] for i in chosen]
        wanted = ["prompts", "responses", "response_mask", "advantages", "reward_model", "extra_fields"]
        data = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=wanted)
        columns = {name: data[name].unbind() for name in ("prompts", "responses", "advantages")}
        columns |= {name: list(data[name]) for name in ("reward_model", "extra_fields")}
        flat = {name: getattr(found.outcomes, name).ravel() for name in FIELDS} | {"no_answer": found.no_answer.ravel()}
        rows = []
        for n in range(len(chosen)):
            one = {"step": self.global_steps, **{name: values[n].item() for name, values in flat.items()}}
            one |= {"asked": int(found.asked.ravel()[n]), "reward": float(rewards.ravel()[n])}
            one |= {
                "advantage": float(columns["advantages"][n][0]),
                "gold": columns["reward_model"][n]["ground_truth"][0],
            }
            one |= {"row": columns["extra_fields"][n]["reward_extra_info"]["row"]}
            one |= {"prompt": self.tokenizer.decode(columns["prompts"][n])}
            rows.append(one | {"text": self.tokenizer.decode(columns["responses"][n])})
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows)
        write_text(run / "rollouts" / f"step-{self.global_steps:06d}.jsonl", text)


def _grid(seen: list[list[dict[str, Any]]], name: str, kind: Any) -> Any:
    return np.array([[one[name] for one in group] for group in seen]).astype(kind)


def _number(table: Any, name: str) -> float | None:
    value = table.get(name)
    return None if value is None or not np.isfinite(float(value)) else float(value)


def _last_line(path: Path) -> dict[str, Any]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return dict(json.loads(lines[-1])) if lines else {}
