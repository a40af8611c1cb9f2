"""What a task is: a name, a verifier, the chance level, and problems by split."""

import hashlib
import itertools
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, TypeVar, get_args

from lcpo.errors import TaskError
from lcpo.measure.filler import tokens_within
from lcpo.thinking import CLOSE, Thinking, split_text
from lcpo.types import Dropped, Problem

Split = Literal["train", "validation", "test"]
VerifierName = Literal["math", "choice", "exact"]


class Canonical(Protocol):
    """A problem with a form that all its reorderings share."""

    @property
    def canonical(self) -> str: ...


Drawn = TypeVar("Drawn", bound=Canonical)
Drawing = Callable[[random.Random, Split, int], Drawn]
"""(random numbers, split, size) -> a problem of that split and size."""


@dataclass(frozen=True)
class Loaded:
    """Problems, what was left out of them and why, and where they came from: {source: sha256 of its bytes}.

    notes: what a person should know of the data, a line each (contradictions, what was mended).
    """

    problems: list[Problem]
    dropped: Dropped = field(default_factory=Dropped)
    sha256: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Steps:
    """What a thought is made of, where a world can tell.

    right: how many different steps are right. useless: the places [start, end) in characters of those that are wrong,
    said before, or about what the problem does not have.
    """

    right: int
    useless: Sequence[tuple[int, int]]


def count_steps(
    pieces: Sequence[str], read: Callable[[str], Steps | None], thinking: Thinking = "auto"
) -> tuple[int, int] | None:
    """(different right steps, tokens in useless ones) of a response, given as the texts of its tokens.

    read: reads a thought. None where it cannot.
    """
    text = "".join(pieces)
    thought, _ = split_text(text, thinking)
    steps = read(thought)
    if steps is None:
        return None
    start = text.index(CLOSE) - len(thought) if CLOSE in text else len(text) - len(thought)
    return steps.right, tokens_within(pieces, [(start + a, start + b) for a, b in steps.useless])


@dataclass(frozen=True)
class Task(ABC):
    """Problems and how to grade them.

    verifier: what grades an answer. chance: the accuracy of a guess, None where it is practically zero or unknown.
    """

    name: str
    about: str
    verifier: VerifierName
    chance: float | None
    default_split: ClassVar[Split] = "test"

    @abstractmethod
    def load(self, split: Split = "test", limit: int | None = None, seed: int = 0) -> Loaded:
        """At most `limit` problems of a split (None: all), the same ones for the same seed, with counts and hashes.

        Raises TaskError where the task has no such split or its data cannot be read.
        """

    def problems(self, split: Split = "test", limit: int | None = None, seed: int = 0) -> list[Problem]:
        """The problems of `load`, without counts and hashes."""
        return self.load(split, limit, seed).problems

    def steps(self, problem: Problem, thought: str) -> Steps | None:
        """The steps of a thought about one of the task's problems; None where the task cannot read thoughts."""
        return None

    def with_data(self, data: str | Sequence[str], columns: Mapping[str, str] | None = None) -> "Task":
        """This task with its problems read from `data` (files, members of a zip, hub names) instead.

        Raises TaskError for a task that makes its own problems.
        """
        raise TaskError(f"task '{self.name}' makes its own problems; leave the data out, or leave the task's name out")


COUNTS: Mapping[Split, int] = {"train": 20_000, "validation": 500, "test": 1_000}
"""How many generated problems a split gives where no limit is asked: the stream itself never ends."""


def split_by_hash(form: str) -> Split:
    """The split of a generated problem: sha256 of its canonical form, mod 20, is 0 for test, 1 for validation, else
    train."""
    bucket = int.from_bytes(hashlib.sha256(form.encode()).digest()[:8], "big") % 20
    return "test" if bucket == 0 else "validation" if bucket == 1 else "train"


def stream(
    world: str, split: Split, sizes: Sequence[int], seed: int, allowed: range, draw: Drawing[Drawn]
) -> Iterator[Drawn]:
    """An endless stream of a world's problems of a split, no two with the same canonical form; sizes take turns.

    Raises TaskError for an unknown split, or for a size that the world does not have.
    """
    if split not in get_args(Split):
        raise TaskError(f"split is {split!r}; allowed are {', '.join(get_args(Split))}")
    if not sizes or not {*sizes} <= {*allowed}:
        raise TaskError(f"sizes are {list(sizes)}; allowed are {allowed[0]} to {allowed[-1]}")
    rng, seen = random.Random(f"{world}-{split}-{seed}"), set[str]()
    for size in itertools.cycle(sizes):
        while (drawn := draw(rng, split, size)).canonical in seen:
            pass
        seen.add(drawn.canonical)
        yield drawn


@dataclass(frozen=True)
class Generated(Task):
    """A task that makes its own problems, an endless stream for every split; a hash decides which split holds one.

    make: (split, count, seed=...) -> the first problems of the split's stream. splits: those that this task has. read:
    (question, thought) -> the steps of the thought, None where they cannot be read. form: what questions look like
    where a model that was trained in this world alone can make nothing of others.
    """

    make: Callable[..., list[Problem]]
    splits: tuple[Split, ...] = ("train", "validation", "test")
    read: Callable[[str, str], Steps | None] | None = None
    form: re.Pattern[str] | None = None

    def knows(self, question: str) -> bool:
        """Whether a question is one of this world."""
        return self.form is None or self.form.fullmatch(question.strip()) is not None

    def steps(self, problem: Problem, thought: str) -> Steps | None:
        """See Task.steps."""
        return self.read(problem.question, thought) if self.read else None

    def load(self, split: Split = "test", limit: int | None = None, seed: int = 0) -> Loaded:
        """See Task.load. Raises TaskError for a split that this task does not have."""
        if split not in self.splits:
            raise TaskError(f"{self.name} has no {split} split; it has {', '.join(self.splits)}")
        return Loaded(self.make(split, COUNTS[split] if limit is None else limit, seed=seed))
