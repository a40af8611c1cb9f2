"""The recipes of smol: budgets that are never drawn, one adapter for both kinds, enough rows, held-out problems."""

import pytest

from lcpo import recipes
from lcpo.recipes.recipe import read_recipe
from lcpo.tasks import chains, pairs

data = pytest.importorskip("lcpo.train.data", reason="training needs the extra 'train'")
NAMES = [name for name in recipes.names() if name.startswith("smol")]
ROWS = 60_000
"""Rows that `lcpo models build smollm2 --thoughts` writes."""


@pytest.mark.parametrize("name", NAMES)
def test_half_of_the_evaluated_budgets_are_never_drawn_and_all_are_in_range(name: str) -> None:
    _, recipe = read_recipe(name)
    unseen = [tokens for tokens in recipe.evaluate.budgets if not recipe.budget.seen(tokens)]
    assert len(recipe.evaluate.budgets) == 8
    assert len(unseen) == 4
    law = recipe.budget.law
    assert law.low < min(recipe.evaluate.budgets) < max(recipe.evaluate.budgets) < law.high  # type: ignore[union-attr]
    assert set(recipe.budget.kinds) == {"exact", "max", "none"}
    assert recipe.trl["max_completion_length"] > law.largest


@pytest.mark.parametrize("name", NAMES)
def test_no_row_is_seen_twice(name: str) -> None:
    _, recipe = read_recipe(name)
    assert recipe.supervised is not None and recipe.supervised.steps is not None
    assert recipe.supervised.steps * recipe.supervised.batch <= ROWS


@pytest.mark.parametrize("name", NAMES)
def test_only_training_problems_are_drawn(name: str) -> None:
    _, recipe = read_recipe(name)
    problems = data.load(recipe.task.model_copy(update={"problems": 1000}), recipe.seed)[1].problems
    for problem in problems[::2]:
        assert pairs.split_of(pairs.parse(problem.question)) == "train"
    for problem in problems[1::2]:
        assert chains.split_of(chains.parse(problem.question)) == "train"
