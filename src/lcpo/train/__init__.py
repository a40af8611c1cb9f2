"""Training: the recipe, the reward and the trainer for TRL, and what a run leaves behind.

`LcpoReward`, `with_budgets` and `LcpoTrainer` are for a TRL script of one's own; `train` runs a recipe.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lcpo.recipes.recipe import Recipe, read_recipe
    from lcpo.train.data import with_budgets
    from lcpo.train.reward import LcpoReward
    from lcpo.train.run import train
    from lcpo.train.trainer import LcpoTrainer

_HOME = {
    "LcpoReward": "lcpo.train.reward",
    "LcpoTrainer": "lcpo.train.trainer",
    "Recipe": "lcpo.recipes.recipe",
    "read_recipe": "lcpo.recipes.recipe",
    "train": "lcpo.train.run",
    "with_budgets": "lcpo.train.data",
}

__all__ = ["LcpoReward", "LcpoTrainer", "Recipe", "read_recipe", "train", "with_budgets"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'lcpo.train' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)
