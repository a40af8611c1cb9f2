"""Relative length error, multiplied: neither a right answer at the wrong length nor padding at the right one pays much.

The product holds length and correctness together where a weighted sum lets one of the two win (cf. arXiv:2511.01470).
"""

from typing import Literal

import numpy as np
from pydantic import Field

from lcpo.objectives.base import Objective, log_error
from lcpo.types import FloatArray, Outcomes


class Gated(Objective):
    r"""r = exp(-sharpness * max(0, error - tolerance)) * (floor + (1 - floor) * 1[correct]).

    error = |log((length + 1) / (budget + 1))|. Rows without a budget get floor + (1 - floor) * 1[correct].
    """

    name: Literal["gated"] = "gated"
    sharpness: float = Field(2.0, ge=0)
    """2: twice or half the budget earns a quarter; 5: a thirty-second."""
    floor: float = Field(0.3, ge=0, le=1)
    """Share of the reward that a wrong answer of the right length earns; without it hard problems teach no length."""
    tolerance: float = Field(0.0, ge=0)
    """Log error that costs nothing, 0.05 about five per cent: lengths that are close enough leave the rest to being
    right. Of small budgets it forgives nothing: one token of 12 is eight per cent."""

    def terms(self, o: Outcomes) -> FloatArray:
        error = np.maximum(0.0, log_error(o) - self.tolerance)
        return np.stack([np.exp(-self.sharpness * error) * (self.floor + (1 - self.floor) * o.correct)])
