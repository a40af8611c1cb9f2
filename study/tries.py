"""What the thoughts of an evaluation on `pairs` are worth: every try read and counted, from its samples.

    python study/tries.py runs/eval-pairs

A line for each run, method and budget: right tries per thought, the share of thinking tokens in tries that are doubled,
wrong or invented, how often the answer is the best of the thought's own tries, the accuracy, and what so many right
tries allow without guessing: the mean of tries / pairs.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from lcpo.evaluate.records import Sample, read_samples
from lcpo.models.smol.thoughts import tokens
from lcpo.tasks import pairs
from lcpo.thinking import split_text


@dataclass(frozen=True)
class Worth:
    """What one thought holds. picks: whether the answer is the best of its tries, None where it has none."""

    right: int
    tokens: int
    wasted: int
    attainable: float
    picks: bool | None
    correct: bool


def worth(sample: Sample) -> Worth:
    """What the thought of a sample is worth."""
    problem = pairs.parse(sample.prompt)
    thought, answer = split_text(sample.text, thinking="auto")
    tries = pairs.read_thought(problem, thought)
    numbers = {*(tries.best or "").split(" and ")}
    return Worth(
        right=tries.count("right"),
        tokens=tokens(thought),
        wasted=sum(tokens(thought[start:end]) for start, end in tries.wasted),
        attainable=min(1.0, tries.count("right") / len(problem.all)),
        picks=None if tries.best is None else {*(answer or "").strip().split(" and ")} == numbers,
        correct=sample.correct,
    )


def line(found: Iterable[Worth]) -> str:
    """The means of many thoughts."""
    each = list(found)
    picks = [one.picks for one in each if one.picks is not None]
    share = sum(one.wasted for one in each) / max(1, sum(one.tokens for one in each))
    return (
        f"{fmean(one.tokens for one in each):7.1f}  {fmean(one.right for one in each):5.1f}  {share:6.1%}"
        f"  {fmean(picks) if picks else float('nan'):6.2f}  {fmean(one.correct for one in each):8.3f}"
        f"  {fmean(one.attainable for one in each):10.3f}"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of an evaluation")
    cells: dict[tuple[str, str, int], list[Worth]] = defaultdict(list)
    for sample in read_samples(parser.parse_args().folder):
        cells[sample.run, sample.method, sample.budget or 0].append(worth(sample))
    print(f"{'run':16} {'method':10} budget   tokens  right  wasted  picks  accuracy  attainable")
    for (run, method, budget), found in sorted(cells.items()):
        print(f"{run:16} {method:10} {budget or '-':>6}  {line(found)}")


if __name__ == "__main__":
    main()
