"""LCPO-exact: be right, and use the number of tokens that was asked for (arXiv:2503.04697, eq. 1)."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from lcpo.objectives.base import Objective
from lcpo.types import FloatArray, Kind, Outcomes


class Exact(Objective):
    r"""r = 1[correct] - alpha * |budget - length|; rows without a budget get 1[correct]."""

    kinds: ClassVar[tuple[Kind, ...]] = ("exact", "none")
    name: Literal["exact"] = "exact"
    alpha: float = Field(3e-4, ge=0)
    """Reward lost per token of distance; 1/alpha = 3333 tokens cost one right answer."""

    def terms(self, o: Outcomes) -> FloatArray:
        distance = np.where(o.kind == "none", 0, np.abs(o.budget - o.length))
        return np.stack([o.correct, -self.alpha * distance])
