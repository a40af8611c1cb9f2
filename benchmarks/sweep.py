"""What sharing traces saves: a sweep of methods and budgets at once, against every one of them run alone.

    python benchmarks/sweep.py [--model tiny] [--problems 50] [--samples 4] [--out FILE.json]

Both sides decode the same problems with the same seeds. Sample by sample the results must be identical; the share of
tokens that really had to be generated, and the seconds, are printed side by side. One thread, the sides in turns.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lcpo.engines import Engine, make_engine
from lcpo.evaluate.batch import run_batch
from lcpo.evaluate.caching import CachingEngine
from lcpo.evaluate.plan import Options, Settings, batches, make_plan
from lcpo.evaluate.records import Sample
from lcpo.types import Problem


@dataclass
class Side:
    """One way of doing the sweep: its samples, the tokens it generated, and its seconds."""

    samples: list[Sample] = field(default_factory=list)
    generated: int = 0
    seconds: float = 0.0

    def add(self, samples: Sequence[Sample], generated: int, seconds: float) -> None:
        """Another batch is done."""
        self.samples += samples
        self.generated += generated
        self.seconds += seconds


class Counting(CachingEngine):
    """Passes every request on, and counts."""

    def generate(self, requests: Any) -> Any:
        """The continuations, nothing shared."""
        return self._pay(requests)


def sweep(settings: Settings, problems: Sequence[Problem], engine: Engine) -> tuple[Side, Side]:
    """(shared, alone): batch by batch, so that a busy machine slows both."""
    shared, alone = Side(), Side()
    for batch in batches(settings):
        start = time.perf_counter()
        traces = CachingEngine(engine)
        samples = run_batch(settings, batch, problems, traces)
        shared.add(samples, traces.generated, time.perf_counter() - start)
        for cell in dict.fromkeys(place.cell for place in batch):
            start = time.perf_counter()
            counting = Counting(engine)
            samples = run_batch(settings, [place for place in batch if place.cell == cell], problems, counting)
            alone.add(samples, counting.generated, time.perf_counter() - start)
    return shared, alone


def main() -> None:
    """Runs the comparison and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--budgets", default="12,24,48,96")
    parser.add_argument("--methods", default="truncate,s1,s1_fair,unlimited")
    parser.add_argument("--problems", type=int, default=50)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--task", default="search")
    parser.add_argument("--cap", type=int, default=192)
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    given = parser.parse_args()
    options = Options(
        models=(given.model,),
        task=given.task,
        budgets=tuple(int(budget) for budget in given.budgets.split(",")),
        methods=tuple(given.methods.split(",")),
        problems=given.problems,
        samples=given.samples,
        cap=given.cap,
        split="validation",
    )
    setup = make_plan(options)
    engine = make_engine(next(iter(setup.sources.values())))
    shared, alone = sweep(setup.settings, setup.loaded.problems, engine)
    identical = sum(a == b for a, b in zip(shared.samples, alone.samples, strict=True))
    figures = {
        "model": given.model,
        "methods": given.methods,
        "budgets": given.budgets,
        "samples": len(alone.samples),
        "identical": identical,
        "generated_shared": shared.generated,
        "generated_alone": alone.generated,
        "share_of_tokens": shared.generated / alone.generated,
        "seconds_shared": round(shared.seconds, 2),
        "seconds_alone": round(alone.seconds, 2),
    }
    print(f"{'':10}{'tokens':>10}{'seconds':>10}")
    print(f"{'alone':10}{alone.generated:10}{alone.seconds:10.1f}")
    print(f"{'shared':10}{shared.generated:10}{shared.seconds:10.1f}")
    print(f"{'share':10}{shared.generated / alone.generated:10.2f}{shared.seconds / alone.seconds:10.2f}")
    print(f"{identical} of {len(alone.samples)} samples are identical")
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
