"""Dials, and methods compared at equal tokens used: problems are drawn jointly for all curves of a task."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from lcpo.errors import ConfigError, unknown
from lcpo.evaluate.records import Sample
from lcpo.evaluate.rows import CurveKey, Curves, Row, read_rows
from lcpo.measure.statistics import area, bootstrap_weights, interpolate_log, interval, slope, spearman
from lcpo.types import FloatArray

BUDGETS_FOR_RANKS = 8
"""Distinct budgets from which a rank correlation is given; with fewer it says little and ties rule it."""
SPAN = 1.5
"""Factor that the tokens used must span before accuracy per log-token is given: on one length it would be noise."""
DIAL = "prompted"
"""The method that every other is compared with: the budget in the prompt, as trained."""


class Joint:
    """Accuracy and mean tokens of every row of a task, and the same under resampled problems.

    accuracy, tokens: [rows], at the rows' places; accuracy_draws, tokens_draws: [resamples, rows], NaN where a resample
    has no such sample, and for a whole row of fewer than two problems: one problem says nothing of how problems vary.
    """

    def __init__(self, rows: Sequence[Row], problems: int, resamples: int, seed: int) -> None:
        for place, row in enumerate(rows):
            row.place = place
        parts = [row.by_problem(problems, name) for row in rows for name in ("correct", "tokens")]
        table = np.stack([column for pair in parts for column in pair], axis=1)
        draws = [weights @ table for weights in bootstrap_weights(problems, resamples, seed)]
        self.accuracy, self.tokens = (values[0] for values in _ratios(table.sum(axis=0, keepdims=True)))
        self.accuracy_draws, self.tokens_draws = _ratios(np.concatenate(draws))
        few = (table[:, 1::2] > 0).sum(axis=0) < 2
        self.accuracy_draws[:, few[0::2]] = np.nan
        self.tokens_draws[:, few[1::2]] = np.nan

    def gap(self, a: Row, b: Row) -> tuple[float, list[float] | None]:
        """Accuracy of row a minus that of row b as they stand, and its interval with problems drawn for both."""
        draws = self.accuracy_draws[:, a.place] - self.accuracy_draws[:, b.place]
        return float(self.accuracy[a.place] - self.accuracy[b.place]), interval(draws)

    def overlap(self, a: Sequence[Row], b: Sequence[Row]) -> tuple[float, float]:
        """The tokens from which and up to which both curves have points; first above second where there are none."""
        ends = [self.tokens[_places(rows)] for rows in (a, b)]
        if not all(np.isfinite(tokens).all() for tokens in ends):
            return 1.0, 0.0
        return float(max(tokens.min() for tokens in ends)), float(min(tokens.max() for tokens in ends))

    def difference(self, a: Sequence[Row], b: Sequence[Row], at: float | Row) -> dict[str, Any]:
        """Accuracy of curve a minus that of b at equal tokens, with its interval.

        at: tokens, or a row: as many as it uses, which then varies with the resample.
        """
        tokens = float(self.tokens[at.place]) if isinstance(at, Row) else float(at)
        low, high = self.overlap(a, b)
        value, between = None, None
        if 0 < low <= tokens <= high:
            value = self._at(a, tokens) - self._at(b, tokens)
            drawn = self.tokens_draws[:, at.place] if isinstance(at, Row) else np.full(len(self.tokens_draws), tokens)
            between = interval(self._draws(a, drawn) - self._draws(b, drawn))
        return {"at_tokens": tokens, "accuracy_difference": value, "ci95": between}

    def _at(self, rows: Sequence[Row], tokens: float) -> float:
        return interpolate_log(tokens, self.tokens[_places(rows)], self.accuracy[_places(rows)])

    def _draws(self, rows: Sequence[Row], tokens: FloatArray) -> FloatArray:
        """The curve's accuracy at as many tokens in each resample; beyond a resample's ends its end holds.

        All NaN where one of the rows has no draws at all: without it the curve would be another.
        """
        values = np.full(len(tokens), np.nan)
        curve_tokens, curve_accuracy = self.tokens_draws[:, _places(rows)], self.accuracy_draws[:, _places(rows)]
        if np.isnan(curve_tokens + curve_accuracy).all(axis=0).any():
            return values
        for i, (x, xs, ys) in enumerate(zip(tokens, curve_tokens, curve_accuracy, strict=True)):
            there = np.isfinite(xs) & np.isfinite(ys) & (xs > 0)
            if np.isfinite(x) and x > 0 and there.any():
                values[i] = interpolate_log(x, xs[there], ys[there])
        return values


def _places(rows: Sequence[Row]) -> list[int]:
    return [row.place for row in rows]


def _ratios(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(accuracy, mean tokens) [N, rows] from [N, 4 rows]: correct, samples, tokens, samples with known tokens."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[:, 0::4] / sums[:, 1::4], sums[:, 2::4] / sums[:, 3::4]


def dial(rows: Sequence[Row], joint: Joint) -> dict[str, Any] | None:
    """How the length follows the budget on one curve, over all its samples; None without a budget.

    accuracy_rise: accuracy at the largest budget minus that at the smallest, with a paired interval.
    """
    asked = [row for row in rows if row.budget is not None]
    if not asked:
        return None
    used = [row.used() for row in asked]
    budgets = np.array([row.budget for row in asked], dtype=np.float64)
    x, y = np.repeat(budgets, [len(lengths) for lengths in used]), np.concatenate(used)
    means = np.array([lengths.mean() if len(lengths) else 0.0 for lengths in used])
    complete = bool((means > 0).all())
    accuracy = np.array([row.column("correct").mean() for row in asked])
    ratio = budgets[-1] / budgets[0]
    rise, between = joint.gap(asked[-1], asked[0]) if len(asked) > 1 else (None, None)
    spans = complete and means.max() >= SPAN * means.min()
    return {
        **asked[0].curve.named(),
        "wording": asked[0].curve.wording,
        "temperature": asked[0].curve.temperature,
        "budgets": [row.budget for row in asked],
        "slope": slope(x, y),
        "rank_correlation": spearman(x, y) if len(budgets) >= BUDGETS_FOR_RANKS else None,
        "dial_ratio": float(means[-1] / means[0] / ratio) if complete and ratio > 1 else None,
        "accuracy_per_log10_tokens": slope(np.log10(means), accuracy) if spans else None,
        "accuracy_area": area(np.log(budgets), accuracy),
        "accuracy_rise": rise,
        "accuracy_rise_ci95": between,
    }


def pairs(curves: Sequence[CurveKey]) -> list[tuple[CurveKey, CurveKey]]:
    """Which curves are compared: each prompted one with every other of the task, or all with all if none is.

    Two prompted curves are compared only at the same wording, or if they differ in nothing else.
    """
    dials = any(key.method == DIAL for key in curves)
    return [
        (a, b)
        for a, b in combinations(sorted(curves, key=lambda key: key.method != DIAL), 2)
        if (a.method == DIAL or not dials)
        and (b.method != DIAL or a.wording == b.wording or a._replace(wording=b.wording) == b)
    ]


def compare(curves: Curves, joint: Joint) -> list[dict[str, Any]]:
    """Every comparison within a task, at each budget asked for and wherever a curve is a single point.

    Where two curves overlap but no budget lies in it (a model with one length), at its middle.
    """
    lines = []
    for a, b in pairs(list(curves)):
        budgets = sorted({row.budget for key in (a, b) for row in curves[key] if row.budget is not None})
        alone = [curves[key][0] for key in (a, b) if len(curves[key]) == 1]
        single = [row for row in alone if np.isfinite(joint.tokens[row.place])]
        places: list[float | Row] = [*budgets, *single]
        low, high = joint.overlap(curves[a], curves[b])
        if low < high and not single and not any(low <= budget <= high for budget in budgets):
            places.append(math.sqrt(low * high))
        names = {
            "task": a.task, "kind": a.kind, "a": a.run, "b": b.run, "method_a": a.method, "method_b": b.method,
            "kind_b": b.kind, "wording_a": a.wording, "wording_b": b.wording,
        }  # fmt: skip
        lines += [{**names, **joint.difference(curves[a], curves[b], at)} for at in places]
    return lines


def paired(
    samples: Iterable[Sample], a: Mapping[str, Any], b: Mapping[str, Any], *, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Accuracy of one row minus that of another at whatever tokens they use, problems drawn jointly.

    a, b: fields that pick one row each, as {"run": "tiny-exact-0", "budget": 96} or {"method": "unlimited"}. Raises
    ConfigError unless each picks exactly one row, both of one task.
    """
    curves, problems = read_rows(samples, {})
    rows = [row for members in curves.values() for row in members]
    first, second = _pick(rows, a), _pick(rows, b)
    if first.curve.task != second.curve.task:
        raise ConfigError(f"rows of two tasks, {first.curve.task!r} and {second.curve.task!r}, share no problems")
    joint = Joint([first, second], problems[first.curve.task], resamples, seed)
    difference, between = joint.gap(first, second)
    return {"accuracy_difference": difference, "ci95": between}


def _pick(rows: Sequence[Row], wanted: Mapping[str, Any]) -> Row:
    for name in wanted:
        if name not in (*CurveKey._fields, "budget"):
            raise unknown("field of a row", name, (*CurveKey._fields, "budget"))
    picked = [row for row in rows if wanted.items() <= {**row.curve._asdict(), "budget": row.budget}.items()]
    if len(picked) != 1:
        raise ConfigError(f"{dict(wanted)} picks {len(picked)} rows of {len(rows)}; name fields that pick exactly one")
    return picked[0]
