"""A model of 20 k parameters in the tiny reasoner's tokens, and a recipe that trains it in seconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lcpo.recipes.recipe import Recipe, parse_recipe

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("trl", reason="training needs the extra 'train'")


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random model: 1 layer, width 32."""
    from transformers import Qwen3ForCausalLM

    from sums_model import configuration, save, tokenizer

    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("small")
    save(Qwen3ForCausalLM(configuration(layers=1, width=32, heads=2, head=16)), tokenizer(), out)
    return out


@pytest.fixture
def table(small_model: Path) -> dict[str, Any]:
    """The tables of a recipe of 3 steps of 4 problems x 4 rollouts."""
    return {
        "model": str(small_model),
        "advantage": "per_budget",
        "threads": 1,
        "task": {"name": "sums", "problems": 40},
        "budget": {"law": {"law": "log_uniform", "low": 4, "high": 12}, "per_group": 2},
        "objective": {"name": "gated"},
        "group": {"size": 4, "problems": 4, "micro_batch": 8},
        "log": {"rollouts_every": 1, "rollouts": 8},
        "trl": {
            "max_steps": 3,
            "learning_rate": 1e-3,
            "lr_scheduler_type": "constant",
            "max_completion_length": 24,
            "save_steps": 1,
            "use_cpu": True,
        },
    }


@pytest.fixture
def recipe(table: dict[str, Any]) -> Callable[..., Recipe]:
    """recipe(budget={"per_group": 1}, ...) -> the small recipe with tables changed."""

    def make(**changes: Any) -> Recipe:
        merged = dict(table)
        for name, value in changes.items():
            old = merged.get(name)
            keep = isinstance(old, dict) and isinstance(value, dict) and name != "objective"
            merged[name] = {**old, **value} if keep and isinstance(old, dict) else value
        return parse_recipe(merged, "test")

    return make
