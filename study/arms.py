"""The arms of the study, trained: recipes of study/arms, with what only these experiments need.

    python study/arms.py NAME [key=value ...] [--out DIR] [--resume]

NAME is a file of study/arms, a shipped recipe, or a TOML file. A [study] table makes a control: shuffled = true pays
for a budget drawn independently of the prompt's.
"""

from pathlib import Path
from typing import Any

import click
import numpy as np

from lcpo import recipes
from lcpo.config import apply_overrides
from lcpo.recipes.recipe import Recipe, parse_recipe

ARMS = Path(__file__).parent / "arms"


def read_arm(name: str, overrides: tuple[str, ...] = ()) -> tuple[str, Recipe, dict[str, Any]]:
    """(name, recipe, [study] table) of an arm. Raises ConfigError."""
    path = ARMS / f"{name}.toml"
    stem, table = recipes.tables(str(path) if path.exists() else name)
    table = apply_overrides(table, list(overrides))
    study = table.pop("study", {})
    return stem, parse_recipe(table, f"arm {stem}"), study


def shuffled() -> Any:
    """A trainer whose reward goes by a budget that is drawn independently of the prompt's: no dial can be learned."""
    from lcpo.train.data import columns
    from lcpo.train.trainer import LcpoTrainer

    class Shuffled(LcpoTrainer):
        """See shuffled."""

        def _with_budgets(self, inputs: list[dict[str, Any]], step: int, group: int) -> list[dict[str, Any]]:
            result = super()._with_budgets(inputs, step, group)
            for i, (row, copy) in enumerate(self._where):
                paid = self.budget.draw(self.args.seed + 2**32, step, row, group)
                places = np.random.default_rng([self.args.seed, 13, step, row]).permutation(group)
                result[i] |= columns(paid[places[copy % group]])
            return result

    return Shuffled


@click.command()
@click.argument("name")
@click.argument("overrides", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path))
@click.option("--resume", is_flag=True)
def main(name: str, overrides: tuple[str, ...], out: Path | None, resume: bool) -> None:
    """Trains one arm into its run folder."""
    from lcpo.train.run import train

    stem, recipe, study = read_arm(name, overrides)
    trainer = shuffled() if study.get("shuffled") else None
    result = train(stem, recipe, out or Path("runs") / f"{stem}-{recipe.seed}", resume=resume, trainer=trainer)
    raise SystemExit(0 if result.complete else 1)


if __name__ == "__main__":
    main()
