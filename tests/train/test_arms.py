"""The arms of the study: what they share, where they differ, and budgets that the reward does not follow."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from arms import ARMS, read_arm, shuffled
from lcpo.recipes.recipe import Recipe
from lcpo.train.run import build, plan

Make = Callable[..., Recipe]
NAMES = sorted(path.stem for path in ARMS.glob("*.toml"))


@pytest.mark.parametrize("arm", NAMES)
def test_every_arm_is_a_recipe(arm: str) -> None:
    name, recipe, study = read_arm(arm, ("seed=3",))
    assert (name, recipe.seed) == (arm, 3)
    assert recipe.about
    assert bool(study) == (arm == "shuffled")


@pytest.mark.parametrize("arm", [name for name in NAMES if not name.startswith("smol")])
def test_arms_differ_in_what_they_pay_for_alone(arm: str) -> None:
    recipe, exact = read_arm(arm)[1], read_arm("tiny-exact")[1]
    changed = {name for name in Recipe.model_fields if getattr(recipe, name) != getattr(exact, name)}
    alone = arm.startswith("alone")
    assert changed <= {"about", "objective", "schedule", "hindsight", *(["trl"] if alone else [])}
    assert recipe.hindsight is None
    budgets = recipe.evaluate.budgets
    assert sum(not recipe.budget.seen(tokens) for tokens in budgets) * 2 >= len(budgets)
    assert recipe.evaluate.generation_cap >= 2 * max(budgets)  # type: ignore[operator]


def test_controls_of_smol_share_its_problems_and_budgets() -> None:
    exact = read_arm("smol-exact")[1]
    for arm in ("smol-correct", "smol-twin"):
        recipe = read_arm(arm)[1]
        for table in ("task", "budget", "lora", "evaluate"):
            assert getattr(recipe, table) == getattr(exact, table)
        assert recipe.hindsight is None and not recipe.schedule
    assert read_arm("smol-correct")[1].supervised is None and read_arm("smol-twin")[1].trl["max_steps"] == 0


def test_arms_without_hindsight_have_three_times_the_rollouts() -> None:
    exact = read_arm("tiny-exact")[1]
    own = exact.hindsight.samples * exact.hindsight.rounds  # type: ignore[union-attr]
    for arm in ("alone-gated", "alone-additive"):
        recipe = read_arm(arm)[1]
        rollouts = recipe.trl["max_steps"] * recipe.group.rollouts
        assert rollouts >= 3 * (exact.trl["max_steps"] * exact.group.rollouts + own)


@pytest.mark.parametrize("arm", ["additive", "alone-additive"])
def test_additive_arms_keep_the_scaled_alpha(arm: str) -> None:
    recipe = read_arm(arm)[1]
    law = recipe.budget.law
    assert recipe.objective.alpha * (law.high - law.low) == pytest.approx(1.17, rel=0.01)  # type: ignore[attr-defined, union-attr]


def test_shuffled_budgets_are_independent_of_the_prompts(recipe: Make, tmp_path: Path) -> None:
    made = plan("test", recipe(budget={"law": {"law": "uniform", "low": 4, "high": 24}}), tmp_path)
    trainer = build(made, trainer=shuffled())
    pairs = []
    for step in range(40):
        rows = [{"index": row} for row in range(4) for _ in range(4)]
        found = trainer._with_budgets(rows, step, 4)
        pairs += [(row["asked_tokens"], row["budget_tokens"]) for row in found]
        assert all(f" {row['asked_tokens']} tokens" in row["prompt"][-1]["content"] for row in found)
    asked, paid = np.array(pairs, dtype=float).T
    assert abs(np.corrcoef(asked, paid)[0, 1]) < 0.15
    assert abs(asked.mean() - paid.mean()) < 2
