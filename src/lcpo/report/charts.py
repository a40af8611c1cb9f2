"""Which pictures a report has, made from rows and lengths: the same for the page and for the PNG files beside it."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lcpo.report.load import Curve, Evaluations, against
from lcpo.report.plots import Axis, Box, Chart, Mark, Series, Style

TOKENS = "tokens used"
ASKED = "tokens asked for"
BOXES_FROM = 4
"""Samples from which a distribution is drawn."""
SMALL_MULTIPLES = 6
"""Dials that get pictures of their own; a report of more compares them in the shared ones."""


def percent(value: float | None, digits: int = 0) -> str:
    """0.1234 -> `12 %`; a dash for null."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def accuracy(evaluations: Evaluations, task: str, published: Sequence[Series] = ()) -> Chart:
    """Accuracy against tokens used: the picture that decides, since a method may use more than it was asked to."""
    series = []
    for curve in evaluations.of(task):
        marks = [
            Mark(row["tokens_mean"], row["accuracy"], *_ends(row), title=_about(curve, row))
            for row in curve.rows
            if row["tokens_mean"]
        ]
        if marks:
            series.append(Series(curve.label, curve.style, tuple(marks)))
    levels = _chance(evaluations, task)
    return Chart(
        "accuracy",
        "Accuracy against tokens used",
        "Higher and further left is better. Bars are 95 % intervals over problems; a single point has no budget.",
        Axis("mean tokens used per answer (log scale)", log=True),
        Axis("accuracy", percent=True, low=0.0, high=_top(series, published, levels)),
        (*series, *published),
        levels=levels,
    )


def _ends(row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The 95 % interval of a row's accuracy: bootstrapped, or 1.96 standard errors."""
    if row.get("accuracy_ci95"):
        low, high = row["accuracy_ci95"]
        return low, high
    error = row["accuracy_stderr"]
    return (None, None) if error is None else (row["accuracy"] - 1.96 * error, row["accuracy"] + 1.96 * error)


def _top(series: Sequence[Series], published: Sequence[Series], levels: Sequence[tuple[float, str]]) -> float:
    values = [mark.high or mark.y for line in (*series, *published) for mark in line.marks]
    values += [value for value, _ in levels]
    return min(1.03, max(0.1, 1.1 * max(values, default=1.0)))


def _chance(evaluations: Evaluations, task: str) -> tuple[tuple[float, str], ...]:
    chance = next((row["chance"] for c in evaluations.of(task) for row in c.rows if row["chance"] is not None), None)
    return () if chance is None else ((chance, f"guessing: {100 * chance:.3g} %"),)


def _about(curve: Curve, row: Mapping[str, Any]) -> str:
    asked = "no budget" if row["budget"] is None else f"asked for {row['budget']}"
    return f"{curve.label}: {asked}, used {row['tokens_mean']:.1f}, accuracy {percent(row['accuracy'], 1)}"


def asked_and_used(evaluations: Evaluations, task: str) -> Chart:
    """Tokens used against tokens asked for, by the dials: on the diagonal, the number in the prompt is obeyed."""
    series = []
    for curve in evaluations.of(task, prompted=True):
        rows = [row for row in curve.rows if row["budget"] is not None and row["tokens_mean"]]
        marks = [
            Mark(row["budget"], row["tokens_mean"], hollow=row["seen"] is False, title=_about(curve, row))
            for row in rows
        ]
        band = [(row["budget"], max(1, row["tokens_p5"]), row["tokens_p95"]) for row in rows if row.get("tokens_p5")]
        if marks:
            series.append(Series(curve.label, curve.style, tuple(marks), band=tuple(band)))
    return Chart(
        "asked_used",
        "Asked for, and used",
        "On the dotted line a model uses exactly what was asked for. The shade holds nine of ten answers; hollow "
        "points are budgets that training never drew.",
        _asked(series),
        Axis(TOKENS, log=True),
        tuple(series),
        diagonal="asked = used",
    )


def errors(evaluations: Evaluations, curve: Curve, number: int) -> Chart | None:
    """How far single answers are off, budget by budget; None without lengths."""
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
    if not boxes:
        return None
    limit = min(2.0, max(0.25, 1.05 * max(abs(end) for box in boxes for end in box.whiskers or ())))
    return Chart(
        f"errors_{number}",
        curve.label,
        "Distance of single answers from what was asked for.",
        Axis(ASKED, categories=tuple(names)),
        Axis("used / asked - 1", percent=True, low=-min(1.0, limit), high=limit),
        (Series(curve.label, curve.style, boxes=tuple(boxes)),),
        levels=((0.0, ""),),
        legend=False,
    )


def split(_evaluations: Evaluations, curve: Curve, number: int) -> Chart | None:
    """Tokens in the thought and in the answer, budget by budget; None where they are not known."""
    known = ("budget", "thinking_tokens_mean", "answer_tokens_mean")
    rows = [row for row in curve.rows if all(row[name] is not None for name in known)]
    if not rows:
        return None
    thought, answer = [], []
    for i, row in enumerate(rows):
        thinking, rest = row["thinking_tokens_mean"], row["answer_tokens_mean"]
        thought.append(Box(i, 0, thinking, title=f"{thinking:.1f} thinking"))
        answer.append(Box(i, thinking, thinking + rest, title=f"{rest:.1f} in the answer"))
    return Chart(
        f"split_{number}",
        curve.label,
        "Tokens of the thought, and of the answer on top of it.",
        Axis(ASKED, categories=tuple(str(row["budget"]) for row in rows)),
        Axis("mean tokens", low=0.0),
        (Series("thought", Style(0), boxes=tuple(thought)), Series("answer", Style(4), boxes=tuple(answer))),
    )


def by_budget(evaluations: Evaluations, task: str, value: str, chart: Chart) -> Chart | None:
    """A share of each row against the budget, by the dials; None where nothing is known."""
    series = []
    for curve in evaluations.of(task, prompted=True):
        marks = [
            Mark(
                row["budget"], row[value], hollow=row["seen"] is False, title=f"{curve.label}: {percent(row[value], 1)}"
            )
            for row in curve.rows
            if row["budget"] is not None and row[value] is not None
        ]
        if marks:
            series.append(Series(curve.label, curve.style, tuple(marks)))
    if not series:
        return None
    highest = max(mark.y for line in series for mark in line.marks)
    if chart.y.log and min(mark.y for line in series for mark in line.marks) <= 0:
        chart = replace(chart, y=replace(chart.y, log=False, low=0.0))
    if chart.name == FILLER.name:
        chart = replace(chart, y=replace(chart.y, high=max(0.1, 1.06 * highest)))
    return replace(chart, x=_asked(series), series=tuple(series))


def _asked(series: Sequence[Series]) -> Axis:
    """The axis of tokens asked for: a tick at every budget."""
    ticks = sorted({mark.x for line in series for mark in line.marks})
    return Axis(ASKED, log=True, ticks=tuple(ticks) if len(ticks) <= 24 else ())


MISS = Chart(
    "miss",
    "How far a single answer misses",
    "Mean of |used - asked| / asked over answers (MARE). Nothing cancels here: half of the answers 50 % over and half "
    "50 % under is 50 %, while the error of the mean would be 0.",
    Axis(ASKED, log=True),
    Axis("mean relative miss (log scale)", percent=True, log=True),
)
OVER = Chart(
    "over",
    "Answers over budget",
    "Share of answers that use more than was asked for. For a maximum this is a violation; for an exact budget "
    "about half is natural.",
    Axis(ASKED, log=True),
    Axis("share over budget", percent=True, low=0.0, high=1.03),
)
FILLER = Chart(
    "filler",
    "Tokens that carry nothing",
    "Marks, lines repeated word for word, text after the answer: length that was reached by filling is not a thought.",
    Axis(ASKED, log=True),
    Axis("share of tokens", percent=True, low=0.0),
)


def words(evaluations: Evaluations, curve: Curve, number: int) -> Chart | None:
    """How often words of each list occur per 1,000 tokens, budget by budget; None where none occurs."""
    lines = [
        line
        for line in evaluations.results.get("behaviour", ())
        if all(line[name] == getattr(curve.key, name) for name in ("run", "model", "task", "method", "kind", "wording"))
        and line["budget"] is not None
    ]
    names = dict.fromkeys(name for line in lines for name in line["per_1000_tokens"])
    series = []
    for i, name in enumerate(names):
        rates = [(line["budget"], line["per_1000_tokens"].get(name)) for line in lines]
        marks = [Mark(b, r, title=f"{name}: {r:.2f} per 1,000 tokens at {b}") for b, r in rates if r is not None]
        if any(mark.y for mark in marks):
            series.append(Series(name, Style(i), tuple(marks)))
    if not series:
        return None
    return Chart(
        f"words_{number}",
        curve.label,
        "Words of each list per 1,000 tokens.",
        _asked(series),
        Axis("per 1,000 tokens", low=0.0),
        tuple(series),
    )


def differences(evaluations: Evaluations, curve: Curve, number: int) -> Chart | None:
    """Accuracy of a dial minus that of every other method at equal tokens; None where no range is shared."""
    series, places = [], set()
    for label, (other, gaps) in against(evaluations, curve).items():
        title = f"against {label} at {{:.0f}} tokens: {{:+.1f}} points"
        marks = [Mark(x, y, ends and ends[0], ends and ends[1], title=title.format(x, 100 * y)) for x, y, ends in gaps]
        series.append(Series(label, other.style, tuple(marks)))
        places |= {mark.x for mark in marks}
    if len(places) < 2:
        return None
    return Chart(
        f"differences_{number}",
        f"{curve.label} against the others, at equal tokens used",
        "Above the line it is more accurate for the same tokens. Bars are 95 % intervals, problems drawn jointly for "
        "both; where the ranges of tokens do not overlap, nothing is compared.",
        Axis("mean tokens used per answer (log scale)", log=True),
        Axis("points of accuracy", points=True),
        tuple(series),
        levels=((0.0, "equal"),),
    )


def shared(evaluations: Evaluations, task: str, published: Sequence[Series] = ()) -> list[Chart]:
    """The pictures in which all dials of a task stand together."""
    charts = [accuracy(evaluations, task, published), asked_and_used(evaluations, task)]
    shares = (("mare", MISS), ("over_budget", OVER), ("filler", FILLER))
    charts += [drawn for name, chart in shares if (drawn := by_budget(evaluations, task, name, chart)) is not None]
    return [chart for chart in charts if chart.series]


def small(evaluations: Evaluations, task: str, kind: str) -> list[Chart]:
    """One picture for each dial: kind `errors`, `split`, `words` or `differences`."""
    make = {"errors": errors, "split": split, "words": words, "differences": differences}[kind]
    charts = [
        make(evaluations, curve, i) for i, curve in enumerate(evaluations.of(task, prompted=True)[:SMALL_MULTIPLES])
    ]
    return [chart for chart in charts if chart is not None]
