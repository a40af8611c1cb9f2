"""The problems of a recipe as the parquet files that verl reads, budgets in `extra_info`.

A row is what the paper's data script wrote (prompt, ability, reward_model.ground_truth, extra_info.index and split),
with the budget said as kind and tokens instead of one signed number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcpo.budgets import render
from lcpo.errors import ConfigError, TaskError
from lcpo.measure.files import sha256
from lcpo.recipes.recipe import Recipe
from lcpo.tasks import Task
from lcpo.train.data import load, longest_budget, user_message
from lcpo.types import NO_BUDGET, Budget, Problem

VALIDATION_PROBLEMS = 64
"""Problems of the validation split that are exported, each with every budget of [evaluate]."""


@dataclass(frozen=True)
class Exported:
    """The two files, how many rows the training file has, the task, and what the manifest says of the data."""

    train: Path
    validation: Path
    rows: int
    task: Task
    data: dict[str, Any]


def export(recipe: Recipe, folder: Path) -> Exported:
    """Writes train.parquet and validation.parquet into `folder`.

    Raises ConfigError where there are fewer problems than a generation takes, TaskError where there are none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    task, loaded = load(recipe.task, recipe.seed)
    problems = loaded.problems
    if len(problems) < recipe.group.problems:
        raise ConfigError(
            f"task {task.name} has {len(problems)} problems and a generation takes group.problems = "
            f"{recipe.group.problems}; lower that, or give more data"
        )
    train, validation = folder / "train.parquet", folder / "validation.parquet"
    rows = train_rows(recipe, task.name, problems)
    folder.mkdir(parents=True, exist_ok=True)
    for path, several in ((train, rows), (validation, validation_rows(recipe, task) or rows[:1])):
        pq.write_table(pa.Table.from_pylist(several), path)
    hashes = {**loaded.sha256, train.name: sha256(train), validation.name: sha256(validation)}
    data = {"task": task.name, "problems": len(rows), "dropped": str(loaded.dropped), "sha256": hashes}
    return Exported(train, validation, len(rows), task, data)


def train_rows(recipe: Recipe, task: str, problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """A row per problem. Static budgets (redraw = "once") stand in it, one or several; others are drawn per visit."""
    table = recipe.budget
    count = table.per_group if table.redraw == "once" else 0
    drawn = [table.sampler.draw(recipe.seed, 0, i, count) if count else [] for i in range(len(problems))]
    return [row(problem, drawn[i], i, "train", task, recipe) for i, problem in enumerate(problems)]


def validation_rows(recipe: Recipe, task: Task) -> list[dict[str, Any]]:
    """Problems of the validation split, each with every budget of [evaluate]; empty where there is no such split."""
    try:
        problems = task.problems("validation", VALIDATION_PROBLEMS, recipe.seed)
    except TaskError:
        return []
    kind, scope = recipe.evaluate.kind, recipe.budget.scope
    asked = [Budget(kind, n, scope) for n in recipe.evaluate.budgets] if kind != "none" else []
    pairs = [(problem, budget) for problem in problems for budget in asked or [NO_BUDGET]]
    return [row(problem, [budget], i, "validation", task.name, recipe) for i, (problem, budget) in enumerate(pairs)]


def row(
    problem: Problem, budgets: Sequence[Budget], index: int, split: str, task: str, recipe: Recipe
) -> dict[str, Any]:
    """One row: `prompt` is what the model is asked, with its budget; where the budget comes later, with the largest."""
    template = recipe.budget.template
    message = user_message(problem, template)
    shown = budgets[0] if len(budgets) == 1 else longest_budget(recipe)
    return {
        "data_source": task,
        "prompt": [{"role": "user", "content": message + render(shown, template)}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": list(problem.golds)},
        "extra_info": {
            "index": index,
            "split": split,
            "id": problem.id,
            "message": message,
            "budgets": [budget.tokens or 0 for budget in budgets],
            "kinds": [budget.kind for budget in budgets],
            "scope": recipe.budget.scope,
        },
    }
