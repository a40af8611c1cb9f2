"""What the numbers say, in sentences for someone who never saw the project; all computed, none chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lcpo.report.charts import percent, signed
from lcpo.report.load import Curve, Evaluations, Gap, against


@dataclass(frozen=True)
class Finding:
    """One dial: what it is called, how well it obeys, what the tokens buy, and how it stands against the others."""

    label: str
    number: int
    kind: str
    obeys: str
    buys: str
    against: tuple[str, ...]


def findings(evaluations: Evaluations, task: str) -> list[Finding]:
    """A finding for each dial of the task that was measured at two budgets or more."""
    result = []
    for curve in evaluations.of(task, prompted=True):
        rows = [row for row in curve.rows if row["budget"] is not None and row["tokens_mean"] is not None]
        if len(rows) > 1:
            others = tuple(_count(label, gaps) for label, (_, gaps) in against(evaluations, curve).items())
            kind, number = curve.key.kind, curve.style.number
            result.append(Finding(curve.label, number, kind, _obeys(curve, rows), _buys(rows), others))
    return result


def _average(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return fmean(values) if values else None


def _obeys(curve: Curve, rows: Sequence[Mapping[str, Any]]) -> str:
    first, last, error = rows[0], rows[-1], _average(rows, "signed_error") or 0.0
    text = f"Asked for {first['budget']:,} to {last['budget']:,} tokens, it used {first['tokens_mean']:,.0f} to "
    text += f"{last['tokens_mean']:,.0f} on average. "
    if curve.key.kind == "max":
        over = percent(_average(rows, "over_budget"), 1)
        return f"{text}{over} of its answers exceed the maximum; it uses {percent(1 + error)} of it."
    unseen = [row for row in rows if row["seen"] is False]
    text += f"A single answer misses by {percent(_average(rows, 'mare'))} on average"
    text += f" ({percent(_average(unseen, 'mare'))} at budgets that training never drew)" if unseen else ""
    return f"{text}; the error of the mean, in which too long and too short cancel, is {signed(error)}."


def _buys(rows: Sequence[Mapping[str, Any]]) -> str:
    first, last, chance = rows[0], rows[-1], rows[0]["chance"]
    text = f"Accuracy {percent(first['accuracy'])} at {first['budget']:,} tokens, {percent(last['accuracy'])} at "
    guessing = "" if chance is None else f" (guessing: {100 * chance:.3g} %)"
    return f"{text}{last['budget']:,}{guessing}."


def _count(label: str, gaps: Sequence[Gap]) -> str:
    """At how many of the places compared a curve is better than another, worse, or undecided."""
    better = sum(1 for _, _, (low, _) in gaps if low is not None and low > 0)
    worse = sum(1 for _, _, (_, high) in gaps if high is not None and high < 0)
    points = [round(100 * value) for _, value, _ in gaps]
    least, most = (f"{value:+d}" if value else "0" for value in (min(points), max(points)))
    if len(gaps) == 1:
        return f"{label}: {least} points, {'better' if better else 'worse' if worse else 'undecided'}"
    counts = f"better at {better}, worse at {worse}, undecided at {len(gaps) - better - worse} of {len(gaps)} places"
    return f"{label}: {least} to {most} points; {counts}"


DETECTORS = {
    "answer_reasoning": "reasoning moved into the answer",
    "padding": "padding",
    "collapse": "one length at every budget",
    "no_thought": "answers without thoughts",
}
"""What each detector looks for, in the page's words."""


@dataclass(frozen=True)
class Alarm:
    """A detector that fired on a curve: at which budgets (none: on the curve as a whole), and its strongest sign."""

    label: str
    what: str
    budgets: tuple[int, ...]
    message: str


def alarms(looked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Alarm]:
    """The detectors that fired, one line for each curve and detector. looked: (label, line of `detectors`)."""
    fired: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for label, line in looked:
        if line["fired"]:
            fired.setdefault((label, line["detector"]), []).append(line)
    return [
        Alarm(
            label,
            DETECTORS.get(name, name),
            tuple(line["budget"] for line in lines if line["budget"] is not None),
            max(lines, key=lambda line: line["value"] / line["threshold"])["message"],
        )
        for (label, name), lines in fired.items()
    ]
