"""Full runs behind the figures in README and docs: train, evaluate, and keep the result in docs/results/NAME.json.

    python study/claims.py                 lists the claims and what is there already
    python study/claims.py tiny-exact      every seed of an arm, resumable: what is done is not done again
    python study/claims.py tiny-exact --collect    only what is done already; the file lists what is missing, and
                                                        a run that was stopped counts with the steps that it has

Runs live under runs/claims. A result file holds rows, dials and costs of every seed, never the best one alone.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "claims"
RESULTS = ROOT / "docs" / "results"
SECOND_BASE = RUNS / "second-base"


@dataclass(frozen=True)
class Arm:
    """One arm of docs/study.md: a recipe (None: the base) with overrides, its seeds, and what is evaluated."""

    recipe: str | None
    seeds: tuple[int, ...] = (0,)
    overrides: tuple[str, ...] = ()
    start: str | None = None
    """The arm that this one starts from, same seed."""
    second_base: bool = False
    """Also once, with the first seed, from a second base built from scratch."""
    evaluations: tuple[tuple[str, tuple[str, ...]], ...] = (("exact", ()),)
    """(name, extra options of `lcpo eval`) for each evaluation."""


PROTOCOL = ("--task", "sums", "--budgets", "12,15,18,21,26,31,37,45,54,66,79,96", "--seed", "1")
REACH = (
    ("exact", ("--methods", "prompted,unlimited")),
    ("half-and-double", ("--budgets", "6,9,150,192", "--problems", "200")),
    ("unseen-sizes", ("--task", "sums_long", "--problems", "200")),
    ("unseen-wording", ("--wording", "use", "--problems", "200")),
)

ARMS = {
    "tiny-base": Arm(None, evaluations=(("exact", ("--methods", "prompted,unlimited")),)),
    "tiny-exact": Arm("tiny-exact", seeds=(24, 25, 26), second_base=True, evaluations=REACH),
    "tiny-max": Arm(
        "tiny-max",
        seeds=(24, 25, 26),
        start="tiny-exact",
        second_base=True,
        evaluations=(("max", ("--kind", "max")), ("exact", ("--kind", "exact"))),
    ),
    "tiny-one-budget": Arm("tiny-one-budget", seeds=(0, 1, 2)),
    "tiny-absolute": Arm("tiny-absolute"),
    "tiny-control": Arm("tiny-control"),
    "tiny-shuffled": Arm("tiny-shuffled"),
    "tiny-filler": Arm("tiny-filler", evaluations=(("exact", ("--methods", "prompted,filler,direct")),)),
    "tiny-l1": Arm("tiny-l1"),
    "tiny-l1-warm": Arm("tiny-l1", overrides=("trl.temperature=1.0",)),
}

METHODS = (
    *("tiny-exact", "tiny-max", "tiny", "--budgets", "15,26,45,79", "--kind", "exact"),
    *("--methods", "prompted,unlimited,truncate,s1,s1_fair,direct,majority"),
    *("--problems", "300", "--samples", "4", "--seed", "1"),
)
"""The shipped models by every method, for docs/methods.md."""


def lcpo(*args: str) -> None:
    """Run one lcpo command; its failure ends this claim."""
    print("+ lcpo", *args, file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "lcpo", *args], check=True, cwd=ROOT)


def runs(name: str, arm: Arm) -> Iterator[tuple[str, int, str]]:
    """(run folder name, seed, base model or "" for the recipe's own) of every run; without a recipe, of the bases."""
    if arm.recipe is None:
        yield "tiny", 0, ""
        yield SECOND_BASE.name, 0, ""
        return
    for seed in arm.seeds:
        yield f"{name}-{seed}", seed, f"runs/claims/{arm.start}-{seed}" if arm.start else ""
    if arm.second_base:
        start = f"runs/claims/{arm.start}-second-base" if arm.start else str(SECOND_BASE)
        yield f"{name}-second-base", arm.seeds[0], start


def build() -> None:
    """The second base, from scratch, unless it is there."""
    if not (SECOND_BASE / "config.json").exists():
        lcpo("tiny", "build", "--out", str(SECOND_BASE), "--seed", "1")


def finished(folder: Path) -> bool:
    """Whether a run has a model of its last step: one that is stopped keeps the model that it has."""
    if not (folder / "model" / "config.json").exists():
        return False
    wanted = tomllib.loads((folder / "recipe.toml").read_text())["trl"]["max_steps"]
    return bool(json.loads((folder / "manifest.json").read_text())["steps"] >= wanted)


def train(folder: Path, arm: Arm, seed: int, base: str) -> None:
    """Train one seed unless its model is there; an interrupted run is resumed."""
    if finished(folder):
        return
    if base == str(SECOND_BASE):
        build()
    overrides = [*arm.overrides, *([f"model={base}"] if base else [])]
    resume = ["--resume"] if folder.exists() else []
    lcpo("train", str(arm.recipe), f"seed={seed}", *overrides, "--out", str(folder), *resume)


def evaluate(model: str, folder: Path, options: tuple[str, ...]) -> dict[str, Any]:
    """Evaluate one model unless it is done; the rows and dials of its results.json."""
    weights, done = ROOT / model / "model" / "model.safetensors", folder / "results.json"
    if done.exists() and weights.exists() and weights.stat().st_mtime > done.stat().st_mtime:
        sys.exit(f"{folder} was evaluated before {model} was trained to its end; delete that folder and run this again")
    if not done.exists():
        lcpo("eval", model, *PROTOCOL, *options, "--out", str(folder), *(["--resume"] if folder.exists() else []))
    results = json.loads(done.read_text())
    keep = ("rows", "dials", "comparisons")
    return {key: results[key] for key in keep} | {"manifest": portable(results["manifest"])}


def portable(manifest: Any) -> Any:
    """A manifest without what is true on one machine only: its paths, and the command line that named them."""
    if isinstance(manifest, dict):
        return {key: portable(value) for key, value in manifest.items() if key not in ("path", "command")}
    if isinstance(manifest, str) and manifest.startswith("/"):
        return Path(manifest).name
    return [portable(value) for value in manifest] if isinstance(manifest, list) else manifest


def claim(name: str, collect: bool) -> Path:
    """Everything that one arm claims, written to docs/results/NAME.json; with `collect`, what is there of it."""
    arm = ARMS[name]
    done, missing = [], []
    for run, seed, base in runs(name, arm):
        folder = RUNS / run
        record: dict[str, Any] = {"run": run, "seed": seed, "evaluations": {}}
        if arm.recipe is None:
            if run == SECOND_BASE.name and not collect:
                build()
        else:
            if not collect:
                train(folder, arm, seed, base)
            if not (folder / "model" / "config.json").exists():
                missing.append(run)
                continue
            record["manifest"] = portable(json.loads((folder / "manifest.json").read_text()))
            if not finished(folder):
                record["stopped_at"] = record["manifest"]["steps"]
        model = "tiny" if run == "tiny" else f"runs/claims/{run}"
        for evaluation, options in arm.evaluations:
            where = RUNS / f"{run}-eval-{evaluation}"
            if collect and not (where / "results.json").exists():
                missing.append(where.name)
            else:
                record["evaluations"][evaluation] = evaluate(model, where, options)
        done.append(record)
    return write(RESULTS / f"{name}.json", {"claim": name, "missing": missing, "runs": done})


def methods() -> Path:
    """The shipped models by every method at equal tokens used, written to docs/results/tiny-methods.json."""
    folder = RUNS / "sweep"
    if not (folder / "results.json").exists():
        lcpo("eval", *METHODS, "--out", str(folder), *(["--resume"] if folder.exists() else []))
    results = json.loads((folder / "results.json").read_text())
    lines = [line for line in results["comparisons"] if line["accuracy_difference"] is not None]
    kept = {"rows": results["rows"], "dials": results["dials"], "comparisons": lines}
    made = {"claim": "tiny-methods", "command": " ".join(("lcpo", "eval", *METHODS))}
    return write(RESULTS / "tiny-methods.json", {**made, **kept, "manifest": portable(results["manifest"])})


def write(out: Path, result: dict[str, Any]) -> Path:
    """`result` as JSON, by a temporary file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    temporary.replace(out)
    return out


def main() -> None:
    """List the claims, or make the named ones good."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *ARMS, "tiny-methods"], metavar="NAME")
    parser.add_argument("--collect", action="store_true", help="train and evaluate nothing")
    given = parser.parse_args()
    names = given.names
    for name in names or [*ARMS, "tiny-methods"]:
        if names:
            print(methods() if name == "tiny-methods" else claim(name, given.collect))
        else:
            print(f"{name:18} {'there' if (RESULTS / f'{name}.json').exists() else 'not run yet'}")


if __name__ == "__main__":
    main()
