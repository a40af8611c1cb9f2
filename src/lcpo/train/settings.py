"""A recipe as TRL settings: what a machine implies is filled in, and what makes no sense is refused in one line."""

import dataclasses
from pathlib import Path
from typing import Any, get_type_hints

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from trl import GRPOConfig

from lcpo.errors import ConfigError, unknown
from lcpo.recipes.recipe import Recipe, check_budgets
from lcpo.recipes.sizes import MICRO_TOKENS

OURS = {
    "output_dir": "--out",
    "seed": "seed",
    "num_generations": "group.size",
    "per_device_train_batch_size": "group.micro_batch",
    "gradient_accumulation_steps": "group.problems, group.updates and group.micro_batch",
    "steps_per_generation": "group.updates",
    "generation_batch_size": "group.problems",
    "scale_rewards": "advantage",
    "multi_objective_aggregation": "advantage",
    "remove_unused_columns": "nothing (it must stay off)",
    "shuffle_dataset": "nothing (lcpo shuffles by seed)",
    "resume_from_checkpoint": "--resume",
}
"""Settings of GRPOConfig that a recipe says elsewhere."""

DEFAULTS: dict[str, Any] = {
    "logging_steps": 1,
    "save_strategy": "steps",
    "save_steps": 50,
    "save_total_limit": 2,
    "report_to": "none",
    "disable_tqdm": True,
    "shuffle_dataset": False,
    "temperature": 1.0,
    "logging_nan_inf_filter": False,
}
"""What lcpo sets where a recipe's [trl] says nothing."""

SHOWN = (
    *("max_steps", "learning_rate", "lr_scheduler_type", "warmup_steps", "optim", "max_grad_norm", "loss_type", "beta"),
    *("epsilon", "num_iterations", "temperature", "top_p", "top_k", "max_completion_length", "num_generations"),
    *("per_device_train_batch_size", "gradient_accumulation_steps", "steps_per_generation", "bf16"),
    *("gradient_checkpointing", "use_vllm", "save_steps"),
)
"""Settings of TRL whose values a dry run shows."""


def settings(recipe: Recipe, out: Path, world: int = 1) -> GRPOConfig:
    """The GRPOConfig of a recipe for `world` processes. Raises ConfigError for what makes no sense."""
    names = {field.name for field in dataclasses.fields(GRPOConfig) if field.init}
    for key in recipe.trl:
        if key in OURS:
            raise ConfigError(f"trl.{key} is set by {OURS[key]} in a recipe; set that instead")
        if key not in names:
            raise unknown("key in [trl], which goes to trl.GRPOConfig:", key, names)
        _check_type(key, recipe.trl[key])
    machine = _machine(recipe)
    table = DEFAULTS | machine | _batches(recipe, world, "use_cpu" in machine) | recipe.trl
    table |= {"output_dir": str(out), "seed": recipe.seed}
    _refuse(recipe, table)
    try:
        return GRPOConfig(**table)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"[trl]: {str(error).splitlines()[0]}") from None


def _check_type(key: str, value: Any) -> None:
    """Raises ConfigError where a value is not of the type that TRL's class gives the key."""
    wanted = get_type_hints(GRPOConfig)[key]
    try:
        TypeAdapter(wanted, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        name = wanted.__name__ if isinstance(wanted, type) else str(wanted).replace("typing.", "")
        raise ConfigError(f"trl.{key}: {reason} (given {value!r}, TRL wants {name})") from None


def _machine(recipe: Recipe) -> dict[str, Any]:
    """Settings that follow from the machine: bf16 on a GPU that has it; on a CPU fp32 unless told, no recomputation."""
    cpu = bool(recipe.trl.get("use_cpu", not torch.cuda.is_available()))
    if cpu:
        if recipe.trl.get("fp16"):
            raise ConfigError("trl.fp16 needs a GPU; on a CPU training is fp32, or faster with trl.bf16 = true")
        if recipe.trl.get("use_vllm"):
            raise ConfigError("trl.use_vllm needs a GPU; leave it out on a CPU")
        bf16 = bool(recipe.trl.get("bf16"))
        return {"use_cpu": True, "bf16": bf16, "gradient_checkpointing": False, "dataloader_pin_memory": False}
    return {"bf16": torch.cuda.is_bf16_supported(), "vllm_mode": "colocate"}


def _batches(recipe: Recipe, world: int, cpu: bool) -> dict[str, Any]:
    """The group as TRL's batch settings. Raises ConfigError where it does not divide."""
    group = recipe.group
    if group.rollouts % (world * group.updates):
        raise ConfigError(
            f"{group.rollouts} rollouts (group.size x group.problems) do not divide by {world} processes "
            f"x group.updates {group.updates}; change group.problems"
        )
    each = group.rollouts // (world * group.updates)
    most = each if cpu else max(1, MICRO_TOKENS // int(recipe.trl.get("max_completion_length") or 512))
    micro = group.micro_batch or max(n for n in range(1, each + 1) if each % n == 0 and n <= most)
    if each % micro:
        raise ConfigError(
            f"group.micro_batch {micro} does not divide the {each} rollouts of one update of one process; "
            f"take one of {[n for n in range(1, each + 1) if each % n == 0]}"
        )
    return {
        "num_generations": group.size,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": each // micro,
        "steps_per_generation": each // micro * group.updates,
    }


def _refuse(recipe: Recipe, table: dict[str, Any]) -> None:
    """Raises ConfigError for settings that TRL would accept and that would spoil the run."""
    check_budgets(recipe.budget, table.get("max_completion_length", 512))
    if table.get("eval_strategy", "no") != "no" or table.get("do_eval"):
        raise ConfigError("trl.eval_strategy: training does not evaluate; leave it out, and run  lcpo eval  on the run")
    if table.get("mask_truncated_completions"):
        raise ConfigError(
            "trl.mask_truncated_completions hides the length error of the longest rollouts from the loss and still "
            "counts their rewards; leave it out"
        )
    if table.get("use_vllm") and table.get("vllm_mode") == "server" and recipe.budget.per_group > 1:
        raise ConfigError(
            "vLLM in server mode is sent one prompt per group and would lose the other budgets of it; use "
            "trl.vllm_mode='colocate' or budget.per_group=1"
        )
    recipe.generations(1)
    every = recipe.updates_per_generation
    if table["save_strategy"] == "steps" and int(table["save_steps"]) % every:
        raise ConfigError(
            f"trl.save_steps {table['save_steps']} is not a multiple of the {every} optimizer steps that one "
            f"generation serves (group.updates x trl.num_iterations); a run could not resume there"
        )
    if int(table["save_total_limit"] or 1) < 1:
        raise ConfigError("trl.save_total_limit must be at least 1, or the run could not resume")


def resolved(recipe: Recipe, args: GRPOConfig) -> dict[str, Any]:
    """What the settings that matter come to, those that the recipe leaves to others included."""
    from lcpo.train.hindsight import default_cap

    values = {f"trl.{name}": getattr(args, name) for name in SHOWN}
    result = {name: str(getattr(value, "value", value)) for name, value in values.items()}
    if recipe.hindsight is not None:
        result["hindsight.cap"] = str(recipe.hindsight.cap or default_cap(recipe.hindsight, recipe))
    return result


def steps_of(recipe: Recipe, problems: int) -> tuple[int, int]:
    """(optimizer steps, visits to problems) of a run over `problems` problems."""
    generations, steps = recipe.generations(problems), int(recipe.trl.get("max_steps", -1))
    return steps if steps > 0 else generations * recipe.updates_per_generation, generations * recipe.group.problems
