"""Rewards of groups -> advantages, one pure function each; arrays are [P, G], terms [K, P, G] sum to the reward.

A group is the G rollouts of one problem. Its rollouts may have been asked for different budgets; `budget` [P, G] says
which (0 for none), and the functions that pool or separate budgets read it.
"""

from collections.abc import Callable, Mapping

import numpy as np

from lcpo.errors import ConfigError, unknown
from lcpo.types import Advantages, FloatArray, IntArray

EPS = 1e-6
"""Added to every standard deviation, as in the paper's verl."""


def grpo(terms: FloatArray, budget: IntArray) -> Advantages:
    """(r - group mean) / (unbiased group std + 1e-6): GRPO as the paper ran it (arXiv:2503.04697; arXiv:2402.03300)."""
    centred = _centre(terms.sum(axis=0))
    return centred / (_group_std(centred) + EPS)


def no_std(terms: FloatArray, budget: IntArray) -> Advantages:
    """r - group mean: Dr. GRPO (arXiv:2503.20783); an all-wrong group's small length differences stay small."""
    return _centre(terms.sum(axis=0))


def batch_std(terms: FloatArray, budget: IntArray) -> Advantages:
    """(r - group mean) / (std over the batch + 1e-6): REINFORCE++-baseline, as DLER uses it (arXiv:2510.15110)."""
    centred = _centre(terms.sum(axis=0))
    return centred / (_batch_std(centred) + EPS)


def decoupled(terms: FloatArray, budget: IntArray) -> Advantages:
    """Each term normalised by itself in its group, summed, then divided by the batch std: GDPO (arXiv:2601.05242)."""
    centred = np.stack([_centre(term) for term in terms])
    summed = sum((c / (_group_std(c) + EPS) for c in centred), start=np.zeros(terms.shape[1:]))
    return np.asarray(summed / (_batch_std(summed) + EPS))


def per_budget(terms: FloatArray, budget: IntArray) -> Advantages:
    """(r - mean over the same problem and budget) / (std over the batch + 1e-6): budgets in a group do not compete.

    A rollout that is alone with its budget has advantage 0.
    """
    rewards = terms.sum(axis=0)
    same = budget[:, :, None] == budget[:, None, :]  # [P, G, G]
    baseline = (same * rewards[:, None, :]).sum(axis=2) / same.sum(axis=2)
    centred = rewards - baseline
    return np.asarray(centred / (_batch_std(centred) + EPS))


def pooled(terms: FloatArray, budget: IntArray) -> Advantages:
    """(r - group mean over all its budgets) / (root mean square of that over the same budget in the batch + 1e-6).

    Problems are compared over budgets, while each budget's rewards are scaled by themselves, so that a loud budget does
    not drown a quiet one. About zero, not about the budget's own mean: a budget whose rollouts all earn the same has
    advantages of 1, not of 1e6.
    """
    centred = _centre(terms.sum(axis=0))
    result = np.zeros_like(centred)
    for tokens in np.unique(budget):
        rows = budget == tokens
        result[rows] = centred[rows] / (np.sqrt(np.mean(centred[rows] ** 2)) + EPS)
    return result


ADVANTAGES: Mapping[str, Callable[[FloatArray, IntArray], Advantages]] = {
    "grpo": grpo,
    "no_std": no_std,
    "batch_std": batch_std,
    "decoupled": decoupled,
    "per_budget": per_budget,
    "pooled": pooled,
}


def advantage(name: str) -> Callable[[FloatArray, IntArray], Advantages]:
    """The advantage function called `name`: (terms [K, P, G], budget [P, G]) -> [P, G]. Raises ConfigError."""
    if name not in ADVANTAGES:
        raise unknown("advantage", name, ADVANTAGES)
    return ADVANTAGES[name]


def _centre(rewards: FloatArray) -> FloatArray:
    if rewards.ndim != 2 or rewards.shape[1] < 2:
        raise ConfigError(f"advantages need groups of at least 2 rollouts, [P, G]; given shape {rewards.shape}")
    return np.asarray(rewards - rewards.mean(axis=1, keepdims=True))


def _group_std(centred: FloatArray) -> FloatArray:
    """Unbiased std of each group, [P, 1]."""
    return np.asarray(centred.std(axis=1, ddof=1, keepdims=True))


def _batch_std(centred: FloatArray) -> float:
    """Unbiased std of all entries, about zero mean of each group; 0 for a single entry."""
    return float(centred.std(ddof=1)) if centred.size > 1 else 0.0
