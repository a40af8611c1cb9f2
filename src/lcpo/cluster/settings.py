"""A recipe as verl's whole configuration: verl's own defaults, what the recipe implies, and its [verl] table on top.

[trl] keys that say something about the optimisation are carried over, so that a recipe needs no [verl] table to change
engines; [verl] wins where both speak.
"""

import copy
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lcpo.cluster.export import Exported
from lcpo.errors import ConfigError, MissingExtra, unknown
from lcpo.recipes.recipe import Recipe

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

CARRIED: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "learning_rate": ("actor_rollout_ref.actor.optim.lr", float),
    "weight_decay": ("actor_rollout_ref.actor.optim.weight_decay", float),
    "max_grad_norm": ("actor_rollout_ref.actor.optim.clip_grad", float),
    "warmup_ratio": ("actor_rollout_ref.actor.optim.lr_warmup_steps_ratio", float),
    "lr_scheduler_type": ("actor_rollout_ref.actor.optim.lr_scheduler_type", str),
    "epsilon": ("actor_rollout_ref.actor.clip_ratio", float),
    "num_iterations": ("actor_rollout_ref.actor.ppo_epochs", int),
    "entropy_coef": ("actor_rollout_ref.actor.entropy_coeff", float),
    "temperature": ("actor_rollout_ref.rollout.temperature", float),
    "top_p": ("actor_rollout_ref.rollout.top_p", float),
    "top_k": ("actor_rollout_ref.rollout.top_k", lambda k: int(k) or -1),
    "max_completion_length": ("data.max_response_length", int),
    "vllm_gpu_memory_utilization": ("actor_rollout_ref.rollout.gpu_memory_utilization", float),
    "vllm_tensor_parallel_size": ("actor_rollout_ref.rollout.tensor_model_parallel_size", int),
}
"""Keys of [trl] that have one counterpart in verl; those of ALSO are translated as well."""

FREE = "verl.ray_kwargs.ray_init"
"""Where verl passes on whatever stands there, to ray.init; elsewhere a table is free only if verl's own is empty."""

ALSO = ("beta", "epsilon_high", "loss_type", "max_steps", "num_train_epochs", "save_steps")


def refuse(recipe: Recipe) -> None:
    """Raises ConfigError for what runs with TRL only, naming it and the way out."""
    for name in ("supervised", "hindsight"):
        if getattr(recipe, name) is not None:
            raise ConfigError(
                f"{name} works with --engine trl only; run it there first (trl.max_steps=0), then give that run as "
                "model, and leave the table out"
            )
    if recipe.trl.get("lr_scheduler_type", "constant") not in ("constant", "cosine"):
        raise ConfigError(
            f"trl.lr_scheduler_type '{recipe.trl['lr_scheduler_type']}' has no counterpart in verl; take constant or "
            "cosine"
        )
    if recipe.trl.get("loss_type", "dapo") not in LOSSES:
        raise ConfigError(
            f"trl.loss_type '{recipe.trl['loss_type']}' has no counterpart in verl; take one of {', '.join(LOSSES)}, "
            "or set verl.actor_rollout_ref.actor.policy_loss.loss_mode and leave loss_type out"
        )


def left_out(recipe: Recipe) -> list[str]:
    """Keys of the recipe's [trl] table that say nothing to verl."""
    return sorted(set(recipe.trl) - set(CARRIED) - set(ALSO))


def generations(recipe: Recipe, rows: int | None = None) -> int:
    """How many generations the recipe asks for: verl's steps. rows: problems, where known. Raises ConfigError."""
    table = expand(recipe.verl)
    given = table.get("trainer", {}).get("total_training_steps")
    if given is not None:
        return int(given)
    if rows is None and int(recipe.trl.get("max_steps", -1)) < 1:
        raise ConfigError(
            "the recipe says neither trl.max_steps nor verl.trainer.total_training_steps; give one of them"
        )
    return recipe.generations(rows or 0)


def table(recipe: Recipe, exported: Exported, out: Path) -> dict[str, Any]:
    """What the recipe implies for verl, nested; `out` is the run folder. Raises ConfigError."""
    refuse(recipe)
    group, steps = recipe.group, generations(recipe, exported.rows)
    if group.problems % group.updates:
        raise ConfigError(f"group.problems {group.problems} does not divide by group.updates {group.updates}")
    estimator, by_std = FED.get(recipe.advantage, ("grpo", True))
    implied: dict[str, Any] = {
        "data.train_files": [str(exported.train)],
        "data.val_files": [str(exported.validation)],
        "data.train_batch_size": group.problems,
        "data.max_prompt_length": 1024,
        "data.seed": recipe.seed,
        "data.shuffle": True,
        "data.filter_overlong_prompts": True,
        "data.truncation": "error",
        "actor_rollout_ref.model.path": recipe.model,
        "actor_rollout_ref.actor.ppo_mini_batch_size": group.problems // group.updates,
        "actor_rollout_ref.actor.fsdp_config.seed": recipe.seed,
        "actor_rollout_ref.actor.data_loader_seed": recipe.seed,
        "actor_rollout_ref.actor.use_dynamic_bsz": group.micro_batch is None,
        "actor_rollout_ref.rollout.name": "vllm",
        "actor_rollout_ref.rollout.n": group.size,
        "actor_rollout_ref.rollout.seed": recipe.seed,
        "actor_rollout_ref.rollout.tensor_model_parallel_size": 1,
        "actor_rollout_ref.rollout.agent.default_agent_loop": "lcpo",
        "algorithm.adv_estimator": estimator,
        "algorithm.norm_adv_by_std_in_grpo": by_std,
        "reward.reward_manager.source": "register",
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
        where = "actor_rollout_ref"
        implied |= {
            f"{where}.actor.ppo_micro_batch_size_per_gpu": group.micro_batch,
            f"{where}.rollout.log_prob_micro_batch_size_per_gpu": group.micro_batch,
            f"{where}.ref.log_prob_micro_batch_size_per_gpu": group.micro_batch,
        }
    implied |= {place: to(recipe.trl[key]) for key, (place, to) in CARRIED.items() if key in recipe.trl}
    implied |= _loss(recipe) | _lora(recipe)
    return expand(implied)


def _loss(recipe: Recipe) -> dict[str, Any]:
    """Aggregation, clipping and the KL term; verl's reference is the initial model, as TRL's."""
    actor, trl = "actor_rollout_ref.actor", recipe.trl
    low = float(trl.get("epsilon", 0.2))
    beta = float(trl.get("beta", 0.0))
    loss = str(trl.get("loss_type", "dapo"))
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
    return result


def _lora(recipe: Recipe) -> dict[str, Any]:
    if recipe.lora is None:
        return {}
    known = {"r": "lora_rank", "lora_alpha": "lora_alpha", "target_modules": "target_modules"}
    for key in recipe.lora:
        if key not in known:
            raise unknown("key in [lora] for --engine verl", key, known)
    return {f"actor_rollout_ref.model.{known[key]}": value for key, value in recipe.lora.items()}


def lcpo_table(recipe: Recipe, verifier: str, out: Path) -> dict[str, str]:
    """The table `lcpo` of verl's configuration: what lcpo.cluster.setup reads in every process."""
    return {"recipe": recipe.toml().replace("${", "\\${"), "verifier": verifier, "run": str(out)}


def compose(recipe: Recipe, exported: Exported, out: Path) -> dict[str, Any]:
    """verl's whole configuration as plain tables, its own references (`${...}`) kept.

    Raises ConfigError for keys that verl does not know, MissingExtra where verl is not installed.
    """
    mine = expand(recipe.verl)
    engine = str(mine.pop("model_engine", "dp"))
    base = defaults(engine)
    result = merge(base, table(recipe, exported, out), "verl")
    result = merge(result, mine, "verl")
    _sensible(recipe, result)
    result["lcpo"] = lcpo_table(recipe, recipe.task.verifier or exported.task.verifier, out)
    return result


def _sensible(recipe: Recipe, config: Mapping[str, Any]) -> None:
    """Raises ConfigError for settings that verl would accept and that would spoil the run."""
    largest, cap = recipe.budget.largest, int(config["data"]["max_response_length"])
    if largest is not None and cap < largest:
        raise ConfigError(
            f"generations are capped at {cap} tokens and the largest budget is {largest}; raise "
            "trl.max_completion_length or verl.data.max_response_length"
        )
    mode = config["trainer"]["v1"]["trainer_mode"]
    if mode != "lcpo" and (recipe.advantage not in FED or recipe.budget.per_group > 1):
        raise ConfigError(
            f"verl.trainer.v1.trainer_mode '{mode}' cannot give advantage '{recipe.advantage}' its budgets; leave the "
            f"mode out, or take an advantage of {', '.join(FED)} with budget.per_group = 1"
        )
    if recipe.advantage not in FED and config["algorithm"]["use_kl_in_reward"]:
        raise ConfigError(
            f"advantage '{recipe.advantage}' leaves verl's KL in the reward out; use trl.beta (a KL loss) instead of "
            "verl.algorithm.use_kl_in_reward"
        )


def defaults(engine: str = "dp") -> dict[str, Any]:
    """verl's own configuration for a model engine (dp: FSDP; megatron, ...), composed by hydra, nothing resolved."""
    import importlib.util

    found = importlib.util.find_spec("verl")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("verl", "cluster")
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    folder = Path(found.submodule_search_locations[0]) / "trainer" / "config"
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
        *path, last = key.lstrip("+").split(".")
        here = result
        for part in path:
            here = here.setdefault(part, {})
        value = expand(value) if isinstance(value, Mapping) else value
        if isinstance(value, dict) and isinstance(here.get(last), dict):
            here[last] = merge(here[last], value, last, new=True)
        else:
            here[last] = value
    return result


def merge(base: Mapping[str, Any], over: Mapping[str, Any], where: str, new: bool = False) -> dict[str, Any]:
    """`base` with `over` on top. A key that base lacks is refused unless its table is empty there (free settings)."""
    result = copy.deepcopy(dict(base))
    for key, value in over.items():
        if key not in result and base and not new and not where.startswith(FREE):
            raise unknown(f"key in [{where}]", key, map(str, base))
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merge(result[key], value, f"{where}.{key}", new)
        else:
            result[key] = copy.deepcopy(value)
    return result
