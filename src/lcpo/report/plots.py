"""Charts as PNG files, and the README's picture: accuracy and length against budget, before and after."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lcpo.errors import MissingExtra
from lcpo.report import draw, training
from lcpo.report.charts import Chart, Series, resolve, thinned
from lcpo.report.load import Evaluations
from lcpo.report.published import points

INK, GRID, NOTE, CONTROL = "#222222", "#E4E6EA", "#5A6270", "#9AA1AC"
MARKERS = {"circle": "o", "square": "s", "diamond": "D", "up": "^", "down": "v", "cross": "X"}
LINES: tuple[Any, ...] = ("-", (0, (5, 3)), (0, (1.5, 2)), (0, (6, 2, 1.5, 2)))
RESOLUTION = 160
"""Dots per inch of every file."""
LONGEST_LABEL = 40
"""Letters of a name in a legend or title; longer ones end in an ellipsis."""


def figure(width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Any, Any]:
    """An empty figure (inches) and its axes, [rows, columns]; nothing global is touched."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "report") from None
    made = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(made)
    return made, made.subplots(rows, columns, squeeze=False)


def save(made: Any, path: Path) -> Path:
    """Writes the figure as PNG; the same numbers give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made.savefig(path, dpi=RESOLUTION, metadata={"Software": None})
    return path


def plot(chart: Chart, axes: Any, title: bool = True) -> None:
    """Draws a chart into matplotlib axes."""
    for one in chart.series:
        _series(one, axes, chart)
    _frame(chart, axes)
    if title:
        axes.set_title(
            chart.title if len(chart.title) < 90 else _short(chart.title),
            loc="left",
            fontsize=11,
            color=INK,
            fontweight="bold",
            pad=10,
        )


def _series(one: Series, axes: Any, chart: Chart) -> None:
    colour, width = one.style.colour, 2.0 if one.style.strong else 1.4
    if one.band:
        axes.fill_between(*zip(*one.band, strict=True), color=colour, alpha=0.13, linewidth=0)
    if one.bars:
        heights = [bar.high - bar.low for bar in one.bars]
        at, low = [bar.x for bar in one.bars], [bar.low for bar in one.bars]
        axes.bar(at, heights, 0.72, bottom=low, color=colour, label=one.name)
    if one.boxes:
        names = {"whislo": "low", "q1": "q1", "med": "median", "q3": "q3", "whishi": "high"}
        stats = [{name: getattr(box, field) for name, field in names.items()} for box in one.boxes]
        look = {"boxprops": {"facecolor": colour, "alpha": 0.55, "edgecolor": colour}, "medianprops": {"color": INK}}
        axes.bxp(stats, positions=[b.x for b in one.boxes], widths=0.6, showfliers=False, patch_artist=True, **look)
    if not one.marks:
        return
    x, y = [m.x for m in one.marks], [m.y for m in one.marks]
    style = LINES[one.style.dash % len(LINES)] if one.line and len(x) > 1 else "none"
    marker = MARKERS[one.style.marker] if one.dots else ""
    face = "white" if all(mark.hollow for mark in one.marks) else colour
    look = {"linestyle": style, "linewidth": width, "marker": marker, "markersize": 5.5, "markerfacecolor": face}
    axes.plot(x, y, color=colour, label=one.name, **look)
    for mark in one.marks:
        if mark.low is not None and mark.high is not None:
            reach = [[max(0.0, mark.y - mark.low)], [max(0.0, mark.high - mark.y)]]
            axes.errorbar(mark.x, mark.y, yerr=reach, color=colour, linewidth=1, capsize=2, alpha=0.75)
        if mark.hollow:
            axes.plot([mark.x], [mark.y], color=colour, marker=marker, markersize=5.5, markerfacecolor="white")


def _frame(chart: Chart, axes: Any) -> None:
    span = resolve(chart, "y", 7)
    for value, label in (level for level in chart.levels if span.low <= level[0] <= span.high):
        axes.axhline(value, color=NOTE, linewidth=1, linestyle=(0, (1.5, 2.5)))
        if label:
            place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            note = axes.annotate(label, (0.99, value), (0, 3), ha="right", va="bottom", fontsize=8, color=NOTE, **place)
            note.set_in_layout(False)
    for which, axis in (("x", chart.x), ("y", chart.y)):
        span = resolve(chart, which, 7)
        part = getattr(axes, f"{which}axis")
        if span.log:
            getattr(axes, f"set_{which}scale")("log")
        getattr(axes, f"set_{which}lim")(span.low, span.high)
        ticks = thinned(span.ticks, span, 0.055)
        part.set_ticks(list(ticks), [axis.text(tick) for tick in ticks])
        part.set_minor_locator(_no_ticks())
        part.set_label_text(axis.label, fontsize=9.5, color=INK)
    if chart.diagonal is not None:
        spans = resolve(chart, "x"), resolve(chart, "y")
        ends = [max(span.low for span in spans), min(span.high for span in spans)]
        axes.plot(ends, ends, color=NOTE, linewidth=1.2, linestyle=(0, (1.5, 2.5)), label=chart.diagonal, zorder=1)
    _look(axes)


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _look(axes: Any) -> None:
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8.5, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#B8BDC6")


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _legend(axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    labels = [_short(label) for label in labels]
    if len(handles) > 1:
        look = {"fontsize": 8, "frameon": False, "labelcolor": INK, "handlelength": 2.6}
        beside = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0} if len(handles) > 4 else {}
        axes.legend(handles, labels, **look, **beside)


def write(found: Evaluations, folder: Path, *, published: bool = False) -> list[Path]:
    """Every picture of a report as PNG: `<name>.png`, with the task before it where there are several."""
    written = []
    for chart in training.charts(found.runs):
        made, axes = figure(7.6, 4.4)
        plot(chart, axes[0][0])
        _legend(axes[0][0])
        written.append(save(made, folder / f"{chart.name}.png"))
    for task in found.tasks:
        prefix = f"{_file(task)}_" if len(found.tasks) > 1 else ""
        for chart in draw.shared(found, task, points(task, len(found.of(task))) if published else ()):
            made, axes = figure(7.6, 4.4)
            plot(chart, axes[0][0])
            _legend(axes[0][0])
            written.append(save(made, folder / f"{prefix}{chart.name}.png"))
        for kind in ("errors", "split", "words", "differences"):
            charts = draw.small(found, task, kind)
            if charts:
                written.append(save(_grid(charts), folder / f"{prefix}{kind}.png"))
    return written


def _grid(charts: Sequence[Chart]) -> Any:
    columns = min(2, len(charts))
    rows = -(-len(charts) // columns)
    made, axes = figure(5.4 * columns, 3.6 * rows, columns, rows)
    for place, chart in zip(axes.flat, charts, strict=False):
        plot(chart, place)
        if chart.legend:
            handles, labels = place.get_legend_handles_labels()
            place.legend(handles, [_short(label) for label in labels], fontsize=7.5, frameon=False, labelcolor=INK)
    for place in list(axes.flat)[len(charts) :]:
        place.set_visible(False)
    return made


def _file(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)


def before_after(
    arms: Mapping[str, Sequence[Mapping[str, Any]]], out: Path, *, before: str, controls: Sequence[str] = ()
) -> Path:
    """The README's picture: tokens used and accuracy against tokens asked for, before and after, as PNG.

    arms: name -> rows of results.json of its runs (method prompted; several runs are seeds: a thin line each and a
    strong one for their mean). before: the arm the starting point; controls: arms drawn in grey. Returns `out`.
    """
    made, axes = figure(10.6, 4.3, 2)
    left, right = axes[0]
    coloured = [name for name in arms if name != before and name not in controls]
    asked: set[int] = set()
    for name, rows in arms.items():
        look = _arm(name, before, coloured, controls)
        runs = _runs(rows)
        asked |= {row["budget"] for run in runs for row in run}
        for place, value in ((left, "tokens_mean"), (right, "accuracy")):
            _lines(place, runs, value, name, look)
    ends = [min(asked) / 1.1, max(asked) * 1.1]
    left.plot(ends, ends, color=NOTE, linewidth=1.2, linestyle=(0, (1.5, 2.5)), zorder=1, label="asked = used")
    for place, title in ((left, "Tokens used"), (right, "Accuracy")):
        _budget_axis(place, sorted(asked), ends)
        place.set_title(title, loc="left", fontsize=11.5, fontweight="bold", color=INK, pad=8)
    left.set_yscale("log")
    left.yaxis.set_minor_locator(_no_ticks())
    ticks = [t for t in (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096) if left.get_ylim()[0] <= t]
    ticks = [t for t in ticks if t <= left.get_ylim()[1]]
    left.yaxis.set_ticks(ticks, [str(t) for t in ticks])
    right.set_ylim(0, 1)
    right.yaxis.set_ticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    handles, labels = left.get_legend_handles_labels()
    look = {"frameon": False, "fontsize": 9, "labelcolor": INK, "handlelength": 2.6}
    made.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)), **look)
    return save(made, out)


def _arm(name: str, before: str, coloured: Sequence[str], controls: Sequence[str]) -> dict[str, Any]:
    if name == before:
        return {"color": INK, "linestyle": LINES[1], "marker": "s", "linewidth": 1.8}
    if name in controls:
        number = list(controls).index(name)
        return {"color": CONTROL, "linestyle": LINES[1 + number % 3], "marker": "DvXPh"[number % 5], "linewidth": 1.3}
    colour = ("#0072B2", "#D55E00", "#009E73", "#AA4499")[list(coloured).index(name) % 4]
    return {"color": colour, "linestyle": "-", "marker": "o^DP"[list(coloured).index(name) % 4], "linewidth": 2.3}


def _runs(rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The prompted rows with a budget, sorted by budget, of each run."""
    runs: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["method"] == "prompted" and row["budget"] is not None and row["tokens_mean"] is not None:
            runs.setdefault(row["run"], []).append(row)
    return [sorted(run, key=lambda row: row["budget"]) for run in runs.values()]


def _lines(
    axes: Any, runs: Sequence[Sequence[Mapping[str, Any]]], value: str, name: str, look: Mapping[str, Any]
) -> None:
    if len(runs) > 1:
        for run in runs:
            x, y = [row["budget"] for row in run], [row[value] for row in run]
            axes.plot(x, y, color=look["color"], linewidth=0.8, alpha=0.45)
    budgets = sorted({row["budget"] for run in runs for row in run})
    at = [[row for run in runs for row in run if row["budget"] == budget] for budget in budgets]
    means = [sum(row[value] for row in rows) / len(rows) for rows in at]
    axes.plot(budgets, means, label=name, markersize=5, **look)
    ends = [row.get("accuracy_ci95") for run in runs for row in run]
    if value == "accuracy" and len(runs) == 1 and look["color"] != CONTROL and all(ends):
        low, high = zip(*ends, strict=True)
        axes.fill_between(budgets, low, high, color=look["color"], alpha=0.13, linewidth=0)


def _budget_axis(axes: Any, asked: Sequence[int], ends: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(*ends)
    axes.xaxis.set_minor_locator(_no_ticks())
    shown = asked if len(asked) <= 8 else asked[::-2][::-1]
    axes.xaxis.set_ticks(list(shown), [str(tick) for tick in shown])
    axes.set_xlabel("tokens asked for", fontsize=9.5, color=INK)
    _look(axes)
