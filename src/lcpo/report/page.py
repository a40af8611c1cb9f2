"""One self-contained HTML page from evaluation folders: no network, and nothing that a model wrote can run in it.

Three walls: every text goes through jinja2's autoescape (or an XML writer inside SVG), the page's policy allows only
the one script and the one style sheet by their hashes, and no text reaches a script: it all stands in the document.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import pairwise
from os.path import commonprefix
from pathlib import Path
from typing import Any

from lcpo.decode import METHODS
from lcpo.errors import MissingExtra
from lcpo.evaluate.records import Sample
from lcpo.measure.filler import filler_spans
from lcpo.report import training
from lcpo.report.charts import before_after, percent, published_points, shared, signed, small
from lcpo.report.findings import alarms, cards, compared
from lcpo.report.headline import followers, headline
from lcpo.report.load import Curve, Evaluations, load
from lcpo.report.plots import Chart, Series, png, png_bytes, svg, swatch
from lcpo.thinking import CLOSE

DEFAULTS = {"price": 10.0, "conversations": 1000}
"""Dollars for a million generated tokens, and how many conversations, until the reader sets others."""
PAGE = "report.html"
PANELS = {"errors": "small", "split": "small", "words": "small", "differences": "half"}
"""Kinds of pictures of which each dial has its own, and how large the page shows them."""
SIZES = {
    "wide": (("chart wide", 960, 400), ("chart narrow", 360, 320)),
    "half": (("chart", 420, 320),),
    "small": (("chart", 340, 250),),
}
"""How a picture is drawn: class, width and height in pixels; the narrow one takes its place on narrow screens."""
PREVIEW = (600.0, 315.0), 72.0
"""Size in points and resolution of the picture in the preview of a link."""


def write_all(folder: Path) -> list[Path]:
    """report.html and plots/*.png of one evaluation folder, from its results.json and samples.jsonl."""
    evaluations, out = load([folder]), folder / PAGE
    return [write_page(evaluations, out), *write_plots(evaluations, plots_beside(out))]


def write_page(evaluations: Evaluations, out: Path, *, published: bool = False, title: str | None = None) -> Path:
    """Writes the page to `out`; returns it. published: draw the paper's points beside these, where it has some."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(html(evaluations, published=published, title=title), encoding="utf-8", newline="\n")
    return out


def plots_beside(page: Path) -> Path:
    """Where PNGs of a page go: `plots` beside report.html, `NAME-plots` beside any other: no two pages share them."""
    return page.with_name("plots" if page.name == PAGE else f"{page.stem}-plots")


def write_plots(evaluations: Evaluations, folder: Path, *, published: bool = False) -> list[Path]:
    """Every picture of a report as PNG: `<name>.png`, with the task before it where there are several."""
    written = [png(chart, folder / f"{chart.name}.png") for chart in training.charts(evaluations.runs)]
    for task in evaluations.tasks:
        name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in task)
        prefix = f"{name}_" if len(evaluations.tasks) > 1 else ""
        charts = _shared(evaluations, task, published)
        charts += before_after(evaluations, task)
        charts += [chart for kind in PANELS for chart in small(evaluations, task, kind)]
        written += [png(chart, folder / f"{prefix}{chart.name}.png") for chart in charts]
    return written


def _shared(evaluations: Evaluations, task: str, published: bool) -> list[Chart]:
    return shared(evaluations, task, published_points(task, len(evaluations.of(task))) if published else ())


def html(evaluations: Evaluations, *, published: bool = False, title: str | None = None) -> str:
    """The page as text."""
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError:
        raise MissingExtra("jinja2", "report") from None

    def picture(chart: Chart, size: str) -> str:
        return Markup("".join(svg(chart, width, height, kind) for kind, width, height in SIZES[size]))

    tasks, trained = [_task(evaluations, task, published) for task in evaluations.tasks], evaluations.runs
    said = [task["headline"] for task in tasks] or [training.sentence(run) for run in trained]
    learned = training.charts(trained)
    first = next((task["charts"]["accuracy"] for task in tasks if "accuracy" in task["charts"]), None)
    preview = first or (learned[0] if learned else None)
    source, style, script = (
        (files("lcpo.report") / f"page.{kind}").read_text(encoding="utf-8").replace("\r\n", "\n")
        for kind in ("html.j2", "css", "js")
    )
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(percent=percent, number=number, signed=signed, picture=picture)
    environment.filters.update(swatch=lambda series: Markup(swatch(series)))
    page = environment.from_string(source).render(
        title=title or "Token budgets: asked, used, and what they buy",
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        description=" ".join(said),
        preview=None if preview is None else base64.b64encode(png_bytes(preview, *PREVIEW)).decode(),
        training=learned,
        said=said,
        tasks=tasks,
        manifests=[(name, json.dumps(table, indent=2, ensure_ascii=False)) for name, table in evaluations.manifests],
        **DEFAULTS,
    )
    return page.lstrip()


def _policy(style: str, script: str) -> str:
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def number(value: float | None, digits: int = 1) -> str:
    """1234.5 -> `1,234.5`; a dash for null."""
    return "–" if value is None else f"{value:,.{digits}f}"


def _task(evaluations: Evaluations, task: str, published: bool) -> dict[str, Any]:
    """What the page says of a task."""
    curves, results = evaluations.of(task), evaluations.results
    rows = [(curve, row) for curve in curves for row in curve.rows]
    dials, detectors = (
        [(_label(curves, line), line) for line in results.get(name, ()) if line["task"] == task]
        for name in ("dials", "detectors")
    )
    slopes = {label: line["slope"] or 0.0 for label, line in dials}
    by_slope = sorted((c for c in curves if c.prompted), key=lambda curve: -slopes.get(curve.label, 0.0))
    methods = dict.fromkeys(curve.key.method for curve in curves)
    lines = [line for line in results["comparisons"] if line["task"] == task]
    comparisons = [line for line in lines if line["accuracy_difference"] is not None]
    charts = {chart.name: chart for chart in _shared(evaluations, task, published)}
    errors = [row["accuracy_stderr"] for _, row in rows if row["accuracy_stderr"] is not None]
    return {
        "name": task,
        "headline": headline(evaluations, task),
        "followers": len(followers(evaluations, task)),
        "error": max(errors, default=None),
        "problems": max(row["problems"] for _, row in rows),
        "samples": sum(row["samples"] for _, row in rows),
        "swatches": {curve.label: Series(curve.label, curve.style) for curve in curves},
        "cards": cards(evaluations, task),
        "several": len(evaluations.of(task, prompted=True)) > 1,
        "against": compared(evaluations, task),
        "before_after": before_after(evaluations, task),
        "inert": any(row["inert"] is not None for _, row in rows),
        "charts": charts,
        "obedience": [charts[name] for name in ("asked_used", "miss", "over") if name in charts],
        "panels": {kind: small(evaluations, task, kind) for kind in PANELS},
        "rows": rows,
        "dials": dials,
        "comparisons": comparisons,
        "not_compared": len(lines) - len(comparisons),
        "alarms": alarms(detectors),
        "looked": len(detectors),
        "savings": savings(rows),
        "thoughts": [shown for curve in by_slope if (shown := thoughts(evaluations, curve))],
        "methods": [(n, METHODS[n.split(":")[0]].about) for n in methods if n.split(":")[0] in METHODS],
    }


def _label(curves: Sequence[Curve], line: Mapping[str, Any]) -> str:
    """What the curve is called that a line of results.json speaks of."""
    for curve in curves:
        same = all(getattr(curve.key, name) == line[name] for name in ("run", "model", "method", "kind"))
        if same and line.get("wording", curve.key.wording) == curve.key.wording:
            return curve.label
    return f"{line['model']} · {line['method']}"


def savings(rows: Sequence[tuple[Curve, Mapping[str, Any]]]) -> dict[str, Any]:
    """What the page's calculator starts with: the rows with known tokens, and the one that the others are held to.

    The baseline is the first row without a budget that thinks (`unlimited`), else the one that uses the most tokens.
    """
    known = [(curve, row) for curve, row in rows if row["tokens_mean"]]
    free = [i for i, (curve, _) in enumerate(known) if curve.key.method == "unlimited"]
    most = sorted(range(len(known)), key=lambda i: -known[i][1]["tokens_mean"])
    return {"rows": known, "baseline": (free or most or [0])[0]}


def thoughts(evaluations: Evaluations, curve: Curve) -> dict[str, Any] | None:
    """The first problems of a dial, each at its smallest, middle and largest budget; None without texts."""
    problems = []
    for samples in evaluations.texts.shown.get(curve.key, {}).values():
        budgets = sorted(samples)
        if len(budgets) > 1:
            chosen = dict.fromkeys((budgets[0], budgets[len(budgets) // 2], budgets[-1]))
            shown = [(samples[b], segments(samples[b])) for b in chosen]
            problems.append({"question": common([sample.prompt for sample, _ in shown]), "samples": shown})
    return {"label": curve.label, "problems": problems} if problems else None


def common(prompts: Sequence[str]) -> str:
    """What prompts that differ in their budget share, with an N where they differ: `... Think for N tokens.`"""
    if len(set(prompts)) == 1:
        return prompts[0]
    start = commonprefix(prompts).rstrip("0123456789")  # noqa: RUF071 (characters are meant)
    rests = [prompt[len(start) :][::-1] for prompt in prompts]
    end = commonprefix(rests).rstrip("0123456789")[::-1]  # noqa: RUF071
    return f"{start}N{end}"


def segments(sample: Sample) -> list[tuple[str, str]]:
    """The text cut into (class, text): `thought`, `answer`, and `filler` within either; joined it is the text."""
    text, spans = sample.text, filler_spans(sample.text)
    before, close, _ = text.partition(CLOSE)
    answered = len(before) + len(close) if close else (len(text) if sample.no_answer else 0)
    cuts = sorted({0, answered, len(text), *(place for span in spans for place in span)})
    pieces = []
    for start, end in pairwise(cuts):
        kind = "thought" if end <= answered else "answer"
        filled = any(low <= start and end <= high for low, high in spans)
        pieces.append((f"{kind} filler" if filled else kind, text[start:end]))
    return pieces
