"""What the numbers say, a card for each question, a line in it for each dial; all computed, none chosen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lcpo.report.charts import percent
from lcpo.report.headline import Row, asked, follows, good_enough
from lcpo.report.load import Curve, Evaluations, Gap, against

Cell = tuple[str, str]
"""What a card says of a dial: its figure, and a note beside it."""


@dataclass(frozen=True)
class Card:
    """One thing that was measured: its name, what the figures are, and (label of the dial, figure, note) for each."""

    title: str
    about: str
    lines: tuple[tuple[str, str, str], ...]


def cards(evaluations: Evaluations, task: str) -> list[Card]:
    """The cards of a task, about its dials; a card that nothing is known for is left out."""
    dials = [
        (curve, [row for row in curve.rows if row["budget"] is not None])
        for curve in evaluations.of(task, prompted=True)
    ]
    chance = next((row["chance"] for _, rows in dials for row in rows if row["chance"] is not None), None)
    guessing = "" if chance is None else f" Guessing: {percent(chance)}."
    table: list[tuple[str, str, Callable[[Curve, Sequence[Row]], Cell | None]]] = [
        ("Asked for, and used", "Mean tokens, from the smallest budget to the largest.", _used),
        ("Misses the budget by", "A single answer, on average, in per cent of the budget.", _misses),
        ("Over the maximum", "Share of answers that use more than they may.", _over),
        ("Accuracy", f"From the smallest budget to the largest.{guessing}", _accuracy),
        ("Good enough", "The cheapest budget within 1 point of the best accuracy.", _enough),
        ("Inert thought", "Share whose removal changes no answer; at the worst budget.", _worst("inert")),
        ("Useless steps", "Share of the thought that is wrong, repeated or made up; at the worst budget.",
         _worst("useless")),
        ("Filler", "Share of tokens that carry nothing; at the worst budget.", _worst("filler")),
    ]  # fmt: skip
    drawn = []
    for title, about, say in table:
        lines = [(curve.label, *cell) for curve, rows in dials if (cell := say(curve, rows)) is not None]
        drawn.append(Card(title, about, tuple(lines)))
    return [card for card in drawn if card.lines]


def _used(curve: Curve, _: Sequence[Row]) -> Cell | None:
    if not (rows := asked(curve)):
        return None
    return _ends(rows, "tokens_mean", lambda value: f"{value:,.0f}"), _ends(rows, "budget", "{:,}".format)


def _accuracy(_: Curve, rows: Sequence[Row]) -> Cell:
    return _ends(rows, "accuracy", percent), _ends(rows, "budget", "{:,}".format)


def _ends(rows: Sequence[Row], name: str, text: Callable[[Any], str]) -> str:
    ends = (rows[0], rows[-1]) if len(rows) > 1 else rows
    return " to ".join(text(row[name]) for row in ends)


def _misses(curve: Curve, rows: Sequence[Row]) -> Cell | None:
    if curve.key.kind == "max" or (miss := _average(rows, "mare")) is None:
        return None
    unseen = _average([row for row in rows if row["seen"] is False], "mare")
    return percent(miss), "" if unseen is None else f"{percent(unseen)} where training drew no such budget"


def _over(curve: Curve, rows: Sequence[Row]) -> Cell | None:
    if curve.key.kind != "max" or (over := _average(rows, "over_budget")) is None:
        return None
    return percent(over, 1), f"uses {percent(1 + (_average(rows, 'signed_error') or 0.0))} of it"


def _enough(curve: Curve, _: Sequence[Row]) -> Cell | None:
    if not follows(rows := asked(curve)):
        return None
    enough, best = good_enough(rows)
    if not best["accuracy"]:
        return None
    more = "" if enough is best else f"; {percent(best['accuracy'])} at {best['budget']:,}"
    return f"{enough['budget']:,}", f"{percent(enough['accuracy'])} right{more}"


def _worst(name: str) -> Callable[[Curve, Sequence[Row]], Cell | None]:
    def say(_: Curve, rows: Sequence[Row]) -> Cell | None:
        worst = max((row for row in rows if row[name] is not None), key=lambda row: row[name], default=None)
        return None if worst is None else (percent(worst[name]), f"at {worst['budget']:,}" if worst[name] else "")

    return say


def _average(rows: Sequence[Row], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return fmean(values) if values else None


def compared(evaluations: Evaluations, task: str) -> list[tuple[str, list[str]]]:
    """For each dial, a line about every other curve: how its accuracy differs at equal tokens used."""
    lines = [
        (curve.label, [_count(label, gaps) for label, (_, gaps) in against(evaluations, curve).items()])
        for curve in evaluations.of(task, prompted=True)
    ]
    return [(label, several) for label, several in lines if several]


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
