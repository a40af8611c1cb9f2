"""The tiny base gains a dial under verl, on a CPU: rank correlation of length and budget, first against last tenth.

    python study/verl_dial.py --steps 150 [--warm 300] [--workers 1] [--resume] [--out docs/results/verl-dial.json]

verl has no warm start, so the base gets a part of it first: --warm supervised steps on its own relabelled samples, too
few for a dial (docs/tiny.md), or none with --warm 0. What is measured is what verl's RL adds to that. verl runs with
the test-only CPU platform and rollout of tests/cluster/rig. The interval is a bootstrap over generations.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def tenths(lines: list[dict[str, Any]], resamples: int = 10_000) -> dict[str, Any]:
    """Mean rank correlation of the first and the last tenth of the generations, their difference and its interval."""
    values = np.array([line["rank_correlation"] for line in lines if line["rank_correlation"] is not None])
    size = max(2, len(values) // 10)
    first, last = values[:size], values[-size:]
    rng = np.random.default_rng(0)
    drawn = rng.choice(last, (resamples, size)).mean(1) - rng.choice(first, (resamples, size)).mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "generations": len(lines),
        "first_tenth": float(first.mean()),
        "last_tenth": float(last.mean()),
        "gain": float(last.mean() - first.mean()),
        "ci95": [float(low), float(high)],
    }


def warmed(table: dict[str, Any], steps: int, out: Path) -> None:
    """Puts the base after a short warm start into `table`, its [hindsight] table taken out."""
    from lcpo.recipes.recipe import parse_recipe
    from lcpo.tasks import task
    from lcpo.train.hindsight import warm_start

    if steps:
        table["hindsight"] |= {"rounds": 1, "steps": steps}
        table["trl"]["use_cpu"] = True
        warm_start(parse_recipe(table, "warm"), task(table["task"]["name"]), shipped_base(table["model"]), out)
        table["model"] = os.path.relpath(out)
    table.pop("hindsight")


def shipped_base(name: str) -> str:
    """The folder of a shipped model."""
    from lcpo.engines.models import resolve

    return resolve(name).path


def main() -> None:
    """Trains, prints the gain as JSON, and keeps it with the log of every generation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--warm", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--run", type=Path, default=ROOT / "runs" / "verl-dial")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "verl-dial.json")
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests" / "cluster"))
    from cpu_settings import ENVIRONMENT, RIG, verl_on_cpu

    from lcpo import recipes
    from lcpo.cluster import launch
    from lcpo.recipes.recipe import parse_recipe

    os.environ |= ENVIRONMENT | {"PYTHONPATH": str(RIG)}
    table = recipes.table("tiny-exact")
    table["seed"] = asked.seed
    warmed(table, asked.warm, asked.run.with_name(asked.run.name + "-warm"))
    table["trl"] |= {"max_steps": asked.steps, "save_steps": 20, "lr_scheduler_type": "constant"}
    table["group"].pop("micro_batch", None)
    table["verl"] = verl_on_cpu(asked.workers, each=64)
    recipe = parse_recipe(table, "verl-dial")
    launch.train("tiny-exact", recipe, asked.run, resume=asked.resume)
    lines = [json.loads(line) for line in (asked.run / "metrics.jsonl").read_text().splitlines()]
    manifest = json.loads((asked.run / "manifest.json").read_text())
    found = tenths(lines)
    keep = ("step", "accuracy", "length", "mare", "rank_correlation", "tokens", "seconds")
    log = [{name: line[name] for name in keep} for line in lines]
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    record = {**found, "warm_steps": asked.warm, "manifest": manifest, "log": log}
    asked.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
