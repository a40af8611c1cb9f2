"""What the tiny base is pre-trained on: tries in random order, stopped anywhere, then the best so far; and counting.

A try names a pair and gives its sum, in one of three forms; the best so far gets a mark:

    terse     " ab265"            4 tokens
    equals    " ab=265"           5 tokens
    written   " ab:048+217=265"   13 tokens

How long a thought is and how it is written depends on nothing in the prompt but the number of pairs there are.
"""

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from lcpo.tasks.search import LABELS, SIZES, Search, draw, read_thought

Form = Literal["terse", "equals", "written"]
COSTS: dict[Form, int] = {"terse": 4, "equals": 5, "written": 13}
"""Tokens of a try without a mark."""
STYLES: tuple[dict[Form, float], ...] = (
    {"terse": 0.94, "equals": 0.03, "written": 0.03},
    {"terse": 0.5, "equals": 0.4, "written": 0.1},
    {"terse": 0.2, "equals": 0.4, "written": 0.4},
)
"""Shares of the forms in a thought; a thought has one style."""
FIRST_STYLE_WEIGHTS, STYLE_WEIGHTS = (0.2, 0.3, 0.5), (0.6, 0.25, 0.15)
"""How often each style is, at first (sums are learned sooner where they are written out) and then."""
FIRST_SIZES = (3, 4, 5)
"""Numbers in a problem at first: fewer to look among, and shorter prompts."""
LONGEST = 150
"""Tokens of the longest thought aimed at."""
MARK = "."
SIGNS = (*(f" {label}{other}" for label, other in itertools.pairwise(LABELS)), *"0123456789=+!")


@dataclass(frozen=True)
class Demonstration:
    """A user's message, the response to it, and the stretches [start, end) of it on which no loss is taken."""

    question: str
    response: str
    muted: tuple[tuple[int, int], ...] = ()


@dataclass
class Thought:
    """A thought as it grows: its tokens, the best pair so far, and which tokens are not learned from."""

    tokens: list[str] = field(default_factory=list)
    muted: set[int] = field(default_factory=set)
    best: str | None = None

    def interrupt(self) -> None:
        """Puts "Wait" here, which is not learned from."""
        self.muted.add(len(self.tokens))
        self.tokens.append("Wait")

    def demonstrate(self, question: str, answer: str, *, ends: bool) -> Demonstration:
        """The whole response; where the thought was cut (not ends), its end is not learned."""
        pieces = ["<think>", *self.tokens, "</think>", f" {answer}"]
        muted = {place + 1 for place in self.muted} | (set() if ends else {len(pieces) - 2})
        places = [0]
        for piece in pieces:
            places.append(places[-1] + len(piece))
        return Demonstration(question, "".join(pieces), tuple((places[i], places[i + 1]) for i in sorted(muted)))


def write(form: Form, search: Search, pair: str, *, marked: bool) -> list[str]:
    """A try as tokens."""
    total = list(f"{search.sums[pair]:03d}")
    before: list[str] = []
    if form == "equals":
        before = ["="]
    elif form == "written":
        before = list(f":{search.number(pair[0]):03d}+{search.number(pair[1]):03d}=")
    return [f" {pair}", *before, *total, *(["!"] if marked else [])]


def aim(rng: random.Random) -> int:
    """The length that a thought aims at, log-uniform from 1 to LONGEST tokens; below 4 it holds no try."""
    return int(math.exp(rng.uniform(0.7, math.log(LONGEST + 1))))


def style(rng: random.Random, room: int, pairs: int, weights: Sequence[float] = STYLE_WEIGHTS) -> dict[Form, float]:
    """The shares of the forms in a thought: a style that the pairs suffice for, else the one that lasts longest."""
    possible = [pairs * sum(COSTS[form] * share for form, share in shares.items()) >= room for shares in STYLES]
    if not any(possible):
        return STYLES[-1]
    return rng.choices(STYLES, [weight * enough for weight, enough in zip(weights, possible, strict=True)])[0]


def think(
    rng: random.Random,
    search: Search,
    room: int,
    weights: Sequence[float] = STYLE_WEIGHTS,
    *,
    wait: float = 0.0,
    answers: float = 0.0,
) -> Thought:
    """Tries in random order, none twice, up to the first that reaches `room` tokens or until all pairs are made.

    weights: of the styles. wait: the chance before each further try that "Wait" stands there, as S1 puts it; it is not
    learned from. answers: the chance there of an answer in between, the best so far, after which "Wait" goes on.
    """
    thought, order = Thought(), list(search.sums)
    rng.shuffle(order)
    shares = style(rng, room, len(order), weights)
    forms = rng.choices(tuple(shares), tuple(shares.values()), k=len(order))
    for pair, form in zip(order, forms, strict=True):
        if len(thought.tokens) >= room:
            break
        if thought.tokens and rng.random() < answers:
            thought.muted.add(len(thought.tokens))
            thought.tokens += ["</think>", f" {thought.best}"]
            thought.interrupt()
        elif thought.tokens and rng.random() < wait:
            thought.interrupt()
        better = thought.best is None or search.distance(pair) < search.distance(thought.best)
        thought.best = pair if better else thought.best
        thought.tokens += write(form, search, pair, marked=better)
    return thought


def solve(
    rng: random.Random, search: Search, weights: Sequence[float] = STYLE_WEIGHTS, *, answers: float = 0.0
) -> Demonstration:
    """A worked problem: a thought of any length, now and then cut inside a try, then the best pair so far.

    Without a try the answer is the best pair of all: the best guess that can be learned. answers: the chance of an
    answer in between two tries, in three thoughts of five.
    """
    room = aim(rng)
    if room < COSTS["terse"]:
        return Thought().demonstrate(search.question, search.best, ends=True)
    kind = rng.random()
    wait = 0.15 if kind < 0.15 else 0.0
    between = answers if kind >= 0.4 else 0.0
    thought = think(rng, search, room, weights, wait=wait, answers=between)
    if 0.15 <= kind < 0.3:
        return cut(rng, search, thought)
    assert thought.best is not None
    ends = rng.random() >= wait + between  # as often as going on is learned from, or thoughts would become too short
    return thought.demonstrate(search.question, thought.best, ends=ends)


def cut(rng: random.Random, search: Search, thought: Thought) -> Demonstration:
    """The thought broken off after any of its tokens; a try that is not whole does not count."""
    kept = thought.tokens[: rng.randrange(1, len(thought.tokens))]
    best = read_thought(search, "".join(kept)).best
    part = Thought(kept, {place for place in thought.muted if place < len(kept)})
    return part.demonstrate(search.question, best or search.best, ends=False)


def count(rng: random.Random, longest: int = LONGEST) -> Demonstration:
    """Counting, in other words than the budget sentence and never beside a problem: so many marks, or any signs."""
    number = round(math.exp(rng.uniform(0, math.log(longest))))
    if rng.random() < 0.5:
        return Demonstration(f"Write {number} marks.", f"<think>{MARK * number}</think>")
    return Demonstration(f"Write {number} signs.", f"<think>{''.join(rng.choices(SIGNS, k=number))}</think>")


def problem(rng: random.Random, sizes: Sequence[int] = SIZES) -> Search:
    """A search of the training split."""
    return draw(rng, "train", rng.choice(sizes))
