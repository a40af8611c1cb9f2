"""Relative length error, multiplied: neither a right answer at the wrong length nor padding at the right one pays much.

The product holds length and correctness together where a weighted sum lets one of the two win (cf. arXiv:2511.01470).
"""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from lcpo.objectives.base import Objective, log_error
from lcpo.types import FloatArray, Kind, Outcomes


class Gated(Objective):
    r"""r = exp(-sharpness * |log((length + 1) / (budget + 1))|) * (floor + (1 - floor) * 1[correct]).

    Rows without a budget get floor + (1 - floor) * 1[correct].
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("exact", "none")
    name: Literal["gated"] = "gated"
    sharpness: float = Field(2.0, ge=0)
    """2: twice or half the budget earns a quarter; 5: a thirty-second."""
    floor: float = Field(0.3, ge=0, le=1)
    """Share of the reward that a wrong answer of the right length earns; without it hard problems teach no length."""

    def terms(self, o: Outcomes) -> FloatArray:
        return np.stack([np.exp(-self.sharpness * log_error(o)) * (self.floor + (1 - self.floor) * o.correct)])
