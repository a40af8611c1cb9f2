"""At most the budget, relative: full reward below it, falling with the ratio above it (LCPO-max made scale-free)."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from lcpo.objectives.base import Objective
from lcpo.types import FloatArray, Kind, Outcomes


class Ceiling(Objective):
    r"""r = min(1, (budget + 1) / (length + 1)) ** sharpness * (floor + (1 - floor) * 1[correct]).

    Rows without a budget get floor + (1 - floor) * 1[correct].
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("max", "none")
    name: Literal["ceiling"] = "ceiling"
    sharpness: float = Field(8.0, ge=0)
    """8: ten per cent over the budget costs about half of the reward."""
    floor: float = Field(0.1, ge=0, le=1)
    """Share of the reward that a wrong answer within the budget earns."""

    def terms(self, o: Outcomes) -> FloatArray:
        ratio = np.where(o.kind == "none", 1.0, np.minimum(1.0, (np.maximum(o.budget, 0) + 1) / (o.length + 1)))
        return np.stack([ratio**self.sharpness * (self.floor + (1 - self.floor) * o.correct)])
