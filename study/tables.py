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

from checks import inert
from lcpo.report.plots import LOOK, RESOLUTION, Axis, Chart, Mark, Series, Style, draw
from run import RESULTS, ROOT, read

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MARKED = re.compile(r"(<!-- table (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
ARMS = {
    "`tiny`, the base": ("base", "test"),
    "hindsight alone": ("hindsight", "test"),
    "`tiny-exact`: LCPO, gated": ("exact", "test"),
    "`tiny-max`, told a maximum": ("max", "test"),
    "`tiny-max`, told an exact budget": ("max", "exact"),
    "LCPO, additive (eq. 1)": ("additive", "test"),
    "correctness alone": ("correct", "test"),
    "LCPO, budgets shuffled": ("shuffled", "test"),
    "no hindsight, gated": ("alone-gated", "test"),
    "no hindsight, additive (eq. 1)": ("alone-additive", "test"),
    "`tiny-exact`, sizes never trained": ("exact", "unseen-sizes"),
}
"""What a line of the table is called: its results and evaluation."""
AFTER = "`tiny-exact`: LCPO, gated"
SHORT = (
    "`tiny`, the base",
    "hindsight alone",
    AFTER,
    "`tiny-max`, told a maximum",
    "correctness alone",
)
"""The lines that README shows."""
PICTURE = {"before (tiny)": ("`tiny`, the base", Style(6, 1)), "after (tiny-exact)": (AFTER, Style(0))}
STANDS = {"rank_correlation": 0.95, "mare": 0.15}
"""The dial stands from the first five steps on that have at least this correlation and at most this MARE."""


def curves(line: str) -> list[list[dict[str, Any]]]:
    """The rows of every run of a line, budgets ascending; none where the arm has not been run."""
    arm, evaluation = ARMS[line]
    runs: dict[str, list[dict[str, Any]]] = {}
    path = RESULTS / f"{arm}.csv"
    for row in read(path) if path.exists() else []:
        if (row["evaluation"], row["method"]) == (evaluation, "prompted"):
            runs.setdefault(row["run"], []).append(row)
    return [sorted(rows, key=lambda row: row["budget"]) for rows in runs.values()]


def grid(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    head, *body = ("| " + " | ".join(cells) + " |" for cells in (heads, *lines))
    return "\n".join([head, "|" + "---|" * len(heads), *body])


def span(values: Iterable[float | None], digits: int = 2, percent: bool = False) -> str:
    """The least and the greatest of several runs, or the one value: `0.96-0.97`, `34 %`; - where it is not known."""
    known = sorted(value for value in values if value is not None)
    texts = [f"{(100 if percent else 1) * value:.{digits}f}" for value in known]
    to = " to " if texts and known[0] < 0 else "-"
    return to.join(dict.fromkeys((texts[0], texts[-1]))) + (" %" if percent else "") if texts else "-"


def arm_line(name: str, runs: Sequence[Sequence[dict[str, Any]]]) -> list[str]:
    """One line of the table of arms."""
    return [
        name,
        str(len(runs)),
        span((run[0]["rank_correlation"] for run in runs), 3),
        span((fmean(row["mare"] for row in run) for run in runs), 3),
        span((fmean(row["over_budget"] for row in run) for run in runs), 0, percent=True),
        span((max(row["useless"] for row in run) for run in runs), 0, percent=True),
        span(map(inert, runs), 0, percent=True),
        *(span(row["accuracy"] for run in runs for row in run if row["budget"] == at) for at in (15, 96)),
    ]


HEADS = ("arm", "runs", "rank corr.", "MARE", "over budget", "useless", "inert", "right at 15", "at 96")


def arms() -> str:
    """One line for every arm, its runs from least to greatest: does length follow the budget, and what is it worth?"""
    return grid(HEADS, [arm_line(name, runs) for name in ARMS if (runs := curves(name))])


def short() -> str:
    """The few lines of it that README shows."""
    return grid(HEADS, [arm_line(name, runs) for name in SHORT if (runs := curves(name))])


def curve() -> str:
    """tiny-exact at every second budget and the largest: the least and the greatest of its runs."""
    heads = ("asked", "used (mean)", "MARE", "accuracy", "attainable", "useless")
    lines = []
    budgets = [*zip(*curves(AFTER), strict=True)]
    for rows in [*budgets[:-1:2], budgets[-1]]:
        values = {name: [row[name] for row in rows] for name in rows[0]}
        lines.append([
            str(rows[0]["budget"]),
            *(span(values[n], d) for n, d in (("tokens_mean", 1), ("mare", 3), ("accuracy", 3), ("attainable", 3))),
            span(values["useless"], 0, percent=True),
        ])  # fmt: skip
    return grid(heads, lines)


def checks() -> str:
    """Every threshold: the least and the greatest value of each arm's runs, bold where it holds in all of them.

    In brackets: in how many it holds, where in some. Arms with the same thresholds share a table.
    """
    arms: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for line in read(RESULTS / "checks.csv"):
        arms.setdefault(re.sub(r"-\d+$", "", line["run"]), {}).setdefault(line["check"], []).append(line)
    shared: dict[tuple[str, ...], list[str]] = {}
    for arm in sorted(arms):
        shared.setdefault(tuple(arms[arm]), []).append(arm)

    def cell(lines: Sequence[dict[str, Any]]) -> str:
        values = [line["value"] for line in lines]
        digits = 0 if all(float(value).is_integer() for value in values) else 3
        text, holds = span(values, digits), sum(line["holds"] for line in lines)
        return f"**{text}**" if holds == len(lines) else f"{text} ({holds}/{len(lines)})" if holds else text

    grids = []
    for names, of in shared.items():
        heads = ("threshold", *(f"`{arm}`" for arm in of))
        grids.append(grid(heads, ([name, *(cell(arms[arm][name]) for arm in of)] for name in names)))
    return "\n\n".join(grids)


def stands(run: Sequence[dict[str, Any]]) -> int | None:
    """Rollouts after which a run's dial stands, by what training saw; None where it never does."""
    for row in run:
        known = row["rank_correlation"] is not None and row["mare"] is not None
        if known and row["rank_correlation"] >= STANDS["rank_correlation"] and row["mare"] <= STANDS["mare"]:
            return int(row["rollouts"])
    return None


def dial() -> str:
    """Rollouts until the dial stands, by arm of exact budgets: its runs, those alike once; own samples are rollouts."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for row in read(RESULTS / "dial.csv"):
        runs.setdefault(row["run"], []).append(row)
    arms: dict[str, dict[str, None]] = {}
    for run, rows in sorted(runs.items()):
        at, arm = stands(rows), re.sub(r"-\d+$", "", run)
        arms.setdefault(arm, {})[f"{at:,}" if at else f"not in {rows[-1]['rollouts']:,}"] = None
    return "\n".join(f"- `{arm}`: {'; '.join(of)}" for arm, of in arms.items() if arm != "max")


def methods() -> str:
    """tiny-exact against every other method and the base at equal tokens used: paired differences in accuracy."""
    if not (RESULTS / "methods.csv").exists():
        return "Not run yet: `make study NAME=methods`."
    heads = ("against", "at tokens", "difference", "95 % interval")
    return grid(heads, (
        (f"`{line['other_method']}`" + ", base" * (line["other"] == "tiny"), f"{line['at_tokens']:.0f}",
         f"{line['difference']:+.2f}", f"{line['low']:+.2f} to {line['high']:+.2f}")
        for line in read(RESULTS / "methods.csv")
        if (line["run"], line["method"]) == ("exact-0", "prompted")
        and (line["other"] == "exact-0" or line["other_method"] == "prompted")
    ))  # fmt: skip


def smol() -> str:
    """Models of SmolLM2-135M on both tasks, by the kind of budget that they are told."""
    heads = ("model", "task", "asked for", "rank corr.", "MARE", "never drawn", "over, from 24", "used at 16, 160",
             "right at 24, 160")  # fmt: skip

    def cells(rows: Sequence[dict[str, Any]]) -> Iterable[str]:
        at, first = {row["budget"]: row for row in rows}, rows[0]
        name = first["run"] if " " in first["run"] else f"`{first['run']}`"
        yield from (name, f"`{first['task']}`", first["kind"], span([first["rank_correlation"]]))
        for chosen in (rows, [row for row in rows if row["budget"] % 3 == 0]):
            yield span([fmean(row["mare"] for row in chosen)])
        yield span([fmean(row["over_budget"] for row in rows if row["budget"] >= 24)], 0, percent=True)
        yield ", ".join(span([at[budget]["tokens_mean"]], 0) for budget in (16, 160))
        yield ", ".join(span([at[budget]["accuracy"]]) for budget in (24, 160))

    of_kind = sorted(of_smol("pairs", "chains"), key=lambda rows: (rows[0]["kind"], rows[0]["task"] == "chains"))
    return grid(heads, (list(cells(rows)) for rows in of_kind))


def smol_methods() -> str:
    """smol-exact against what can be done with `smol` at equal tokens, by tokens: paired differences in accuracy."""
    places, lines = (32, 45, 60, 84), dict[tuple[str, str], dict[int, str]]()
    for line in read(RESULTS / "smol-methods.csv"):
        at = round(line["at_tokens"])
        if at in places:
            cell = f"{line['difference']:+.2f} ({line['low']:+.2f} to {line['high']:+.2f})"
            lines.setdefault((line["task"], line["other_method"]), {})[at] = cell
    return grid(("task", "against", *(f"at {at} tokens" for at in places)), (
        (f"`{task}`", f"`{method}`", *(cells.get(at, "-") for at in places)) for (task, method), cells in lines.items()
    ))  # fmt: skip


def smol_unseen() -> str:
    """smol-exact on what it was not trained on: other words, other sizes, and benchmarks that nobody generated."""
    lines = [
        [
            f"`{rows[0]['task']}`",
            span([rows[0]["rank_correlation"]]),
            span([fmean(row["mare"] for row in rows)]),
            f"{rows[0]['tokens_mean']:.0f}, {rows[-1]['tokens_mean']:.0f}",
            span([fmean(row["accuracy"] for row in rows)]),
        ]
        for rows in of_smol()
        if rows[0]["task"] not in ("pairs", "chains")
    ]
    return grid(("task", "rank corr.", "MARE", "used at 16, 160", "right"), lines)


def of_smol(*tasks: str) -> list[list[dict[str, Any]]]:
    """The prompted rows of each evaluation and model of smol, budgets ascending; of these tasks, where any is named."""
    curves: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in read(RESULTS / "smol.csv"):
        whole = row["method"] == "prompted" and row["evaluation"] != f"{row['task']}-inert"
        if whole and (not tasks or row["task"] in tasks):
            curves.setdefault((row["evaluation"], row["run"]), []).append(row)
    return [sorted(rows, key=lambda row: row["budget"]) for rows in curves.values()]


TABLES: dict[str, Callable[[], str]] = {
    "short": short, "arms": arms, "curve": curve, "checks": checks, "dial": dial, "methods": methods,
    "smol": smol, "smol-methods": smol_methods, "smol-unseen": smol_unseen,
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
        ("accuracy", "Accuracy", Axis("", percent=True, low=0.0)),
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
