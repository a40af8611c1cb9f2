"""verl's synchronous trainer with lcpo's advantages where verl cannot feed them, and with the dial in its training log.

verl's registered estimators see token rewards and groups only. Here the budgets, lengths and grades of a batch are
fetched too, so advantages that read them, and objectives that look at whole groups, come out as under TRL.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
import transfer_queue as tq
from omegaconf import open_dict
from tensordict import TensorDict
from verl.trainer.ppo.v1 import PPOTrainerSync, register_trainer

from lcpo.advantages import advantage
from lcpo.cluster.check import check
from lcpo.cluster.settings import FED, Setup
from lcpo.errors import EngineError
from lcpo.measure.files import read_lines, write_text
from lcpo.train import metrics as dial
from lcpo.types import IntArray, Outcomes

MEASURED = ("correct", "length", "budget", "kind", "truncated", "no_answer", "failed", "asked", "row")
"""What the reward manager says of a rollout, in a line of rollouts/ too."""


@dataclass(frozen=True)
class Batch:
    """The complete groups of a batch: their places in it [P, G], what was measured of each rollout, outcomes [P, G].

    tokens counts everything that the batch generated, groups that are incomplete included.
    """

    places: IntArray
    columns: dict[str, list[Any]]
    outcomes: Outcomes
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
        check_nodes()
        self.edges = dial.edges(recipe.budget.sampler, recipe.log.bins) if recipe.budget.largest else [1]
        last = (read_lines(Path(self.setup.run) / "metrics.jsonl") or [{"tokens": 0, "seconds": 0.0}])[-1]
        self.generated, self.started = int(last["tokens"]), time.perf_counter() - float(last["seconds"])
        self.pool: list[list[list[int]]] = []
        super().__init__(config=config)

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        batch = super()._compute_advantage(batch, metrics)
        known = self._fetch(batch)
        recipe = self.setup.recipe
        if recipe.advantage in FED:
            return batch
        objective = self.setup.objective(self.global_steps)
        each = np.zeros(len(batch.keys))
        each[known.places] = advantage(recipe.advantage)(objective.terms(known.outcomes), known.outcomes.budget)
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
        names = [key.rsplit("_", 2)[0] for key in keys]
        places, total = groups(names, real), len(set(names))
        size = int(self.config.actor_rollout_ref.rollout.n)
        if not places.size or places.shape[1] != size or 2 * len(places) < total:
            raise EngineError(
                f"{total - len(places)} of {total} groups of step {self.global_steps} lost rollouts, or have other "
                f"than {size}; their errors stand above in this log"
            )
        measured = {i: extra["reward_extra_info"] for i, extra in zip(real, data["extra_fields"], strict=True)}
        columns = {name: [measured[i][name] for i in places.ravel().tolist()] for name in MEASURED}
        tokens = sum(rollout["tokens"] for rollout in measured.values())
        return Batch(places, columns, dial.outcomes_of(columns, size), tokens, total - len(places))

    def _compute_metrics(self, batch: Any, metrics: dict[str, Any], timing_raw: Any, *args: Any, **kwargs: Any) -> None:
        super()._compute_metrics(batch, metrics, timing_raw, *args, **kwargs)
        known = self._fetch(batch)
        rewards = self.setup.objective(self.global_steps)(known.outcomes)
        record = dial.describe(known.outcomes, known.columns, rewards, self.edges, self.pool)
        metrics.update({f"lcpo/{name}": value for name, value in dial.scalars(record).items()})
        metrics["lcpo/incomplete_groups"] = known.incomplete
        self.generated += known.tokens
        line = {
            "step": self.global_steps,
            **record,
            "kl": dial.finite(metrics.get("actor/kl_loss")),
            "entropy": dial.finite(metrics.get("actor/entropy")),
            "grad_norm": dial.finite(metrics.get("actor/grad_norm")),
            "tokens": self.generated,
            "seconds_generate": dial.finite(timing_raw.get("gen")),
            "seconds_update": dial.finite(timing_raw.get("update_actor")),
            "seconds": round(time.perf_counter() - self.started, 3),
        }
        with (Path(self.setup.run) / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
        log = self.setup.recipe.log
        if log.rollouts and (self.global_steps - 1) % log.rollouts_every == 0:
            self._write_rollouts(batch, known, rewards, log.rollouts)

    def _write_rollouts(self, batch: Any, known: Batch, rewards: Any, limit: int) -> None:
        """A sample of rollouts in the run folder (a shared file system)."""
        fields = ["prompts", "responses", "advantages", "reward_model"]
        keys = [batch.keys[i] for i in known.places.ravel()[:limit]]
        data = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=fields)
        prompts, responses, advantages = (data[name].unbind() for name in fields[:3])
        lines = [
            {
                "step": self.global_steps,
                **{name: values[i] for name, values in known.columns.items()},
                "reward": float(rewards.flat[i]),
                "advantage": float(advantages[i][0]),
                "gold": model["ground_truth"][0],
                "prompt": self.tokenizer.decode(prompts[i]),
                "text": self.tokenizer.decode(responses[i]),
            }
            for i, model in enumerate(data["reward_model"])
        ]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_text(Path(self.setup.run) / "rollouts" / f"step-{self.global_steps:06d}.jsonl", text)


def groups(names: Sequence[str], places: Sequence[int]) -> IntArray:
    """The places of the members of each complete group, [P, G]; a group is complete with as many as the largest has."""
    members: dict[str, list[int]] = {}
    for name, place in zip(names, places, strict=True):
        members.setdefault(name, []).append(place)
    size = max(map(len, members.values()), default=0)
    whole = [group for group in members.values() if len(group) == size > 1]
    return np.array(whole, dtype=np.int64).reshape(len(whole), size)


def check_nodes() -> None:
    """Runs `check` on every other living node of the Ray cluster. Raises EngineError naming the first that fails."""
    here = ray.get_runtime_context().get_node_id()
    others = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] != here and node["Resources"].get("CPU")]
    affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    there = [ray.remote(check).options(scheduling_strategy=affinity(node["NodeID"], soft=False)) for node in others]
    for node, answer in zip(others, [remote.remote() for remote in there], strict=True):
        try:
            ray.get(answer)
        except ray.exceptions.RayError as error:
            reason = getattr(error, "cause", None) or error
            raise EngineError(f"node {node['NodeManagerAddress']}: {reason}") from None
