"""How lengths follow budgets: slope, rank correlation and errors over rollouts, as a whole and by bin of budget."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lcpo.measure.statistics import slope, spearman
from lcpo.types import FloatArray, IntArray

DISTINCT = 8
"""Distinct budgets below which a rank correlation is not reported."""


def dial(asked: IntArray, length: IntArray, correct: FloatArray, bins: Sequence[int]) -> dict[str, Any]:
    """How lengths follow budgets: slope, rank correlation, mare, asked_used, and the same per bin; [N] each.

    `asked` is the budget that stood in the prompt; rows without one (0) are left out. What is not known is None.
    """
    rows = asked > 0
    a, n, c = asked[rows].astype(float), length[rows].astype(float), correct[rows]
    result: dict[str, Any] = {
        "slope": slope(a, n),
        "rank_correlation": rank_correlation(asked, length),
        "mare": float(np.mean(np.abs(n - a) / a)) if len(a) else None,
        "signed_error": float(np.mean(n / a - 1)) if len(a) else None,
        "over_budget": float(np.mean(n > a)) if len(a) else None,
        "budget_mean": float(a.mean()) if len(a) else None,
    }
    where = np.searchsorted(np.asarray(bins), a, side="right") - 1
    result["bins"] = [_bin(bins[i], a[where == i], n[where == i], c[where == i]) for i in range(len(bins))]
    return result


def rank_correlation(asked: IntArray, length: IntArray) -> float | None:
    """Spearman's correlation of length and budget, [N] each; None below DISTINCT distinct budgets."""
    rows = asked > 0
    enough = len(np.unique(asked[rows])) >= DISTINCT
    return spearman(asked[rows].astype(float), length[rows].astype(float)) if enough else None


def _bin(low: int, a: FloatArray, n: FloatArray, c: FloatArray) -> dict[str, Any]:
    if len(a) == 0:
        return {"from": low, "rollouts": 0, "budget": None, "length": None, "mare": None, "accuracy": None}
    return {
        "from": low,
        "rollouts": len(a),
        "budget": float(a.mean()),
        "length": float(n.mean()),
        "mare": float(np.mean(np.abs(n - a) / a)),
        "accuracy": float(c.mean()),
    }
