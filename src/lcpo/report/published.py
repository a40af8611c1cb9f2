"""The paper's published points (published.json, each with its origin), as hollow markers for a picture."""

import json
from importlib.resources import files
from typing import Any

from lcpo.report.plots import Mark, Series, Style


def table() -> dict[str, Any]:
    """published.json: source, protocol, points."""
    published: dict[str, Any] = json.loads((files("lcpo.report") / "published.json").read_text(encoding="utf-8"))
    return published


def points(task: str, first: int = 0) -> tuple[Series, ...]:
    """Accuracy against tokens used as the paper shows them for this task; empty where it has none.

    first: style number of the first series, after those of one's own curves.
    """
    marks: dict[str, list[Mark]] = {}
    for point in table()["points"]:
        if point["task"] == task:
            asked = "" if point["budget"] is None else f", asked for {point['budget']}"
            title = f"{point['series']} (paper{asked}): {100 * point['accuracy']:.1f} % at {point['tokens']} tokens"
            marks.setdefault(point["series"], []).append(
                Mark(point["tokens"], point["accuracy"], hollow=True, title=title)
            )
    return tuple(
        Series(f"{name} (paper)", Style(first + i, 2, False), tuple(sorted(several, key=lambda mark: mark.x)))
        for i, (name, several) in enumerate(marks.items())
    )
