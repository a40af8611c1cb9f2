"""Relative length error, added: a miss of 20 % costs the same at 50 tokens and at 5000 (cf. arXiv:2508.17196)."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from lcpo.objectives.base import Objective, log_error
from lcpo.types import FloatArray, Kind, Outcomes


class Relative(Objective):
    r"""r = 1[correct] - weight * |log((length + 1) / (budget + 1))|; rows without a budget get 1[correct]."""

    kinds: ClassVar[tuple[Kind, ...]] = ("exact", "none")
    name: Literal["relative"] = "relative"
    weight: float = Field(1.0, ge=0)
    """Reward lost per factor e of distance; too high, and length is bought with padding."""

    def terms(self, o: Outcomes) -> FloatArray:
        return np.stack([o.correct, -self.weight * log_error(o)])
