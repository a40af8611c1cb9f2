"""The README's picture from docs/results: tokens used and accuracy against tokens asked for, before and after.

python study/picture.py            draws docs/results/before-after.png from the claims that are there
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lcpo.report.plots import COLOURS, GUIDE, INK, LINES, LOOK

ROOT = Path(__file__).resolve().parents[1]
BEFORE = "tiny (before)"
ARMS = {
    BEFORE: ("tiny-base", "exact"),
    "tiny-exact": ("tiny-exact", "exact"),
    "tiny-max": ("tiny-max", "max"),
    "correctness only": ("tiny-control", "exact"),
    "budgets shuffled": ("tiny-shuffled", "exact"),
    "the paper's settings": ("tiny-l1", "exact"),
}
"""What is drawn: name in the picture -> claim, evaluation within it."""
CONTROLS = ("correctness only", "budgets shuffled")
CONTROL = "#9aa1ac"


def before_after(
    arms: Mapping[str, Sequence[Mapping[str, Any]]], out: Path, *, before: str, controls: Sequence[str] = ()
) -> Path:
    """The README's picture: tokens used and accuracy against tokens asked for, before and after, as PNG.

    arms: name -> rows of results.json of its runs (method prompted; several runs are seeds: a thin line each and a
    strong one for their mean). before: the arm the starting point; controls: arms drawn in grey. Returns `out`.
    """
    with rc_context({**LOOK, "font.size": 9.5, "legend.fontsize": 9}):
        return _draw(arms, out, before, controls)


def _draw(arms: Mapping[str, Sequence[Mapping[str, Any]]], out: Path, before: str, controls: Sequence[str]) -> Path:
    figure = Figure(figsize=(10.6, 4.3), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    coloured = [name for name in arms if name != before and name not in controls]
    asked: set[int] = set()
    for name, rows in arms.items():
        look = _arm(name, before, coloured, controls)
        runs = _runs(rows)
        asked |= {row["budget"] for run in runs for row in run}
        for place, value in ((left, "tokens_mean"), (right, "accuracy")):
            _lines(place, runs, value, name, look)
    ends = [min(asked) / 1.1, max(asked) * 1.1]
    left.plot(ends, ends, label="asked = used", **GUIDE)
    for place, title in ((left, "Tokens used"), (right, "Accuracy")):
        _budget_axis(place, sorted(asked), ends)
        place.set_title(title, size=11.5, pad=8)
    left.set_yscale("log")
    left.yaxis.set_minor_locator(NullLocator())
    ticks = [t for t in (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096) if left.get_ylim()[0] <= t]
    ticks = [t for t in ticks if t <= left.get_ylim()[1]]
    left.yaxis.set_ticks(ticks, [str(t) for t in ticks])
    right.set_ylim(0, 1)
    right.yaxis.set_ticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)))
    figure.savefig(out, dpi=160, metadata={"Software": None})
    return out


def _arm(name: str, before: str, coloured: Sequence[str], controls: Sequence[str]) -> dict[str, Any]:
    if name == before:
        return {"color": INK, "linestyle": LINES[1], "marker": "s", "linewidth": 1.8}
    if name in controls:
        number = list(controls).index(name)
        return {"color": CONTROL, "linestyle": LINES[1 + number % 3], "marker": "DvXPh"[number % 5], "linewidth": 1.3}
    colour = COLOURS[list(coloured).index(name) % 4]
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
    axes.xaxis.set_minor_locator(NullLocator())
    shown = asked if len(asked) <= 8 else asked[::-2][::-1]
    axes.xaxis.set_ticks(list(shown), [str(tick) for tick in shown])
    axes.set_xlabel("tokens asked for")


def rows(path: Path, evaluation: str) -> list[dict[str, Any]]:
    """The rows of every run of a claim on the shipped base, each named after its run."""
    claim = json.loads(path.read_text(encoding="utf-8"))
    records = [record for record in claim["runs"] if not record["run"].endswith("second-base")]
    return [{**row, "run": record["run"]} for record in records for row in record["evaluations"][evaluation]["rows"]]


def main() -> None:
    """Draw what is there; say what is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "results", help="folder of claims")
    parser.add_argument("--out", type=Path, help="the picture; default: before-after.png in the folder of claims")
    given = parser.parse_args()
    there = {name: given.results / f"{claim}.json" for name, (claim, _) in ARMS.items()}
    missing = [str(path) for path in there.values() if not path.is_file()]
    if missing:
        print("not there yet: " + ", ".join(missing), file=sys.stderr)
    arms = {name: rows(path, ARMS[name][1]) for name, path in there.items() if path.is_file()}
    if BEFORE not in arms or len(arms) < 2:
        sys.exit("a picture needs the base and at least one more claim: make claims NAME=tiny-base")
    print(before_after(arms, given.out or given.results / "before-after.png", before=BEFORE, controls=CONTROLS))


if __name__ == "__main__":
    main()
