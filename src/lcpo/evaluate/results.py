"""From samples to results.json: rows, dials, comparisons, detectors, behaviour. docs/metrics.md explains each number.

Samples are read once and kept as a few numbers each, so 100,000 of them need some ten megabytes.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lcpo.evaluate.behaviour import WORDS, Words, check
from lcpo.evaluate.comparisons import Joint, compare, dial
from lcpo.evaluate.detectors import detect
from lcpo.evaluate.inert import inert
from lcpo.evaluate.records import Sample
from lcpo.evaluate.rows import Row, read_rows
from lcpo.measure.statistics import clustered_mean, interval, mean, pass_at_k
from lcpo.types import FloatArray

SCHEMA = 2
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
    resamples, seed: of the bootstrap over problems, drawn jointly for all rows of a task. No value is NaN;
    requests_failed is null, for samples do not say what is missing.
    """
    curves, problems = read_rows(samples, check(words))
    joints: dict[str, Joint] = {}
    comparisons: list[dict[str, Any]] = []
    for task, count in problems.items():
        of_task = {key: rows for key, rows in curves.items() if key.task == task}
        joints[task] = Joint([row for rows in of_task.values() for row in rows], count, resamples, seed)
        comparisons += compare(of_task, joints[task])
    lines = {
        key: [_line(row, problems[key.task], joints[key.task], (chances or {}).get(key.task)) for row in rows]
        for key, rows in curves.items()
    }
    return {
        "schema": SCHEMA,
        "manifest": dict(manifest),
        "rows": [line for of_curve in lines.values() for line in of_curve],
        "dials": [line for key, rows in curves.items() if (line := dial(rows, joints[key.task])) is not None],
        "comparisons": comparisons,
        "detectors": [{**key.named(), **line} for key, of_curve in lines.items() for line in detect(of_curve)],
        "behaviour": [_behaviour(row) for rows in curves.values() for row in rows],
    }


def _line(row: Row, problems: int, joint: Joint, chance: float | None) -> dict[str, Any]:
    """A row as it stands in results.json."""
    right, counts = row.by_problem(problems, "correct")
    accuracy, stderr = clustered_mean(right, counts)
    _, tokens_stderr = clustered_mean(*row.by_problem(problems, "tokens"))
    right, counts = right[counts > 0], counts[counts > 0]
    powers = (2**i for i in range(int(counts.min()).bit_length()))
    thinking, failed = row.known("thinking_tokens"), row.known("grade_failed")
    return {
        **row.curve.named(),
        "scope": row.curve.scope,
        "wording": row.curve.wording,
        "budget": row.budget,
        "seen": row.one("seen"),
        "seed": row.one("seed"),
        "temperature": row.curve.temperature,
        "generation_cap": row.one("generation_cap"),
        "problems": len(counts),
        "samples": int(counts.sum()),
        "chance": chance,
        "accuracy": accuracy,
        "accuracy_stderr": stderr,
        "accuracy_ci95": interval(joint.accuracy_draws[:, row.place]),
        "pass_at_k": {str(k): pass_at_k(counts.astype(np.int64), right.astype(np.int64), k) for k in powers},
        "majority_accuracy": row.majority_accuracy(),
        **_tokens(row),
        "tokens_stderr": tokens_stderr,
        "tokens_ci95": interval(joint.tokens_draws[:, row.place]),
        **adherence(row.used(), row.budget),
        **{name: float(row.column(name).mean()) for name in ("no_answer", "truncated", "forced")},
        "no_thought": mean(thinking == 0),
        "filler": _share(row, "filler_tokens", "tokens"),
        "useless": _share(row, "useless_tokens", "thinking_tokens"),
        "right_steps_mean": mean(row.known("right_steps")),
        **inert(row),
        "grade_timeouts": int(failed.sum()) if len(failed) else None,
        "requests_failed": None,
        "repetition": mean(np.array(row.repetitions, dtype=np.float64)),
    }


def _tokens(row: Row) -> dict[str, Any]:
    """Mean and percentiles of the tokens of every sample; null where none is known."""
    tokens = row.known("tokens")
    low, middle, high = map(float, np.percentile(tokens, (5, 50, 95))) if len(tokens) else (None, None, None)
    return {
        "tokens_mean": mean(tokens),
        "tokens_median": middle,
        "tokens_p5": low,
        "tokens_p95": high,
        "thinking_tokens_mean": mean(row.known("thinking_tokens")),
        "answer_tokens_mean": mean(row.known("answer_tokens")),
        "length_source": row.one("length_source"),
    }


def _share(row: Row, part: str, whole: str) -> float | None:
    """Some tokens over others, of the samples in which both are known."""
    both = np.stack([row.column(part), row.column(whole)])
    some, others = both[:, ~np.isnan(both).any(axis=0)].sum(axis=1)
    return float(some / others) if others else None


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
    mae = float(np.abs(off).mean())
    values: list[float | None] = [
        float(length.mean()) / budget - 1,
        mae,
        mae / budget,
        float(np.sqrt((off**2).mean())) / budget,
        *(float((100 * np.abs(off) <= x * budget).mean()) for x in WITHIN),
        float((off > 0).mean()),
        mean(off[off > 0]),
        float((off > SOFT).mean()) if budget >= SOFT_FROM else None,
    ]
    return dict(zip(names, values, strict=True))


def _behaviour(row: Row) -> dict[str, Any]:
    """Words of each list per 1,000 tokens, of the first samples of the row, and the share of tokens in the thought."""
    thinking, answer = (mean(row.known(name)) for name in ("thinking_tokens", "answer_tokens"))
    both = (thinking or 0) + (answer or 0)
    rates = {name: 1000 * count / row.tokens_read if row.tokens_read else None for name, count in row.words.items()}
    return {
        **row.curve.named(),
        "wording": row.curve.wording,
        "budget": row.budget,
        "samples": row.texts_read,
        "per_1000_tokens": rates,
        "thinking_share": None if thinking is None or answer is None or not both else thinking / both,
    }


CURVE = (
    "run", "model", "task", "method", "kind", "wording", "budget", "problems", "samples", "chance", "accuracy",
    "accuracy_stderr", "tokens_mean", "tokens_median", "tokens_p95", "signed_error", "mare", "over_budget", "no_answer",
    "truncated", "forced", "filler", "useless", "inert",
)  # fmt: skip
"""Columns of curve.csv."""


def curve_csv(found: Mapping[str, Any]) -> str:
    """curve.csv of a result: a line per row, the columns that plots need; empty where null."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CURVE, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(found["rows"])
    return out.getvalue()
