"""How lengths follow budgets: slope, rank correlation and errors over rollouts, as a whole and by bin of budget."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lcpo.measure.statistics import mean, slope, spearman
from lcpo.types import FloatArray, IntArray

DISTINCT = 8
"""Distinct budgets below which a rank correlation is not reported."""


def dial(asked: IntArray, length: IntArray, correct: FloatArray, bins: Sequence[int]) -> dict[str, Any]:
    """How lengths follow budgets: slope, rank correlation, mare, asked_used, and the same per bin; [N] each.

    `asked` is the budget that stood in the prompt; rows without one (0) are left out. What is not known is None.
    """
    rows = asked > 0
    a, n, c = asked[rows].astype(float), length[rows].astype(float), correct[rows]
    off = np.abs(n - a) / a
    place = np.searchsorted(np.asarray(bins), a, side="right") - 1
    inside = [(low, place == i) for i, low in enumerate(bins)]
    return {
        "slope": slope(a, n),
        "rank_correlation": rank_correlation(asked, length),
        "mare": mean(off),
        "signed_error": mean(n / a - 1),
        "over_budget": mean(n > a),
        "budget_mean": mean(a),
        "bins": [
            {
                **{"from": low, "rollouts": int(here.sum()), "budget": mean(a[here]), "length": mean(n[here])},
                **{"mare": mean(off[here]), "accuracy": mean(c[here])},
            }
            for low, here in inside
        ],
    }


def rank_correlation(asked: IntArray, length: IntArray) -> float | None:
    """Spearman's correlation of length and budget, [N] each; None below DISTINCT distinct budgets."""
    rows = asked > 0
    enough = len(np.unique(asked[rows])) >= DISTINCT
    return spearman(asked[rows].astype(float), length[rows].astype(float)) if enough else None
