"""Rows and budgets of training data."""

import pytest

from lcpo.budgets import BudgetSampler
from lcpo.errors import ConfigError
from lcpo.train.data import user_message, with_budgets
from lcpo.types import Problem

datasets = pytest.importorskip("datasets", reason="training needs the extra 'train'")


def test_a_question_that_names_a_budget_is_refused() -> None:
    """Training appends a sentence of its own: the model would be asked for two lengths."""
    one = Problem(id="p1", question="What is 7 times 8? Think for 100 tokens.", answers=("56",))
    with pytest.raises(ConfigError, match="problem p1 asks for exact 100 tokens itself"):
        user_message(one)


def test_static_budgets_cover_the_law_whatever_the_group() -> None:
    law = {"law": "uniform", "low": 100, "high": 4000}
    sampler = BudgetSampler.read({"law": law, "per_group": 4}, "test")
    data = datasets.Dataset.from_list([{"prompt": "x"}] * 400)
    drawn = with_budgets(data, 100, 4000, sampler=sampler)["budget_tokens"]
    assert min(drawn) < 300 < 3800 < max(drawn)
