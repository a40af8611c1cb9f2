"""No recipe, and no hindsight, can meet a sum of the validation or test split."""

import pytest

from lcpo import recipes
from lcpo.tasks import sums

data = pytest.importorskip("lcpo.train.data", reason="training needs the extra 'train'")
read_recipe = pytest.importorskip("lcpo.recipes.recipe").read_recipe


@pytest.mark.parametrize("name", [name for name in recipes.names() if name.startswith("tiny")])
def test_recipes_train_on_training_sums_alone(name: str) -> None:
    recipe = read_recipe(name)[1]
    assert recipe.task.name == "sums"
    problems = data.load(recipe.task.model_copy(update={"problems": 3000}), recipe.seed)[1].problems
    assert len(problems) == 3000
    for problem in problems:
        words = problem.question.removeprefix("Add ").removesuffix(".").split()
        assert sums.split_of([int(word[1:]) for word in words]) == "train"
        assert int(problem.size or 0) in sums.SIZES


def test_unseen_sizes_have_no_training_split() -> None:
    from lcpo.errors import TaskError
    from lcpo.tasks import task

    with pytest.raises(TaskError, match="no train split"):
        task("sums_long").problems("train", 1)
