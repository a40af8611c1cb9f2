"""The values that travel through lcpo: budgets, problems, outcomes, grades. Arrays are [P, G]: problems x group."""

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lcpo.errors import ConfigError

Kind = Literal["exact", "max", "none"]
Scope = Literal["response", "thinking"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Rewards = FloatArray
Advantages = FloatArray


@dataclass(frozen=True)
class Budget:
    """How many tokens shall (`exact`) or may (`max`) be used; `none` asks for nothing.

    tokens: a positive integer, None where kind is none. scope: `response` counts thought, closing tag, answer and EOS
    (arXiv:2503.04697, section 7); `thinking` counts the thought alone. Raises ConfigError for anything else.
    """

    kind: Kind
    tokens: int | None = None
    scope: Scope = "response"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(f"budget kind is {self.kind!r}; allowed are {', '.join(get_args(Kind))}")
        if self.scope not in get_args(Scope):
            raise ConfigError(f"budget scope is {self.scope!r}; allowed are {', '.join(get_args(Scope))}")
        if self.kind == "none" and self.tokens is not None:
            raise ConfigError(f"a budget of kind none has no tokens, given {self.tokens!r}; leave tokens out")
        if self.kind != "none" and (
            isinstance(self.tokens, bool) or not isinstance(self.tokens, (int, np.integer)) or self.tokens < 1
        ):
            raise ConfigError(f"a budget is a positive whole number of tokens, given {self.tokens!r}")


NO_BUDGET = Budget("none")


@dataclass(frozen=True)
class Problem:
    """One question with its gold answers (any of them is right).

    options: the choices of a multiple-choice question, in order (A, B, ...). instruction: the sentence that follows the
    question; None takes the template's own, "" means none. size: a difficulty label to report by (terms, level, ...).
    """

    id: str
    question: str
    answers: tuple[str, ...]
    options: tuple[str, ...] = ()
    instruction: str | None = None
    size: str | None = None

    @property
    def golds(self) -> tuple[str, ...]:
        """All that is graded as right: the answers, and of a right option its own text, where that is no letter."""
        places = [ord(answer) - ord("A") for answer in self.answers if re.fullmatch("[A-Z]", answer)]
        texts = (self.options[place] for place in places if place < len(self.options))
        return self.answers + tuple(text for text in texts if not re.fullmatch(r"\s*[A-Za-z]?\s*", text))


@dataclass(frozen=True)
class Outcomes:
    """What came of P problems x G rollouts, and all that an objective may look at.

    correct: float64 in [0, 1]; length, budget: int64 tokens (budget 0 where kind is none: never read);
    kind: "exact", "max" or "none"; truncated: bool, the generation cap cut the rollout off. All [P, G].
    Raises ConfigError for other shapes, types or values.
    """

    correct: FloatArray
    length: IntArray
    budget: IntArray
    kind: NDArray[np.str_]
    truncated: BoolArray

    def __post_init__(self) -> None:
        wanted = {"correct": "f8", "length": "i8", "budget": "i8", "truncated": "?"}
        shape = np.shape(self.correct)
        if len(shape) != 2:
            raise ConfigError(f"outcomes are arrays [P, G], given shape {shape}")
        for name in (*wanted, "kind"):
            value = getattr(self, name)
            if not isinstance(value, np.ndarray) or value.shape != shape:
                raise ConfigError(f"outcomes.{name} must be an array of shape {shape}, given {np.shape(value)}")
            if name != "kind" and value.dtype != np.dtype(wanted[name]):
                raise ConfigError(f"outcomes.{name} must have type {np.dtype(wanted[name])}, given {value.dtype}")
        if not np.isin(self.kind, get_args(Kind)).all():
            raise ConfigError(f"outcomes.kind holds {sorted(set(self.kind.ravel()))}; allowed are {get_args(Kind)}")
        if not ((self.correct >= 0) & (self.correct <= 1)).all():
            raise ConfigError("outcomes.correct must lie in [0, 1]")
        if (self.length < 0).any() or ((self.budget < 1) & (self.kind != "none")).any():
            raise ConfigError("lengths must be >= 0 and budgets >= 1 wherever kind is exact or max")


@dataclass(frozen=True)
class Grade:
    """Right or wrong, and why. answer is None when the text holds no answer (counted by itself, and wrong).

    failed: the grader gave no verdict (it passed its deadline, or died, twice); correct is False and nobody knows.
    """

    correct: bool
    answer: str | None
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class Dropped:
    """How many rows a loader left out, by reason (null answer, duplicate, held by a test set ...)."""

    counts: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(f"{n} {reason}" for reason, n in sorted(self.counts.items()) if n) or "nothing"
