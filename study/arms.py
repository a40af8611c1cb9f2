"""The arms of the study, trained: recipes of study/arms, with what only these experiments need.

    python study/arms.py NAME [key=value ...] [--out DIR] [--resume]

NAME is a file of study/arms, a shipped recipe, or a TOML file. A [study] table makes a control: shuffled = true pays
for a budget drawn independently of the prompt's; thought = "." lets a thought hold nothing but that mark, with
answer_tokens after it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from lcpo import recipes
from lcpo.config import apply_overrides
from lcpo.errors import ConfigError
from lcpo.recipes.recipe import Recipe, parse_recipe

ARMS = Path(__file__).parent / "arms"


def read_arm(name: str, overrides: tuple[str, ...] = ()) -> tuple[str, Recipe, dict[str, Any]]:
    """(name, recipe, [study] table) of an arm. Raises ConfigError."""
    path = ARMS / f"{name}.toml"
    found, table = recipes.tables(str(path) if path.exists() else name)
    table = apply_overrides(table, list(overrides))
    study = table.pop("study", {})
    return found, parse_recipe(table, f"arm {found}"), study


def trainer_of(study: Mapping[str, Any]) -> Any:
    """What makes the trainer of an arm; None: lcpo's own."""
    if study.get("shuffled"):
        return _shuffled()
    if "thought" in study:
        return partial(_filler(), thought=study["thought"], answer_tokens=int(study.get("answer_tokens", 8)))
    return None


def _shuffled() -> Any:
    from lcpo.train.data import columns
    from lcpo.train.trainer import LcpoTrainer

    class Shuffled(LcpoTrainer):
        """The reward's budget is drawn independently of the prompt's, so that no dial can be learned."""

        def _with_budgets(self, inputs: list[dict[str, Any]], step: int, group: int) -> list[dict[str, Any]]:
            result = super()._with_budgets(inputs, step, group)
            for i, (row, copy) in enumerate(self._where):
                paid = self.budget.draw(self.args.seed + 2**32, step, row, group)
                places = np.random.default_rng([self.args.seed, 13, step, row]).permutation(group)
                result[i] |= columns(paid[places[copy % group]])
            return result

    return Shuffled


def _filler() -> Any:
    from lcpo.train.trainer import LcpoTrainer

    class FillerTrainer(LcpoTrainer):
        """A thought may hold nothing but marks: lengths can follow budgets, and thinking cannot."""

        def __init__(self, *args: Any, thought: str, answer_tokens: int, **rest: Any) -> None:
            super().__init__(*args, **rest)
            mark, marks = self._tokenizer.encode(thought, add_special_tokens=False), self.reward.marks
            if not self.own_sampler or not len(mark) == len(marks.open) == len(marks.close) == 1:
                raise ConfigError(f"thought {thought!r} and the think tags must be one token each, drawn by lcpo")
            self.allowed = OnlyMarks(marks.open[0], marks.close[0], mark[0], marks.eos, answer_tokens)

        def _processors(self) -> Any:
            return (self.allowed,)

    return FillerTrainer


@dataclass(frozen=True)
class OnlyMarks:
    """Logits that allow marks alone in the thought, an answer without them, and after a full answer its end.

    open, close, mark: the ids of `<think>`, `</think>` and of the mark. answer: tokens that may stand after the
    thought, tags and marks not among them, so that the thought cannot move there.
    """

    open: int
    close: int
    mark: int
    eos: Collection[int]
    answer: int = 8

    def __call__(self, generated: Sequence[int], logits: Any) -> Any:
        """(ids so far, logits [V]) -> logits [V]."""
        allowed = np.zeros(logits.shape[-1], dtype=bool)
        if self.close not in generated:
            allowed[[self.mark, self.close] if generated else [self.open]] = True
        elif len(generated) - list(generated).index(self.close) <= self.answer:
            allowed[:] = True
            allowed[[self.open, self.mark, self.close]] = False
        else:
            allowed[sorted(self.eos)] = True
        return logits.masked_fill(logits.new_tensor(~allowed).bool(), -np.inf)


@click.command()
@click.argument("name")
@click.argument("overrides", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path))
@click.option("--resume", is_flag=True)
def main(name: str, overrides: tuple[str, ...], out: Path | None, resume: bool) -> None:
    """Trains one arm into its run folder."""
    from lcpo.train.run import train

    found, recipe, study = read_arm(name, overrides)
    result = train(
        found, recipe, out or Path("runs") / f"{found}-{recipe.seed}", resume=resume, trainer=trainer_of(study)
    )
    raise SystemExit(0 if result.complete else 1)


if __name__ == "__main__":
    main()
