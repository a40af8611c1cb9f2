"""LCPO-max: be right, and stay below the number of tokens that was asked for (arXiv:2503.04697, eq. 2)."""

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from lcpo.objectives.base import Objective
from lcpo.types import Budget, FloatArray, Kind, Outcomes


class Max(Objective):
    r"""r = 1[correct] * clip(alpha * (budget - length) + delta, 0, 1); rows without a budget get 1[correct].

    Full reward (1 - delta)/alpha tokens under budget, delta on it, nothing delta/alpha tokens over it.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("max", "none")
    name: Literal["max"] = "max"
    alpha: float = Field(3e-4, gt=0)
    """Reward per token below budget. The paper prints none for eq. 2; 3e-4 is our reading, 1e-3 what its code had."""
    delta: float = Field(0.5, ge=0, le=1)
    """Reward of a right answer that is exactly as long as the budget."""

    def terms(self, o: Outcomes) -> FloatArray:
        # alpha * (d + delta/alpha) rather than alpha*d + delta: exactly 0 from cap() on, with no rounding left over
        room = np.clip(self.alpha * ((o.budget - o.length) + self.delta / self.alpha), 0.0, 1.0)
        return np.stack([o.correct * np.where(o.kind == "none", 1.0, room)])

    def cap(self, budget: Budget) -> int | None:
        """ceil(budget + delta/alpha): from there on every answer, right or wrong, earns 0."""
        if budget.tokens is None or budget.scope != "response":
            return None
        return math.ceil(budget.tokens + self.delta / self.alpha)
