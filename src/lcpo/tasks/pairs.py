"""The search in plain English: which two of some numbers add up closest to 100. Every try is worth something until all
pairs are made, and none hits 100.

    Which two of 48, 17, 93, 25, 61, 36 and 8 add up closest to 100?              best: "93 and 8"
    a thought:  48+17=65!       61+36=97!          ... or    48 and 17 make 65, 35 off!
                93+25=118       93+8=101!                    93 plus 25: tens 110, ones 8, so 118, 18 off.

"!" marks the best so far. Which split holds a problem is decided by a hash of its sorted numbers: another order or
another wording never moves it. One wording is never trained on.
"""

import itertools
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lcpo.errors import TaskError
from lcpo.tasks.base import Split, Steps, split_by_hash, stream
from lcpo.tasks.search import Look, Tries, has_one_best, read_tries
from lcpo.types import Problem

TARGET = 100
HIGHEST = 99
"""Numbers are 1 to HIGHEST, all different."""
SIZES = (7, 8, 9)
"""Numbers in a problem that is trained on: 21, 28 or 36 pairs."""
UNSEEN_SIZES = (6, 10, 11)
WORDINGS = (
    "Which two of {numbers} add up closest to 100?",
    "Here are some numbers: {numbers}. Find the two whose sum is nearest to 100.",
    "I have {numbers}. Which pair of them comes closest to 100 when added?",
    "From the numbers {numbers}, pick the two that together are as near as possible to 100.",
    "The parcels weigh {numbers} kilos. Which two weigh closest to 100 kilos together?",
)
UNSEEN_WORDING = "Choose two of these so that their total is as close to 100 as you can get: {numbers}."


def chance(sizes: Sequence[int]) -> float:
    """Accuracy of a guess, mean over the sizes: one pair of size (size - 1) / 2."""
    return sum(2 / (size * (size - 1)) for size in sizes) / len(sizes)


@dataclass(frozen=True)
class Pairs:
    """Different numbers, 1 to HIGHEST each, in the order in which they are told. Raises TaskError for anything else."""

    numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.numbers) < 3 or len(set(self.numbers) & set(range(1, HIGHEST + 1))) < len(self.numbers):
            raise TaskError(f"a search has at least 3 different numbers from 1 to {HIGHEST}, given {self.numbers}")

    @cached_property
    def all(self) -> tuple[tuple[int, int], ...]:
        """Every pair, each with its numbers in the order of the problem."""
        return tuple(itertools.combinations(self.numbers, 2))

    @cached_property
    def best(self) -> tuple[int, int]:
        """The pair that adds up closest to TARGET (the first of several)."""
        return min(self.all, key=distance)

    @property
    def canonical(self) -> str:
        """The form that all orders of the numbers share."""
        return ",".join(str(number) for number in sorted(self.numbers))

    @property
    def listed(self) -> str:
        """The numbers as they are told: "48, 17 and 93"."""
        return ", ".join(str(number) for number in self.numbers[:-1]) + f" and {self.numbers[-1]}"

    def has_one_best(self) -> bool:
        """Whether one pair alone is closest to TARGET, and none hits it."""
        return has_one_best(self.numbers, TARGET)


def distance(pair: Sequence[int]) -> int:
    """How far the sum of two numbers is from TARGET."""
    return abs(sum(pair) - TARGET)


def spoken(pair: Sequence[int]) -> str:
    """A pair as an answer: "48 and 17"."""
    return f"{pair[0]} and {pair[1]}"


_TRY = re.compile(
    r"(?<!\d)(\d+)(?:\+| and | plus )(\d+)(?:=| make |: tens \d+, ones \d+, so )(?P<total>\d+)(?!\d)(?:, (\d+) off)?"
    r"(?P<mark>!?)"
)


def parse(question: str) -> Pairs:
    """The search that a question asks for, in any wording. Raises TaskError where it asks for none."""
    lists = re.findall(r"\d+(?:, \d+)+ and \d+", question)
    if len(lists) != 1:
        raise TaskError(f"not a question about pairs: {question[:80]!r}; it reads like {WORDINGS[0]!r}")
    return Pairs(tuple(int(number) for number in re.findall(r"\d+", lists[0])))


def read_thought(problem: Pairs, thought: str) -> Tries:
    """The tries of a thought in any of its forms, and the best pair among the right ones as an answer ("48 and 17").

    Anything else (a try that was cut, "Wait") is no try and is passed over.
    """

    def look(match: re.Match[str]) -> Look:
        pair = int(match[1]), int(match[2])
        known = pair[0] != pair[1] and set(pair) <= set(problem.numbers)
        right = int(match["total"]) == sum(pair) and match[4] in (None, str(distance(pair)))
        return spoken(pair), spoken(sorted(pair)) if known else None, right, distance(pair)

    return read_tries(thought, _TRY, look)


def steps(question: str, thought: str) -> Steps:
    """The steps of a thought about a question: a step is a try."""
    tries = read_thought(parse(question), thought)
    return Steps(tries.count("right"), tries.wasted)


def split_of(problem: Pairs) -> Split:
    """The split that a search belongs to, whatever the order of its numbers."""
    return split_by_hash(f"pairs {problem.canonical}")


def draw(rng: random.Random, split: Split, size: int) -> Pairs:
    """One search of the split with `size` numbers: drawn evenly, until one pair is best and none hits the target."""
    while True:
        problem = Pairs(tuple(rng.sample(range(1, HIGHEST + 1), size)))
        if split_of(problem) == split and problem.has_one_best():
            return problem


def as_problem(problem: Pairs, wording: str) -> Problem:
    """The search as a Problem: no instruction, its size the number of numbers; "48 and 17" and "48, 17" are right."""
    a, b = problem.best
    answers = (f"{a} and {b}", f"{b} and {a}", f"{a}, {b}", f"{b}, {a}")
    question = wording.format(numbers=problem.listed)
    name = f"pairs-{'-'.join(map(str, problem.numbers))}"
    return Problem(name, question, answers, instruction="", size=str(len(problem.numbers)))


def problems(
    split: Split, count: int, *, seed: int = 0, sizes: Sequence[int] = SIZES, wordings: Sequence[str] = WORDINGS
) -> list[Problem]:
    """The first `count` problems of a split's stream, in wordings that are drawn."""
    rng = random.Random(f"pairs-wording-{split}-{seed}")
    searches = stream("pairs", split, sizes, seed, range(3, HIGHEST), draw)
    return [as_problem(search, rng.choice(wordings)) for search in itertools.islice(searches, count)]
