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
from pathlib import Path
from typing import Any

from lcpo.decode import METHODS
from lcpo.errors import MissingExtra
from lcpo.evaluate.records import Sample
from lcpo.measure.filler import filler_spans
from lcpo.report import training
from lcpo.report.charts import percent, shared, small
from lcpo.report.findings import alarms, findings
from lcpo.report.load import Curve, Evaluations, load
from lcpo.report.plots import Chart, Series, png, svg, swatch
from lcpo.report.published import points
from lcpo.thinking import CLOSE

PRICE = 10.0
"""Dollars for a million generated tokens, until the reader sets another."""
CONVERSATIONS = 1000
PAGE = "report.html"
PANELS = {"errors": "small", "split": "small", "words": "small", "differences": "half"}
"""Kinds of pictures of which each dial has its own, and how large the page shows them."""
SIZES = {"wide": ((960, 440), (360, 330)), "half": ((420, 320),), "small": ((340, 250),)}
"""How a picture is drawn, width and height in pixels; the second drawing is shown on narrow screens in its place."""


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
        beside = points(task, len(evaluations.of(task))) if published else ()
        drawn = [*shared(evaluations, task, beside), *(c for kind in PANELS for c in small(evaluations, task, kind))]
        written += [png(chart, folder / f"{prefix}{chart.name}.png") for chart in drawn]
    return written


def html(evaluations: Evaluations, *, published: bool = False, title: str | None = None) -> str:
    """The page as text."""
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError:
        raise MissingExtra("jinja2", "report") from None
    source, style, script = (_part(f"page.{kind}") for kind in ("html.j2", "css", "js"))
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(percent=percent, number=number, signed=signed)
    return (
        environment.from_string(source)
        .render(
            title=title or "Token budgets: asked, used, and what they buy",
            policy=_policy(style, script),
            style=Markup(style),
            script=Markup(script),
            names=evaluations.names,
            training=[_drawn(chart, Markup, "half") for chart in training.charts(evaluations.runs)],
            tasks=[_task(evaluations, task, published, Markup) for task in evaluations.tasks],
            manifests=[
                (name, json.dumps(manifest, indent=2, ensure_ascii=False)) for name, manifest in evaluations.manifests
            ],
            price=PRICE,
            conversations=CONVERSATIONS,
        )
        .lstrip()
    )


def _part(name: str) -> str:
    return (files("lcpo.report") / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _policy(style: str, script: str) -> str:
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def number(value: float | None, digits: int = 1) -> str:
    """1234.5 -> `1,234.5`; a dash for null."""
    return "–" if value is None else f"{value:,.{digits}f}"


def signed(value: float | None, digits: int = 1) -> str:
    """0.0123 -> `+1.2 %`; a dash for null."""
    return "–" if value is None else f"{100 * value:+.{digits}f} %"


def _task(evaluations: Evaluations, task: str, published: bool, markup: Any) -> dict[str, Any]:
    curves = evaluations.of(task)
    main = shared(evaluations, task, points(task, len(curves)) if published else ())
    charts = {chart.name: _drawn(chart, markup, "wide" if chart.name == "accuracy" else "half") for chart in main}
    panels = {kind: [_drawn(c, markup, size) for c in small(evaluations, task, kind)] for kind, size in PANELS.items()}
    slopes = {
        _named(curves, line): line["slope"] or 0.0 for line in evaluations.results["dials"] if line["task"] == task
    }
    dialled = sorted((c for c in curves if c.prompted), key=lambda curve: -slopes.get(curve.label, 0.0))
    rows = [(curve, row) for curve in curves for row in curve.rows]
    methods = dict.fromkeys(curve.key.method for curve in curves)
    lines = [line for line in evaluations.results["comparisons"] if line["task"] == task]
    return {
        "name": task,
        "problems": max(row["problems"] for _, row in rows),
        "samples": sum(row["samples"] for _, row in rows),
        "swatches": {curve.label: markup(swatch(Series(curve.label, curve.style))) for curve in curves},
        "findings": findings(evaluations, task),
        "charts": charts,
        "panels": panels,
        "rows": rows,
        "dials": [(_named(curves, line), line) for line in evaluations.results["dials"] if line["task"] == task],
        "comparisons": [line for line in lines if line["accuracy_difference"] is not None],
        "not_compared": sum(1 for line in lines if line["accuracy_difference"] is None),
        "alarms": alarms(
            [(_named(curves, d), d) for d in evaluations.results.get("detectors", ()) if d["task"] == task]
        ),
        "looked": sum(1 for line in evaluations.results.get("detectors", ()) if line["task"] == task),
        "savings": savings(rows),
        "thoughts": [shown for curve in dialled if (shown := thoughts(evaluations, curve))],
        "methods": [(n, METHODS[n.split(":")[0]].about) for n in methods if n.split(":")[0] in METHODS],
    }


def _named(curves: Sequence[Curve], line: Mapping[str, Any]) -> str:
    same = [
        c.label
        for c in curves
        if all(getattr(c.key, n) == line[n] for n in ("run", "model", "method", "kind"))
        and line.get("wording", c.key.wording) == c.key.wording
    ]
    return same[0] if same else f"{line['model']} · {line['method']}"


def _drawn(chart: Chart, markup: Any, size: str) -> dict[str, Any]:
    drawings = zip(SIZES[size], ("chart wide", "chart narrow") if len(SIZES[size]) > 1 else ("chart",), strict=True)
    legend = [(series.name, markup(swatch(series))) for series in chart.series] if chart.legend else []
    pictures = "".join(svg(chart, *extent, kind) for extent, kind in drawings)
    return {"chart": chart, "svg": markup(pictures), "legend": legend}


def savings(rows: Sequence[tuple[Curve, Mapping[str, Any]]]) -> dict[str, Any]:
    """What the page's calculator starts with: every row's tokens and accuracy, and the row that the others are held to.

    The baseline is the first row without a budget that thinks (`unlimited`), else the one that uses the most tokens.
    """
    known = [
        {"label": c.label, "budget": row["budget"], "tokens": row["tokens_mean"], "accuracy": row["accuracy"]}
        for c, row in rows
        if row["tokens_mean"]
    ]
    free = [i for i, (c, row) in enumerate(p for p in rows if p[1]["tokens_mean"]) if c.key.method == "unlimited"]
    most = sorted(range(len(known)), key=lambda i: -known[i]["tokens"])
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
    first, rest = prompts[0], [prompt for prompt in prompts if prompt != prompts[0]]
    if not rest:
        return first
    start = _shared(prompts)
    while start and first[start - 1].isdigit():
        start -= 1
    end = _shared([prompt[start:][::-1] for prompt in prompts])
    while end and first[len(first) - end].isdigit():
        end -= 1
    return f"{first[:start]}N{first[len(first) - end :]}"


def _shared(texts: Sequence[str]) -> int:
    """How many first characters all texts share."""
    together = zip(*texts, strict=False)
    return next((i for i, column in enumerate(together) if len(set(column)) > 1), min(map(len, texts)))


def segments(sample: Sample) -> list[tuple[str, str]]:
    """The text cut into (class, text): `thought`, `answer`, and `filler` within either; joined it is the text."""
    text = sample.text
    before, close, _ = text.partition(CLOSE)
    answered = len(before) + len(close) if close else (len(text) if sample.no_answer else 0)
    cuts = sorted({0, answered, len(text), *(place for span in filler_spans(text) for place in span)})
    spans = filler_spans(text)
    pieces = []
    for start, end in pairwise(cuts):
        kind = "thought" if end <= answered else "answer"
        filled = any(low <= start and end <= high for low, high in spans)
        pieces.append((f"{kind} filler" if filled else kind, text[start:end]))
    return pieces
