"""smol: models of SmolLM2-135M by every budget, to study/results/smol.csv; with other methods to smol-methods.csv.

    python study/smol.py                     evaluates what is not evaluated yet (make smol first), a GPU or a few hours
    python study/smol.py pairs chains        these alone
    python study/smol.py --data DIR          and benchmarks that it never saw: BENCHMARKS
    python study/smol.py --collect           evaluates nothing

Evaluations live in runs/study/smol-NAME. Four of the eight budgets (multiples of 3) are never drawn in training. The
models of FOLDERS do not ship: study/smol_gpu.py and the recipes in study/arms make them.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from checks import table
from lcpo.evaluate.records import read_samples
from lcpo.evaluate.results import results
from run import COMPARED, RESULTS, ROOT, RUNS, evaluate, write

HELD = ("--budgets", "16,24,32,45,60,84,116,160", "--cap", "384", "--seed", "1", "--batch", "512")
"""What all evaluations of smol share, those of smol_gpu.py too."""
PROTOCOL = (*HELD, "--problems", "300", "--samples", "2")
HUNDRED, HALF, FEW = (("--problems", str(count), "--samples", "1") for count in (100, 50, 25))
"""On a CPU."""
EXACT, MAX = ("--kind", "exact"), ("--kind", "max")
BEFORE = ("smollm2", "smol")
LCPO, TWIN = FOLDERS = ("runs/smol-cpu", "runs/smol-twin")
NAMED = dict(zip(FOLDERS, ("LCPO on a CPU", "twin"), strict=True))
"""What models that do not ship are called in the results."""
METHODS = ("--methods", "s1_fair,truncate,majority,direct")
INERT = ("--inert", "100", "--budgets", "32,84,160")


def evaluations(task: str) -> dict[str, tuple[str, ...]]:
    """Everything that is asked of one of the two tasks: name -> arguments of `lcpo eval`."""
    on = ("--task", task, *EXACT)
    few = ("--problems", "100") if task == "pairs" else ("--problems", "24", "--samples", "1")  # long answers
    return {
        task: ("smol-exact", *on),
        f"{task}-max": ("smol-max", "--task", task, *MAX, *HALF),
        f"{task}-max-exact": ("smol-max", *on, *HALF, "--methods", "prompted,unlimited"),
        f"{task}-hindsight-max": ("smol-exact", "--task", task, *MAX),
        f"{task}-lcpo": (LCPO, *on, *HALF, "--methods", "prompted,unlimited"),
        f"{task}-lcpo-max": (LCPO, "--task", task, *MAX, *HALF),
        f"{task}-before": (*BEFORE, *on, *few),
        f"{task}-unlimited": ("smol-exact", "smol", *on, *HALF, "--methods", "unlimited"),
        f"{task}-inert": ("smol-exact", *on, *HUNDRED, *INERT),
        f"{task}-methods": ("smol", *on, *METHODS, *HALF),
        f"{task}-twin": (TWIN, *on, "--methods", "direct"),
    }


EVALUATIONS = {
    **evaluations("pairs"),
    **evaluations("chains"),
    **{
        task: ("smol-exact", "--task", task, *EXACT, *FEW)
        for task in ("pairs_reworded", "chains_reworded", "pairs_unseen", "chains_long")
    },
}
BENCHMARKS = {"gsm8k": "gsm8k.jsonl", "math500": "math500.json", "mmlu": "mmlu.zip", "lsat_ar": "lsat_ar.jsonl"}
"""What nobody generated: adherence counts there, for accuracy is about that of a guess."""
COLUMNS = (
    *("evaluation", "run", "task", "method", "kind", "budget", "problems", "samples", "chance", "accuracy"),
    *("accuracy_stderr", "tokens_mean", "thinking_tokens_mean", "signed_error", "mare", "over_budget", "no_answer"),
    *("truncated", "filler", "useless", "inert", "right_steps_mean", "slope", "rank_correlation"),
)


def rows() -> list[dict[str, Any]]:
    """The rows of every evaluation that is there; a model is called by the name that it ships under."""
    lines = []
    for name in (*EVALUATIONS, *BENCHMARKS):
        path = RUNS / f"smol-{name}" / "results.json"
        if path.exists():
            models = EVALUATIONS.get(name, ("smol-exact",))
            found = table(json.loads(path.read_text(encoding="utf-8")))
            runs = dict(zip(dict.fromkeys(row["run"] for row in found), models, strict=False))
            lines += [
                {**row, "evaluation": name, "run": NAMED.get(runs[row["run"]], runs[row["run"]])} for row in found
            ]
    return lines


def compared(task: str) -> list[dict[str, Any]]:
    """smol-exact against the methods of `smol` and against the twin, at equal tokens, on the problems that all had."""
    folders = [RUNS / f"smol-{name}" for name in (task, f"{task}-methods", f"{task}-twin")]
    if not all((folder / "results.json").exists() for folder in folders):
        return []
    samples = [list(read_samples(folder)) for folder in folders]
    common = set.intersection(*({sample.problem for sample in each} for each in samples))
    found = results((sample for each in samples for sample in each if sample.problem in common), {})
    return [
        {
            "task": task, "run": "smol-exact", "method": "prompted", "at_tokens": line["at_tokens"],
            "other": "twin" if line["b"] == Path(TWIN).name else line["b"],
            "other_method": line["method_b"], "difference": line["accuracy_difference"],
            "low": line["ci95"][0], "high": line["ci95"][1], "problems": len(common),
        }
        for line in found["comparisons"] if line["ci95"]
    ]  # fmt: skip


def main() -> None:
    """Evaluates, then writes study/results/smol.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *EVALUATIONS, *BENCHMARKS], metavar="NAME")
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--collect", action="store_true")
    given = parser.parse_args()
    for name, (model, *options) in EVALUATIONS.items():
        if given.collect or name not in (given.names or EVALUATIONS):
            continue
        if model in FOLDERS and not (ROOT / model).exists():
            print(f"{name} is left out: {model} is not there", file=sys.stderr)
        else:
            evaluate((*PROTOCOL, model, *options), RUNS / f"smol-{name}")
    for name, file in BENCHMARKS.items():
        if not given.collect and given.data and name in (given.names or BENCHMARKS):
            on = ("--task", name, "--data", str(given.data / file))
            evaluate((*PROTOCOL, "smol-exact", *on, *EXACT, *FEW), RUNS / f"smol-{name}")
    print(write(RESULTS / "smol.csv", COLUMNS, rows()))
    lines = [line for task in ("pairs", "chains") for line in compared(task)]
    print(write(RESULTS / "smol-methods.csv", ("task", *COMPARED, "problems"), lines))


if __name__ == "__main__":
    main()
