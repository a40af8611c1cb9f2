"""The experiments: train and evaluate every run of an arm, and keep what came out in study/results/ARM.csv.

    make study                   lists the arms, and which of them have results
    make study NAME=tiny-exact   every seed of an arm; what is done is not done again (python study/run.py tiny-exact)
    make study NAME=tiny-exact ARGS=--collect    trains and evaluates nothing: what is there already

Runs and evaluations live under runs/study. A results file holds every seed, never the best one: a row for each run,
evaluation, method and budget. What has a threshold is checked from the samples and kept in study/results/checks.csv.
"""

import argparse
import csv
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from lcpo.evaluate.comparisons import paired
from lcpo.evaluate.records import Sample, read_samples

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "study"
RESULTS = ROOT / "study" / "results"
RESAMPLES = 4000
COLUMNS = (
    "run", "seed", "stopped_at", "evaluation", "method", "kind", "budget", "seen", "problems", "samples", "accuracy",
    "accuracy_stderr", "tokens_mean", "signed_error", "mare", "within_10", "over_budget", "filler", "no_answer",
    "truncated", "slope", "rank_correlation",
)  # fmt: skip
"""Of a results file; slope and rank_correlation are those of the row's dial, stopped_at is empty for a finished run."""
CHECKED = ("run", "check", "value", "low", "high", "holds")
COMPARED = ("run", "method", "other", "other_method", "at_tokens", "difference", "low", "high")


@dataclass(frozen=True)
class Arm:
    """A recipe (none: a model as it ships) with overrides, its seeds, what is evaluated, and what it has to show."""

    recipe: str | None
    seeds: tuple[int, ...] = (0,)
    overrides: tuple[str, ...] = ()
    start: str | None = None
    """The arm that this one starts from, same seed."""
    evaluations: Mapping[str, tuple[str, ...]] | None = None
    """Name -> further options of `lcpo eval`; none: the protocol alone, named exact."""
    checks: "Callable[[str], Iterator[Check]] | None" = None


@dataclass(frozen=True)
class Check:
    """A threshold: what was measured, its 95 % interval where there is one, and whether it holds."""

    name: str
    value: float
    holds: bool
    low: float | None = None
    high: float | None = None


PROTOCOL = ("--task", "sums", "--budgets", "12,15,18,21,26,31,37,45,54,66,79,96", "--seed", "1")
"""500 held-out problems, 4 samples; eight of twelve budgets are multiples of 3, which training never draws."""
REACH = {
    "exact": ("--methods", "prompted,unlimited"),
    "half-and-double": ("--budgets", "6,9,150,192", "--problems", "200"),
    "unseen-sizes": ("--task", "sums_long", "--problems", "200"),
    "unseen-wording": ("--wording", "use", "--problems", "200"),
}
METHODS = (
    *("tiny-exact", "tiny-max", "tiny", "--budgets", "15,26,45,79", "--kind", "exact"),
    *("--methods", "prompted,unlimited,truncate,s1,s1_fair,direct,majority"),
    *("--problems", "300", "--samples", "4", "--seed", "1"),
)
"""The shipped models by every method, for docs/methods.md."""


def drawn(run: str, evaluation: str = "exact") -> list[Sample]:
    """Every sample of an evaluation of a run."""
    return list(read_samples(RUNS / f"{run}-eval-{evaluation}"))


def rows(run: str, evaluation: str = "exact", method: str = "prompted") -> list[dict[str, Any]]:
    """The rows of a run's method, budgets ascending, with the slope and rank correlation of their dial."""
    results = json.loads((RUNS / f"{run}-eval-{evaluation}" / "results.json").read_text(encoding="utf-8"))
    return sorted((row for row in table(results) if row["method"] == method), key=lambda row: row["budget"] or 0)


def table(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a results.json, each with the slope and rank correlation of its dial."""
    names = ("run", "method", "kind")
    dials = {tuple(dial[name] for name in names): dial for dial in results["dials"]}
    none = {"slope": None, "rank_correlation": None}
    return [{**row, **{k: dials.get(tuple(row[n] for n in names), none)[k] for k in none}} for row in results["rows"]]


def gap(name: str, samples: Iterable[Sample], a: Mapping[str, Any], b: Mapping[str, Any], holds: str) -> Check:
    """Accuracy of row a minus that of row b, problems drawn jointly; `holds`: "above", "not below" or "not above" 0."""
    found = paired(samples, a, b, resamples=RESAMPLES)
    low, high = found["ci95"]
    verdict = {"above": low > 0, "not below": high >= 0, "not above": low <= 0}[holds]
    return Check(name, found["accuracy_difference"], verdict, low, high)


def base() -> list[Sample]:
    """The responses of the base without a budget."""
    return [sample for sample in drawn("tiny") if sample.method == "unlimited"]


def exact_checks(run: str) -> Iterator[Check]:
    """What every run of tiny-exact has to show."""
    dial, samples = rows(run), [sample for sample in drawn(run) if sample.method == "prompted"]
    budgets = [row["budget"] for row in dial]
    rank, mare = dial[0]["rank_correlation"], fmean(row["mare"] for row in dial)
    unseen = fmean(row["mare"] for row in dial if not row["seen"])
    worst = max((row["signed_error"] for row in dial), key=abs)
    yield Check("rank correlation >= 0.95", rank, rank >= 0.95)
    yield Check("worst mean within 15 %", worst, abs(worst) <= 0.15)
    yield Check("MARE <= 0.15", mare, mare <= 0.15)
    yield Check("MARE of unseen budgets <= 0.20", unseen, unseen <= 0.20)
    filler = max(row["filler"] for row in dial)
    yield Check("filler <= 5 %", filler, filler <= 0.05)
    ends = [sample for sample in samples if sample.budget in (budgets[0], budgets[-1])]
    yield gap("accuracy at 96 minus 12", ends, {"budget": budgets[-1]}, {"budget": budgets[0]}, "above")
    steps = []
    for low, high in pairwise(budgets):
        pair = [sample for sample in samples if sample.budget in (low, high)]
        steps.append(gap(f"step {low} to {high}", pair, {"budget": high}, {"budget": low}, "not below"))
    down = [step for step in steps if not step.holds]
    yield from down or [min(steps, key=lambda step: step.value)]
    last = [sample for sample in samples if sample.budget == budgets[-1]]
    alone = {"method": "unlimited"}
    yield gap("at 96 minus the base alone", [*last, *base()], {"method": "prompted"}, alone, "not below")


def max_checks(run: str) -> Iterator[Check]:
    """What every run of tiny-max has to show, held against the run of tiny-exact that it started from."""
    start, dial, samples = run.replace("tiny-max", "tiny-exact"), rows(run, "max"), drawn(run, "max")
    over, rank = fmean(row["over_budget"] for row in dial), dial[0]["rank_correlation"]
    yield Check("rank correlation >= 0.8", rank, rank >= 0.8)
    yield Check("over budget <= 5 %", over, over <= 0.05)
    lengths: dict[str, list[int]] = {}
    for sample in base():
        lengths.setdefault(sample.problem, []).append(sample.tokens or 0)
    binds = [s for s in samples if s.budget and fmean(lengths[s.problem]) > s.budget]
    used = fmean((s.tokens or 0) / s.budget for s in binds if s.budget)
    yield Check("half used where it binds", used, used >= 0.5)
    last = [s for s in [*samples, *drawn(start)] if s.budget == dial[-1]["budget"] and s.method == "prompted"]
    gained = gap("at 96 minus its start", last, {"run": run}, {"run": start}, "not below")
    yield Check(gained.name, gained.value, (gained.low or 0.0) >= -0.03, gained.low, gained.high)
    more = fmean(row["mare"] for row in rows(run)) - fmean(row["mare"] for row in rows(start))
    yield Check("exact MARE at most 0.05 more", more, more <= 0.05)


def flat_checks(run: str) -> Iterator[Check]:
    """What a base or a control has to show: no dial."""
    dial = rows(run)[0]
    for name, value in (("slope", dial["slope"]), ("rank correlation", dial["rank_correlation"])):
        yield Check(f"{name} within 0.1 of 0", value, abs(value) <= 0.1)


def filler_checks(run: str) -> Iterator[Check]:
    """Marks for a thought must know no more than no thought."""
    largest = rows(run, method="filler")[-1]["budget"]
    pair = [s for s in drawn(run) if s.method == "direct" or (s.method == "filler" and s.budget == largest)]
    yield gap("marks at 96 minus no thought", pair, {"method": "filler"}, {"method": "direct"}, "not above")


ARMS = {
    "tiny-base": Arm(None, evaluations={"exact": ("--methods", "prompted,unlimited")}, checks=flat_checks),
    "tiny-exact": Arm("tiny-exact", (24, 25, 26), evaluations=REACH, checks=exact_checks),
    "tiny-max": Arm(
        "tiny-max",
        (24, 25, 26),
        start="tiny-exact",
        evaluations={"max": ("--kind", "max"), "exact": ("--kind", "exact")},
        checks=max_checks,
    ),
    "tiny-one-budget": Arm("tiny-one-budget", (0, 1, 2)),
    "tiny-absolute": Arm("tiny-absolute"),
    "tiny-control": Arm("tiny-control", checks=flat_checks),
    "tiny-shuffled": Arm("tiny-shuffled", checks=flat_checks),
    "tiny-filler": Arm(
        "tiny-filler", evaluations={"exact": ("--methods", "prompted,filler,direct")}, checks=filler_checks
    ),
    "tiny-l1": Arm("tiny-l1"),
    "tiny-l1-warm": Arm("tiny-l1", overrides=("trl.temperature=1.0",)),
}


def python(*args: str) -> None:
    """Runs Python with these arguments; its failure ends this arm."""
    print("+ python", *args, file=sys.stderr, flush=True)
    subprocess.run([sys.executable, *args], check=True, cwd=ROOT)


def members(name: str, arm: Arm) -> Iterator[tuple[str, int, str]]:
    """(run, seed, model that it starts from or "" for the recipe's own) of an arm; without a recipe, the base."""
    if arm.recipe is None:
        yield "tiny", 0, ""
        return
    for seed in arm.seeds:
        yield f"{name}-{seed}", seed, f"runs/study/{arm.start}-{seed}" if arm.start else ""


def stopped_at(folder: Path) -> int | None:
    """The step at which a run was stopped; None for one that ended."""
    wanted = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))["trl"]["max_steps"]
    steps = int(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["steps"])
    return None if steps >= wanted else steps


def train(run: str, arm: Arm, seed: int, start: str) -> None:
    """Trains one seed unless it has ended; an interrupted run is resumed."""
    folder = RUNS / run
    if (folder / "model" / "config.json").exists() and stopped_at(folder) is None:
        return
    overrides = [*arm.overrides, *([f"model={start}"] if start else [])]
    resume = ["--resume"] if folder.exists() else []
    out = ("--out", str(folder.relative_to(ROOT)), *resume)
    python(str(Path(__file__).with_name("arms.py")), str(arm.recipe), f"seed={seed}", *overrides, *out)


def evaluate(options: Sequence[str], folder: Path) -> dict[str, Any]:
    """Evaluates unless it is done; the results.json."""
    if not (folder / "results.json").exists():
        resume = ["--resume"] if folder.exists() else []
        python("-m", "lcpo", "eval", *options, "--out", str(folder.relative_to(ROOT)), *resume)
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return results


def study(name: str, collect: bool = False) -> Path:
    """Everything that an arm claims, written to study/results/NAME.csv; with `collect`, what is there of it."""
    arm, lines, checks = ARMS[name], [], []
    for run, seed, start in members(name, arm):
        if arm.recipe is not None and not collect:
            train(run, arm, seed, start)
        model = run if arm.recipe is None else f"runs/study/{run}"
        more = {"seed": seed, "stopped_at": stopped_at(RUNS / run) if (RUNS / run).exists() else None}
        for evaluation, options in (arm.evaluations or {"exact": ()}).items():
            folder = RUNS / f"{run}-eval-{evaluation}"
            if collect and not (folder / "results.json").exists():
                print(f"not there: {folder.name}", file=sys.stderr)
                continue
            results = evaluate((model, *PROTOCOL, *options), folder)
            lines += [{**row, "run": run, "evaluation": evaluation, **more} for row in table(results)]
        if arm.checks and not collect:
            checks += [{**vars(check), "run": run, "check": check.name} for check in arm.checks(run)]
    if checks:
        merge(checks)
    return write(RESULTS / f"{name}.csv", COLUMNS, lines)


def methods() -> Path:
    """The shipped models by every method at equal tokens used, written to study/results/tiny-methods.csv."""
    lines = [
        {
            "run": line["a"], "method": line["method_a"], "other": line["b"], "other_method": line["method_b"],
            "at_tokens": line["at_tokens"], "difference": line["accuracy_difference"],
            "low": line["ci95"][0], "high": line["ci95"][1],
        }
        for line in evaluate(METHODS, RUNS / "methods")["comparisons"]
        if line["ci95"]
    ]  # fmt: skip
    return write(RESULTS / "tiny-methods.csv", COMPARED, lines)


def merge(checks: Sequence[Mapping[str, Any]]) -> Path:
    """Puts the checks of some runs in place of what checks.csv says of them."""
    path, new = RESULTS / "checks.csv", {line["run"] for line in checks}
    kept = [line for line in read(path) if line["run"] not in new] if path.exists() else []
    return write(path, CHECKED, [*kept, *checks])


def read(path: Path) -> list[dict[str, Any]]:
    """A results file: numbers as numbers, what is empty as None."""
    with path.open(encoding="utf-8", newline="") as lines:
        return [{name: _value(text) for name, text in line.items()} for line in csv.DictReader(lines)]


def _value(text: str) -> Any:
    if text in ("", "True", "False"):
        return {"": None}.get(text, text == "True")
    try:
        return float(text) if any(mark in text for mark in ".en") else int(text)
    except ValueError:
        return text


def write(path: Path, columns: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> Path:
    """Rows as CSV, numbers to six digits, by a temporary file. Returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for line in lines:
            writer.writerow({k: f"{line[k]:.6g}" if isinstance(line.get(k), float) else line.get(k) for k in columns})
    temporary.replace(path)
    return path


def main() -> None:
    """Lists the arms, or makes the results of the named ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *ARMS, "tiny-methods"], metavar="ARM")
    parser.add_argument("--collect", action="store_true", help="train and evaluate nothing")
    given = parser.parse_args()
    for name in given.names or [*ARMS, "tiny-methods"]:
        if given.names:
            print(methods() if name == "tiny-methods" else study(name, given.collect))
        else:
            print(f"{name:18} {'there' if (RESULTS / f'{name}.csv').exists() else 'not run yet'}")


if __name__ == "__main__":
    main()
