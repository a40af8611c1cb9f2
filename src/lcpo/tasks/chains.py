"""Chains of additions and subtractions, told as a little story.

    Mia has 34 marbles. She finds 17. She gives 25 to Tom. She buys 9 more. How many marbles does Mia have now?     35
    a thought:  51 26 35
                34+17=51 51-25=26 26+9=35
                34 and 17 make 51. 51 less 25 is 26. ...
                34 plus 17: tens 40, ones 11, so 51. ...

Which split holds a chain is decided by a hash of its start and its sorted steps: another order or another story never
moves it. One story is never trained on.
"""

import itertools
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lcpo.errors import TaskError
from lcpo.tasks.base import Split, split_by_hash, stream
from lcpo.types import Problem

SIZES = (3, 4, 5, 6, 7, 8, 9)
"""Steps of a chain that is trained on."""
UNSEEN_SIZES = (10, 11, 12)
HIGHEST = 99
"""Totals stay from 1 to HIGHEST."""
LARGEST_STEP = 45
NAMES = ("Mia", "Tom", "Ana", "Leo", "Zoe", "Max", "Eva", "Sam")
THINGS = ("marbles", "stamps", "coins", "shells", "cards", "stickers")


@dataclass(frozen=True)
class Story:
    """A way to tell a chain: sentences with {n}, {name}, {other} and {things}."""

    opening: str
    gains: tuple[str, ...]
    losses: tuple[str, ...]
    question: str


STORIES = (
    Story(
        "{name} has {n} {things}.",
        ("{name} finds {n}.", "{name} buys {n} more.", "{other} gives {name} {n}."),
        ("{name} loses {n}.", "{name} gives {n} to {other}.", "{name} sells {n}."),
        "How many {things} does {name} have now?",
    ),
    Story(
        "There are {n} {things} in a box.",
        ("{name} puts in {n}.", "{n} more are added.", "{other} adds {n}."),
        ("{name} takes out {n}.", "{n} are taken away.", "{other} removes {n}."),
        "How many {things} are in the box at the end?",
    ),
    Story(
        "A shop starts the day with {n} {things}.",
        ("It gets {n} more.", "{name} brings {n}.", "A box of {n} arrives."),
        ("It sells {n}.", "{name} buys {n}.", "{n} of them break."),
        "How many are left?",
    ),
    Story(
        "{name} starts a game with {n} points.",
        ("{name} wins {n}.", "Then come {n} more.", "A bonus gives {n}."),
        ("{name} loses {n}.", "A mistake costs {n}.", "{other} takes {n}."),
        "What is the score of {name}?",
    ),
)
UNSEEN_STORY = Story(
    "A bus leaves with {n} people.",
    ("{n} get on.", "At the next stop {n} climb in."),
    ("{n} get off.", "At the next stop {n} step out."),
    "How many people are on the bus?",
)


@dataclass(frozen=True)
class Chain:
    """A start and signed steps; every total on the way lies in 1 to HIGHEST. Raises TaskError for anything else."""

    start: int
    steps: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.steps or not all(1 <= total <= HIGHEST for total in (self.start, *self.totals)):
            raise TaskError(f"a chain has steps, and totals from 1 to {HIGHEST}, given {self.start} and {self.steps}")

    @property
    def totals(self) -> tuple[int, ...]:
        """The total after each step."""
        return tuple(itertools.accumulate(self.steps, initial=self.start))[1:]

    @property
    def answer(self) -> str:
        """The last total."""
        return str(self.totals[-1])

    @property
    def canonical(self) -> str:
        """The form that all orders of the steps share."""
        return f"{self.start}:{','.join(f'{step:+d}' for step in sorted(self.steps))}"


def tell(chain: Chain, story: Story, rng: random.Random) -> str:
    """The chain as a story; names, things and sentences are drawn, no sentence twice in a row."""
    name, other = rng.sample(NAMES, 2)
    things, before = rng.choice(THINGS), ""
    sentences = [(story.opening, chain.start)]
    for step in chain.steps:
        before = rng.choice([text for text in (story.gains if step > 0 else story.losses) if text != before])
        sentences.append((before, abs(step)))
    told = [text.format(n=n, name=name, other=other, things=things) for text, n in sentences]
    return " ".join([*told, story.question.format(name=name, things=things)])


def parse(question: str) -> Chain:
    """The chain that a story tells. Raises TaskError where it tells none."""
    sentences = re.findall(r"[^.?]+\.", question)
    starts = re.findall(r"\d+", "".join(sentences[:1]))
    steps = [_step(sentence.strip()) for sentence in sentences[1:]]
    if len(starts) != 1 or not steps or None in steps:
        raise TaskError(f"not a story of additions and subtractions: {question[:80]!r}")
    return Chain(int(starts[0]), tuple(step for step in steps if step is not None))


def _step(sentence: str) -> int | None:
    """The step that a sentence of any story tells, None where it tells none."""
    numbers = re.findall(r"\d+", sentence)
    for story in (*STORIES, UNSEEN_STORY):
        for sign, texts in ((1, story.gains), (-1, story.losses)):
            for text in texts:
                named = re.sub(r"\\{(name|other)\\}", r"[A-Z][a-z]+", re.escape(text))
                if re.fullmatch(named.replace(r"\{n\}", r"\d+"), sentence):
                    return sign * int(numbers[0])
    return None


def split_of(chain: Chain) -> Split:
    """The split that a chain belongs to, whatever the order of its steps."""
    return split_by_hash(f"chain {chain.canonical}")


def draw(rng: random.Random, split: Split, size: int) -> Chain:
    """One chain of the split with `size` steps: each evenly from those that keep the total in range, in either way."""
    while True:
        start = total = rng.randint(10, 90)
        steps: list[int] = []
        for _ in range(size):
            gain = rng.random() < 0.5 if 1 < total < HIGHEST else total == 1
            change = rng.randint(1, min(LARGEST_STEP, HIGHEST - total if gain else total - 1))
            steps.append(change if gain else -change)
            total += steps[-1]
        chain = Chain(start, tuple(steps))
        if split_of(chain) == split:
            return chain


def as_problem(chain: Chain, story: Story, rng: random.Random) -> Problem:
    """The chain as a Problem: no instruction, its size the number of steps."""
    name = f"chain-{chain.start}{''.join(f'{step:+d}' for step in chain.steps)}"
    return Problem(name, tell(chain, story, rng), (chain.answer,), instruction="", size=str(len(chain.steps)))


def problems(
    split: Split, count: int, *, seed: int = 0, sizes: Sequence[int] = SIZES, stories: Sequence[Story] = STORIES
) -> list[Problem]:
    """The first `count` problems of a split's stream, in stories that are drawn."""
    rng = random.Random(f"chains-story-{split}-{seed}")
    chains = stream("chains", split, sizes, seed, range(1, HIGHEST), draw)
    return [as_problem(chain, rng.choice(stories), rng) for chain in itertools.islice(chains, count)]
