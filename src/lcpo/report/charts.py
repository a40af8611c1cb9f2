"""Which pictures a report has, made from rows and lengths: the same for the page and for the PNG files beside it."""

import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np

from lcpo.report.load import Curve, Evaluations, against
from lcpo.report.plots import Axis, Box, Chart, Mark, Series, Style

Row = Mapping[str, Any]
ASKED, USED = "tokens asked for", "mean tokens used per answer (log scale)"
BOXES_FROM = 4
"""Samples from which a distribution is drawn."""
SMALL_MULTIPLES = 6
"""Dials that get pictures of their own; a report of more compares them in the shared ones."""
SHARES = {
    "mare": Chart(
        "miss",
        "How far a single answer misses",
        Axis(ASKED, log=True),
        Axis("mean relative miss (log scale)", percent=True, log=True),
    ),
    "over_budget": Chart(
        "over",
        "Answers over budget",
        Axis(ASKED, log=True),
        Axis("share over budget", percent=True, low=0.0, high=1.03),
    ),
    "filler": Chart(
        "filler",
        "Tokens that carry nothing",
        Axis(ASKED, log=True),
        Axis("share of tokens", percent=True, low=0.0),
    ),
    "useless": Chart(
        "useless",
        "Useless steps",
        Axis(ASKED, log=True),
        Axis("share of the thought", percent=True, low=0.0),
    ),
    "inert": Chart(
        "inert",
        "Inert thought",
        Axis(ASKED, log=True),
        Axis("share of the thought", percent=True, low=0.0),
    ),
}
"""Pictures of one share of each row against the budget."""


def percent(value: float | None, digits: int = 0) -> str:
    """0.1234 -> `12 %`; a dash for null."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def signed(value: float | None, digits: int = 1) -> str:
    """0.0123 -> `+1.2 %`; a dash for null."""
    return "–" if value is None else f"{100 * value:+.{digits}f} %"


def published_table() -> dict[str, Any]:
    """The paper's published points (published.json): source, protocol, points with the origin of each."""
    table: dict[str, Any] = json.loads((files("lcpo.report") / "published.json").read_text(encoding="utf-8"))
    return table


def published_points(task: str, first: int = 0) -> tuple[Series, ...]:
    """Accuracy against tokens used as the paper shows them for this task, hollow; empty where it has none.

    first: style number of the first series, after those of one's own curves.
    """
    marks: dict[str, list[Mark]] = {}
    for point in published_table()["points"]:
        if point["task"] == task:
            name, x, y = point["series"], point["tokens"], point["accuracy"]
            asked = "" if point["budget"] is None else f", asked for {point['budget']}"
            title = f"{name} (paper{asked}): {100 * y:.1f} % at {x} tokens"
            marks.setdefault(name, []).append(Mark(x, y, hollow=True, title=title))
    return tuple(
        Series(f"{name} (paper)", Style(first + i, 2, False), tuple(sorted(several, key=lambda mark: mark.x)))
        for i, (name, several) in enumerate(marks.items())
    )


def _lines(curves: Sequence[Curve], x: str, y: str, about: Callable[[Curve, Row], str]) -> tuple[Series, ...]:
    """A line for each curve through its rows where x and y are known; budgets that training never drew are hollow."""
    lines = []
    for curve in curves:
        marks = []
        for row in (row for row in curve.rows if row[x] and row[y] is not None):
            low, high = _ends(row, y)
            unseen = x == "budget" and row["seen"] is False
            marks.append(Mark(row[x], row[y], low, high, unseen, about(curve, row)))
        lines.append(Series(curve.label, curve.style, tuple(marks)))
    return tuple(line for line in lines if line.marks)


def _ends(row: Row, name: str) -> tuple[float | None, float | None]:
    """The 95 % interval of accuracy, bootstrapped or 1.96 standard errors; of inert thought, what may be; else none."""
    if name == "inert":
        return row["inert"], row["inert_at_most"]
    if name != "accuracy":
        return None, None
    y, error = row["accuracy"], row["accuracy_stderr"]
    return row.get("accuracy_ci95") or ((None, None) if error is None else (y - 1.96 * error, y + 1.96 * error))


def _about(curve: Curve, row: Row) -> str:
    asked = "no budget" if row["budget"] is None else f"asked for {row['budget']}"
    used = "" if row["tokens_mean"] is None else f", used {row['tokens_mean']:.1f}"
    return f"{curve.label}: {asked}{used}, accuracy {percent(row['accuracy'], 1)}"


def accuracy(evaluations: Evaluations, task: str, published: Sequence[Series] = ()) -> Chart:
    """Accuracy against tokens used: the picture that decides, since a method may use more than it was asked to.

    Where no tokens are known, against tokens asked for.
    """
    curves = evaluations.of(task)
    used = _lines(curves, "tokens_mean", "accuracy", _about)
    series = (*(used or _lines(curves, "budget", "accuracy", _about)), *published)
    chance = next((row["chance"] for c in curves for row in c.rows if row["chance"] is not None), None)
    highest = max([mark.high or mark.y for line in series for mark in line.marks] or [1.0])
    return Chart(
        "accuracy",
        f"Accuracy against tokens {'used' if used else 'asked for'}",
        Axis(USED, log=True) if used else _asked(series),
        Axis("accuracy", percent=True, low=0.0, high=min(1.03, max(0.1, 1.1 * max(highest, chance or 0.0)))),
        series,
        levels=() if chance is None else ((chance, f"guessing: {100 * chance:.3g} %"),),
    )


def asked_and_used(evaluations: Evaluations, task: str) -> Chart:
    """Tokens used against tokens asked for, by the dials: on the diagonal, the number in the prompt is obeyed."""
    curves = evaluations.of(task, prompted=True)
    bands = {
        curve.label: tuple(
            (row["budget"], max(1, row["tokens_p5"]), row["tokens_p95"])
            for row in curve.rows
            if row["budget"] is not None and row.get("tokens_p5")
        )
        for curve in curves
    }
    lines = _lines(curves, "budget", "tokens_mean", _about)
    series = tuple(replace(line, band=bands[line.name]) for line in lines)
    return Chart(
        "asked_used",
        "Asked for, and used",
        _asked(series),
        Axis("tokens used", log=True),
        series,
        diagonal="asked = used",
    )


def share(evaluations: Evaluations, task: str, name: str) -> Chart:
    """One of SHARES against the budget, by the dials."""
    curves = evaluations.of(task, prompted=True)
    series = _lines(curves, "budget", name, lambda curve, row: f"{curve.label}: {percent(row[name], 1)}")
    chart = SHARES[name]
    if chart.y.high is None and not chart.y.log and series:
        highest = max(mark.high or mark.y for line in series for mark in line.marks)
        chart = replace(chart, y=replace(chart.y, high=max(0.1, 1.06 * highest)))
    return replace(chart, x=_asked(series), series=series)


def _asked(series: Sequence[Series]) -> Axis:
    """The axis of tokens asked for: a tick at every budget."""
    ticks = sorted({mark.x for line in series for mark in line.marks})
    return Axis(ASKED, log=True, ticks=tuple(ticks) if len(ticks) <= 24 else ())


def errors(evaluations: Evaluations, curve: Curve, number: int) -> Chart:
    """How far single answers are off, budget by budget."""
    boxes: list[Box] = []
    names: list[str] = []
    for row in curve.rows:
        lengths = np.array(evaluations.texts.lengths.get((curve.key, row["budget"]), array("i")), dtype=np.float64)
        if row["budget"] is None or len(lengths) < BOXES_FROM:
            continue
        low, q1, middle, q3, high = np.percentile(lengths / row["budget"] - 1, (5, 25, 50, 75, 95))
        title = f"asked for {row['budget']}: half of the answers between {100 * q1:+.0f} % and {100 * q3:+.0f} %"
        boxes.append(Box(len(names), q1, q3, middle, (low, high), title))
        names.append(str(row["budget"]))
    limit = min(2.0, max([0.25, *(1.05 * abs(end) for box in boxes for end in box.whiskers or ())]))
    return Chart(
        f"errors_{number}",
        curve.label,
        Axis(ASKED, categories=tuple(names)),
        Axis("used / asked - 1", percent=True, low=-min(1.0, limit), high=limit),
        (Series(curve.label, curve.style, boxes=tuple(boxes)),) if boxes else (),
        levels=((0.0, ""),),
        legend=False,
    )


def split(_evaluations: Evaluations, curve: Curve, number: int) -> Chart:
    """Tokens in the thought and in the answer, budget by budget."""
    known = ("budget", "thinking_tokens_mean", "answer_tokens_mean")
    rows = [each for row in curve.rows if None not in (each := [row[name] for name in known])]
    thoughts = [Box(i, 0, thought, title=f"{thought:.1f} thinking") for i, (_, thought, _) in enumerate(rows)]
    answers = [
        Box(i, thought, thought + rest, title=f"{rest:.1f} in the answer") for i, (_, thought, rest) in enumerate(rows)
    ]
    parts = (Series("thought", Style(0), boxes=tuple(thoughts)), Series("answer", Style(4), boxes=tuple(answers)))
    axes = Axis(ASKED, categories=tuple(str(budget) for budget, _, _ in rows)), Axis("mean tokens", low=0.0)
    return Chart(f"split_{number}", curve.label, *axes, parts if rows else ())


def words(evaluations: Evaluations, curve: Curve, number: int) -> Chart:
    """How often words of each list occur per 1,000 tokens, budget by budget."""
    key = ("run", "model", "task", "method", "kind", "wording")
    lines = [
        line
        for line in evaluations.results.get("behaviour", ())
        if all(line[name] == getattr(curve.key, name) for name in key) and line["budget"] is not None
    ]
    series = []
    for i, name in enumerate(dict.fromkeys(name for line in lines for name in line["per_1000_tokens"])):
        rates = [(line["budget"], line["per_1000_tokens"].get(name)) for line in lines]
        marks = [Mark(b, r, title=f"{name}: {r:.2f} per 1,000 tokens at {b}") for b, r in rates if r is not None]
        if any(mark.y for mark in marks):
            series.append(Series(name, Style(i), tuple(marks)))
    axis = Axis("per 1,000 tokens", low=0.0)
    return Chart(f"words_{number}", curve.label, _asked(series), axis, tuple(series))


def differences(evaluations: Evaluations, curve: Curve, number: int) -> Chart:
    """Accuracy of a dial minus that of every other method at equal tokens; empty where no range is shared."""
    series = []
    for label, (other, gaps) in against(evaluations, curve).items():
        marks = [
            Mark(x, y, low, high, title=f"against {label} at {x:.0f} tokens: {100 * y:+.1f} points")
            for x, y, (low, high) in gaps
        ]
        series.append(Series(label, other.style, tuple(marks)))
    several = len({mark.x for line in series for mark in line.marks}) > 1
    return Chart(
        f"differences_{number}",
        f"{curve.label} against the others, at equal tokens used",
        Axis(USED, log=True),
        Axis("points of accuracy", points=True),
        tuple(series) if several else (),
        levels=((0.0, "equal"),),
    )


def before_after(evaluations: Evaluations, task: str) -> list[Chart]:
    """Two pictures for each dial but the first: an arrow at each budget from the first to it, tokens and accuracy.

    The first is the first dial whose training is not known to have drawn budgets; without one, or a common budget,
    none is drawn.
    """
    dials = evaluations.of(task, prompted=True)
    before = next((curve for curve in dials if all(row["seen"] is None for row in curve.rows)), None)
    drawn = []
    for number, after in enumerate(dials[:SMALL_MULTIPLES]):
        if before is not None and after is not before and after.key.kind == before.key.kind:
            drawn += [_arrows((before, after), name, number) for name in ("tokens_mean", "accuracy")]
    return [chart for chart in drawn if chart.arrows]


def _arrows(curves: tuple[Curve, Curve], name: str, number: int) -> Chart:
    """One number of two curves against the budget, and arrows from the first to the second."""
    lines = _lines(curves, "budget", name, _about)
    plain = tuple(
        replace(line, marks=tuple(replace(mark, low=None, high=None) for mark in line.marks)) for line in lines
    )
    first, second = ({mark.x: mark.y for mark in line.marks} for line in plain) if len(plain) == 2 else ({}, {})
    arrows = tuple((x, first[x], second[x]) for x in sorted(first.keys() & second.keys()))
    used = name == "tokens_mean"
    y = Axis("mean tokens used", log=True) if used else Axis("accuracy", percent=True, low=0.0)
    title = f"{'Tokens' if used else 'Accuracy'}: from {curves[0].label} to {curves[1].label}"
    return Chart(
        f"before_after_{number}_{'tokens' if used else 'accuracy'}", title, _asked(plain), y, plain,
        diagonal="asked = used" if used else None, arrows=arrows,
    )  # fmt: skip


def shared(evaluations: Evaluations, task: str, published: Sequence[Series] = ()) -> list[Chart]:
    """The pictures in which all dials of a task stand together."""
    charts = [accuracy(evaluations, task, published), asked_and_used(evaluations, task)]
    charts += [share(evaluations, task, name) for name in SHARES]
    return [chart for chart in charts if chart.series]


def small(evaluations: Evaluations, task: str, kind: str) -> list[Chart]:
    """One picture for each dial: kind `errors`, `split`, `words` or `differences`."""
    draw = {"errors": errors, "split": split, "words": words, "differences": differences}[kind]
    dials = evaluations.of(task, prompted=True)[:SMALL_MULTIPLES]
    return [chart for i, curve in enumerate(dials) if (chart := draw(evaluations, curve, i)).series]
