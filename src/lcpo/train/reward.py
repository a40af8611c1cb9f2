"""The reward callable: what TRL (or anything that speaks its language) asks for the rewards of a batch of rollouts.

A class and not a closure, because asynchronous trainers pickle it. Length is counted from `completion_ids`, and the
text that is graded is decoded from them too, so nothing that TRL strips (special tokens) is lost.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from lcpo import verifiers
from lcpo.engines.formats import format_of
from lcpo.errors import ConfigError
from lcpo.measure.filler import filler_tokens
from lcpo.objectives import Objective, objective
from lcpo.tasks.base import Task, count_steps
from lcpo.thinking import Marks, Thinking, eos_ids, split_ids
from lcpo.types import BoolArray, Budget, IntArray, Outcomes, Problem

COLUMNS = ("correct", "length", "budget", "kind", "truncated", "no_answer", "failed", "tokens", "useless")
"""What the reward hands to TRL's `log_extra`, a value per rollout."""


@dataclass(frozen=True)
class Scored:
    """Graded rollouts: outcomes [1, B]; which hold no answer, which got no verdict, tokens with EOS, [B] each.

    useless: the share of each one's tokens in steps that are wrong, said before or invented; None where no world tells.
    """

    outcomes: Outcomes
    no_answer: BoolArray
    failed: BoolArray
    tokens: IntArray
    useless: list[float | None]

    def columns(self) -> dict[str, list[Any]]:
        """The values of each of COLUMNS, [B]."""
        o = self.outcomes
        values = {name: getattr(o, name)[0] if hasattr(o, name) else getattr(self, name) for name in COLUMNS}
        return {name: list(column) if name == "useless" else column.tolist() for name, column in values.items()}


class LcpoReward:
    """Rewards of a batch by an objective; a drop-in for `reward_funcs` of TRL's GRPOTrainer.

    The data set needs the columns that `lcpo.train.with_budgets` adds (`budget_tokens`, `budget_kind`, `budget_scope`)
    and `answers` or `answer`. Objectives see one rollout at a time here; those that compare a group need LcpoTrainer.
    """

    __name__ = "lcpo"

    def __init__(
        self,
        objective_: Objective | str | Mapping[str, Any],
        tokenizer: Any,
        *,
        verifier: str = "math",
        eos: Collection[int] = (),
        thinking: Thinking | None = None,
        box: Literal["prefer", "require"] = "prefer",
        filler: float = 1.0,
        task: Task | None = None,
        useless: float = 1.0,
        deadline: float = 5.0,
    ) -> None:
        """objective_: an objective, a preset's name or a table. eos: ids that end a response beside the tokenizer's.

        thinking: whether the template opens the thought in the prompt; None finds out from the chat template.
        filler: an answer with a larger share of filler counts as wrong, so that no length can be had by filling.
        task: a world that reads thoughts; the data set then needs `question`. useless: an answer with a larger share of
        tokens in steps that are wrong, said before or invented counts as wrong too.
        """
        self.objective = objective_ if isinstance(objective_, Objective) else objective(objective_)
        self.tokenizer = tokenizer
        self.verifier = verifier
        self.marks = marks(tokenizer, eos)
        self.thinking: Thinking = opens_thought(tokenizer) if thinking is None else thinking
        self.box = box
        self.filler, self.task, self.useless = filler, task, useless
        self.deadline = deadline

    def __call__(
        self,
        completion_ids: Sequence[Sequence[int]],
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float]:
        """A reward per rollout. `columns` are the data set's, a list each; what is measured goes to the two loggers."""
        scored = self.score(completion_ids, columns)
        o = scored.outcomes
        if log_extra:
            for name, values in scored.columns().items():
                log_extra(name, values)
        if log_metric:
            asked = o.kind[0] != "none"
            log_metric("accuracy", float(o.correct.mean()))
            if asked.any():
                error = np.abs(o.length[0] - o.budget[0])[asked] / o.budget[0][asked]
                log_metric("length_error", float(error.mean()))
        return [float(r) for r in self.objective(o)[0]]

    def score(self, completion_ids: Sequence[Sequence[int]], columns: Mapping[str, Any]) -> Scored:
        """Outcomes [1, B] of rollouts given as token ids. Raises ConfigError where a column is missing."""
        golds = _golds(columns)
        budgets = _budgets(columns)
        parts = [split_ids(ids, self.marks) for ids in completion_ids]
        bodies = [list(ids[: p.response - p.ended]) for ids, p in zip(completion_ids, parts, strict=True)]
        texts = self.tokenizer.batch_decode(bodies, skip_special_tokens=False)
        grades = verifiers.grade_many(
            texts, golds, verifier=self.verifier, deadline=self.deadline, thinking=self.thinking, box=self.box
        )
        reads = self.filler < 1 or self.task is not None
        pieces = [_pieces(self.tokenizer, ids) if reads else [] for ids in bodies]
        useless = self._useless(pieces, columns)
        right = [
            g.correct and self._says(each) and (share or 0.0) <= self.useless
            for g, each, share in zip(grades, pieces, useless, strict=True)
        ]
        lengths = [p.response if b.scope == "response" else p.thinking for p, b in zip(parts, budgets, strict=True)]
        outcomes = Outcomes(
            correct=np.array([right], dtype=np.float64),
            length=np.array([lengths], dtype=np.int64),
            budget=np.array([[b.tokens or 0 for b in budgets]], dtype=np.int64),
            kind=np.array([[b.kind for b in budgets]]),
            truncated=np.array([[not p.ended for p in parts]]),
        )
        return Scored(
            outcomes,
            no_answer=np.array([g.answer is None for g in grades]),
            failed=np.array([g.failed for g in grades]),
            tokens=np.array([p.response for p in parts]),
            useless=useless,
        )

    def _says(self, pieces: Sequence[str]) -> bool:
        return self.filler >= 1 or _filler_share(pieces, self.thinking) <= self.filler

    def _useless(self, responses: Sequence[Sequence[str]], columns: Mapping[str, Any]) -> list[float | None]:
        """The share of tokens in useless steps of each response, by the task; None where it cannot read thoughts."""
        if self.task is None or "question" not in columns:
            return [None] * len(responses)
        shares: list[float | None] = []
        for pieces, question in zip(responses, columns["question"], strict=True):
            read = partial(self.task.steps, Problem("", question, ()))
            counts = count_steps(pieces, read, self.thinking)
            shares.append(None if counts is None else counts[1] / max(1, len(pieces)))
        return shares


def filler_share(tokenizer: Any, ids: Sequence[int], thinking: Thinking = "auto") -> float:
    """The share of a response's tokens, given as ids without EOS, that are filler."""
    return _filler_share(_pieces(tokenizer, ids), thinking)


def _filler_share(pieces: Sequence[str], thinking: Thinking) -> float:
    return filler_tokens(pieces, thinking=thinking) / max(1, len(pieces))


def _pieces(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """The text of each token."""
    texts: list[str] = tokenizer.batch_decode([[token] for token in ids])
    return texts


def marks(tokenizer: Any, eos: Collection[int] = ()) -> Marks:
    """The marks of a Hugging Face tokenizer; `eos` adds ids that end a response."""
    return Marks.of(
        lambda text: list(tokenizer.encode(text, add_special_tokens=False)),
        eos_ids(tokenizer.eos_token_id, eos),
        partial(tokenizer.decode, skip_special_tokens=False),
    )


def opens_thought(tokenizer: Any) -> Thinking:
    """True where the chat template ends the prompt with `<think>`, so that a response starts inside the thought."""
    return True if getattr(tokenizer, "chat_template", None) and format_of(tokenizer).opened else "auto"


def _golds(columns: Mapping[str, Any]) -> list[Sequence[Any]]:
    for name in ("answers", "answer"):
        if name in columns:
            return [list(gold) if isinstance(gold, (list, tuple)) else [gold] for gold in columns[name]]
    raise ConfigError(f"the data set has no column 'answers' or 'answer', only {', '.join(sorted(columns))}")


def _budgets(columns: Mapping[str, Any]) -> list[Budget]:
    missing = [name for name in ("budget_tokens", "budget_kind") if name not in columns]
    if missing:
        raise ConfigError(f"the data set has no column {missing[0]!r}; make it with lcpo.train.with_budgets")
    scopes = columns.get("budget_scope") or ["response"] * len(columns["budget_kind"])
    rows = zip(columns["budget_kind"], columns["budget_tokens"], scopes, strict=True)
    return [Budget(kind, None if kind == "none" else int(tokens), scope) for kind, tokens, scope in rows]
