"""Samples sorted into rows, a few bytes each: what 100,000 samples leave behind is arrays of numbers.

A row is one method of one run at one budget, as in results.json. A curve is all budgets of it.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from lcpo.errors import ConfigError
from lcpo.evaluate.behaviour import Words, occurrences
from lcpo.evaluate.detectors import repetition, thought_of
from lcpo.evaluate.records import Sample
from lcpo.measure.statistics import majority
from lcpo.types import FloatArray, IntArray

TEXTS_READ = 256
"""Samples of a row whose text the detectors and word counts read; the numbers use every sample."""
COUNTS = (
    "correct", "tokens", "thinking_tokens", "answer_tokens", "filler_tokens", "no_answer", "truncated", "forced",
    "right_steps", "useless_tokens", "grade_failed",
)  # fmt: skip
CHANGES = 5
"""Changes of a thought that may change the answer: see lcpo.evaluate.inert."""
CONSTANT = ("seed", "seen", "generation_cap", "length_source")


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

    def named(self) -> dict[str, Any]:
        """The names that every line of results.json carries."""
        return {name: getattr(self, name) for name in ("run", "model", "task", "method", "kind")}


class Row:
    """The samples of one curve at one budget (None: without), as columns.

    place: among the rows of its task (lcpo.evaluate.comparisons.Joint). words, tokens_read, texts_read: of the first
    samples, how often the words of each list occur, in how many tokens and texts. changes: by size of the problem, of
    each change of a thought how many answers it changed, and of how many. [CHANGES, 2].
    """

    def __init__(self, curve: CurveKey, budget: int | None) -> None:
        self.curve, self.budget, self.place = curve, budget, 0
        self.counts = {name: array("d") for name in COUNTS}
        self.problems, self.votes, self.repetitions = array("i"), array("q"), array("f")
        self.constant: dict[str, set[Any]] = {name: set() for name in CONSTANT}
        self.words: Counter[str] = Counter()
        self.tokens_read = self.texts_read = 0
        self.changes: dict[str, IntArray] = {}

    def add(self, sample: Sample, problem: int, words: Words) -> None:
        """Adds a sample of the problem that has this number. Raises ConfigError for a negative count."""
        for name, column in self.counts.items():
            value = getattr(sample, name)
            if value is not None and value < 0:
                raise ConfigError(f"sample {sample.problem!r} has {name} = {value}; counts are 0 or more, or null")
            column.append(np.nan if value is None else value)
        self.problems.append(problem)
        answer = (sample.answer or "").strip().encode("utf-8", "replace")
        self.votes.append(int.from_bytes(hashlib.blake2b(answer, digest_size=7).digest(), "big"))
        for name, values in self.constant.items():
            values.add(getattr(sample, name))
        if len(self.repetitions) < TEXTS_READ:
            self.repetitions.append(repetition(thought_of(sample) or sample.text))
            if sample.tokens is not None:  # else no rate could be given
                self.words.update(occurrences(sample.text, words))
                self.tokens_read, self.texts_read = self.tokens_read + sample.tokens, self.texts_read + 1

        if sample.changed:
            counts = self.changes.setdefault(sample.size or "", np.zeros((CHANGES, 2), dtype=np.int64))
            counts += np.array([[bool(changed), changed is not None] for changed in sample.changed])

    def column(self, name: str) -> FloatArray:
        """One of COUNTS, NaN where not known. [samples]."""
        return np.array(self.counts[name])

    def known(self, name: str) -> FloatArray:
        """One of COUNTS, of the samples where it is known."""
        values = self.column(name)
        return values[~np.isnan(values)]

    def used(self) -> FloatArray:
        """Tokens that count against the budget: those of its scope, where known."""
        return self.known("thinking_tokens" if self.curve.scope == "thinking" else "tokens")

    def one(self, name: str) -> Any:
        """The value that all samples share; None if they differ."""
        values = self.constant[name]
        return next(iter(values)) if len(values) == 1 else None

    def by_problem(self, problems: int, name: str) -> tuple[FloatArray, FloatArray]:
        """(sums, counts) of the known values of a count over the task's problems, [P] each."""
        values, where = self.column(name), np.array(self.problems)
        known = ~np.isnan(values)
        sums = np.bincount(where[known], weights=values[known], minlength=problems)
        return sums.astype(np.float64), np.bincount(where[known], minlength=problems).astype(np.float64)

    def majority_accuracy(self) -> float:
        """Mean correctness of each problem's most frequent answer; 0 for a problem without any."""
        votes: dict[int, dict[int, tuple[int, float]]] = {}
        correct, missing = self.counts["correct"], self.counts["no_answer"]
        for i, (problem, answer) in enumerate(zip(self.problems, self.votes, strict=True)):
            given = votes.setdefault(problem, {})
            if not missing[i]:
                times, mean = given.get(answer, (0, 0.0))
                given[answer] = (times + 1, (mean * times + correct[i]) / (times + 1))
        return float(np.mean([majority(votes[problem]) for problem in sorted(votes)]))


Curves = dict[CurveKey, list[Row]]


def read_rows(samples: Iterable[Sample], words: Words) -> tuple[Curves, dict[str, int]]:
    """(the rows of each curve, budgets ascending, that without one last; how many problems each task has).

    Samples are read once, in any order. Problems are numbered by name, so that a bootstrap does not depend on it.
    """
    rows: dict[tuple[CurveKey, int | None], Row] = {}
    numbers: dict[str, dict[str, int]] = {}
    for sample in samples:
        curve = CurveKey(*(getattr(sample, name) for name in CurveKey._fields))
        if (row := rows.get((curve, sample.budget))) is None:
            row = rows[curve, sample.budget] = Row(curve, sample.budget)
        of_task = numbers.setdefault(sample.task, {})
        row.add(sample, of_task.setdefault(sample.problem, len(of_task)), words)
    curves: Curves = {}
    ranks = {task: np.argsort(np.argsort(list(of_task))) for task, of_task in numbers.items()}  # by name
    for row in rows.values():
        row.problems = array("i", ranks[row.curve.task][np.array(row.problems)].tolist())
        curves.setdefault(row.curve, []).append(row)
    for members in curves.values():
        members.sort(key=lambda row: (row.budget is None, row.budget or 0))
    return curves, {task: len(of_task) for task, of_task in numbers.items()}
