"""Adherence over rollouts, arm by arm, as training logged it: docs/results/adherence.json and a picture of it.

    python study/adherence.py

Reads metrics.jsonl of the runs under runs/claims (`make claims NAME=...`), finished or not. Each point is the mean over
a window of generations; training problems, budgets that training draws. Held-out problems are in the other results.
"""

import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from claims import ARMS, RESULTS, RUNS, runs, write
from lcpo.report.plots import Axis, Chart, Mark, Series, Style, png
from lcpo.report.training import read_run

SHOWN = ("tiny-exact", "tiny-l1", "tiny-l1-warm", "tiny-one-budget", "tiny-absolute", "tiny-control", "tiny-shuffled")
POINTS = 40
"""Windows of a run."""
FIELDS = ("rank_correlation", "mare", "accuracy", "length")


def learned(name: str) -> dict[str, Any]:
    """What a run logged: for each window the rollouts until its end, and means of FIELDS over its generations."""
    run = read_run(RUNS / name, name)
    recipe = tomllib.loads((RUNS / name / "recipe.toml").read_text(encoding="utf-8"))
    size = int(recipe["group"]["size"]) * int(recipe["group"]["problems"])
    drawn = [line for line in run.records if line["reward"] is not None]
    points = []
    for part in np.array_split(np.arange(len(drawn)), min(POINTS, len(drawn))):
        means = {
            field: float(np.mean([drawn[i][field] for i in part if drawn[i][field] is not None])) for field in FIELDS
        }
        points.append({"rollouts": (int(part[-1]) + 1) * size, **means})
    steps, wanted = run.records[-1]["step"], recipe["trl"]["max_steps"]
    return {"run": name, "rollouts": len(drawn) * size, "steps": steps, "max_steps": wanted, "windows": points}


def picture(found: list[dict[str, Any]], out: Path) -> Path:
    """Rank correlation of length and budget over rollouts, a line for each run."""
    series = []
    for number, run in enumerate(found):
        marks = tuple(Mark(point["rollouts"], point["rank_correlation"]) for point in run["windows"])
        series.append(Series(run["run"], Style(number), marks, dots=False))
    chart = Chart(
        "adherence",
        "Does length follow the budget? Rank correlation over RL rollouts",
        "",
        Axis("rollouts", log=True),
        Axis("rank correlation", low=-0.2, high=1.03),
        tuple(series),
    )
    return png(chart, out)


def main() -> None:
    """Writes the windows of every run that has begun, and draws the first seed of each arm."""
    found, missing = [], []
    for arm in SHOWN:
        for name, _, _ in runs(arm, ARMS[arm]):
            there = (RUNS / name / "metrics.jsonl").exists()
            found.append({"arm": arm, **learned(name)}) if there else missing.append(name)
    first = [next(run for run in found if run["arm"] == arm) for arm in SHOWN if any(r["arm"] == arm for r in found)]
    print("not begun: " + (", ".join(missing) or "none"), file=sys.stderr)
    print(picture(first, RESULTS / "adherence.png"))
    print(write(RESULTS / "adherence.json", {"claim": "adherence", "missing": missing, "runs": found}))


if __name__ == "__main__":
    main()
