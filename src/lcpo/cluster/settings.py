"""A recipe as verl's whole configuration: verl's own defaults, what the recipe implies, and its [verl] table on top.

[trl] keys that say something about the optimisation are carried over, so that a recipe needs no [verl] table to change
engines; [verl] wins where both speak. The table `lcpo` carries the recipe itself to every process of the run.
"""

import copy
import functools
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from lcpo.cluster.export import Exported
from lcpo.errors import ConfigError, unknown
from lcpo.objectives import Objective
from lcpo.recipes.recipe import Recipe, changed, parse_recipe
from lcpo.types import Budget

FED: Mapping[str, tuple[str, bool]] = {
    "grpo": ("grpo", True),
    "no_std": ("grpo", False),
    "batch_std": ("lcpo_batch_std", True),
}
"""Advantages that verl can feed: its estimator, and whether that divides by the group's std. lcpo's trainer computes
the others."""

LOSSES = {
    "grpo": "seq-mean-token-mean",
    "dr_grpo": "seq-mean-token-sum-norm",
    "dapo": "token-mean",
    "bnpo": "token-mean",
}
"""TRL's loss types as verl's aggregation modes."""

CARRIED = {
    "learning_rate": "actor_rollout_ref.actor.optim.lr",
    "weight_decay": "actor_rollout_ref.actor.optim.weight_decay",
    "max_grad_norm": "actor_rollout_ref.actor.optim.clip_grad",
    "warmup_ratio": "actor_rollout_ref.actor.optim.lr_warmup_steps_ratio",
    "lr_scheduler_type": "actor_rollout_ref.actor.optim.lr_scheduler_type",
    "epsilon": "actor_rollout_ref.actor.clip_ratio",
    "num_iterations": "actor_rollout_ref.actor.ppo_epochs",
    "entropy_coef": "actor_rollout_ref.actor.entropy_coeff",
    "temperature": "actor_rollout_ref.rollout.temperature",
    "top_p": "actor_rollout_ref.rollout.top_p",
    "max_completion_length": "data.max_response_length",
    "vllm_gpu_memory_utilization": "actor_rollout_ref.rollout.gpu_memory_utilization",
    "vllm_tensor_parallel_size": "actor_rollout_ref.rollout.tensor_model_parallel_size",
}
"""Keys of [trl] that verl has under another name; those of ALSO are translated as well."""

ALSO = ("top_k", "beta", "epsilon_high", "loss_type", "max_steps", "num_train_epochs", "save_steps")
LORA = {"r": "lora_rank", "lora_alpha": "lora_alpha", "target_modules": "target_modules"}
FREE = "verl.ray_kwargs.ray_init"
"""Where verl passes on whatever stands there, to ray.init; elsewhere a table is free only if verl's own is empty."""


@dataclass(frozen=True)
class Setup:
    """The `lcpo` table of verl's configuration: the recipe, what grades an answer, and the run folder."""

    recipe: Recipe
    verifier: str
    run: str

    def table(self) -> dict[str, str]:
        """What `of` reads."""
        return {"recipe": self.recipe.toml().replace("${", "\\${"), "verifier": self.verifier, "run": self.run}

    @classmethod
    def of(cls, config: Any) -> "Setup":
        """The setup in a verl configuration. Raises ConfigError where it was not written by lcpo."""
        table = config.get("lcpo")
        if not table:
            raise ConfigError(
                "verl's configuration has no table 'lcpo'; write it with  lcpo train --engine verl --dry-run"
            )
        return cls(_parsed(table["recipe"]), table["verifier"], table["run"])

    def budgets(self, info: Any, step: int, group: int) -> list[Budget]:
        """The budgets of the rollouts of a prompt, [group]: as exported with it, else drawn for this visit.

        info: the row's extra_info. step: verl's global step, from 1. The draw is the one that TRL would make for the
        same seed, optimizer step and row.
        """
        exported = zip(info["kinds"], info["budgets"], strict=True)
        static = [Budget(kind, None if kind == "none" else int(n), info["scope"]) for kind, n in exported]
        if static:
            return [static[i % len(static)] for i in range(group)]
        return self.recipe.budget.sampler.draw(self.recipe.seed, self._updates(step), int(info["index"]), group)

    def objective(self, step: int) -> Objective:
        """The objective at verl's global step, from 1: with the recipe's ramps applied."""
        result: Objective = self.recipe.objective
        for ramp in self.recipe.schedule:
            result = changed(result, ramp.key, ramp.at(self._updates(step)))
        return result

    def _updates(self, step: int) -> int:
        """Optimizer steps made before verl's global step, from 1: what TRL counts by."""
        return (max(step, 1) - 1) * self.recipe.updates_per_generation


@functools.lru_cache(maxsize=4)
def _parsed(text: str) -> Recipe:
    return parse_recipe(tomllib.loads(text), "verl's configuration, table lcpo")


def refuse(recipe: Recipe) -> None:
    """Raises ConfigError for what runs with TRL only, naming it and the way out."""
    for name in ("supervised", "hindsight"):
        if getattr(recipe, name) is not None:
            raise ConfigError(
                f"{name} works with --engine trl only; run it there first (trl.max_steps=0), then give that run as "
                "model, and leave the table out"
            )
    if recipe.task.useless < 1:
        raise ConfigError("task.useless works with --engine trl only; leave it out, or train with --engine trl")
    scheduler, loss = recipe.trl.get("lr_scheduler_type", "constant"), recipe.trl.get("loss_type", "dapo")
    if scheduler not in ("constant", "cosine"):
        raise ConfigError(f"trl.lr_scheduler_type '{scheduler}' has no counterpart in verl; take constant or cosine")
    if loss not in LOSSES:
        raise ConfigError(
            f"trl.loss_type '{loss}' has no counterpart in verl; take one of {', '.join(LOSSES)}, or set "
            "verl.actor_rollout_ref.actor.policy_loss.loss_mode and leave loss_type out"
        )


def left_out(recipe: Recipe) -> list[str]:
    """Keys of the recipe's [trl] table that say nothing to verl."""
    return sorted(set(recipe.trl) - set(CARRIED) - set(ALSO))


def generations(recipe: Recipe, rows: int | None = None) -> int:
    """How many generations the recipe asks for: verl's steps. rows: problems, where known. Raises ConfigError."""
    given = expand(recipe.verl).get("trainer", {}).get("total_training_steps")
    if given is None and rows is None and int(recipe.trl.get("max_steps", -1)) < 1:
        raise ConfigError(
            "the recipe says neither trl.max_steps nor verl.trainer.total_training_steps; give one of them"
        )
    return recipe.generations(rows or 0) if given is None else int(given)


def table(recipe: Recipe, exported: Exported, out: Path) -> dict[str, Any]:
    """What the recipe implies for verl, nested; `out` is the run folder. Raises ConfigError."""
    refuse(recipe)
    group, steps = recipe.group, generations(recipe, exported.rows)
    if group.problems % group.updates:
        raise ConfigError(f"group.problems {group.problems} does not divide by group.updates {group.updates}")
    estimator, by_std = FED.get(recipe.advantage, ("grpo", True))
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    implied: dict[str, Any] = {
        "data.train_files": [str(exported.train)],
        "data.val_files": [str(exported.validation)],
        "data.train_batch_size": group.problems,
        "data.max_prompt_length": 1024,
        "data.seed": recipe.seed,
        "data.filter_overlong_prompts": True,
        "actor_rollout_ref.model.path": recipe.model,
        f"{actor}.ppo_mini_batch_size": group.problems // group.updates,
        f"{actor}.fsdp_config.seed": recipe.seed,
        f"{actor}.data_loader_seed": recipe.seed,
        f"{actor}.use_dynamic_bsz": group.micro_batch is None,
        f"{rollout}.name": "vllm",
        f"{rollout}.n": group.size,
        f"{rollout}.seed": recipe.seed,
        f"{rollout}.tensor_model_parallel_size": 1,
        f"{rollout}.agent.default_agent_loop": "lcpo",
        "algorithm.adv_estimator": estimator,
        "algorithm.norm_adv_by_std_in_grpo": by_std,
        "reward.reward_manager.name": "lcpo",
        "trainer.v1.trainer_mode": "lcpo",
        "trainer.project_name": "lcpo",
        "trainer.experiment_name": out.name,
        "trainer.logger": ["console"],
        "trainer.total_training_steps": steps,
        "trainer.total_epochs": math.ceil(steps / max(1, exported.rows // group.problems)) + 1,
        "trainer.save_freq": max(1, int(recipe.trl.get("save_steps", 50)) // recipe.updates_per_generation),
        "trainer.val_before_train": False,
        "trainer.default_local_dir": str(out / "checkpoints"),
    }
    if group.micro_batch is not None:
        names = ("actor.ppo_micro_batch_size", "rollout.log_prob_micro_batch_size", "ref.log_prob_micro_batch_size")
        implied |= {f"actor_rollout_ref.{name}_per_gpu": group.micro_batch for name in names}
    implied |= {place: recipe.trl[key] for key, place in CARRIED.items() if key in recipe.trl}
    return expand(implied | _optimisation(recipe))


def _optimisation(recipe: Recipe) -> dict[str, Any]:
    """Aggregation, clipping, the KL term (verl's reference is the initial model, as TRL's), and adapters."""
    actor, trl = "actor_rollout_ref.actor", recipe.trl
    low, beta, loss = float(trl.get("epsilon", 0.2)), float(trl.get("beta", 0.0)), trl.get("loss_type", "dapo")
    result: dict[str, Any] = {
        f"{actor}.loss_agg_mode": LOSSES[loss],
        f"{actor}.clip_ratio_low": low,
        f"{actor}.clip_ratio_high": float(trl.get("epsilon_high") or low),
        f"{actor}.use_kl_loss": beta > 0,
        f"{actor}.kl_loss_type": "low_var_kl",
    }
    if loss == "dr_grpo":
        result[f"{actor}.loss_scale_factor"] = int(trl.get("max_completion_length", 512))
    if beta > 0:
        result[f"{actor}.kl_loss_coef"] = beta
    if "top_k" in trl:
        result["actor_rollout_ref.rollout.top_k"] = int(trl["top_k"]) or -1
    for key, value in (recipe.lora or {}).items():
        if key not in LORA:
            raise unknown("key in [lora] for --engine verl", key, LORA)
        result[f"actor_rollout_ref.model.{LORA[key]}"] = value
    return result


def compose(recipe: Recipe, exported: Exported, out: Path) -> dict[str, Any]:
    """verl's whole configuration as plain tables, its own references (`${...}`) kept.

    Raises ConfigError for keys that verl does not know, and for settings that it would accept and that would spoil
    the run.
    """
    mine = expand(recipe.verl)
    base = defaults(str(mine.pop("model_engine", "dp")))
    result = merge(merge(base, table(recipe, exported, out), "verl"), mine, "verl")
    largest, cap = recipe.budget.largest, int(result["data"]["max_response_length"])
    if largest is not None and cap < largest:
        raise ConfigError(
            f"generations are capped at {cap} tokens and the largest budget is {largest}; raise "
            "trl.max_completion_length or verl.data.max_response_length"
        )
    mode = result["trainer"]["v1"]["trainer_mode"]
    if mode != "lcpo" and (recipe.advantage not in FED or recipe.budget.per_group > 1):
        raise ConfigError(
            f"verl.trainer.v1.trainer_mode '{mode}' cannot give advantage '{recipe.advantage}' its budgets; leave the "
            f"mode out, or take an advantage of {', '.join(FED)} with budget.per_group = 1"
        )
    if recipe.advantage not in FED and result["algorithm"]["use_kl_in_reward"]:
        raise ConfigError(
            f"advantage '{recipe.advantage}' leaves verl's KL in the reward out; use trl.beta (a KL loss) instead of "
            "verl.algorithm.use_kl_in_reward"
        )
    return result | {"lcpo": Setup(recipe, recipe.task.verifier or exported.task.verifier, str(out)).table()}


def defaults(engine: str = "dp") -> dict[str, Any]:
    """verl's own configuration for a model engine (dp: FSDP; megatron, ...), composed by hydra, nothing resolved."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    folder = metadata.distribution("verl").locate_file("verl/trainer/config")
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(folder), version_base=None):
            config = hydra_compose("ppo_trainer", overrides=[f"model_engine={engine}"])
    except HydraException as error:
        raise ConfigError(f"verl.model_engine '{engine}': {str(error).splitlines()[0]}") from None
    result: dict[str, Any] = OmegaConf.to_container(config, resolve=False)
    return result


def expand(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables from dotted keys; tables that are nested already stay so."""
    result: dict[str, Any] = {}
    for key, value in flat.items():
        nested = expand(value) if isinstance(value, Mapping) else value
        for part in reversed(key.lstrip("+").split(".")):
            nested = {part: nested}
        result = merge(result, nested, FREE)
    return result


def merge(base: Mapping[str, Any], over: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`base` with `over` on top. A key that base lacks is refused unless its table is empty there (free settings)."""
    result = copy.deepcopy(dict(base))
    for key, value in over.items():
        if key not in result and base and not where.startswith(FREE):
            raise unknown(f"key in [{where}]", key, map(str, base))
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            value = merge(result[key], value, f"{where}.{key}")
        result[key] = copy.deepcopy(value)
    return result
