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


@pytest.mark.parametrize("path", sorted(ARMS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_arm_is_a_recipe(path: Path) -> None:
    name, recipe, study = read_arm(path.stem, ("seed=3",))
    assert (name, recipe.seed) == (path.stem, 3)
    assert recipe.about
    assert bool(study) == (path.stem in ("tiny-shuffled", "tiny-filler"))


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
