"""What the numbers say, in sentences for someone who never saw the project; all computed, none chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lcpo.report.charts import percent
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
    dials = [(curve, _asked(curve)) for curve in evaluations.of(task, prompted=True)]
    return [
        Finding(
            c.label,
            c.style.number,
            c.key.kind,
            _obeys(c, rows),
            _buys(rows),
            tuple(_count(label, gaps) for label, (_, gaps) in against(evaluations, c).items()),
        )
        for c, rows in dials
        if len(rows) > 1
    ]


def _asked(curve: Curve) -> list[dict[str, Any]]:
    return [row for row in curve.rows if row["budget"] is not None and row["tokens_mean"] is not None]


def _average(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return sum(values) / len(values) if values else None


def _obeys(curve: Curve, rows: Sequence[Mapping[str, Any]]) -> str:
    first, last = rows[0], rows[-1]
    text = f"Asked for {first['budget']:,} to {last['budget']:,} tokens, it used {first['tokens_mean']:,.0f} to "
    text += f"{last['tokens_mean']:,.0f} on average. "
    if curve.key.kind == "max":
        over, used = _average(rows, "over_budget"), _average(rows, "signed_error")
        return text + f"{percent(over, 1)} of its answers exceed the maximum; it uses {percent(1 + (used or 0))} of it."
    unseen = [row for row in rows if row["seen"] is False]
    text += f"A single answer misses by {percent(_average(rows, 'mare'))} on average"
    text += f" ({percent(_average(unseen, 'mare'))} at budgets that training never drew)" if unseen else ""
    return text + f"; the error of the mean, in which too long and too short cancel, is {_signed(rows)}."


def _signed(rows: Sequence[Mapping[str, Any]]) -> str:
    value = _average(rows, "signed_error") or 0.0
    return f"{100 * value:+.1f} %"


def _buys(rows: Sequence[Mapping[str, Any]]) -> str:
    first, last = rows[0], rows[-1]
    text = f"Accuracy {percent(first['accuracy'])} at {first['budget']:,} tokens, {percent(last['accuracy'])} at "
    text += f"{last['budget']:,}"
    chance = first["chance"]
    return text + (f" (guessing: {100 * chance:.3g} %)." if chance is not None else ".")


def _points(value: float) -> str:
    """A difference in points; what rounds to nothing has no sign."""
    return f"{100 * value:+.0f}" if round(100 * value) else "0"


def _count(label: str, gaps: Sequence[Gap]) -> str:
    """At how many of the places compared a curve is better than another, worse, or undecided."""
    better = sum(1 for _, _, ends in gaps if ends and ends[0] > 0)
    worse = sum(1 for _, _, ends in gaps if ends and ends[1] < 0)
    low, high = min(value for _, value, _ in gaps), max(value for _, value, _ in gaps)
    if len(gaps) == 1:
        return f"{label}: {_points(low)} points, {'better' if better else 'worse' if worse else 'undecided'}"
    counts = f"better at {better}, worse at {worse}, undecided at {len(gaps) - better - worse} of {len(gaps)} places"
    return f"{label}: {_points(low)} to {_points(high)} points; {counts}"


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
