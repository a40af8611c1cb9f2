"""What a picture shows, and matplotlib drawing it: SVG inside the page, the same as a PNG file beside it.

SVG for the page has no style attribute and no script: every colour is one of the page's variables, so light and dark
are the page's; hovering over a point shows its title.
"""

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcpo.errors import MissingExtra

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#e69f00", "#56b4e9", "#7a7a7a")
"""Told apart by people who see no red or no green (after Okabe and Ito; purple darkened for small text)."""
INK, SOFT, GRID, PAPER = "#222222", "#5a6270", "#e4e6ea", "#ffffff"
VARIABLES = {colour: f"var(--c{i})" for i, colour in enumerate(COLOURS)} | {
    INK: "var(--ink)", SOFT: "var(--soft)", GRID: "var(--grid)", PAPER: "var(--paper)"
}  # fmt: skip
"""Colours as page.css names them."""
MARKERS = "osD^vX"
LINES: tuple[Any, ...] = ("-", (0, (5, 3)), (0, (1.5, 2)), (0, (6, 2, 1.5, 2)))
GUIDE: dict[str, Any] = {"color": SOFT, "linewidth": 1.2, "linestyle": LINES[2], "zorder": 1}
LOOK = {
    "font.size": 12.5, "text.color": INK, "text.parse_math": False, "axes.labelcolor": INK, "axes.edgecolor": SOFT,
    "axes.grid": True, "grid.color": GRID, "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlelocation": "left", "axes.titleweight": "bold", "axes.titlesize": "medium", "axes.linewidth": 0.7,
    "xtick.color": SOFT, "ytick.color": SOFT, "xtick.major.size": 0, "ytick.major.size": 0, "legend.frameon": False,
    "legend.fontsize": 10.5, "legend.handlelength": 2.6, "svg.fonttype": "none",
}  # fmt: skip
RESOLUTION = 130
"""Dots per inch of a PNG."""
LONGEST_LABEL = 40
"""Letters of a name in a PNG's legend; longer ones end in an ellipsis."""


@dataclass(frozen=True)
class Style:
    """Colour and marker by number (both go round), kind of dashes, and whether the line is drawn strongly."""

    number: int = 0
    dash: int = 0
    strong: bool = True


@dataclass(frozen=True)
class Mark:
    """A point, with an error bar from low to high where there is one; title is what hovering shows."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    hollow: bool = False
    title: str = ""


@dataclass(frozen=True)
class Box:
    """A bar at x from low to high; of a distribution its quartiles, with a line at the median and whiskers."""

    x: float
    low: float
    high: float
    median: float | None = None
    whiskers: tuple[float, float] | None = None
    title: str = ""


@dataclass(frozen=True)
class Series:
    """What belongs together: marks joined by a line, a band (x, low, high) behind them, boxes."""

    name: str
    style: Style
    marks: tuple[Mark, ...] = ()
    band: tuple[tuple[float, float, float], ...] = ()
    boxes: tuple[Box, ...] = ()
    dots: bool = True
    """Whether marks are drawn, or their line alone."""


@dataclass(frozen=True)
class Axis:
    """One axis. categories: names that x is an index into. percent: 0.5 is written 50 %; points: +50."""

    label: str
    log: bool = False
    percent: bool = False
    points: bool = False
    low: float | None = None
    high: float | None = None
    ticks: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    def text(self, value: float) -> str:
        """A tick as text."""
        if self.categories:
            return self.categories[round(value)]
        if self.points:
            return f"{100 * value:+.3g}" if value else "0"
        if self.percent:
            return f"{100 * value:,.0f} %" if value >= 1 else f"{100 * value:.3g} %"
        return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.3g}"


@dataclass(frozen=True)
class Chart:
    """A picture: its file name, title, axes, series, and lines to read it by."""

    name: str
    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...] = ()
    levels: tuple[tuple[float, str], ...] = ()
    """Horizontal lines (y, label)."""
    diagonal: str | None = None
    """Label of the line y = x, if it is drawn."""
    legend: bool = True
    arrows: tuple[tuple[float, float, float], ...] = ()
    """Arrows (x, from y, to y), shown and hidden with the last series."""


def svg(chart: Chart, width: float, height: float, kind: str = "chart") -> str:
    """The chart as an <svg> element of that many units (pixels at full size) and class; every text in it is escaped."""
    with _look(f"{chart.name} {kind}"):
        figure = _figure(width, height)
        axes = figure.subplots()
        figure.subplots_adjust(left=68 / width, right=1 - 12 / width, bottom=46 / height, top=1 - 10 / height)
        draw(chart, axes)
        return _inline(figure, kind, chart.title)


def swatch(series: Series) -> str:
    """The line and marker of a series, or the colour of its bars, for a legend of the page."""
    hollow = bool(series.marks) and all(mark.hollow for mark in series.marks)
    with _look("swatch"):
        from matplotlib.lines import Line2D
        from matplotlib.patches import Rectangle

        figure = _figure(34, 14)
        if series.boxes:
            figure.add_artist(Rectangle((0.25, 0), 0.5, 1, color=_colour(series.style)))
        else:
            figure.add_artist(Line2D([0.03, 0.97], [0.5, 0.5], color=_colour(series.style), **_line(series.style)))
            figure.add_artist(Line2D([0.5], [0.5], **_dot(series.style, hollow)))
        return _inline(figure, "swatch", "")


def png(chart: Chart, path: Path) -> Path:
    """Writes the chart, with its title and a legend, as PNG; the same numbers give the same bytes. Returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(chart))
    return path


def png_bytes(chart: Chart, size: tuple[float, float] = (640, 370), resolution: float = RESOLUTION) -> bytes:
    """The chart as PNG, size in points (1/72 inch), resolution in dots per inch."""
    buffer = io.BytesIO()
    with _look(chart.name):
        figure = _figure(*size, layout="constrained")
        axes = figure.subplots()
        draw(chart, axes)
        axes.set_title(_short(chart.title, 70), pad=10)
        handles, labels = axes.get_legend_handles_labels()
        if chart.legend and len(handles) > 1:
            beside = (
                {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0.0} if len(handles) > 4 else {}
            )
            axes.legend(handles, [_short(label) for label in labels], **beside)
        figure.savefig(buffer, format="png", dpi=resolution, metadata={"Software": None})
    return buffer.getvalue()


def _look(salt: str) -> Any:
    """The style of every picture, and what makes the ids inside an SVG repeatable."""
    try:
        from matplotlib import rc_context
    except ImportError:
        raise MissingExtra("matplotlib", "report") from None
    return rc_context({**LOOK, "svg.hashsalt": salt})


def _figure(width: float, height: float, **options: Any) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), facecolor=PAPER, **options)


def _short(label: str, longest: int = LONGEST_LABEL) -> str:
    return label if len(label) <= longest else f"{label[: longest - 1]}…"


def _colour(style: Style) -> str:
    return COLOURS[style.number % len(COLOURS)]


def _line(style: Style) -> dict[str, Any]:
    return {"linestyle": LINES[style.dash % len(LINES)], "linewidth": 2.2 if style.strong else 1.4}


def _dot(style: Style, hollow: bool) -> dict[str, Any]:
    face = PAPER if hollow else _colour(style)
    return {"color": _colour(style), "marker": MARKERS[style.number % len(MARKERS)], "markersize": 6,
            "markerfacecolor": face}  # fmt: skip


def draw(chart: Chart, axes: Any) -> None:
    """Draws a chart into matplotlib axes. The gid of each artist is JSON: the name of its series, and its title."""
    for series in chart.series:
        _series(series, axes)
    for x, start, end in chart.arrows:
        look = {"arrowstyle": "-|>", "color": SOFT, "linewidth": 1.1, "shrinkA": 5, "shrinkB": 5, "alpha": 0.8}
        arrow = axes.annotate("", (x, end), (x, start), arrowprops=look).arrow_patch
        arrow.set_gid(json.dumps([chart.series[-1].name, ""]))
    for which, smallest in zip("xy", axes.dataLim.min, strict=True):
        if getattr(chart, which).log and smallest > 0:  # a log axis has no place for zero
            getattr(axes, f"set_{which}scale")("log")
    axes.margins(x=0.02 if chart.x.categories else 0.05, y=0.05)
    _ends(chart, axes)
    for which in "xy":
        _ticks(getattr(chart, which), axes, which)
    low, high = axes.get_ylim()
    for value, label in (level for level in chart.levels if low <= level[0] <= high):
        axes.axhline(value, **GUIDE)
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        note = axes.annotate(label, (0.99, value), (0, 3), ha="right", va="bottom", color=SOFT, **place)
        note.set_in_layout(False)


def _series(series: Series, axes: Any) -> None:
    colour, gid = _colour(series.style), json.dumps([series.name, ""])
    if series.band:
        x, low, high = zip(*series.band, strict=True)
        axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0, gid=gid)
    for i, box in enumerate(series.boxes):
        part = {"gid": json.dumps([series.name, box.title])}
        look = {"alpha": 0.55 if box.whiskers else 1.0, "label": None if i else series.name}
        axes.bar(box.x, box.high - box.low, 0.65, bottom=box.low, color=colour, **look, **part)
        if box.whiskers is not None:
            axes.plot([box.x, box.x], box.whiskers, color=colour, linewidth=1.1, zorder=0.9, **part)
        if box.median is not None:
            axes.plot([box.x - 0.325, box.x + 0.325], [box.median, box.median], color=INK, linewidth=2, **part)
    if not series.marks:
        return
    hollow = all(mark.hollow for mark in series.marks)
    line = axes.plot(
        [mark.x for mark in series.marks], [mark.y for mark in series.marks],
        **{**(_dot(series.style, hollow) if series.dots else {"color": colour}), **_line(series.style)},
        label=series.name, gid=gid,
    )[0]  # fmt: skip
    line.set_markevery([])
    for mark in series.marks if series.dots else ():
        part = {"gid": json.dumps([series.name, mark.title])}
        if mark.low is not None and mark.high is not None:
            ends = [min(mark.low, mark.y), max(mark.high, mark.y)]
            axes.plot([mark.x, mark.x], ends, color=colour, linewidth=1, marker="_", markersize=6, alpha=0.7, **part)
        axes.plot([mark.x], [mark.y], **_dot(series.style, mark.hollow), **part)


def _ends(chart: Chart, axes: Any) -> None:
    """The ends of both axes: as the chart gives them, else around the data; the same on both with a diagonal."""
    axes.set_ylim(0.0 if chart.y.log and axes.get_yscale() == "linear" else chart.y.low, chart.y.high)
    if chart.x.categories:
        axes.set_xlim(-0.5, len(chart.x.categories) - 0.5)
    elif chart.x.low is not None or chart.x.high is not None:
        axes.set_xlim(chart.x.low, chart.x.high)
    if chart.diagonal is not None:
        ends = [f(axes.get_xlim() + axes.get_ylim()) for f in (min, max)]
        axes.set(xlim=ends, ylim=ends)
        axes.plot(ends, ends, **GUIDE)
        axes.annotate(chart.diagonal, (0.98, 0.03), xycoords="axes fraction", ha="right", color=SOFT)


def _ticks(axis: Axis, axes: Any, which: str) -> None:
    """Ticks at the categories, at given places or at round numbers, as many as there is room for."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    low, high = getattr(axes, f"get_{which}lim")()
    ticks: Sequence[float] = axis.ticks or range(len(axis.categories))
    if not ticks and getattr(axes, f"get_{which}scale")() == "log":
        locator = LogLocator(subs=(1, 2, 5)) if axis.percent else LogLocator(base=2, numticks=8)
        ticks = [tick for tick in locator.tick_values(low, high) if low <= tick <= high]
    if len(ticks) < 2 and not axis.categories:
        ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    box, place = axes.bbox, (axes.transScale + axes.transLimits).transform
    length = (box.width if which == "x" else box.height) * 72 / axes.figure.dpi
    shown: list[tuple[float, float]] = []
    for tick in sorted((tick for tick in ticks if low - 1e-12 <= tick <= high + 1e-12), reverse=True):
        at = length * place((tick, tick))["xy".index(which)]
        room = 7.5 * len(axis.text(tick)) + 8 if which == "x" else 16
        if not shown or shown[-1][1] - at >= room:
            shown.append((tick, at))
    part = getattr(axes, f"{which}axis")
    part.set_minor_locator(NullLocator())
    part.set_ticks([tick for tick, _ in shown], [axis.text(tick) for tick, _ in shown])
    part.set_label_text(axis.label)


SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
DECIMALS = re.compile(r"(\.\d\d)\d+")


def _inline(figure: Any, kind: str, label: str) -> str:
    """The figure as SVG that may stand in the page, with data-series and titles where gids say them."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    ElementTree.register_namespace("", SVG[1:-1])
    root = ElementTree.fromstring(buffer.getvalue())
    for element in list(root.iter()):
        for child in [c for c in element if c.tag == f"{SVG}style" or not c.tag.startswith(SVG)]:
            element.remove(child)
        _plain(element)
        if element.tag == f"{SVG}g":
            _named(element)
    box = root.get("viewBox", "")
    look = {"aria-hidden": "true"} if kind == "swatch" else {"role": "img", "aria-label": label}
    root.attrib = {"class": kind, "viewBox": box, "stroke-linejoin": "round", **look}
    return ElementTree.tostring(root, encoding="unicode")


def _plain(element: Any) -> None:
    """Styles become attributes and colours the page's variables; the numbers of a path lose needless digits."""
    for part in element.attrib.pop("style", "").split(";"):
        name, _, value = part.partition(":")
        if value and name.strip() != "font-family":
            element.set(name.strip(), VARIABLES.get(value.strip(), value.strip()))
    for name in ("d", "x", "y", "transform"):
        if name in element.attrib:
            element.set(name, DECIMALS.sub(r"\1", " ".join(element.attrib[name].split())))
    if LINK in element.attrib:
        element.set("href", element.attrib.pop(LINK))
    element.text = element.text if (element.text or "").strip() else None
    element.tail = None


def _named(group: Any) -> None:
    """Takes a group's id away; if it is the gid of an artist, the group is told its series and gets its title."""
    gid = group.attrib.pop("id", "")
    if gid.startswith("["):
        name, title = json.loads(gid)
        group.attrib |= {"class": "s", "data-series": name}
        if title:
            group.insert(0, child := ElementTree.Element(f"{SVG}title"))
            child.text = title
