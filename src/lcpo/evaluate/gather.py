"""Samples sorted into groups, a few bytes each: what 100,000 samples leave behind is arrays of whole numbers.

A group is one row of results.json: one method of one run at one budget. A curve is all budgets of it.
"""

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from lcpo.errors import ConfigError
from lcpo.evaluate.behaviour import Behaviour, Words
from lcpo.evaluate.detectors import repetition, thought_of
from lcpo.evaluate.records import Sample
from lcpo.measure.statistics import majority
from lcpo.types import FloatArray, IntArray

READ_PER_GROUP = 256
"""Samples of a group whose text the detectors and word counts read; the numbers use every sample."""
UNKNOWN = -1


class CurveKey(NamedTuple):
    """What all budgets of one curve share."""

    run: str
    model: str
    task: str
    method: str
    kind: str
    scope: str
    wording: str
    temperature: float


class GroupKey(NamedTuple):
    """One curve at one budget (None: without)."""

    curve: CurveKey
    budget: int | None


COLUMNS = ("problem", "correct", "tokens", "thinking", "answer", "filler", "no_answer", "truncated", "forced")


@dataclass
class Group:
    """The samples of one row as compact columns; UNKNOWN where a count is not known."""

    key: GroupKey
    columns: "dict[str, array[int]]" = field(default_factory=lambda: {name: array("i") for name in COLUMNS})
    answers: "array[int]" = field(default_factory=lambda: array("q"))
    repetitions: "array[float]" = field(default_factory=lambda: array("f"))
    constants: dict[str, set[Any]] = field(default_factory=dict)
    behaviour: Behaviour = field(default_factory=Behaviour)

    def column(self, name: str) -> IntArray:
        """One column as int64, [samples]."""
        return np.array(self.columns[name], dtype=np.int64)

    def used(self) -> IntArray:
        """Tokens that count against the budget: those of its scope, UNKNOWN where not known. [samples]."""
        return self.column("thinking" if self.key.curve.scope == "thinking" else "tokens")

    def one(self, name: str) -> Any:
        """The value that all samples share; None if they differ."""
        values = self.constants[name]
        return next(iter(values)) if len(values) == 1 else None

    def by_problem(self, problems: int, values: IntArray | None = None) -> tuple[FloatArray, FloatArray]:
        """(sums, counts) of the known values over the task's problems, [P]; of correctness without `values`."""
        values = self.column("correct") if values is None else values
        known = values != UNKNOWN
        where = self.column("problem")[known]
        sums = np.bincount(where, weights=values[known], minlength=problems).astype(np.float64)
        return sums, np.bincount(where, minlength=problems).astype(np.float64)

    def majorities(self, problems: int) -> FloatArray:
        """Correctness of each problem's most frequent answer, [P] (NaN-free: 0 where a problem has no answer)."""
        votes: list[dict[int, tuple[int, float]]] = [{} for _ in range(problems)]
        for problem, answer, correct, missing in zip(
            self.columns["problem"], self.answers, self.columns["correct"], self.columns["no_answer"], strict=True
        ):
            if not missing:
                times, before = votes[problem].get(answer, (0, 0.0))
                votes[problem][answer] = (times + 1, (before * times + correct) / (times + 1))
        return np.array([majority(one) for one in votes], dtype=np.float64)


@dataclass
class Gathered:
    """Every group of an evaluation, in order of arrival, and the problems of each task, numbered."""

    groups: dict[GroupKey, Group] = field(default_factory=dict)
    problems: dict[str, dict[str, int]] = field(default_factory=dict)

    def curves(self) -> dict[CurveKey, list[Group]]:
        """The groups of each curve, budgets ascending, the one without a budget last."""
        curves: dict[CurveKey, list[Group]] = {}
        for key, group in self.groups.items():
            curves.setdefault(key.curve, []).append(group)
        for groups in curves.values():
            groups.sort(key=lambda group: (group.key.budget is None, group.key.budget or 0))
        return curves


def _digest(answer: str) -> int:
    return int.from_bytes(hashlib.blake2b(answer.strip().encode("utf-8", "replace"), digest_size=7).digest(), "big")


def _add(group: Group, sample: Sample, problem: int, words: Words) -> None:
    values = {
        "problem": problem,
        "correct": int(sample.correct),
        "tokens": sample.tokens,
        "thinking": sample.thinking_tokens,
        "answer": sample.answer_tokens,
        "filler": sample.filler_tokens,
        "no_answer": int(sample.no_answer),
        "truncated": int(sample.truncated),
        "forced": int(sample.forced),
    }
    for name, value in values.items():
        if value is not None and value < 0:
            raise ConfigError(f"sample {sample.problem!r} has {name} = {value}; counts are 0 or more, or null")
        group.columns[name].append(UNKNOWN if value is None else value)
    group.answers.append(_digest(sample.answer or ""))
    for name in ("seed", "seen", "generation_cap", "length_source"):
        group.constants.setdefault(name, set()).add(getattr(sample, name))
    if len(group.repetitions) < READ_PER_GROUP:
        thought = thought_of(sample)
        group.repetitions.append(repetition(thought or sample.text))
        group.behaviour.add(sample.text, sample.tokens, words)


def gather(samples: Iterable[Sample], words: Words) -> Gathered:
    """Reads samples once, in any order, and keeps counts only (about 50 bytes for each)."""
    gathered = Gathered()
    for sample in samples:
        curve = CurveKey(
            sample.run, sample.model, sample.task, sample.method, sample.kind, sample.scope, sample.wording,
            sample.temperature,
        )  # fmt: skip
        key = GroupKey(curve, sample.budget)
        group = gathered.groups.get(key)
        if group is None:
            group = gathered.groups[key] = Group(key)
        numbers = gathered.problems.setdefault(sample.task, {})
        _add(group, sample, numbers.setdefault(sample.problem, len(numbers)), words)
    for task in gathered.problems:
        _renumber(gathered, task)
    return gathered


def _renumber(gathered: Gathered, task: str) -> None:
    """Numbers problems by name, so that a bootstrap does not depend on the order in which samples came."""
    names = sorted(gathered.problems[task])
    new = np.empty(len(names), dtype=np.int32)
    for number, name in enumerate(names):
        new[gathered.problems[task][name]] = number
    for key, group in gathered.groups.items():
        if key.curve.task == task:
            group.columns["problem"] = array("i", new[group.column("problem")].tolist())
    gathered.problems[task] = {name: number for number, name in enumerate(names)}
