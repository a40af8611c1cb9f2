"""Verifiers: answer -> right or wrong. One file each; VERIFIERS is the table. No torch, any thread.

`grade` settles what it can at once and asks math-verify for the rest, in a worker process with a deadline. Verdicts are
kept, since the rollouts of a group repeat answers; a failure (a time-out, a dead worker) is no verdict.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import isfinite
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, get_args

from lcpo.errors import ConfigError, unknown
from lcpo.thinking import Thinking, split_text
from lcpo.types import Grade
from lcpo.verifiers import choice, exact, math, pool
from lcpo.verifiers.box import Box, NoAnswer

Gold = str | int | float | Decimal | Fraction
Verifier = Callable[[str, tuple[str, ...], Box, float], Grade | pool.Job]
"""(what follows the thought, golds, box, deadline in seconds) -> the grade, or the job that decides it; NoAnswer."""

VERIFIERS: Mapping[str, Verifier] = MappingProxyType(
    {"math": math.check, "choice": choice.check, "exact": exact.check},
)

KEPT = 65536
"""Verdicts of the algebra that are kept (the least recently used goes first)."""


def grade(
    text: str,
    gold: Gold | Sequence[Gold],
    verifier: str = "math",
    deadline: float = 5.0,
    thinking: Thinking = "auto",
    box: Box = "prefer",
) -> Grade:
    """Whether the answer of a response is a gold one (any of several); answer is None where the response has none.

    Only what follows the first `</think>` is read (thinking: see lcpo.thinking.split_text), and there the last box, or
    the last ones where they follow each other; without a box, `prefer` looks for an answer and `require` finds none.
    deadline: CPU seconds of algebra; past it, twice, the grade is `failed`. Usable from any thread. Raises ConfigError
    for a wrong argument, EngineError if math-verify does not run.
    """
    verdict = _look(text, _golds(gold), verifier, deadline, thinking, box)
    return verdict if isinstance(verdict, Grade) else _decide(verdict)


def grade_many(
    texts: Sequence[str],
    golds: Iterable[Gold | Sequence[Gold]],
    verifier: str = "math",
    deadline: float = 5.0,
    thinking: Thinking = "auto",
    box: Box = "prefer",
) -> list[Grade]:
    """The grades of many responses, in order; golds: one (or several) for each text. Algebra runs on all cores.

    The deadline holds for each answer by itself. Raises as `grade` does, and ConfigError for unequal lengths.
    """
    wanted = [_golds(gold) for gold in golds]
    if len(texts) != len(wanted):
        raise ConfigError(f"grade_many was given {len(texts)} texts and {len(wanted)} golds; give one gold per text")
    verdicts = [_look(text, gold, verifier, deadline, thinking, box) for text, gold in zip(texts, wanted, strict=True)]
    jobs = list(dict.fromkeys(item for item in verdicts if isinstance(item, pool.Job)))
    decided: dict[pool.Job, Grade] = {}
    if len(jobs) == 1:
        decided[jobs[0]] = _decide(jobs[0])
    elif jobs:
        with ThreadPoolExecutor(min(len(jobs), pool.shared().size)) as threads:
            decided = dict(zip(jobs, threads.map(_decide, jobs), strict=True))
    return [item if isinstance(item, Grade) else decided[item] for item in verdicts]


def _look(
    text: str, golds: tuple[str, ...], verifier: str, deadline: float, thinking: Thinking, box: Box
) -> Grade | pool.Job:
    """What a verifier says at once; arguments are checked here."""
    if verifier not in VERIFIERS:
        raise unknown("verifier", verifier, VERIFIERS)
    if box not in get_args(Box):
        raise ConfigError(f"box is {box!r}; allowed are {', '.join(get_args(Box))}")
    if not 0 < deadline <= 3600:
        raise ConfigError(f"deadline is {deadline!r}; allowed are seconds above 0 and up to 3600")
    if not isinstance(text, str):
        raise ConfigError(f"a response is a text, given {type(text).__name__}; decode token ids first")
    _, answer = split_text(text, thinking)
    if answer is None:
        return Grade(False, None, "no answer: the thought is not closed")
    try:
        return VERIFIERS[verifier](answer, golds, box, deadline)
    except NoAnswer as missing:
        return Grade(False, None, f"no answer: {missing}")


def _golds(gold: Gold | Sequence[Gold]) -> tuple[str, ...]:
    """Golds as a tuple of texts with something in them; numbers as they are written."""
    if isinstance(gold, Iterable) and not isinstance(gold, (str, bytes, Mapping)):
        golds: Sequence[Any] = list(gold)
    else:
        golds = [gold]
    if not golds:
        raise ConfigError("there is no gold answer; drop problems without one")
    return tuple(map(_gold, golds))


def _gold(gold: Any) -> str:
    """One gold as a text. Raises ConfigError for what is neither text nor a finite number."""
    if isinstance(gold, str) and gold.strip():
        return gold
    if isinstance(gold, Integral) and not isinstance(gold, bool):
        return str(int(gold))
    if isinstance(gold, Fraction):
        return str(gold)
    if isinstance(gold, (Real, Decimal)) and not isinstance(gold, bool) and isfinite(gold):
        return str(gold) if isinstance(gold, Decimal) else repr(float(gold)).removesuffix(".0")
    raise ConfigError(f"a gold answer is a text or a number (or several), given {gold!r}; drop problems without one")


def check_gold(gold: Any, verifier: str = "math") -> str | None:
    """What is wrong with a gold, in one line, for whoever reads data; None where it can be graded against."""
    try:
        text = _gold(gold)
    except ConfigError as error:
        return str(error)
    if verifier not in VERIFIERS:
        raise unknown("verifier", verifier, VERIFIERS)
    return math.unreadable(text) if verifier == "math" else None


def group_answers(answers: Sequence[str | None], verifier: str = "math", deadline: float = 5.0) -> list[int | None]:
    """For each answer the place of the first one that it equals (its own, if none does); None stays None.

    Answers as `Grade.answer` has them; the verifier decides what is equal, so 1/2, 0.5 and \\frac{1}{2} are one vote.
    """
    firsts: list[int] = []
    groups: list[int | None] = []
    for place, answer in enumerate(answers):
        if answer is None or not answer.strip():
            groups.append(None)
            continue
        same = next((first for first in firsts if _equal(answers[first], answer, verifier, deadline)), place)
        firsts += [place] if same == place else []
        groups.append(same)
    return groups


def _equal(one: str | None, other: str, verifier: str, deadline: float) -> bool:
    """Whether two answers are one to a verifier, either of them taken as the gold."""
    if one is None or one.strip() == other.strip():
        return one is not None
    boxed = [(f"\\boxed{{{other}}}", one), (f"\\boxed{{{one}}}", other)]
    return any(grade(text, gold, verifier, deadline, thinking=False).correct for text, gold in boxed)


def _decide(job: pool.Job) -> Grade:
    """The algebra's verdict, tried once more where it failed."""
    try:
        return _kept(job)
    except _Failed:
        reply = pool.shared().run(job)
        return Grade(reply.right, job.answer, reply.reason, reply.failed)


class _Failed(Exception):
    """No verdict."""


@lru_cache(maxsize=KEPT)
def _kept(job: pool.Job) -> Grade:
    """The algebra's verdict; raises _Failed where it came to none, so that nothing is kept."""
    reply = pool.shared().run(job)
    if reply.failed:
        raise _Failed(reply.reason)
    return Grade(reply.right, job.answer, reply.reason)


__all__ = [
    "VERIFIERS",
    "Box",
    "Gold",
    "Grade",
    "Verifier",
    "check_gold",
    "grade",
    "grade_many",
    "group_answers",
]
