"""The tables in README and docs, and the picture, made from committed results and nothing else.

    python study/tables.py             prints every table
    python study/tables.py --write     puts each between its markers, <!-- table NAME --> ... <!-- end -->, and draws
                                       study/results/before-after.png

A test makes the tables again and compares, so no figure there can differ from the runs.
"""

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from lcpo.report.plots import LOOK, RESOLUTION, Axis, Chart, Mark, Series, Style, draw
from run import RESULTS, ROOT, read

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MARKED = re.compile(r"(<!-- table (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
ARMS = {
    "`tiny`, the base": ("tiny-base", "exact", "prompted"),
    "`tiny-exact`": ("tiny-exact", "exact", "prompted"),
    "`tiny-max`, told a maximum": ("tiny-max", "max", "prompted"),
    "`tiny-max`, told an exact budget": ("tiny-max", "exact", "prompted"),
    "one budget in a group": ("tiny-one-budget", "exact", "prompted"),
    "absolute error": ("tiny-absolute", "exact", "prompted"),
    "correctness alone": ("tiny-control", "exact", "prompted"),
    "budgets shuffled": ("tiny-shuffled", "exact", "prompted"),
    "marks for a thought": ("tiny-filler", "exact", "filler"),
    "the paper's settings": ("tiny-l1", "exact", "prompted"),
    "the paper's settings, temperature 1": ("tiny-l1-warm", "exact", "prompted"),
}
"""What a line of the table is called: its results, evaluation and method."""
SHORT = ("`tiny`, the base", "`tiny-exact`", "`tiny-max`, told a maximum", "correctness alone", "the paper's settings")
"""The lines that README shows."""
PICTURE = {
    "tiny (before)": ("`tiny`, the base", Style(6, 1)),
    "tiny-exact": ("`tiny-exact`", Style(0)),
    "tiny-max": ("`tiny-max`, told a maximum", Style(1)),
    "correctness only": ("correctness alone", Style(3, 2, False)),
    "the paper's settings": ("the paper's settings", Style(2, 3, False)),
}
"""Curves of the picture: the line of the table that each shows, and how it is drawn."""


def curves(line: str, second: bool = False) -> list[list[dict[str, Any]]]:
    """The rows of every run of a line, budgets ascending: runs of the shipped base, or those of the second base."""
    arm, evaluation, method = ARMS[line]
    runs: dict[str, list[dict[str, Any]]] = {}
    for row in read(RESULTS / f"{arm}.csv"):
        if (row["evaluation"], row["method"]) == (evaluation, method) and ("second-base" in row["run"]) == second:
            runs.setdefault(row["run"], []).append(row)
    return [sorted(rows, key=lambda row: row["budget"]) for rows in runs.values()]


def grid(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *lines))


def span(values: Iterable[float], digits: int = 2, percent: bool = False) -> str:
    """The least and the greatest of several runs, or the one value: `0.96-0.97`, `34 %`."""
    texts = [f"{(100 if percent else 1) * value:.{digits}f}" for value in sorted(values)]
    return "-".join(dict.fromkeys((texts[0], texts[-1]))) + (" %" if percent else "")


def arm_line(name: str, runs: Sequence[Sequence[dict[str, Any]]]) -> list[str]:
    """One line of the table of arms."""
    stopped = [f", stopped at step {run[0]['stopped_at']:,}" for run in runs if run[0]["stopped_at"]]
    return [
        name + "".join(stopped),
        str(len(runs)),
        span((run[0]["rank_correlation"] for run in runs), 3),
        span((fmean(row["mare"] for row in run) for run in runs), 3),
        span((fmean(row["over_budget"] for row in run) for run in runs), 0, percent=True),
        span((max(row["filler"] for row in run) for run in runs), 1, percent=True),
        *(span(row["accuracy"] for run in runs for row in run if row["budget"] == at) for at in (12, 26, 96)),
    ]


HEADS = ("arm", "runs", "rank corr.", "MARE", "over budget", "filler, most", "right at 12", "at 26", "at 96")


def arms() -> str:
    """One line for every arm, its runs from least to greatest: does length follow the budget, and what does it know?"""
    lines = [arm_line(name, curves(name)) for name in ARMS]
    return grid(HEADS, lines + [arm_line(f"{n} (second base)", runs) for n in ARMS if (runs := curves(n, second=True))])


def short() -> str:
    """The few lines of it that README shows."""
    return grid(HEADS, [arm_line(name, curves(name)) for name in SHORT])


def curve() -> str:
    """The first run of tiny-exact at every budget."""
    heads = ("asked", "used (mean)", "MARE", "within 10 %", "accuracy", "drawn in training")
    return grid(heads, (
        (f"{row['budget']}", f"{row['tokens_mean']:.1f}", f"{row['mare']:.3f}", f"{100 * row['within_10']:.0f} %",
         f"{row['accuracy']:.3f} +- {row['accuracy_stderr']:.3f}", "yes" if row["seen"] else "no")
        for row in curves("`tiny-exact`")[0]
    ))  # fmt: skip


def checks() -> str:
    """How many thresholds each run was held to, and those that it missed."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for line in read(RESULTS / "checks.csv"):
        runs.setdefault(line["run"], []).append(line)
    missed = {
        run: "; ".join(f"{line['check']}: {line['value']:+.3f}" for line in lines if not line["holds"])
        for run, lines in runs.items()
    }
    return grid(("run", "thresholds", "missed"), ((f"`{r}`", str(len(runs[r])), missed[r] or "none") for r in runs))


def methods() -> str:
    """tiny-exact against every other method and model at equal tokens used: paired differences in accuracy."""
    heads = ("tiny-exact against", "at tokens", "accuracy difference", "95 % interval")
    return grid(heads, (
        (f"`{line['other_method']}` on `{line['other']}`", f"{line['at_tokens']:.0f}", f"{line['difference']:+.2f}",
         f"{line['low']:+.2f} to {line['high']:+.2f}")
        for line in read(RESULTS / "tiny-methods.csv")
        if (line["run"], line["method"]) == ("tiny-exact", "prompted") and line["other"] != "tiny-max"
    ))  # fmt: skip


TABLES: dict[str, Callable[[], str]] = {
    "short": short, "arms": arms, "curve": curve, "checks": checks, "methods": methods
}  # fmt: skip


def filled(text: str) -> str:
    """`text` with every marked table made again."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}\n{match[3]}", text)


def picture(out: Path) -> Path:
    """Tokens used and accuracy against tokens asked for, before and after: a mean over runs, shaded from least to most.

    Returns `out`.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    charts = []
    for value, title, y in (
        ("tokens_mean", "Tokens used", Axis("mean tokens used", log=True)),
        ("accuracy", "Accuracy", Axis("", percent=True, low=0.0, high=1.03)),
    ):
        series = []
        for name, (line, style) in PICTURE.items():
            points = [[row[value] for row in rows] for rows in zip(*curves(line), strict=True)]
            budgets = [row["budget"] for row in curves(line)[0]]
            marks = tuple(Mark(x, fmean(values)) for x, values in zip(budgets, points, strict=True))
            band = tuple((x, min(values), max(values)) for x, values in zip(budgets, points, strict=True))
            series.append(Series(name, style, marks, band if len(points[0]) > 1 else ()))
        x = Axis("tokens asked for", log=True, ticks=tuple(float(budget) for budget in budgets))
        diagonal = "asked = used" if value == "tokens_mean" else None
        charts.append(Chart(value, title, x, y, tuple(series), diagonal=diagonal))
    with rc_context({**LOOK, "font.size": 9.5, "legend.fontsize": 9}):
        figure = Figure(figsize=(10.6, 4.3), layout="constrained", facecolor="white")
        for chart, axes in zip(charts, figure.subplots(1, 2), strict=True):
            draw(chart, axes)
            axes.set_title(chart.title)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(PICTURE))
        figure.savefig(out, dpi=RESOLUTION, metadata={"Software": None})
    return out


def main() -> None:
    """Prints the tables, or writes them into the pages and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        for page in PAGES:
            page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(picture(RESULTS / "before-after.png"))
    else:
        print("\n\n".join(f"{name}\n\n{make()}" for name, make in TABLES.items()))


if __name__ == "__main__":
    main()
