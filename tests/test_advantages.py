"""Advantages worked by hand on 2 x 4 arrays, and what must hold for all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcpo import ConfigError
from lcpo.advantages import ADVANTAGES, advantage

REWARDS = np.array([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.5, 0.5]])
BUDGET = np.array([[8, 8, 16, 16], [8, 8, 16, 16]])


def adv(name: str, *terms: np.ndarray, budget: np.ndarray = BUDGET) -> np.ndarray:
    return advantage(name)(np.stack(terms), budget)


def test_grpo() -> None:
    # mean 0.25; unbiased std: sqrt((0.5625 + 3*0.0625)/3) = 0.5; (1-0.25)/0.5 = 1.5, -0.25/0.5 = -0.5
    expected = [[1.5, -0.5, -0.5, -0.5], [0, 0, 0, 0]]
    assert adv("grpo", REWARDS) == pytest.approx(np.array(expected), abs=1e-5)


def test_grpo_adds_eps_to_the_std() -> None:
    # rewards 1e-6 and 0: mean 5e-7, unbiased std 7.0711e-7, divided by std + 1e-6 = 1.70711e-6
    tiny = np.array([[1e-6, 0.0]])
    assert adv("grpo", tiny, budget=np.array([[1, 1]])) == pytest.approx(np.array([[0.292893, -0.292893]]), rel=1e-4)


def test_no_std() -> None:
    assert adv("no_std", REWARDS) == pytest.approx(np.array([[0.75, -0.25, -0.25, -0.25], [0, 0, 0, 0]]))


def test_batch_std() -> None:
    # centred squares sum to 0.5625 + 3*0.0625 = 0.75 over 8 entries of mean 0: std sqrt(0.75/7) = 0.327327
    expected = np.array([[0.75, -0.25, -0.25, -0.25], [0, 0, 0, 0]]) / 0.327327
    assert adv("batch_std", REWARDS) == pytest.approx(expected, rel=1e-4)


def test_decoupled_gives_a_faint_term_the_same_voice() -> None:
    length = np.array([[-0.01, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, -0.01]])
    # correctness: [1.5, -.5, -.5, -.5], zeros; length: [-1.5, .5, .5, .5], [.5, .5, .5, -1.5]; they cancel in group 1
    summed = np.array([[0, 0, 0, 0], [0.5, 0.5, 0.5, -1.5]])
    expected = summed / np.sqrt((0.75 + 2.25) / 7)
    assert adv("decoupled", REWARDS, length) == pytest.approx(expected, abs=2e-3)


def test_per_budget_compares_only_the_same_problem_and_budget() -> None:
    rewards = np.array([[1.0, 0.0, 9.0, 9.0], [2.0, 2.0, 0.0, 4.0]])
    # baselines [.5 .5 9 9], [2 2 2 2]; centred [.5 -.5 0 0], [0 0 -2 2]; std sqrt((0.5 + 8)/7)
    expected = np.array([[0.5, -0.5, 0, 0], [0, 0, -2, 2]]) / np.sqrt(8.5 / 7)
    assert adv("per_budget", rewards) == pytest.approx(expected, rel=1e-4)


def test_pooled_compares_budgets_and_scales_each_by_itself() -> None:
    rewards = np.array([[1.0, 3.0, 10.0, 30.0], [1.0, 1.0, 1.0, 1.0]])
    # group 1 centred by 11: [-10 -8 -1 19]; budget 8 holds [-10 -8 0 0], rms sqrt(164/4) = 6.40312;
    # budget 16 holds [-1 19 0 0], rms sqrt(362/4) = 9.51315
    expected = np.array([[-10 / 6.40312, -8 / 6.40312, -1 / 9.51315, 19 / 9.51315], [0, 0, 0, 0]])
    assert adv("pooled", rewards) == pytest.approx(expected, rel=1e-4)


def test_pooled_stays_small_where_a_budget_earns_the_same_throughout() -> None:
    rewards = np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
    result = adv("pooled", rewards)
    # budget 8, centred [-.5 -.5 -.25 -.25], rms sqrt(.625/4) = .39528: of order 1, though its rewards never differ
    assert result[:, :2] == pytest.approx(np.array([[-1.26491] * 2, [-0.632456] * 2]), rel=1e-4)


@pytest.mark.parametrize("name", ADVANTAGES)
@given(seed=st.integers(0, 10**6), constant=st.booleans())
def test_finite_and_zero_where_nothing_differs(name: str, seed: int, constant: bool) -> None:
    rng = np.random.default_rng(seed)
    terms = np.ones((2, 3, 4)) if constant else rng.normal(size=(2, 3, 4)) * 10.0 ** rng.integers(-9, 4)
    result = advantage(name)(terms, rng.choice([0, 8, 16], size=(3, 4)))
    assert result.shape == (3, 4) and np.isfinite(result).all()
    if constant:
        assert (result == 0).all()


@pytest.mark.parametrize("name", ADVANTAGES)
def test_rewards_are_never_returned_as_advantages(name: str) -> None:
    terms = np.random.default_rng(0).normal(size=(1, 3, 4)) + 5
    assert abs(advantage(name)(terms, np.full((3, 4), 8)).mean()) < 1e-9


def test_a_lone_rollout_and_a_wrong_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        adv("grpo", np.ones((2, 1)), budget=np.ones((2, 1), int))
    with pytest.raises(ConfigError, match="Did you mean 'per_budget'"):
        advantage("per_budgets")
