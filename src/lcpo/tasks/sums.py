"""Sums of labelled two-digit terms, modulo 100: a world of a few steps. "Add b48 c17 d93 e25." is answered "83".

Answers are uniform on 00-99, so chance is 1 %. Whether a problem is for training, validation or the test is decided by
a hash of its canonical form, before anything is trained: reordering or relabelling a sum never moves it.
"""

import itertools
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lcpo.errors import TaskError
from lcpo.tasks.base import Split, Steps, split_by_hash, stream
from lcpo.types import Problem

LABELS = "abcdefghijkl"
"""Terms carry consecutive labels that start anywhere, so that sizes beyond those trained on use known labels."""
MODULUS = 100
QUESTION = re.compile(r"Add(?: [a-l]\d\d){2,}\.")
_TERM = re.compile(r"\b([a-l])(\d\d)\b")
_STEP = re.compile(r"Wait|([a-l])(?:[\d+:,]*(?:=|\+))*?[\d+:,=]*?(\d\d)(?![\d+:,=])")
CHANCE = 1 / MODULUS
SIZES = (4, 5, 6, 7, 8)
"""Terms in a problem of the study; pre-training also holds 2 and 3."""
UNSEEN_SIZES = (9, 10)


@dataclass(frozen=True)
class Sum:
    """The sum of `terms` (each 0-99) modulo 100; the first term carries the label LABELS[first]."""

    terms: tuple[int, ...]
    first: int = 0

    def __post_init__(self) -> None:
        if not 2 <= len(self.terms) <= len(LABELS) - self.first or not all(0 <= t < MODULUS for t in self.terms):
            raise TaskError(f"a sum has 2 to {len(LABELS)} terms in 0-99, given {self.terms} from label {self.first}")

    @property
    def labels(self) -> str:
        """The labels of the terms, in order."""
        return LABELS[self.first : self.first + len(self.terms)]

    @property
    def canonical(self) -> str:
        """See `canonical`."""
        return canonical(self.terms)

    @property
    def answer(self) -> str:
        """The sum modulo 100, two digits."""
        return f"{sum(self.terms) % MODULUS:02d}"

    @property
    def question(self) -> str:
        """What the user writes, without a budget."""
        return "Add " + " ".join(f"{name}{term:02d}" for name, term in zip(self.labels, self.terms, strict=True)) + "."


def canonical(terms: Sequence[int]) -> str:
    """The form that all reorderings and relabellings of a sum share: its terms, sorted."""
    return "+".join(f"{term:02d}" for term in sorted(terms))


def split_of(terms: Sequence[int]) -> Split:
    """The split that a sum belongs to, whatever its order and labels."""
    return split_by_hash(canonical(terms))


def draw(rng: random.Random, split: Split, size: int) -> Sum:
    """One sum of the split with `size` terms, its first label uniform."""
    rng.choice((size,))  # decides nothing; without it the problems of a seed would be others
    while True:
        terms = tuple(rng.randrange(MODULUS) for _ in range(size))
        if split_of(terms) == split:
            return Sum(terms, rng.randint(0, len(LABELS) - size))


def parse(question: str) -> Sum:
    """The sum that a question asks for. Raises TaskError where it asks for none."""
    words = _TERM.findall(question)
    if QUESTION.fullmatch(question.strip()) is None:
        raise TaskError(f"not a question about a sum: {question[:80]!r}; it reads like 'Add b48 c17 d93 e25.'")
    return Sum(tuple(int(term) for _, term in words), LABELS.index(words[0][0]))


def read_thought(asked: Sum, thought: str) -> Steps:
    """The steps of a thought: from a first term on, each names a label and ends in the total of all terms up to it.

    "Wait" and a term begin another pass, in either direction and around the end. A step is useless if it names a label
    that the problem does not have, gives another total than the terms of its pass have, or says what was said before.
    """
    size, known, useless = len(asked.terms), set[tuple[frozenset[int], int]](), list[tuple[int, int]]()
    at, terms, opening = 0, frozenset({0}), False
    for match in _STEP.finditer(thought):
        if match[0] == "Wait":
            opening = True
            continue
        place = asked.labels.find(match[1])
        ways = [frozenset((at + sign * i) % size for i in range((sign * (place - at)) % size + 1)) for sign in (1, -1)]
        reached = [frozenset({place})] if opening else [terms | way for way in ways if not terms & (way - {at})]
        right = [each for each in reached if sum(asked.terms[i] for i in each) % MODULUS == int(match[2])]
        if place < 0 or not right or (right[0], place) in known:
            useless.append(match.span())
        if right and place >= 0:
            known.add((right[0], place))
        if place >= 0 and (right or opening):
            at, terms = place, (right or reached)[0]
        opening = False
    return Steps(sum(len(each) > 1 for each, _ in known), useless)


def as_problem(one: Sum) -> Problem:
    """The sum as a Problem: no instruction (the tiny reasoner needs none), its size reported as the number of terms."""
    return Problem(
        id=f"sums-{one.labels[0]}-{'-'.join(f'{term:02d}' for term in one.terms)}",
        question=one.question,
        answers=(one.answer,),
        instruction="",
        size=str(len(one.terms)),
    )


def problems(split: Split, count: int, *, sizes: Sequence[int] = SIZES, seed: int = 0) -> list[Problem]:
    """The first `count` problems of a split's stream. Raises TaskError as `stream` does."""
    sums = stream("sums", split, sizes, seed, range(2, len(LABELS) + 1), draw)
    return [as_problem(one) for one in itertools.islice(sums, count)]


def steps(question: str, thought: str) -> Steps:
    """The steps of a thought about a question: each names a label and gives the total up to it (see read_thought)."""
    return read_thought(parse(question), thought)
