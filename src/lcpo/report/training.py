"""Training runs in a report: accuracy, lengths per budget bin and the dial over the steps, from metrics.jsonl."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from lcpo.errors import TaskError
from lcpo.report.plots import Axis, Chart, Mark, Series, Style

METRICS, MANIFEST = "metrics.jsonl", "manifest.json"
POINTS = 120
"""Points of a line at most: steps beyond that are averaged in windows."""
STEP = Axis("training step", low=0.0)
SHARED = (
    ("accuracy", "Accuracy of rollouts", Axis("accuracy", percent=True, low=0.0)),
    ("rank_correlation", "Does length follow the budget?", Axis("rank correlation", low=-0.2, high=1.03)),
    ("mare", "How far a rollout misses", Axis("mean relative miss (log scale)", percent=True, log=True)),
)
"""Pictures that all runs share: field of a step's record, title, axis."""


@dataclass(frozen=True)
class Run:
    """A training run: its folder's name, a record for each step, and its manifest."""

    name: str
    records: tuple[Mapping[str, Any], ...]
    manifest: Mapping[str, Any]


def is_run(folder: Path) -> bool:
    """Whether this is the folder of a training run."""
    return (folder / METRICS).is_file()


def read_run(folder: Path, name: str) -> Run:
    """Reads a run, finished or not. Raises TaskError naming the line that cannot be read."""
    records = []
    *lines, _unfinished = (folder / METRICS).read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            raise TaskError(f"{folder / METRICS}, line {number}, is no JSON ({error}); go on with --resume") from None
    manifest = folder / MANIFEST
    return Run(name, tuple(records), json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {})


def curve(pairs: Sequence[tuple[float, float | None]], name: str) -> tuple[Mark, ...]:
    """(step, value) pairs as at most POINTS marks, each the mean of a window; what is not known is left out."""
    known = [(step, value) for step, value in pairs if value is not None]
    size = -(-len(known) // POINTS) or 1
    windows = [known[i : i + size] for i in range(0, len(known), size)]
    means = [(window[-1][0], fmean(value for _, value in window)) for window in windows]
    return tuple(Mark(step, value, title=f"{name}, step {step:.0f}: {value:.3g}") for step, value in means)


def _series(name: str, number: int, pairs: Sequence[tuple[float, float | None]], about: str) -> list[Series]:
    marks = curve(pairs, about)
    return [Series(name, Style(number), marks, dots=len(marks) < 25)] if marks else []


def lengths(run: Run, number: int) -> Chart:
    """Tokens used in each bin of budgets, step by step: a fan that opens is a dial that forms."""
    bins: dict[int, list[tuple[int, Mapping[str, Any]]]] = {}
    for record in run.records:
        for row in record.get("bins") or ():
            bins.setdefault(row["from"], []).append((record["step"], row))
    series: list[Series] = []
    for i, (low, rows) in enumerate(sorted(bins.items())):
        asked = [row["budget"] for _, row in rows if row["budget"] is not None]
        if asked:
            name, pairs = f"asked for about {fmean(asked):.0f}", [(step, row["length"]) for step, row in rows]
            series += _series(name, i, pairs, f"from {low}")
    y = Axis("mean tokens used", log=True)
    return Chart(f"lengths_{number}", f"{run.name}: tokens used", STEP, y, tuple(series))


def sentence(run: Run) -> str:
    """What a run did to accuracy and to the dial, from its first to its last tenth of steps."""
    said = []
    for field, name, text in (("accuracy", "accuracy", "{:.0%}"), ("rank_correlation", "rank correlation", "{:.2f}")):
        values = [record[field] for record in run.records if record.get(field) is not None]
        size = max(1, len(values) // 10)
        ends = [text.format(fmean(part)).replace("%", " %") for part in (values[:size], values[-size:]) if part]
        said += [f"{name} from {' to '.join(ends)}"] if ends else []
    steps = f"{run.name}, {len(run.records):,} training steps"
    return f"{steps}: {', '.join(said)}." if said else f"{steps}; no rollout was recorded."


def charts(runs: Sequence[Run]) -> list[Chart]:
    """The pictures of the runs: what they share in one picture each, and lengths per budget for each run."""
    drawn = []
    for field, title, y in SHARED:
        pairs = [[(record["step"], record.get(field)) for record in run.records] for run in runs]
        series = [line for i, run in enumerate(runs) for line in _series(run.name, i, pairs[i], run.name)]
        drawn.append(Chart(f"training_{field}", title, STEP, y, tuple(series)))
    return [chart for chart in (*drawn, *(lengths(run, i) for i, run in enumerate(runs))) if chart.series]
