"""The problems of a recipe as the parquet files that verl reads, budgets in `extra_info`.

A row is what the paper's data script wrote (prompt, ability, reward_model.ground_truth, extra_info.index and split),
with the budget said as kind and tokens instead of one signed number.
"""

import json
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
    """The two files, how many rows the training file has, the task, and the hashes of both files."""

    train: Path
    validation: Path
    rows: int
    task: Task
    sha256: dict[str, str]
    dropped: str


def export(recipe: Recipe, folder: Path) -> Exported:
    """Writes train.parquet and validation.parquet into `folder`.

    Raises ConfigError where there are fewer problems than a generation takes, TaskError where there are none.
    """
    task, loaded = load(recipe.task, recipe.seed)
    if len(loaded.problems) < recipe.group.problems:
        raise ConfigError(
            f"task {task.name} has {len(loaded.problems)} problems and a generation takes group.problems = "
            f"{recipe.group.problems}; lower that, or give more data"
        )
    train = train_rows(recipe, task.name, loaded.problems)
    validation = validation_rows(recipe, task)
    paths = {"train": folder / "train.parquet", "validation": folder / "validation.parquet"}
    for name, rows in (("train", train), ("validation", validation or train[:1])):
        write(paths[name], rows)
    hashes = {path.name: sha256(path) for path in paths.values()}
    return Exported(
        paths["train"], paths["validation"], len(train), task, {**loaded.sha256, **hashes}, str(loaded.dropped)
    )


def train_rows(recipe: Recipe, task: str, problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """A row per problem. Static budgets (redraw = "once") stand in it, one or several; others are drawn per visit."""
    result = []
    for index, problem in enumerate(problems):
        static = recipe.budget.redraw == "once"
        drawn = recipe.budget.sampler.draw(recipe.seed, 0, index, recipe.budget.per_group) if static else []
        result.append(row(problem, drawn, index, "train", task, recipe))
    return result


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
        "reward_model": {"style": "rule", "ground_truth": list(problem.answers)},
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


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Rows as a parquet file. Raises ConfigError where a value has no parquet type."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, number = pa.string(), pa.int64()
    schema = pa.schema(
        {
            "data_source": text,
            "prompt": pa.list_(pa.struct({"role": text, "content": text})),
            "ability": text,
            "reward_model": pa.struct({"style": text, "ground_truth": pa.list_(text)}),
            "extra_info": pa.struct(
                {
                    **{"index": number, "split": text, "id": text, "message": text},
                    **{"budgets": pa.list_(number), "kinds": pa.list_(text), "scope": text},
                }
            ),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        table = pa.Table.from_pylist(list(rows), schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ConfigError(f"cannot write {path.name}: {error}; first row {json.dumps(rows[0])[:200]}") from None
    pq.write_table(table, path)
