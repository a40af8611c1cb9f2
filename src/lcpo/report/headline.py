"""The first sentence of a report: what a budget saves, computed from the rows, or why they cannot say it."""

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

from lcpo.evaluate.detectors import Thresholds
from lcpo.report.charts import percent
from lcpo.report.load import Curve, Evaluations

Row = Mapping[str, Any]
CLOSE_TO_BEST = 0.01
"""Accuracy below a curve's best at which a cheaper budget still counts as good enough: one percentage point."""


def asked(curve: Curve) -> list[Row]:
    """The rows of a curve that ask for a budget, and whose tokens are known; budgets ascending."""
    return [row for row in curve.rows if row["budget"] is not None and row["tokens_mean"]]


def growth(rows: Sequence[Row]) -> float | None:
    """The power of the budget by which tokens used grow from the smallest to the largest one; None for one budget."""
    first, last = rows[0], rows[-1]
    if last["budget"] == first["budget"]:
        return None
    used = "thinking_tokens_mean" if first["scope"] == "thinking" else "tokens_mean"
    return log(last[used] / first[used]) / log(last["budget"] / first["budget"]) if first[used] and last[used] else None


def cheapest(rows: Sequence[Row], accuracy: float) -> Row | None:
    """The row that uses the fewest tokens of those with this accuracy or more."""
    good = [row for row in rows if row["accuracy"] >= accuracy - 1e-9]
    return min(good, key=lambda row: row["tokens_mean"], default=None)


def good_enough(rows: Sequence[Row]) -> tuple[Row, Row]:
    """(the cheapest row within CLOSE_TO_BEST of the most accurate one, the most accurate one)."""
    best = max(rows, key=lambda row: row["accuracy"])
    return cheapest(rows, best["accuracy"] - CLOSE_TO_BEST) or best, best


def followers(evaluations: Evaluations, task: str) -> list[Curve]:
    """The dials of a task whose length follows the budget."""
    return [curve for curve in evaluations.of(task, prompted=True) if follows(asked(curve))]


def follows(rows: Sequence[Row]) -> bool:
    """Whether the length follows the budget, as the detector `collapse` sees it."""
    return bool(rows) and (growth(rows) or 0.0) >= Thresholds().growth


def headline(evaluations: Evaluations, task: str) -> str:
    """One sentence about the first dial of a task whose length follows the budget; where there is none, it says so."""
    return _sentence(evaluations, task).replace(" %", "\u00a0%")  # no line ends between them


def _sentence(evaluations: Evaluations, task: str) -> str:
    dials = evaluations.of(task, prompted=True)
    if not dials:
        return _without_dials(evaluations.of(task))
    known = [curve for curve in dials if asked(curve)]
    if not known:
        return _without_tokens(dials)
    obedient = followers(evaluations, task)
    if obedient:
        return _saves(obedient[0], _free(evaluations, task, obedient[0]))
    several = [curve for curve in known if growth(asked(curve)) is not None]
    return _deaf(several) if several else _single_budget(known[0])


def _free(evaluations: Evaluations, task: str, dial: Curve) -> tuple[str, Row] | None:
    """Thinking without a budget, which a dial is held to: of the same run, else the most accurate one of the task."""
    free = [
        (curve, row)
        for curve in evaluations.of(task)
        for row in curve.rows
        if curve.key.method == "unlimited" and row["tokens_mean"]
    ]
    own = [(curve, row) for curve, row in free if curve.key.run == dial.key.run]
    if not free:
        return None
    curve, row = max(own or free, key=lambda pair: (pair[1]["accuracy"], -pair[1]["tokens_mean"]))
    return "the same model" if own else curve.key.model, row


def _saves(curve: Curve, free: tuple[str, Row] | None) -> str:
    """What the budgets of a dial save, against thinking without one and against its own best."""
    rows, label = asked(curve), curve.label
    enough, best = good_enough(rows)
    if not best["accuracy"]:
        return f"{label} follows its budget, but none of its answers is right."
    chance, error = best["chance"], best["accuracy_stderr"] or 0.0
    if chance is not None and best["accuracy"] - 1.96 * error <= chance:
        above = f"right significantly more often than guessing ({percent(chance)})"
        return f"{label} follows its budget, but at none is it {above}."
    within = f"cheapest budget within 1 point of its best ({percent(best['accuracy'])}): {enough['budget']:,}"
    if free is None:
        return f"{label}, {_lengths(rows)}; {within}."
    without = f"the accuracy of {free[0]} without a budget ({percent(free[1]['accuracy'])})"
    match = cheapest(rows, free[1]["accuracy"])
    if match is None:
        return f"{label} reaches {without} at none of its budgets; {within}."
    share = percent(match["tokens_mean"] / free[1]["tokens_mean"])
    return f"{label}: {share} of the tokens for {without}, at budget {match['budget']:,}; {within}."


def _deaf(curves: Sequence[Curve]) -> str:
    """That no dial follows its budget, with the lengths of the one that comes nearest to it."""
    nearest = max(curves, key=lambda curve: growth(asked(curve)) or 0.0)
    if len(curves) == 1:
        return f"{nearest.label} does not follow its budget: {_lengths(asked(nearest))}."
    text = f"None of {len(curves)} models follows its budget"
    return f"{text}; {nearest.label} comes nearest: {_lengths(asked(nearest))}."


def _lengths(rows: Sequence[Row]) -> str:
    (first, *_, last) = rows
    used = f"used {first['tokens_mean']:,.0f} to {last['tokens_mean']:,.0f}"
    return f"asked for {first['budget']:,} to {last['budget']:,} tokens, {used}"


def _single_budget(curve: Curve) -> str:
    (row, *_) = asked(curve)
    used = f"asked for {row['budget']:,} tokens, used {row['tokens_mean']:,.0f} on average"
    return f"{curve.label}, {used} and is right in {percent(row['accuracy'])}; a single budget shows no dial."


def _without_tokens(dials: Sequence[Curve]) -> str:
    curve, best = max(((c, row) for c in dials for row in c.rows), key=lambda pair: pair[1]["accuracy"])
    text = f"Tokens were not reported, so nothing is said of length; best accuracy: {percent(best['accuracy'])}"
    return f"{text}, {curve.label} at budget {best['budget']:,}."


def _without_dials(curves: Sequence[Curve]) -> str:
    curve, best = max(((c, row) for c in curves for row in c.rows), key=lambda pair: pair[1]["accuracy"])
    at = "" if best["budget"] is None else f" at {best['budget']:,}"
    used = "" if best["tokens_mean"] is None else f" with {best['tokens_mean']:,.0f} tokens on average"
    return f"No prompt asked for a budget here; right most often: {curve.label}{at}, {percent(best['accuracy'])}{used}."
