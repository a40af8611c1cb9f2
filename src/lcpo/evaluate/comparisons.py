"""Dials, and methods compared at equal tokens used: problems are drawn jointly for all curves of a task."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from lcpo.errors import ConfigError, unknown
from lcpo.evaluate.gather import UNKNOWN, CurveKey, Gathered, Group, GroupKey, gather
from lcpo.evaluate.records import Sample
from lcpo.measure.statistics import area, bootstrap_weights, interpolate_log, interval, slope, spearman
from lcpo.types import FloatArray

BUDGETS_FOR_RANKS = 8
"""Distinct budgets from which a rank correlation is given; with fewer it says little and ties rule it."""
SPAN = 1.5
"""Factor that the tokens used must span before accuracy per log-token is given: on one length it would be noise."""
DIAL = "prompted"
"""The method that every other is compared with: the budget in the prompt, as trained."""


def dial(key: CurveKey, groups: Sequence[Group], joint: "Joint") -> dict[str, Any] | None:
    """How the length follows the budget on one curve, over all its samples; None without a budget.

    accuracy_rise: accuracy at the largest budget minus that at the smallest, with a paired interval.
    """
    asked = [group for group in groups if group.key.budget is not None]
    if not asked:
        return None
    used = [group.used() for group in asked]
    known = [lengths[lengths != UNKNOWN].astype(np.float64) for lengths in used]
    budgets = np.array([group.key.budget for group in asked], dtype=np.float64)
    x = np.concatenate([np.full(len(n), b) for b, n in zip(budgets, known, strict=True)])
    y = np.concatenate(known)
    means = np.array([n.mean() if len(n) else 0.0 for n in known])
    complete = bool((means > 0).all())
    accuracy = np.array([group.column("correct").mean() for group in asked])
    ratio = budgets[-1] / budgets[0]
    rise, between = joint.gap(asked[-1].key, asked[0].key) if len(asked) > 1 else (None, None)
    return {
        **named(key),
        "wording": key.wording,
        "temperature": key.temperature,
        "budgets": [int(b) for b in budgets],
        "slope": slope(x, y),
        "rank_correlation": spearman(x, y) if len(budgets) >= BUDGETS_FOR_RANKS else None,
        "dial_ratio": float(means[-1] / means[0] / ratio) if complete and ratio > 1 else None,
        "accuracy_per_log10_tokens": slope(np.log10(means), accuracy)
        if complete and means.max() >= SPAN * means.min()
        else None,
        "accuracy_area": area(np.log(budgets), accuracy),
        "accuracy_rise": rise,
        "accuracy_rise_ci95": between,
    }


def named(key: CurveKey) -> dict[str, Any]:
    """The names that every dial and detector line carries."""
    return {"run": key.run, "model": key.model, "task": key.task, "method": key.method, "kind": key.kind}


class Joint:
    """Accuracy and mean tokens of every row of a task, and the same under resampled problems.

    accuracy, tokens: [rows]; accuracy_draws, tokens_draws: [resamples, rows], NaN where a resample has no such
    sample, and for a whole row of fewer than two problems: one problem says nothing of how problems vary.
    """

    def __init__(self, groups: Sequence[Group], problems: int, resamples: int, seed: int) -> None:
        parts = [(g.by_problem(problems), g.by_problem(problems, g.column("tokens"))) for g in groups]
        table = np.stack([column for pairs in parts for pair in pairs for column in pair], axis=1)
        draws = [weights @ table for weights in bootstrap_weights(problems, resamples, seed)]
        self.rows = {group.key: i for i, group in enumerate(groups)}
        self.accuracy, self.tokens = (values[0] for values in _ratios(table.sum(axis=0, keepdims=True)))
        self.accuracy_draws, self.tokens_draws = _ratios(np.concatenate(draws))
        few = (table[:, 1::2] > 0).sum(axis=0) < 2
        self.accuracy_draws[:, few[0::2]] = np.nan
        self.tokens_draws[:, few[1::2]] = np.nan

    def gap(self, a: GroupKey, b: GroupKey) -> tuple[float, list[float] | None]:
        """Accuracy of row a minus that of row b as they stand, and its interval with problems drawn for both."""
        i, j = self.rows[a], self.rows[b]
        draws = self.accuracy_draws[:, i] - self.accuracy_draws[:, j]
        return float(self.accuracy[i] - self.accuracy[j]), interval(draws)

    def overlap(self, a: Sequence[int], b: Sequence[int]) -> tuple[float, float]:
        """The tokens from which and up to which both curves have points; first above second where there are none."""
        ends = [self.tokens[rows] for rows in (a, b)]
        if not all(np.isfinite(tokens).all() for tokens in ends):
            return 1.0, 0.0
        return float(max(tokens.min() for tokens in ends)), float(min(tokens.max() for tokens in ends))

    def difference(
        self, a: Sequence[int], b: Sequence[int], at: float
    ) -> tuple[float | None, list[float] | None, float]:
        """(accuracy of curve a minus that of b at equal tokens, its interval, the tokens); a, b: row numbers.

        at: tokens; or, negative, ~i for "as many as row i uses", which then varies with the resample.
        """
        fixed = at if at >= 0 else self.tokens[~int(at)]
        low, high = self.overlap(a, b)
        if not 0 < low <= fixed <= high:
            return None, None, float(fixed)
        value = interpolate_log(fixed, self.tokens[a], self.accuracy[a])
        value -= interpolate_log(fixed, self.tokens[b], self.accuracy[b])
        where = self.tokens_draws[:, ~int(at)] if at < 0 else np.full(len(self.tokens_draws), fixed)
        draws = self._draws(a, where) - self._draws(b, where)
        return value, interval(draws), float(fixed)

    def _draws(self, rows: Sequence[int], where: FloatArray) -> FloatArray:
        """The curve's accuracy at `where` tokens in each resample; beyond a resample's ends its end holds.

        All NaN where one of the rows has no draws at all: without it the curve would be another.
        """
        values = np.full(len(where), np.nan)
        if np.isnan(self.tokens_draws[:, rows] + self.accuracy_draws[:, rows]).all(axis=0).any():
            return values
        for i, (x, xs, ys) in enumerate(
            zip(where, self.tokens_draws[:, rows], self.accuracy_draws[:, rows], strict=True)
        ):
            there = np.isfinite(xs) & np.isfinite(ys) & (xs > 0)
            if np.isfinite(x) and x > 0 and there.any():
                values[i] = interpolate_log(x, xs[there], ys[there])
        return values


def _ratios(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(accuracy, mean tokens) [N, rows] from [N, 4 rows]: correct, samples, tokens, samples with known tokens."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[:, 0::4] / sums[:, 1::4], sums[:, 2::4] / sums[:, 3::4]


def pairs(curves: Sequence[CurveKey]) -> list[tuple[CurveKey, CurveKey]]:
    """Which curves are compared: each prompted one with every other of the task, or all with all if none is.

    Two prompted curves are compared only at the same wording, or if they differ in nothing else.
    """
    dials = [key for key in curves if key.method == DIAL]
    chosen = []
    for a, b in combinations(sorted(curves, key=lambda key: key.method != DIAL), 2):
        if dials and a.method != DIAL:
            continue
        if b.method == DIAL and a.wording != b.wording and a._replace(wording=b.wording) != b:
            continue
        chosen.append((a, b))
    return chosen


def paired(
    samples: Iterable[Sample], a: Mapping[str, Any], b: Mapping[str, Any], *, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Accuracy of one row minus that of another at whatever tokens they use, problems drawn jointly.

    a, b: fields that pick one row each, as {"run": "tiny-exact-0", "budget": 96} or {"method": "unlimited"}. Raises
    ConfigError unless each picks exactly one row, both of one task.
    """
    gathered = gather(samples, {})
    first, second = (_pick(gathered, wanted) for wanted in (a, b))
    if first.curve.task != second.curve.task:
        raise ConfigError(f"rows of two tasks, {first.curve.task!r} and {second.curve.task!r}, share no problems")
    groups = [gathered.groups[first], gathered.groups[second]]
    joint = Joint(groups, len(gathered.problems[first.curve.task]), resamples, seed)
    difference, between = joint.gap(first, second)
    return {"accuracy_difference": difference, "ci95": between}


def _pick(gathered: Gathered, wanted: Mapping[str, Any]) -> GroupKey:
    fields = {key: {**key.curve._asdict(), "budget": key.budget} for key in gathered.groups}
    for name in wanted:
        if name not in (*CurveKey._fields, "budget"):
            raise unknown("field of a row", name, (*CurveKey._fields, "budget"))
    found = [key for key, row in fields.items() if all(row[name] == value for name, value in wanted.items())]
    if len(found) != 1:
        raise ConfigError(f"{dict(wanted)} picks {len(found)} rows of {len(fields)}; name fields that pick exactly one")
    return found[0]


def compare(gathered: Gathered, task: str, resamples: int, seed: int) -> tuple[Joint, list[dict[str, Any]]]:
    """Every comparison within a task, at each budget asked for and wherever a curve is a single point.

    Where two curves overlap but no budget lies in it (a model with one length), at its middle.
    """
    curves = {key: groups for key, groups in gathered.curves().items() if key.task == task}
    joint = Joint([g for groups in curves.values() for g in groups], len(gathered.problems[task]), resamples, seed)
    lines = []
    for a, b in pairs(list(curves)):
        rows_a, rows_b = ([joint.rows[group.key] for group in curves[key]] for key in (a, b))
        budgets = sorted({g.key.budget for key in (a, b) for g in curves[key] if g.key.budget is not None})
        single = [rows[0] for rows in (rows_a, rows_b) if len(rows) == 1 and np.isfinite(joint.tokens[rows[0]])]
        places: list[float] = [*budgets, *(~row for row in single)]
        low, high = joint.overlap(rows_a, rows_b)
        if low < high and not single and not any(low <= budget <= high for budget in budgets):
            places.append(math.sqrt(low * high))
        for at in places:
            difference, between, tokens = joint.difference(rows_a, rows_b, at)
            lines.append(
                {
                    "task": task,
                    "kind": a.kind,
                    "a": a.run,
                    "b": b.run,
                    "method_a": a.method,
                    "method_b": b.method,
                    "kind_b": b.kind,
                    "wording_a": a.wording,
                    "wording_b": b.wording,
                    "at_tokens": tokens,
                    "accuracy_difference": difference,
                    "ci95": between,
                }
            )
    return joint, lines
