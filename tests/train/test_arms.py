"""The controls of the study: budgets that the reward does not follow, and thoughts of marks alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from arms import ARMS, OnlyMarks, read_arm, trainer_of
from lcpo.errors import ConfigError
from lcpo.recipes.recipe import Recipe
from lcpo.train.run import build, plan

Make = Callable[..., Recipe]
NAMES = sorted(path.stem for path in ARMS.glob("*.toml"))


@pytest.mark.parametrize("arm", NAMES)
def test_every_arm_is_a_recipe(arm: str) -> None:
    name, recipe, study = read_arm(arm, ("seed=3",))
    assert (name, recipe.seed) == (arm, 3)
    assert recipe.about
    assert bool(study) == (arm in ("tiny-shuffled", "tiny-filler"))


@pytest.mark.parametrize("arm", NAMES)
def test_arms_share_law_and_held_out_budgets(arm: str) -> None:
    recipe, shared = read_arm(arm)[1], read_arm("tiny-exact-450")[1].budget.law
    law, budgets = recipe.budget.law, recipe.evaluate.budgets
    if arm != "tiny-l1":  # its alpha is stated for a range of its own
        assert (law.low, law.high) == (shared.low, shared.high)  # type: ignore[union-attr]
    assert law.low <= min(budgets) < max(budgets) <= law.high  # type: ignore[union-attr]
    assert sum(not recipe.budget.seen(tokens) for tokens in budgets) * 2 >= len(budgets)
    assert recipe.evaluate.generation_cap >= 2 * max(budgets)  # type: ignore[operator]


@pytest.mark.parametrize("arm", ["tiny-l1", "tiny-absolute"])
def test_absolute_arms_keep_the_scaled_alpha(arm: str) -> None:
    recipe = read_arm(arm)[1]
    law = recipe.budget.law
    assert recipe.objective.alpha * (law.high - law.low) == pytest.approx(1.17, rel=1e-4)  # type: ignore[attr-defined, union-attr]


def test_paper_arm_has_the_papers_group() -> None:
    recipe = read_arm("tiny-l1")[1]
    assert (recipe.group.size, recipe.group.updates, recipe.budget.per_group) == (16, 2, 1)
    assert recipe.hindsight is None


def test_shuffled_budgets_are_independent_of_the_prompts(recipe: Make, tmp_path: Path) -> None:
    made = plan("test", recipe(budget={"law": {"law": "uniform", "low": 4, "high": 24}}), tmp_path)
    trainer = build(made, trainer=trainer_of({"shuffled": True}))
    pairs = []
    for step in range(40):
        rows = [{"index": row} for row in range(4) for _ in range(4)]
        found = trainer._with_budgets(rows, step, 4)
        pairs += [(row["asked_tokens"], row["budget_tokens"]) for row in found]
        assert all(f" {row['asked_tokens']} tokens" in row["prompt"][-1]["content"] for row in found)
    asked, paid = np.array(pairs, dtype=float).T
    assert abs(np.corrcoef(asked, paid)[0, 1]) < 0.15
    assert abs(asked.mean() - paid.mean()) < 2


def test_a_filler_thought_holds_marks_alone(recipe: Make, tmp_path: Path) -> None:
    made = plan("test", recipe(), tmp_path)
    trainer = build(made, trainer=trainer_of({"thought": ".", "answer_tokens": 2}))
    trainer.model.train()
    trainer._generate_and_score_completions(next(iter(trainer.get_train_dataloader())))
    for rollout in trainer.rollouts:
        assert rollout["text"].startswith("<think>")
        assert set(rollout["text"].split("</think>")[0].removeprefix("<think>")) <= {"."}
    for changes, thought in (({"sampler": "trl"}, "."), ({}, "xyzzy")):
        with pytest.raises(ConfigError, match="one token each, drawn by lcpo"):
            build(plan("test", recipe(**changes), tmp_path), trainer=trainer_of({"thought": thought}))


def test_marks_then_a_short_answer_then_its_end() -> None:
    allow = OnlyMarks(open=20, close=21, mark=22, eos=[2], answer=2)

    def allowed(generated: list[int]) -> set[int]:
        return set(torch.isfinite(allow(generated, torch.zeros(30))).nonzero()[:, 0].tolist())

    assert allowed([]) == {20}
    assert allowed([20, 22]) == {21, 22}
    assert allowed([20, 22, 21]) == allowed([20, 21, 5]) == set(range(30)) - {20, 21, 22}
    assert allowed([20, 21, 5, 6]) == {2}
