"""What an objective is: a frozen config that is itself a pure function from the outcomes of groups to rewards."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from lcpo.config import Config
from lcpo.types import Budget, FloatArray, Kind, Outcomes, Rewards


class Objective(Config, ABC):
    """Outcomes [P, G] -> rewards [P, G], float64, finite, deterministic, equivariant in the group."""

    kinds: ClassVar[tuple[Kind, ...]] = ("exact", "max", "none")
    """Kinds of budget that it has a rule for."""
    name: str = ""
    """What a recipe calls it."""

    @abstractmethod
    def terms(self, o: Outcomes) -> FloatArray:
        """The summands of the reward, [K, P, G]: `terms(o).sum(0)` is the reward. A product is a single term."""

    def __call__(self, o: Outcomes) -> Rewards:
        """Rewards [P, G]."""
        rewards: Rewards = self.terms(o).sum(axis=0)
        return rewards

    def cap(self, budget: Budget) -> int | None:
        """The response length in tokens from which the reward no longer depends on what follows; None if there is none.

        None for a budget of the thought alone: what follows a thought of any length is the answer.
        """
        return None


def log_error(o: Outcomes) -> FloatArray:
    """|log((length + 1) / (budget + 1))|, [P, G]: 0 on target, log 2 at about twice or half; 0 where kind is none."""
    error = np.abs(np.log((o.length + 1) / (np.maximum(o.budget, 0) + 1)))
    return np.where(o.kind == "none", 0.0, error)
