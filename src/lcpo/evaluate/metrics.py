"""From samples to results.json: rows, dials, comparisons, detectors, behaviour. docs/metrics.md explains each number.

Samples are read once and kept as a few whole numbers each, so 100,000 of them need some ten megabytes.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lcpo.evaluate.behaviour import WORDS, Words, check
from lcpo.evaluate.comparisons import Joint, compare, dial, named
from lcpo.evaluate.detectors import Point, detect
from lcpo.evaluate.gather import UNKNOWN, CurveKey, Gathered, Group, gather
from lcpo.evaluate.records import Sample
from lcpo.measure.statistics import clustered_mean, interval, pass_at_k
from lcpo.types import FloatArray

SCHEMA = 1
SOFT = 500
"""Tokens over a maximum that the paper forgives."""
SOFT_FROM = 1000
"""Smallest budget for which a soft violation is counted: below it, 500 tokens of grace would forgive everything."""
WITHIN = (5, 10, 20, 25)
"""Per cent of the budget within which a length counts as met."""


def results(
    samples: Iterable[Sample],
    manifest: Mapping[str, Any],
    *,
    chances: Mapping[str, float | None] | None = None,
    words: Words = WORDS,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """The contents of results.json: the contract's rows, dials and comparisons; beside them detectors and behaviour.

    samples: read once, any order. chances: accuracy of guessing by task (left out: null). words: lists for `behaviour`.
    resamples, seed: of the bootstrap over problems, drawn jointly for all rows of a task. No value is NaN.
    """
    gathered = gather(samples, check(words))
    joints: dict[str, Joint] = {}
    comparisons: list[dict[str, Any]] = []
    for task in gathered.problems:
        joints[task], lines = compare(gathered, task, resamples, seed)
        comparisons += lines
    curves = gathered.curves()
    groups = [group for members in curves.values() for group in members]
    rows = [_row(group, gathered, joints[group.key.curve.task], chances or {}) for group in groups]
    dials = [line for key, members in curves.items() if (line := dial(key, members, joints[key.task])) is not None]
    return {
        "schema": SCHEMA,
        "manifest": dict(manifest),
        "rows": rows,
        "dials": dials,
        "comparisons": comparisons,
        "detectors": [line for key, members in curves.items() for line in _detected(key, members)],
        "behaviour": [_behaviour(group) for group in groups],
    }


def _row(group: Group, gathered: Gathered, joint: Joint, chances: Mapping[str, float | None]) -> dict[str, Any]:
    key = group.key.curve
    problems = len(gathered.problems[key.task])
    right, counts = group.by_problem(problems)
    accuracy, stderr = clustered_mean(right, counts)
    _, tokens_stderr = clustered_mean(*group.by_problem(problems, group.column("tokens")))
    index = joint.rows[group.key]
    present = counts > 0
    return {
        **named(key),
        "scope": key.scope,
        "wording": key.wording,
        "budget": group.key.budget,
        "seen": group.one("seen"),
        "seed": group.one("seed"),
        "temperature": key.temperature,
        "generation_cap": group.one("generation_cap"),
        "problems": int(present.sum()),
        "samples": int(counts.sum()),
        "chance": chances.get(key.task),
        "accuracy": accuracy,
        "accuracy_stderr": stderr,
        "accuracy_ci95": interval(joint.accuracy_draws[:, index]),
        "pass_at_k": _pass_at_k(counts[present], right[present]),
        "majority_accuracy": float(group.majorities(problems)[present].mean()),
        **_tokens(group),
        "tokens_stderr": tokens_stderr,
        "tokens_ci95": interval(joint.tokens_draws[:, index]),
        **adherence(_known(group, group.used()), group.key.budget),
        **{name: float(group.column(name).mean()) for name in ("no_answer", "truncated", "forced")},
        "filler": _filler(group),
    }


def _pass_at_k(counts: FloatArray, right: FloatArray) -> dict[str, float | None]:
    """pass@k for every power of two up to the samples that each problem has."""
    powers = (2**i for i in range(int(counts.min()).bit_length()))
    return {str(k): pass_at_k(counts.astype(np.int64), right.astype(np.int64), k) for k in powers}


def _known(group: Group, values: Any) -> FloatArray:
    found: FloatArray = values[values != UNKNOWN].astype(np.float64)
    return found


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if len(values) else None


def _tokens(group: Group) -> dict[str, Any]:
    """Mean and percentiles of the tokens of every sample; null where none is known."""
    tokens = _known(group, group.column("tokens"))
    low, middle, high = np.percentile(tokens, (5, 50, 95)) if len(tokens) else (None, None, None)
    return {
        "tokens_mean": _mean(tokens),
        "tokens_median": None if middle is None else float(middle),
        "tokens_p5": None if low is None else float(low),
        "tokens_p95": None if high is None else float(high),
        "thinking_tokens_mean": _mean(_known(group, group.column("thinking"))),
        "answer_tokens_mean": _mean(_known(group, group.column("answer"))),
        "length_source": group.one("length_source"),
    }


def _filler(group: Group) -> float | None:
    """Filler tokens over all tokens, of the samples in which both are known."""
    filler, tokens = group.column("filler"), group.column("tokens")
    known = (filler != UNKNOWN) & (tokens != UNKNOWN)
    total = int(tokens[known].sum())
    return int(filler[known].sum()) / total if total else None


def adherence(length: FloatArray, budget: int | None) -> dict[str, float | None]:
    """How lengths [N] of single samples relate to the budget B that was asked for; all null without one.

    signed_error = mean(n)/B - 1, in which over and under cancel; mae = mean|n-B| tokens; mare = mean|n-B|/B;
    rmse = sqrt(mean((n-B)^2))/B; over_budget_mean_excess: tokens, over the samples that are over (null if none is).
    """
    names = ["signed_error", "mae", "mare", "rmse", *(f"within_{x}" for x in WITHIN)]
    names += ["over_budget", "over_budget_mean_excess", "soft_violation"]
    if budget is None or not len(length):
        return dict.fromkeys(names)
    off = length - budget
    over = off > 0
    values: list[float | None] = [
        float(length.mean()) / budget - 1,
        float(np.abs(off).mean()),
        float(np.abs(off).mean()) / budget,
        float(np.sqrt((off**2).mean())) / budget,
        *(float((100 * np.abs(off) <= x * budget).mean()) for x in WITHIN),
        float(over.mean()),
        _mean(off[over]),
        float((off > SOFT).mean()) if budget >= SOFT_FROM else None,
    ]
    return dict(zip(names, values, strict=True))


def _detected(key: CurveKey, groups: Sequence[Group]) -> list[dict[str, Any]]:
    points = []
    for group in groups:
        thinking = _known(group, group.column("thinking"))
        points.append(
            Point(
                budget=group.key.budget,
                tokens=_mean(_known(group, group.used())),
                thinking=_mean(thinking),
                answer=_mean(_known(group, group.column("answer"))),
                repetition=_mean(np.array(group.repetitions, dtype=np.float64)),
                filler=_filler(group),
                thoughtless=_mean((thinking == 0).astype(np.float64)),
            )
        )
    return [{**named(key), **found} for found in detect(points, key.method)]


def _behaviour(group: Group) -> dict[str, Any]:
    """Words of each list per 1,000 tokens, of the first samples of the row, and the share of tokens in the thought."""
    thinking, answer = (_mean(_known(group, group.column(name))) for name in ("thinking", "answer"))
    both = None if thinking is None or answer is None or thinking + answer == 0 else thinking + answer
    return {
        **named(group.key.curve),
        "wording": group.key.curve.wording,
        "budget": group.key.budget,
        "samples": group.behaviour.samples,
        "per_1000_tokens": group.behaviour.per_thousand(),
        "thinking_share": thinking / both if both and thinking is not None else None,
    }


CURVE = (
    "run", "model", "task", "method", "kind", "wording", "budget", "problems", "samples", "chance", "accuracy",
    "accuracy_stderr", "tokens_mean", "tokens_median", "tokens_p95", "signed_error", "mare", "over_budget", "no_answer",
    "truncated", "forced", "filler",
)  # fmt: skip
"""Columns of curve.csv."""


def curve_csv(found: Mapping[str, Any]) -> str:
    """curve.csv of a result: a line per row, the columns that plots need; empty where null."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CURVE, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(found["rows"])
    return out.getvalue()
