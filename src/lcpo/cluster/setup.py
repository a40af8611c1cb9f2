"""What the processes of a verl run know of lcpo: the recipe and where to write, carried in verl's configuration."""

import functools
import tomllib
from dataclasses import dataclass
from typing import Any

from lcpo.errors import ConfigError
from lcpo.objectives import Objective
from lcpo.recipes.recipe import Recipe, changed, parse_recipe
from lcpo.types import Budget


@dataclass(frozen=True)
class Setup:
    """The `lcpo` table of verl's configuration, read.

    verifier: what grades an answer. run: the run folder, where metrics and rollouts go.
    """

    recipe: Recipe
    verifier: str
    run: str

    @classmethod
    def of(cls, config: Any) -> "Setup":
        """The setup in a verl configuration. Raises ConfigError where it was not written by lcpo."""
        table = config.get("lcpo")
        if not table:
            raise ConfigError(
                "verl's configuration has no table 'lcpo'; write it with  lcpo train --engine verl --dry-run"
            )
        return _read(str(table["recipe"]), str(table["verifier"]), str(table["run"]))

    def budgets(self, info: Any, step: int, group: int) -> list[Budget]:
        """The budgets of the rollouts of a prompt, [group]: as exported with it, else drawn for this visit.

        info: the row's extra_info. step: verl's global step, from 1. The draw is the one that TRL would make for the
        same seed, optimizer step and row.
        """
        tokens, kinds = list(info["budgets"]), list(info["kinds"])
        if tokens:
            known = [_budget(kind, n, info["scope"]) for kind, n in zip(kinds, tokens, strict=True)]
            return [known[i % len(known)] for i in range(group)]
        return self.recipe.budget.sampler.draw(self.recipe.seed, self._updates(step), int(info["index"]), group)

    def objective(self, step: int) -> Objective:
        """The objective at verl's global step, from 1: with the recipe's ramps applied."""
        result: Objective = self.recipe.objective
        for ramp in self.recipe.schedule:
            result = changed(result, ramp.key, ramp.at(self._updates(step)))
        return result

    def _updates(self, step: int) -> int:
        """Optimizer steps made before verl's global step, from 1: what TRL counts by."""
        return (max(step, 1) - 1) * self.recipe.updates_per_generation


@functools.lru_cache(maxsize=4)
def _read(text: str, verifier: str, run: str) -> Setup:
    return Setup(parse_recipe(tomllib.loads(text), "verl's configuration, table lcpo"), verifier, run)


def _budget(kind: Any, tokens: Any, scope: Any) -> Budget:
    return Budget("none") if kind == "none" else Budget(kind, int(tokens), scope)
