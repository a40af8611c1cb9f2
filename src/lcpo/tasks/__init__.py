"""Tasks by name: benchmarks, training sets and worlds of our own (searches, sums). To add one: one line in a table."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from lcpo.errors import unknown
from lcpo.tasks import dataset as _dataset
from lcpo.tasks import search as _search
from lcpo.tasks import sums as _sums
from lcpo.tasks.base import Generated, Loaded, Split, Task, VerifierName
from lcpo.tasks.benchmarks import BENCHMARKS as _BENCHMARKS
from lcpo.tasks.dataset import evaluation
from lcpo.tasks.words import WORDS as _WORDS
from lcpo.types import Problem

__all__ = ["TASKS", "Loaded", "Split", "Task", "VerifierName", "evaluation", "excluding", "task", "training"]

_ALL: tuple[Split, ...] = ("train", "validation", "test")
_UNSEEN: tuple[Split, ...] = ("validation", "test")

TASKS: Mapping[str, Task] = {
    one.name: one
    for one in (
        Generated(
            *("search", "which two of 8-10 numbers add up closest to 550", "exact", _search.CHANCE),
            *(_search.problems, _ALL, _search.steps, _search.QUESTION),
        ),
        Generated(
            *("search_unseen", "the same of 6, 7, 11 or 12 numbers, never trained on", "exact", _search.UNSEEN_CHANCE),
            *(partial(_search.problems, sizes=_search.UNSEEN_SIZES), _UNSEEN, _search.steps, _search.QUESTION),
        ),
        Generated(
            *("sums", "sums of 4-8 labelled two-digit terms modulo 100", "exact", _sums.CHANCE),
            *(_sums.problems, _ALL, _sums.steps, _sums.QUESTION),
        ),
        Generated(
            *("sums_long", "the same with 9-10 terms, never trained on", "exact", _sums.CHANCE),
            *(partial(_sums.problems, sizes=_sums.UNSEEN_SIZES), _UNSEEN, _sums.steps, _sums.QUESTION),
        ),
        *_WORDS,
        *_BENCHMARKS,
    )
}
"""Every task by name."""


def task(name: str) -> Task:
    """The task called `name`. Raises ConfigError naming those that exist and the nearest."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]


def training(
    data: str | Sequence[str],
    columns: Mapping[str, str] | None = None,
    verifier: VerifierName | None = None,
    *,
    exclude: Sequence[str] = (),
    **more: Any,
) -> Task:
    """Data to train on, see lcpo.tasks.dataset.training; exclude: test sets by task name or source (file, hub name)."""
    return _dataset.training(data, columns, verifier, exclude=_held(exclude), **more)


def excluding(task: Task, exclude: Sequence[str]) -> Task:
    """The task without what the test sets hold, given by task name or source; what is left out is counted."""
    return _dataset.without(task, _held(exclude)) if exclude else task


def _held(exclude: Sequence[str]) -> dict[str, list[Problem]]:
    """{name: problems} of test sets to keep out of training. Raises TaskError or ConfigError naming what is wrong."""
    return {
        name: task(name).problems("test")
        if name.isidentifier()
        else _dataset.load(name, missing="keep", duplicates="keep").problems
        for name in exclude
    }
