"""Objectives on values worked by hand at the kinks, and the published bugs that ours must not have."""

import math

import numpy as np
import pytest

from lcpo import Budget, ConfigError, Exact, Max, Mixed, Outcomes, objective
from lcpo.objectives import OBJECTIVES, PRESETS, Ceiling, Correct, Gated, Relative


def one(correct: float, length: int, budget: int, kind: str = "exact", truncated: bool = False) -> Outcomes:
    return Outcomes(
        correct=np.array([[correct]], float),
        length=np.array([[length]]),
        budget=np.array([[budget]]),
        kind=np.array([[kind]]),
        truncated=np.array([[truncated]]),
    )


def reward(name: str, correct: float, length: int, budget: int, kind: str) -> float:
    return float(objective(name)(one(correct, length, budget, kind))[0, 0])


@pytest.mark.parametrize(
    ("name", "correct", "length", "budget", "kind", "expected"),
    [
        # eq. 1: 1[correct] - 0.0003 |B - n|
        ("l1_exact", 1, 1000, 1000, "exact", 1.0),
        ("l1_exact", 1, 900, 1000, "exact", 1 - 0.03),
        ("l1_exact", 1, 1100, 1000, "exact", 1 - 0.03),
        ("l1_exact", 0, 1000, 1000, "exact", 0.0),
        ("l1_exact", 0, 4096, 100, "exact", -0.0003 * 3996),
        # the code that made the paper: d = 1 - |n - B|/3000; d if correct else d - 1
        ("l1_exact_released", 1, 1300, 1000, "exact", 0.9),
        ("l1_exact_released", 0, 4000, 1000, "exact", -1.0),
        # eq. 2, alpha 0.0003, delta 0.5: window of 1666.67 tokens on either side
        ("l1_max", 1, 1000, 1000, "max", 0.5),
        ("l1_max", 1, 2666, 1000, "max", 0.0003 * -1666 + 0.5),
        ("l1_max", 1, 2667, 1000, "max", 0.0),
        ("l1_max", 1, 1, 4000, "max", 1.0),
        ("l1_max", 0, 1, 4000, "max", 0.0),
        # the code that made the paper: full reward 500 under, 0.5 on, nothing 500 over
        ("l1_max_released", 1, 500, 1000, "max", 1.0),
        ("l1_max_released", 1, 300, 512, "max", 0.712),
        ("l1_max_released", 1, 512, 512, "max", 0.5),
        ("l1_max_released", 1, 12, 512, "max", 1.0),
        ("l1_max_released", 1, 13, 512, "max", 0.999),
        ("l1_max_released", 1, 600, 100, "max", 0.0),
        ("l1_max_released", 1, 599, 100, "max", 0.001),
        ("l1_max_released", 1, 1, 100, "max", 0.599),
        # dual: each kind by its own equation
        ("l1_dual", 1, 900, 1000, "exact", 0.97),
        ("l1_dual", 1, 900, 1000, "max", 0.53),
        ("l1_dual", 1, 900, 0, "none", 1.0),
        ("l1_dual_released", 1, 1300, 1000, "exact", 0.9),
        ("l1_dual_released", 1, 900, 1000, "max", 0.6),
    ],
)
def test_presets_at_the_kinks(name: str, correct: int, length: int, budget: int, kind: str, expected: float) -> None:
    assert reward(name, correct, length, budget, kind) == pytest.approx(expected, abs=1e-12)


def test_relative_ones_at_the_kinks() -> None:
    assert Relative(weight=2)(one(1, 19, 9))[0, 0] == pytest.approx(1 - 2 * math.log(2))  # 20/10
    assert Gated(sharpness=2, floor=0.3)(one(1, 19, 9))[0, 0] == pytest.approx(0.25)
    assert Gated(sharpness=2, floor=0.3)(one(0, 9, 9))[0, 0] == pytest.approx(0.3)
    assert Ceiling(sharpness=1, floor=0)(one(1, 19, 9, "max"))[0, 0] == pytest.approx(0.5)
    assert Ceiling()(one(1, 5, 9, "max"))[0, 0] == 1.0
    assert Correct()(one(1, 999, 9))[0, 0] == 1.0


@pytest.mark.parametrize("kind", ["exact", "max"])
@pytest.mark.parametrize("single", [Exact(), Max(), Relative(), Gated(), Ceiling()])
def test_single_objectives_ignore_the_kind_but_none(single: Exact, kind: str) -> None:
    assert single(one(1, 80, 50, kind)) == single(one(1, 80, 50, "max"))
    best = single(one(1, 50, 50))[0, 0] if not isinstance(single, Max) else 1.0
    assert single(one(1, 80, 0, "none"))[0, 0] == best


class TestPublishedBugs:
    """What the released code does (or did) that must never come back."""

    def test_a_right_answer_on_target_is_not_zeroed_by_a_multiplier(self) -> None:
        assert reward("l1_dual", 1, 1000, 1000, "exact") == 1.0  # multiplier_reward: max(0, -alpha*0)*1 = 0

    def test_the_reward_never_rises_with_the_distance(self) -> None:
        for name in ("l1_exact", "l1_exact_released", "relative", "gated"):  # the sigmoid variant had the sign wrong
            near, far = reward(name, 1, 1010, 1000, "exact"), reward(name, 1, 2000, 1000, "exact")
            assert near > far

    def test_a_wrong_answer_earns_nothing_for_being_short(self) -> None:
        assert reward("l1_max", 0, 100, 1000, "max") == 0.0  # additive max paid 0.635

    def test_every_row_gets_a_number_with_or_without_budget(self) -> None:
        for name in PRESETS:  # rows without a budget returned a bare bool, and the caller crashed
            assert reward(name, 1, 100, 0, "none") == 1.0

    def test_each_kind_has_its_own_alpha(self) -> None:
        dual = objective("l1_dual_released")
        assert isinstance(dual, Mixed) and isinstance(dual.exact, Exact) and isinstance(dual.max, Max)
        assert dual.exact.alpha != dual.max.alpha  # one alpha served both modes


def test_cap_is_where_max_stops_caring() -> None:
    assert Max(alpha=1e-3, delta=0.5).cap(Budget("max", 512)) == 1012
    assert Max(alpha=3e-4, delta=0.5).cap(Budget("max", 1000)) == 2667  # 1000 + 1666.67
    assert Exact().cap(Budget("exact", 512)) is None
    assert Max(alpha=1e-3, delta=0.5).cap(Budget("max", 512, "thinking")) is None  # the answer comes after the thought
    assert Mixed().cap(Budget("max", 1000)) == 2667 and Mixed().cap(Budget("exact", 1000)) is None
    assert all(cls().cap(Budget("none")) is None for cls in OBJECTIVES.values())


def test_a_table_or_a_name_makes_an_objective_and_a_wrong_one_says_which_exist() -> None:
    assert objective({"name": "exact", "alpha": 1e-3}) == Exact(alpha=1e-3)
    assert objective("gated") == Gated()
    with pytest.raises(ConfigError, match=r"Did you mean 'l1_exact'\?.*l1_max_released"):
        objective("l1_exakt")
    with pytest.raises(ConfigError, match="Did you mean 'alpha'"):
        objective({"name": "exact", "alhpa": 1})
    with pytest.raises(ConfigError, match="alpha"):
        objective({"name": "exact", "alpha": -1})
    with pytest.raises(ConfigError, match="alpha"):
        objective({"name": "exact", "alpha": float("nan")})
