"""An anytime search: which two of some numbers add up closest to 550. A thought is a row of tries; every try is worth
something until all pairs are made, and what it is worth can be computed.

    Which two of b048 c217 e393 f125 h461 i308 k279 l010 add up closest to 550?        best: "ci"
    a thought:  bc265! be441! cf342 kl:279+010=289 ef=518! ...       answer: "ef"

A try names a pair by its labels and gives its sum; "!" marks the best so far. One pair is best, and none hits 550:
after a hit every further try would be useless. Whether a problem is for training, validation or the test is decided by
a hash of its canonical form, before anything is trained: reordering or relabelling never moves it.
"""

import itertools
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from lcpo.errors import TaskError
from lcpo.tasks.base import Split, Steps, split_by_hash, stream
from lcpo.types import Problem

LABELS = "abcdefghijkl"
"""A problem's labels are any of these, in order, so that sizes beyond those trained on use known labels."""
HIGHEST = 499
"""Numbers are 1 to HIGHEST, three digits, all different."""
TARGET = 550
SIZES = (8, 9, 10)
"""Numbers in a problem that is trained on: 28, 36 or 45 pairs."""
UNSEEN_SIZES = (6, 7, 11, 12)
TOKENS_PER_TRY = 4.2
"""Tokens of the shortest try: the pair, three digits, and now and then a mark."""

Verdict = Literal["right", "doubled", "wrong", "invented"]
Look = tuple[str, str | None, bool, int]
"""What a try says: its pair as an answer, the same in one order (None: invented), whether its sum is right, and how far
that sum is from the target."""


def pairs_of(size: int) -> int:
    """The number of pairs of `size` numbers: size (size - 1) / 2."""
    return size * (size - 1) // 2


CHANCE = sum(1 / pairs_of(size) for size in SIZES) / len(SIZES)
"""Accuracy of a guess, mean over the trained sizes: 2.9 %."""
UNSEEN_CHANCE = sum(1 / pairs_of(size) for size in UNSEEN_SIZES) / len(UNSEEN_SIZES)
"""Accuracy of a guess, mean over the unseen sizes: 3.7 %."""


def attainable(tries: float, pairs: int) -> float:
    """Accuracy that so many different right tries of `pairs` allow without guessing: min(1, tries / pairs)."""
    return min(1.0, tries / pairs)


def ideal_tries(thinking_tokens: float) -> int:
    """How many tries an ideal thought of so many tokens holds: the floor of thinking_tokens / TOKENS_PER_TRY."""
    return int(thinking_tokens / TOKENS_PER_TRY)


@dataclass(frozen=True)
class Search:
    """Different numbers, 1 to HIGHEST each, and a label for each. Raises TaskError for anything else."""

    numbers: tuple[int, ...]
    labels: str

    def __post_init__(self) -> None:
        if not all(1 <= number <= HIGHEST for number in self.numbers) or len(set(self.numbers)) < len(self.numbers):
            raise TaskError(f"a search has different numbers from 1 to {HIGHEST}, given {self.numbers}")
        known = list(self.labels) == sorted(set(self.labels) & set(LABELS))
        if not known or not 3 <= len(self.labels) == len(self.numbers):
            raise TaskError(
                f"a search has 3 to {len(LABELS)} numbers and a label for each, in order, of {LABELS};"
                f" given {len(self.numbers)} numbers and {self.labels!r}"
            )

    @cached_property
    def sums(self) -> dict[str, int]:
        """The sum of every pair, by its labels in order."""
        named = zip(self.labels, self.numbers, strict=True)
        return {a + b: x + y for (a, x), (b, y) in itertools.combinations(named, 2)}

    @cached_property
    def best(self) -> str:
        """The pair that adds up closest to TARGET (the first of several)."""
        return min(self.sums, key=self.distance)

    @property
    def question(self) -> str:
        """What the user writes, without a budget."""
        listed = " ".join(f"{label}{number:03d}" for label, number in zip(self.labels, self.numbers, strict=True))
        return f"Which two of {listed} add up closest to {TARGET}?"

    def distance(self, pair: str) -> int:
        """How far the sum of a pair is from TARGET."""
        return abs(self.sums[pair] - TARGET)

    @property
    def canonical(self) -> str:
        """See `canonical`."""
        return canonical(self.numbers)

    def number(self, label: str) -> int:
        """The number that a label stands for."""
        return self.numbers[self.labels.index(label)]


_WORD = re.compile(r"([a-l])(\d{3})\b")
QUESTION = re.compile(rf"Which two of(?: [a-l]\d{{3}}){{3,}} add up closest to {TARGET}\?")


def parse(question: str) -> Search:
    """The search that a question asks for. Raises TaskError where it asks for none."""
    words = _WORD.findall(question)
    if not words:
        raise TaskError(f"not a question of the search world: {question[:80]!r}; it reads like {EXAMPLE.question!r}")
    return Search(tuple(int(number) for _, number in words), "".join(label for label, _ in words))


EXAMPLE = Search((48, 217, 393, 125, 461, 308, 279, 10), "bcefhikl")


@dataclass(frozen=True)
class Try:
    """A try in a thought: its pair (labels in order), what it gives as the sum, its mark and its place [start, end).

    right: the sum holds and the pair has not been tried rightly before; doubled: it holds and has been; wrong: the sum,
    or a number that is written out, is not the pair's; invented: the problem does not have both labels.
    """

    pair: str
    total: int
    marked: bool
    verdict: Verdict
    start: int
    end: int


@dataclass(frozen=True)
class Tries:
    """What a thought holds: its tries in order, and the best pair among the right ones (the first of several;
    None where there is none)."""

    tries: tuple[Try, ...]
    best: str | None

    def count(self, verdict: Verdict) -> int:
        """How many tries are right, doubled, wrong or invented; the right ones are distinct."""
        return sum(each.verdict == verdict for each in self.tries)

    @property
    def wasted(self) -> list[tuple[int, int]]:
        """The places [start, end) in characters of the doubled, wrong and invented tries."""
        return [(each.start, each.end) for each in self.tries if each.verdict != "right"]


def read_tries(thought: str, form: re.Pattern[str], look: Callable[[re.Match[str]], Look]) -> Tries:
    """The tries of a thought, each a match of `form` that `look` reads; anything else is no try and is passed over.

    form has groups `total` and `mark`.
    """
    tries, known = list[Try](), dict[str, tuple[int, str]]()  # right pairs in order, with their distance
    for match in form.finditer(thought):
        said, pair, right, distance = look(match)
        verdict: Verdict = "doubled" if pair in known else "right"
        if pair is None or not right:
            verdict = "invented" if pair is None else "wrong"
        elif verdict == "right":
            known[pair] = distance, said
        tries.append(Try(said, int(match["total"]), bool(match["mark"]), verdict, *match.span()))
    best = min(known.values(), key=lambda each: each[0], default=None)
    return Tries(tuple(tries), best[1] if best else None)


_TRY = re.compile(r" ?([a-z])([a-z])(?:=|:(\d{3})\+(\d{3})=)?(?P<total>\d{3})(?!\d)(?P<mark>!?)")


def read_thought(search: Search, thought: str) -> Tries:
    """The tries of a thought, in any of the forms "ab265", "ab=265" and "ab:048+217=265", each with a mark or without.

    Anything else (a try that was cut, "Wait") is no try and is passed over.
    """

    def look(match: re.Match[str]) -> Look:
        pair = "".join(sorted(match.group(1, 2)))
        if pair not in search.sums:
            return pair, None, False, 0
        shown = tuple(f"{search.number(label):03d}" for label in match.group(1, 2))
        right = int(match["total"]) == search.sums[pair] and match.group(3, 4) in ((None, None), shown)
        return pair, pair, right, search.distance(pair)

    return read_tries(thought, _TRY, look)


def steps(question: str, thought: str) -> Steps:
    """The steps of a thought about a question: a step is a try."""
    tries = read_thought(parse(question), thought)
    return Steps(tries.count("right"), tries.wasted)


def canonical(numbers: Sequence[int]) -> str:
    """The form that all reorderings and relabellings of a search share: its numbers, sorted."""
    return ",".join(f"{number:03d}" for number in sorted(numbers))


def split_of(numbers: Sequence[int]) -> Split:
    """The split that a search belongs to, whatever its order and labels."""
    return split_by_hash(f"search {canonical(numbers)}")


def has_one_best(numbers: Sequence[int], target: int = TARGET) -> bool:
    """Whether one pair alone adds up closest to the target, and none hits it."""
    first, second = sorted(abs(x + y - target) for x, y in itertools.combinations(numbers, 2))[:2]
    return 0 < first < second


def draw(rng: random.Random, split: Split, size: int) -> Search:
    """One search of the split with `size` numbers: drawn evenly, until one pair is best and none hits the target."""
    while True:
        numbers = tuple(rng.sample(range(1, HIGHEST + 1), size))
        if split_of(numbers) == split and has_one_best(numbers):
            return Search(numbers, "".join(sorted(rng.sample(LABELS, size))))


def as_problem(search: Search) -> Problem:
    """The search as a Problem: no instruction (the tiny reasoner needs none), its size the number of numbers."""
    listed = "-".join(f"{label}{number:03d}" for label, number in zip(search.labels, search.numbers, strict=True))
    answers = (search.best, search.best[::-1])
    return Problem(f"search-{listed}", search.question, answers, instruction="", size=str(len(search.numbers)))


def problems(split: Split, count: int, *, sizes: Sequence[int] = SIZES, seed: int = 0) -> list[Problem]:
    """The first `count` problems of a split's stream. Raises TaskError as `stream` does."""
    searches = stream("search", split, sizes, seed, range(3, len(LABELS) + 1), draw)
    return [as_problem(search) for search in itertools.islice(searches, count)]
