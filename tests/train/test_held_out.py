"""No recipe, and no hindsight, can meet a problem of the validation or test split of a world of ours."""

from pathlib import Path

import pytest

from lcpo import recipes
from lcpo.errors import TaskError
from lcpo.tasks import search, sums, task
from sums_model import RECIPE

data = pytest.importorskip("lcpo.train.data", reason="training needs the extra 'train'")
read_recipe = pytest.importorskip("lcpo.recipes.recipe").read_recipe

WORLDS = {"sums": sums.SIZES, "search": search.SIZES}
NAMES = [name for name in recipes.names() if recipes.tables(name)[1]["task"].get("name") in WORLDS]


def held_in(name: str, question: str) -> str:
    """The split that holds a question of a world, decided anew from its numbers."""
    if name == "search":
        return search.split_of(search.parse(question).numbers)
    words = question.removeprefix("Add ").removesuffix(".").split()
    return sums.split_of([int(word[1:]) for word in words])


@pytest.mark.parametrize("name", [RECIPE, *NAMES], ids=lambda name: Path(name).stem)
def test_recipes_train_on_training_problems_alone(name: str) -> None:
    recipe = read_recipe(name)[1]
    sizes = WORLDS[recipe.task.name]
    problems = data.load(recipe.task.model_copy(update={"problems": 3000}), recipe.seed)[1].problems
    assert len(problems) == 3000
    for problem in problems:
        assert held_in(recipe.task.name, problem.question) == "train"
        assert int(problem.size or 0) in sizes


@pytest.mark.parametrize("name", ["sums_long", "search_unseen"])
def test_unseen_sizes_have_no_training_split(name: str) -> None:
    with pytest.raises(TaskError, match="no train split"):
        task(name).problems("train", 1)
