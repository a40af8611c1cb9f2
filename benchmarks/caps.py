"""Caps on max rows: what share of rollout tokens is not generated because nothing in it could change a reward.

    python benchmarks/caps.py                              simulated at the paper's budgets, measured on the tiny world
    python benchmarks/caps.py --lengths runs/x/rollouts    simulated from recorded lengths (JSON lines with `length`)

Max rows earn nothing from ceil(budget + delta/alpha) on (Objective.cap), so generation stops there. Simulated: lengths
of a model that does not know budgets yet, against the paper's law and settings. Without --lengths they are those that
the tiny base has just had, scaled to the mean of DeepScaleR-1.5B-Preview on MATH-500 (3,078 tokens, arXiv:2503.04697,
figures), and log-normal ones of the same mean and assumed spreads. Measured: the same rollouts of the tiny base, same
random numbers, with and without caps; rewards must be equal.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from lcpo import Budget, Max
from lcpo.budgets import BudgetSampler, prompt
from lcpo.types import Outcomes

RELEASED = Max(alpha=1e-3, delta=0.5)
MEAN = 3078
SPREADS = (0.5, 0.7, 0.9)
"""Standard deviations of log length where no lengths are given: an assumption."""
GLOBAL_CAP = 4500


def recorded(folder: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The lengths in a file or folder of JSON lines."""
    files = sorted(folder.glob("*.jsonl")) if folder.is_dir() else [folder]
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    return np.array([float(json.loads(line)["length"]) for line in lines])


def simulated(lengths: np.ndarray[Any, np.dtype[np.float64]], seed: int = 0, count: int = 200_000) -> dict[str, float]:
    """Share of tokens saved on max rows; the paper's dual objective makes half of the rows max."""
    rng = np.random.default_rng(seed)
    drawn = np.minimum(rng.choice(lengths, count), GLOBAL_CAP)
    budgets = rng.integers(100, 4001, count)
    caps = np.minimum(budgets + math.ceil(RELEASED.delta / RELEASED.alpha), GLOBAL_CAP)
    kept = np.minimum(drawn, caps)
    return {
        "tokens_mean": float(drawn.mean()),
        "saved": float(1 - kept.sum() / drawn.sum()),
        "rows_cut": float((drawn > caps).mean()),
    }


def measured(model: str, problems: int, group: int, seed: int) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """The tiny base on its own task, max budgets 12-96, with and without caps: tokens, and whether rewards agree.

    Also the lengths that it had without caps.
    """
    from lcpo.engines.base import Request, sub_seed, user
    from lcpo.engines.local import LocalEngine
    from lcpo.engines.models import resolve
    from lcpo.tasks import task
    from lcpo.train.reward import LcpoReward

    engine = LocalEngine.load(resolve(model).path)
    law = {"law": "log_uniform", "low": 12, "high": 96}
    sampler = BudgetSampler.read({"law": law, "kinds": {"max": 1.0}}, "caps")
    # delta/alpha as large against the budgets as in the paper: 500 tokens to a mean budget of 2,050
    objective = Max(alpha=0.5 / 10, delta=0.5)
    asked: list[tuple[Any, Budget]] = []
    for row, problem in enumerate(task("search").problems("train", problems, seed)):
        asked += [(problem, budget) for budget in sampler.draw(seed, 0, row, group)]
    prompts = [user(prompt(problem, budget)) for problem, budget in asked]
    seeds = [sub_seed(seed, "rollout", 0, i // group, i % group) for i in range(len(asked))]
    reward = LcpoReward(objective, engine.tokenizer, verifier="exact")
    columns = {
        "answers": [problem.answers for problem, _ in asked],
        "budget_tokens": [budget.tokens for _, budget in asked],
        "budget_kind": ["max"] * len(asked),
    }
    capped = [min(objective.cap(budget) or 192, 192) for _, budget in asked]
    found: dict[str, tuple[int, Outcomes]] = {}
    for name, caps in (("without", [192] * len(asked)), ("with", capped)):
        requests = [Request(*each) for each in zip(prompts, caps, seeds, strict=True)]
        ids = [list(generation.written.ids or ()) for generation in engine.generate(requests)]
        found[name] = (sum(map(len, ids)), reward.score(ids, columns).outcomes)
    (full, before), (short, after) = found["without"], found["with"]
    result = {
        "model": model,
        "rollouts": len(asked),
        "tokens_mean": full / len(asked),
        "saved": 1 - short / full,
        "rewards_equal": bool((objective(before) == objective(after)).all()),
        "rewarded": float((objective(before) > 0).mean()),
    }
    return result, before.length.ravel().astype(float)


def assumed(tiny: np.ndarray[Any, Any], rng: np.random.Generator) -> dict[str, np.ndarray[Any, Any]]:
    """Lengths to simulate with where none are given, by their description."""
    found = {f"of the tiny base, scaled to a mean of {MEAN:,}": tiny * MEAN / tiny.mean()}
    for spread in SPREADS:
        drawn = rng.lognormal(math.log(MEAN) - spread**2 / 2, spread, 100_000)
        found[f"log-normal, mean {MEAN:,}, spread {spread} (assumed)"] = drawn
    return found


def main() -> None:
    """Prints both as JSON; --out keeps it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=Path)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--problems", type=int, default=128)
    parser.add_argument("--group", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    result, tiny = measured(asked.model, asked.problems, asked.group, asked.seed)
    given = {asked.lengths.name: recorded(asked.lengths)} if asked.lengths else None
    sources = given or assumed(tiny, np.random.default_rng(asked.seed))
    simulations = [{"lengths": name, **simulated(lengths, asked.seed)} for name, lengths in sources.items()]
    found = {"simulated": simulations, "measured": result}
    text = json.dumps(found, indent=1)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
