"""The experiments: train and evaluate every run of an arm, and keep what came out in study/results/ARM.csv.

    make study                   lists the arms, and which of them have results
    make study NAME=exact        every seed of an arm; what is done is not done again (python study/run.py exact)
    make study NAME=exact ARGS="--seed 1"        one seed alone, for another core; --collect then gathers all

Runs and evaluations live under runs/study. A results file holds every seed, never the best one: a row for each run,
evaluation, method and budget. What has a threshold (checks.py) is kept in study/results/checks.csv.
"""

import argparse
import csv
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from checks import Check, Evaluation, exact_checks, flat_checks, max_checks, possible, table

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "study"
RESULTS = ROOT / "study" / "results"
COLUMNS = (
    "run", "seed", "steps", "rollouts", "cpu_seconds", "evaluation", "method", "kind", "budget", "problems", "samples",
    "accuracy", "accuracy_stderr", "attainable", "tokens_mean", "thinking_tokens_mean", "right_steps_mean", "useless",
    "signed_error", "mare", "over_budget", "filler", "inert", "inert_at_most", "no_answer", "truncated", "slope",
    "rank_correlation",
)  # fmt: skip
"""Of a results file; slope and rank_correlation are those of the row's dial. Training's are empty for what is not."""
CHECKED = ("run", "check", "value", "low", "high", "holds")
COMPARED = ("run", "method", "other", "other_method", "at_tokens", "difference", "low", "high")
CURVE = ("run", "step", "rollouts", "rank_correlation", "mare", "accuracy", "length", "useless")
PROTOCOL = (
    *("--task", "search", "--budgets", "12,15,18,21,26,31,37,45,54,66,79,96", "--seed", "1"),
    *("--problems", "500", "--samples", "4"),
)
"""500 held-out problems, 4 samples; eight of twelve budgets are multiples of 3, which training never draws."""
AGAIN = ("--samples", "1")
"""For the seeds after the first, of all but tiny-exact: a sample of each problem, which costs a quarter."""
TEST = ("--methods", "prompted,unlimited", "--inert", "120")
REACH = {
    "test": TEST,
    "unseen-sizes": ("--task", "search_unseen", "--methods", "prompted", "--problems", "200"),
}
METHODS = (
    *("--task", "search", "--budgets", "15,26,45,79", "--kind", "exact", "--problems", "300", "--samples", "2"),
    *("--methods", "prompted,unlimited,truncate,s1,s1_fair,direct,majority", "--seed", "1"),
)
"""The base and the first run of tiny-exact by every method, for equal tokens."""


@dataclass(frozen=True)
class Arm:
    """A recipe with its seeds, what is evaluated, and what it has to show; {seed} in start and model is a run's.

    recipe: of study/arms, or a shipped one; None: nothing is trained, `model` is there. start: the model that a run
    starts from, where it is not the recipe's. evaluations: name -> further options of `lcpo eval`.
    """

    recipe: str | None
    seeds: tuple[int, ...] = (0, 1, 2)
    start: str = ""
    model: str = ""
    evaluations: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"test": TEST})
    checks: Callable[[str, int], Iterator[Check]] | None = None


def evaluation(run: str, name: str = "test") -> Evaluation:
    """An evaluation of a run."""
    return Evaluation(RUNS / f"{run}-eval-{name}")


def dial(run: str, _: int) -> Iterator[Check]:
    """exact_checks of a run."""
    return exact_checks(evaluation(run))


def no_dial(run: str, _: int) -> Iterator[Check]:
    """flat_checks of a control."""
    return flat_checks(evaluation(run), 0.15)


WARM = "runs/study/exact-{seed}/stages/hindsight"
"""The warm start of a seed: the stage [hindsight] of its run of tiny-exact."""
ARMS = {
    "base": Arm(None, (0,), model="tiny", checks=lambda run, _: flat_checks(evaluation(run), 0.1)),
    "exact": Arm("tiny-exact", evaluations=REACH, checks=dial),
    "hindsight": Arm(None, model=WARM, evaluations={"test": ("--kind", "exact", *TEST)}, checks=dial),
    "additive": Arm("additive", start=WARM, checks=dial),
    "correct": Arm("correct", start=WARM, checks=no_dial),
    "shuffled": Arm("shuffled", (0,), start=WARM, checks=no_dial),
    "alone-gated": Arm("alone-gated", (0,), checks=dial),
    "alone-additive": Arm("alone-additive", (0,), checks=dial),
    "max": Arm(
        "tiny-max",
        start="runs/study/exact-{seed}",
        evaluations={"test": ("--kind", "max", *TEST), "exact": ("--kind", "exact", "--methods", "prompted")},
        checks=lambda run, seed: max_checks(evaluation(run), evaluation(f"exact-{seed}")),
    ),
}
SCRIPTS = {"smol": ("study/smol.py",), "smol-gpu": ("study/smol_gpu.py", "--out", "runs/smol-gpu")}
"""What is no arm of tiny: the shipped models of SmolLM2-135M, and their training on a GPU."""


def python(*args: str) -> None:
    """Runs Python with these arguments; its failure ends this arm."""
    print("+ python", *args, file=sys.stderr, flush=True)
    subprocess.run([sys.executable, *args], check=True, cwd=ROOT)


def train(run: str, arm: Arm, seed: int) -> None:
    """Trains one seed unless it has ended; an interrupted run is resumed."""
    folder = RUNS / run
    if (folder / "model" / "config.json").exists() and training(run)["steps"] == wanted(run):
        return
    start = [f"model={arm.start.format(seed=seed)}"] if arm.start else []
    resume = ["--resume"] if folder.exists() else []
    out = ("--out", str(folder.relative_to(ROOT)), *resume)
    python(str(Path(__file__).with_name("arms.py")), str(arm.recipe), f"seed={seed}", *start, *out)


def recipe_of(run: str) -> dict[str, Any]:
    """The recipe of a run."""
    return tomllib.loads((RUNS / run / "recipe.toml").read_text(encoding="utf-8"))


def wanted(run: str) -> int:
    """The optimizer steps that a run's recipe asks for."""
    return int(recipe_of(run)["trl"]["max_steps"])


def training(run: str) -> dict[str, Any]:
    """Steps, rollouts (own samples of hindsight among them) and CPU seconds of a run; empty where none was trained."""
    if not (RUNS / run / "manifest.json").exists():
        return {}
    record = json.loads((RUNS / run / "manifest.json").read_text(encoding="utf-8"))
    steps = int(record.get("steps", 0))
    made = rollouts(recipe_of(run), steps)
    return {"steps": steps, "rollouts": made, "cpu_seconds": record.get("cpu_seconds")}


def rollouts(recipe: Mapping[str, Any], steps: int) -> int:
    """Rollouts of a recipe after so many steps: own samples of hindsight and all that its start cost among them."""
    own = recipe["hindsight"]["samples"] * recipe["hindsight"]["rounds"] if "hindsight" in recipe else 0
    return int(_start(recipe["model"]) + own + steps * recipe["group"]["size"] * recipe["group"]["problems"])


def _start(model: str) -> int:
    """Rollouts of the run that a model comes from; of its hindsight alone where that stage was the start."""
    path = Path(model)
    if path.parts[:2] != ("runs", "study"):
        return 0
    recipe = recipe_of(path.parts[2])
    return rollouts(recipe, 0 if "stages" in path.parts else recipe["trl"]["max_steps"])


def evaluate(options: Sequence[str], folder: Path) -> dict[str, Any]:
    """Evaluates unless it is done; the results.json."""
    if not (folder / "results.json").exists():
        resume = ["--resume"] if folder.exists() else []
        python("-m", "lcpo", "eval", *options, "--out", str(folder.relative_to(ROOT)), *resume)
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return results


def study(name: str, seeds: Sequence[int] = (), *, collect: bool = False) -> Path:
    """Everything that an arm claims, written to study/results/NAME.csv; with `collect`, what is there of it.

    seeds: those that are trained and evaluated; all where none is named.
    """
    arm, lines, checks = ARMS[name], [], []
    for seed in arm.seeds:
        run = f"{name}-{seed}" if len(arm.seeds) > 1 or arm.recipe else name
        act = not collect and (not seeds or seed in seeds)
        if act and arm.recipe is not None:
            train(run, arm, seed)
        model = arm.model.format(seed=seed) or f"runs/study/{run}"
        for title, options in arm.evaluations.items():
            there = evaluation(run, title)
            if act:
                again = AGAIN if seed and name != "exact" else ()
                evaluate((model, *PROTOCOL, *options, *again), there.folder)
            if (there.folder / "results.json").exists():
                lines += rows_of(there, run, seed, title)
        if arm.checks and (evaluation(run).folder / "results.json").exists():
            checks += [{**vars(check), "run": run, "check": check.name} for check in arm.checks(run, seed)]
        if (RUNS / run / "metrics.jsonl").exists():
            merge("dial", CURVE, curve(run))
    if checks:
        merge("checks", CHECKED, checks)
    return write(RESULTS / f"{name}.csv", COLUMNS, lines)


def rows_of(there: Evaluation, run: str, seed: int, title: str) -> list[dict[str, Any]]:
    """The rows of an evaluation for a results file, with what so many thinking tokens could attain."""
    found = table(json.loads((there.folder / "results.json").read_text(encoding="utf-8")))
    ideal = {row["budget"]: possible(there.samples(row["budget"])) for row in found if row["method"] == "prompted"}
    more = {"run": run, "seed": seed, "evaluation": title, **training(run)}
    for row in found:
        row |= {"attainable": ideal[row["budget"]] if row["method"] == "prompted" else None, **more}
    return found


def curve(run: str, every: int = 5) -> list[dict[str, Any]]:
    """How the dial came about: means over every so many steps of a run's metrics, against its rollouts."""
    text = (RUNS / run / "metrics.jsonl").read_text(encoding="utf-8")
    steps = [json.loads(line) for line in text.splitlines()]
    recipe, lines = recipe_of(run), []
    for at in range(0, len(steps) - every + 1, every):
        part = steps[at : at + every]
        known = {name: [row[name] for row in part if row.get(name) is not None] for name in CURVE[3:]}
        means = {name: sum(values) / len(values) for name, values in known.items() if values}
        step = part[-1]["step"]
        lines.append({"run": run, "step": step, "rollouts": rollouts(recipe, step), **means})
    return lines


def methods() -> Path:
    """The base and the first run of tiny-exact by every method at equal tokens, to study/results/methods.csv."""
    lines = [
        {
            "run": line["a"], "method": line["method_a"], "other": line["b"], "other_method": line["method_b"],
            "at_tokens": line["at_tokens"], "difference": line["accuracy_difference"],
            "low": line["ci95"][0], "high": line["ci95"][1],
        }
        for line in evaluate(("runs/study/exact-0", "tiny", *METHODS), RUNS / "methods")["comparisons"]
        if line["ci95"]
    ]  # fmt: skip
    return write(RESULTS / "methods.csv", COMPARED, lines)


def merge(name: str, columns: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> Path:
    """Puts lines about some runs in place of what the results file NAME says of them."""
    path, new = RESULTS / f"{name}.csv", {line["run"] for line in lines}
    kept = [line for line in read(path) if line["run"] not in new] if path.exists() else []
    return write(path, columns, [*kept, *lines])


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
    parser.add_argument("names", nargs="*", choices=[[], *ARMS, "methods", *SCRIPTS], metavar="ARM")
    parser.add_argument("--seed", type=int, action="append", default=[], help="train and evaluate this seed alone")
    parser.add_argument("--collect", action="store_true", help="train and evaluate nothing")
    given = parser.parse_args()
    if not given.names:
        for name in (*ARMS, "methods", "smol"):
            print(f"{name:18} {'there' if (RESULTS / f'{name}.csv').exists() else 'not run yet'}")
    for name in given.names:
        if name in SCRIPTS:
            python(*SCRIPTS[name], *(["--collect"] if given.collect and name == "smol" else []))
        else:
            print(methods() if name == "methods" else study(name, given.seed, collect=given.collect))


if __name__ == "__main__":
    main()
