"""A recipe as TRL settings: what a machine implies, and what is refused before anything starts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState

from lcpo.errors import ConfigError
from lcpo.recipes.recipe import Recipe
from lcpo.train.run import train
from lcpo.train.settings import _batches, settings, steps_of

Make = Callable[..., Recipe]


def test_cpu_settings_are_automatic(recipe: Make, tmp_path: Path) -> None:
    args = settings(recipe(), tmp_path)
    assert (args.use_cpu, args.bf16, args.gradient_checkpointing) == (True, False, False)
    assert settings(recipe(trl={"bf16": True}), tmp_path).bf16


def test_training_in_bf16_on_a_cpu_is_nearly_the_same(recipe: Make, tmp_path: Path) -> None:
    told = []
    for bf16 in (False, True):
        AcceleratorState._reset_state()  # a process remembers the precision of its first training
        line = train("test", recipe(trl={"bf16": bf16, "max_steps": 2}), tmp_path / str(bf16), quiet=True).lines[0]
        told.append([line["loss"], line["grad_norm"]])
    AcceleratorState._reset_state()
    exact, rounded = told
    assert exact == pytest.approx(rounded, rel=0.1, abs=0.02)
    assert exact != rounded


@pytest.mark.parametrize("micro", [None, 1, 2, 4, 8, 16])
def test_the_group_becomes_batches(recipe: Make, tmp_path: Path, micro: int | None) -> None:
    args = settings(recipe(group={"micro_batch": micro}), tmp_path)
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == 16
    assert args.generation_batch_size == 16
    two = settings(recipe(group={"micro_batch": micro, "updates": 1, "problems": 8}), tmp_path, world=2)
    assert two.per_device_train_batch_size * two.gradient_accumulation_steps == 16


def test_a_gpu_takes_as_many_rollouts_at_once_as_its_memory_suits(recipe: Make) -> None:
    long = recipe(trl={"max_completion_length": 10_000})
    batches = [_batches(long, 1, cpu) for cpu in (True, False)]
    assert [one["per_device_train_batch_size"] for one in batches] == [8, 8]  # the recipe says so
    batches = [
        _batches(recipe(trl={"max_completion_length": 10_000}, group={"micro_batch": None}), 1, cpu)
        for cpu in (True, False)
    ]
    assert [one["per_device_train_batch_size"] for one in batches] == [16, 2]
    assert [one["gradient_accumulation_steps"] for one in batches] == [1, 8]


def test_two_updates_of_one_generation(recipe: Make, tmp_path: Path) -> None:
    args = settings(recipe(group={"updates": 2}, trl={"save_steps": 2}), tmp_path)
    assert args.steps_per_generation == 2 * args.gradient_accumulation_steps
    assert steps_of(recipe(group={"updates": 2}, trl={"max_steps": 5}), 40) == (5, 12)


def test_epochs_become_steps(recipe: Make) -> None:
    made = recipe(trl={"max_steps": -1, "num_train_epochs": 2})
    assert steps_of(made, 40) == (20, 80)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"trl": {"max_completion_length": 8}}, "below the largest budget 12"),
        ({"trl": {"fp16": True}}, "needs a GPU; on a CPU training is fp32, or faster with trl.bf16 = true"),
        ({"trl": {"mask_truncated_completions": True}}, "mask_truncated_completions"),
        ({"trl": {"use_vllm": True}}, "needs a GPU"),
        ({"trl": {"use_vllm": True, "vllm_mode": "server", "use_cpu": False}}, "would lose the other budgets"),
        ({"trl": {"save_steps": 3}, "group": {"updates": 2}}, "not a multiple of the 2"),
        ({"trl": {"max_steps": 0}}, "num_train_epochs"),
        ({"trl": {"num_generations": 4}}, "group.size"),
        ({"trl": {"scale_rewards": "batch"}}, "advantage"),
        ({"trl": {"learning_rat": 1.0}}, "Did you mean 'learning_rate'"),
        ({"trl": {"learning_rate": "fast"}}, "trl.learning_rate: Input should be a valid number"),
        ({"trl": {"max_steps": 1.5}}, "trl.max_steps"),
        ({"trl": {"generation_kwargs": 3}}, "TRL wants dict | str | None"),
        ({"trl": {"optim": "x"}}, "[trl]"),
        ({"group": {"micro_batch": 3}}, "[1, 2, 4, 8, 16]"),
        ({"group": {"problems": 3, "updates": 5}}, "do not divide"),
    ],
)
def test_nonsense_is_refused(recipe: Make, tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(recipe(**changes), tmp_path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
