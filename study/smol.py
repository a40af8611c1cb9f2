"""smol: the shipped models of SmolLM2-135M by every budget, to study/results/smol.csv.

    python study/smol.py                     evaluates what is not evaluated yet (make smol first), a GPU or a few hours
    python study/smol.py pairs chains        these alone
    python study/smol.py --data DIR          and benchmarks that it never saw: BENCHMARKS
    python study/smol.py --collect           evaluates nothing

Evaluations live in runs/study/smol-NAME. Four of the eight budgets (multiples of 3) are never drawn in training.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from checks import table
from run import RESULTS, RUNS, evaluate, write

HELD = ("--budgets", "16,24,32,45,60,84,116,160", "--cap", "384", "--seed", "1", "--batch", "512")
"""What all evaluations of smol share, those of smol_gpu.py too."""
PROTOCOL = (*HELD, "--problems", "300", "--samples", "2")
FEW = ("--problems", "25", "--samples", "1")
EXACT, MAX = ("--kind", "exact"), ("--kind", "max")
BEFORE = ("smollm2", "smol")
EVALUATIONS: dict[str, tuple[str, ...]] = {
    "pairs": ("smol-exact", "--task", "pairs", *EXACT),
    "chains": ("smol-exact", "--task", "chains", *EXACT),
    "pairs-max": ("smol-max", "--task", "pairs", *MAX),
    "chains-max": ("smol-max", "--task", "chains", *MAX),
    "pairs-before": (*BEFORE, "--task", "pairs", *EXACT, "--problems", "100"),
    "chains-before": (*BEFORE, "--task", "chains", *EXACT, "--problems", "24", "--samples", "1"),
    "pairs_reworded": ("smol-exact", "--task", "pairs_reworded", *EXACT, *FEW),
    "chains_reworded": ("smol-exact", "--task", "chains_reworded", *EXACT, *FEW),
    "pairs_unseen": ("smol-exact", "--task", "pairs_unseen", *EXACT, *FEW),
    "chains_long": ("smol-exact", "--task", "chains_long", *EXACT, *FEW),
    "pairs-methods": ("smol", "--task", "pairs", "--methods", "s1_fair,truncate,majority,direct", *EXACT, *FEW),
}
BENCHMARKS = {"gsm8k": "gsm8k.jsonl", "math500": "math500.json", "mmlu": "mmlu.zip", "lsat_ar": "lsat_ar.jsonl"}
"""What nobody generated: adherence counts there, for accuracy is about that of a guess."""
COLUMNS = (
    *("evaluation", "run", "task", "method", "kind", "budget", "problems", "samples", "chance", "accuracy"),
    *("accuracy_stderr", "tokens_mean", "thinking_tokens_mean", "signed_error", "mare", "over_budget", "no_answer"),
    *("truncated", "filler", "useless", "right_steps_mean", "slope", "rank_correlation"),
)


def rows() -> list[dict[str, Any]]:
    """The rows of every evaluation that is there; a model is called by the name that it ships under."""
    lines = []
    for name in (*EVALUATIONS, *BENCHMARKS):
        path = RUNS / f"smol-{name}" / "results.json"
        if path.exists():
            models = EVALUATIONS.get(name, ("smol-exact",))
            results = table(json.loads(path.read_text(encoding="utf-8")))
            runs = dict(zip(dict.fromkeys(row["run"] for row in results), models, strict=False))
            lines += [{**row, "evaluation": name, "run": runs[row["run"]]} for row in results]
    return lines


def main() -> None:
    """Evaluates, then writes study/results/smol.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *EVALUATIONS, *BENCHMARKS], metavar="NAME")
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--collect", action="store_true")
    given = parser.parse_args()
    for name, (model, *options) in EVALUATIONS.items():
        if not given.collect and name in (given.names or EVALUATIONS):
            evaluate((*PROTOCOL, model, *options), RUNS / f"smol-{name}")
    for name, file in BENCHMARKS.items():
        if not given.collect and given.data and name in (given.names or BENCHMARKS):
            on = ("--task", name, "--data", str(given.data / file))
            evaluate((*PROTOCOL, "smol-exact", *on, *EXACT, *FEW), RUNS / f"smol-{name}")
    print(write(RESULTS / "smol.csv", COLUMNS, rows()))


if __name__ == "__main__":
    main()
