"""The thresholds of docs/study.md, run by run, with paired intervals: docs/results/thresholds.json from runs/claims.

    python study/thresholds.py

Needs the samples of tiny-base, and of every other arm that is to be checked, under runs/claims (`make claims
NAME=...`). Runs that are not there are left out and named. A step is the accuracy at a budget minus that at the one
before, problems drawn jointly. A run is compared with the base that it goes back to.
"""

import json
import sys
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from claims import ARMS, RESULTS, RUNS, runs, write
from lcpo.evaluate.comparisons import paired
from lcpo.evaluate.records import Sample
from tables import dial, mean, prompted

RESAMPLES = 4000
EARLIER: dict[str, dict[str, tuple[int | str, ...]]] = {
    "tiny-exact": {
        "eighth": (21, 22, 23, "second-base"),
        "seventh": (18, 19, 20, "second-base"),
        "fifth": (12, 13, 14, "second-base"),
        "fourth": (7, 8, 9),
        "third": (6,),
        "second": (3, 4, 5),
        "first": (0, 1, 2),
    },
    "tiny-max": {
        "eighth": (21, 22, 23, "second-base"),
        "seventh": (18, 19, 20),
        "fifth": (12, 13, 14, "second-base"),
        "fourth": (7,),
        "third": (6,),
    },
}
"""Seeds of earlier recipes, arm by arm."""
FLAT = ("tiny", "second-base", "tiny-control-0", "tiny-shuffled-0")
FILLER = ("tiny-filler-0",)


def samples(folder: str) -> list[Sample]:
    """Every sample of an evaluation."""
    with (RUNS / folder / "samples.jsonl").open(encoding="utf-8") as lines:
        return [Sample(**json.loads(line)) for line in lines]


def results(folder: str) -> dict[str, Any]:
    """The results of an evaluation, as the tables take them."""
    return {"evaluations": {"here": json.loads((RUNS / folder / "results.json").read_text())}}


def rows(folder: str) -> list[dict[str, Any]]:
    """The rows of an evaluation's prompted budgets, by budget."""
    return prompted(results(folder), "here")


def rank(folder: str) -> float:
    """Rank correlation of length and budget, over all prompted samples."""
    return float(dial(results(folder), "here")["rank_correlation"])


def gap(drawn: list[Sample], a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """Accuracy of row a minus that of row b, and its 95 % interval."""
    return paired(drawn, {"method": "prompted", **a}, {"method": "prompted", **b}, resamples=RESAMPLES)


def steps(drawn: list[Sample], budgets: list[int]) -> list[dict[str, Any]]:
    """Every step in accuracy between neighbouring budgets, in standard errors."""
    found = []
    for low, high in pairwise(budgets):
        pair = [sample for sample in drawn if sample.budget in (low, high)]
        step = gap(pair, {"budget": high}, {"budget": low})
        error = (step["ci95"][1] - step["ci95"][0]) / (2 * 1.96)
        found.append({"from": low, "to": high, **step, "standard_errors": step["accuracy_difference"] / error})
    return found


def exact_run(name: str, base: list[Sample]) -> dict[str, Any]:
    """What a run of tiny-exact has to show, and whether it does."""
    folder = f"{name}-eval-exact"
    table, drawn = rows(folder), [s for s in samples(folder) if s.method == "prompted"]
    budgets = [row["budget"] for row in table]
    last = [s for s in drawn if s.budget == budgets[-1]]
    ends = [s for s in drawn if s.budget in (budgets[0], budgets[-1])]
    rising = sorted(steps(drawn, budgets), key=lambda step: step["standard_errors"])
    found: dict[str, Any] = {
        "rank_correlation": rank(folder),
        "worst_mean": max((row["signed_error"] for row in table), key=abs),
        "mare": mean(row["mare"] for row in table),
        "mare_unseen": mean(row["mare"] for row in table if not row["seen"]),
        "filler": max(row["filler"] for row in table),
        "rise": gap(ends, {"budget": budgets[-1]}, {"budget": budgets[0]}),
        "worst_step": rising[0],
        "steps_down": [step for step in rising if step["standard_errors"] < -2],
        "over_base": paired([*last, *base], {"run": Path(name).name}, {"method": "unlimited"}, resamples=RESAMPLES),
    }
    checks = {
        "rank_correlation": found["rank_correlation"] >= 0.95,
        "worst_mean": abs(found["worst_mean"]) <= 0.15,
        "mare": found["mare"] <= 0.15,
        "mare_unseen": found["mare_unseen"] <= 0.20,
        "filler": found["filler"] <= 0.05,
        "rise": found["rise"]["accuracy_difference"] >= 0.15 and found["rise"]["ci95"][0] > 0,
        "worst_step": not found["steps_down"],
        "over_base": found["over_base"]["ci95"][1] >= 0,
    }
    return {"run": name, **found, "missed": [check for check, holds in checks.items() if not holds]}


def used(drawn: list[Sample], natural: dict[str, float]) -> float:
    """Mean share of the budget used on problems whose natural length, the base's without a budget, exceeds it."""
    binds = [s for s in drawn if s.budget is not None and natural[s.problem] > s.budget]
    return mean((s.tokens or 0) / s.budget for s in binds if s.budget)


def max_run(name: str, start: str, natural: dict[str, float]) -> dict[str, Any]:
    """What a run of tiny-max, trained from the run `start`, has to show, and whether it does."""
    folder = f"{name}-eval-max"
    table, drawn = rows(folder), samples(folder)
    budget = table[-1]["budget"]
    last = [s for s in [*drawn, *samples(f"{start}-eval-exact")] if s.budget == budget]
    exact = mean(row["mare"] for row in rows(f"{name}-eval-exact"))
    found: dict[str, Any] = {
        "rank_correlation": rank(folder),
        "over_budget": mean(row["over_budget"] for row in table),
        "used_where_it_binds": used(drawn, natural),
        "over_exact": gap(last, {"run": Path(name).name}, {"run": Path(start).name}),
        "exact_mare": exact,
        "exact_mare_over_start": exact - mean(row["mare"] for row in rows(f"{start}-eval-exact")),
    }
    checks = {
        "rank_correlation": found["rank_correlation"] >= 0.8,
        "over_budget": found["over_budget"] <= 0.05,
        "used_where_it_binds": found["used_where_it_binds"] >= 0.5,
        "over_exact": found["over_exact"]["ci95"][0] >= -0.03,
        "exact_mare": found["exact_mare_over_start"] <= 0.05,
    }
    return {"run": name, **found, "missed": [check for check, holds in checks.items() if not holds]}


def flat_run(name: str) -> dict[str, Any]:
    """A control has to show no dial: slope and rank correlation within 0.1 of zero."""
    line = dial(results(f"{name}-eval-exact"), "here")
    found = {key: float(line[key]) for key in ("slope", "rank_correlation")}
    return {"run": name, **found, "missed": [key for key, value in found.items() if abs(value) > 0.1]}


def filler_run(name: str) -> dict[str, Any]:
    """Marks for a thought must know no more than no thought: the largest budget against the direct answer, paired."""
    drawn = samples(f"{name}-eval-exact")
    table = prompted(results(f"{name}-eval-exact"), "here", "filler")
    pair = [s for s in drawn if s.method == "direct" or (s.method == "filler" and s.budget == table[-1]["budget"])]
    over = paired(pair, {"method": "filler"}, {"method": "direct"}, resamples=RESAMPLES)
    found = {"accuracy": [row["accuracy"] for row in table], "over_direct": over}
    return {"run": name, **found, "missed": ["over_direct"] if over["ci95"][0] > 0 else []}


def unlimited(base: str) -> list[Sample]:
    """The base's own responses, asked without a budget."""
    return [s for s in samples(f"{base}-eval-exact") if s.method == "unlimited"]


def natural(base: str) -> dict[str, float]:
    """Mean length of the base's own responses, problem by problem."""
    lengths: dict[str, list[int]] = {}
    for s in unlimited(base):
        lengths.setdefault(s.problem, []).append(s.tokens or 0)
    return {problem: float(np.mean(found)) for problem, found in lengths.items()}


def base_of(name: str) -> str:
    """The base that a run goes back to."""
    return "second-base" if name.endswith("second-base") else "tiny"


def recipes(arm: str) -> dict[str, str]:
    """Every run of an arm, and the recipe that it is of: the current one, then the earlier ones.

    The second base's run has the same name with every recipe; the earlier ones are in folders of their own.
    """
    found = {name: "current" for name, _, _ in runs(arm, ARMS[arm])}
    for word, seeds in EARLIER[arm].items():
        found |= {f"{word}-recipe/{arm}-{seed}" if seed == "second-base" else f"{arm}-{seed}": word for seed in seeds}
    return found


def start_of(name: str) -> str:
    """The run of tiny-exact that a run of tiny-max starts from."""
    return name.replace("tiny-max", "tiny-exact")


def main() -> None:
    """Writes docs/results/thresholds.json and prints which thresholds were missed."""
    exact, most = recipes("tiny-exact"), recipes("tiny-max")
    recipe = exact | most
    arms: list[tuple[str, Iterable[str], Callable[[str], dict[str, Any]], tuple[str, ...]]] = [
        ("tiny-exact", exact, lambda name: exact_run(name, unlimited(base_of(name))), ("exact",)),
        ("tiny-max", most, lambda name: max_run(name, start_of(name), natural(base_of(name))), ("max", "exact")),
        ("controls", FLAT, flat_run, ("exact",)),
        ("filler", FILLER, filler_run, ("exact",)),
    ]
    found: dict[str, list[dict[str, Any]]] = {arm: [] for arm, *_ in arms}
    missing = []
    for arm, names, make, evaluations in arms:
        for name in names:
            if all((RUNS / f"{name}-eval-{kind}" / "results.json").exists() for kind in evaluations):
                run = make(name) | ({"recipe": recipe[name]} if name in recipe else {})
                found[arm].append(run)
                print(name, "missed: " + ", ".join(run["missed"]) if run["missed"] else "holds", file=sys.stderr)
            else:
                missing.append(name)
    print(write(RESULTS / "thresholds.json", {**found, "missing": missing}))


if __name__ == "__main__":
    main()
