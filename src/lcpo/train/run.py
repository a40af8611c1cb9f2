"""A training run from a recipe to a run folder: prepare, warm start, train, save; stops and resumes losing nothing."""

import signal
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcpo.errors import ConfigError, EngineError
from lcpo.measure import files, manifest
from lcpo.measure.portable import portable
from lcpo.recipes.recipe import Recipe, parse_recipe
from lcpo.tasks import Loaded, Task
from lcpo.train import card, checkpoint, data, source

Record = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What a run came to: its folder, steps done of those wanted, the last lines of its metrics, and the manifest."""

    run: Path
    steps: int
    wanted: int
    lines: list[Record]
    manifest: Record

    @property
    def complete(self) -> bool:
        """Whether every step was made."""
        return self.steps >= self.wanted

    def json(self) -> Record:
        """The result as JSON values."""
        summary = card.mean_over(self.lines)
        tokens = self.lines[-1]["tokens"] if self.lines else 0
        took = {name: self.manifest.get(name) for name in ("seconds", "cpu_seconds")}
        return {"run": str(self.run), "steps": self.steps, "wanted": self.wanted, "tokens": tokens, **took, **summary}


@dataclass(frozen=True)
class Plan:
    """A recipe with what it needs found: task, problems, TRL settings, and how long it goes on."""

    name: str
    recipe: Recipe
    run: Path
    task: Task
    loaded: Loaded
    args: Any
    steps: int
    visits: int

    @property
    def every(self) -> int:
        """Optimizer steps that one generation serves."""
        return self.recipe.group.updates * int(self.args.num_iterations)


def plan(name: str, recipe: Recipe, run: Path) -> Plan:
    """Everything that can be checked before anything is written or trained. Raises ConfigError or TaskError."""
    from accelerate import PartialState

    from lcpo.engines.models import resolve
    from lcpo.train.settings import settings, steps_of

    if recipe.hindsight is not None:
        from lcpo.train.hindsight import Hindsight

        Hindsight.read(recipe.hindsight, f"recipe {name}: hindsight")
    if recipe.scratch is None:
        resolve(recipe.model)
    lora(recipe)
    args = settings(recipe, run, PartialState(cpu=bool(recipe.trl.get("use_cpu")) or None).num_processes)
    task, loaded = data.load(recipe.task, recipe.seed)
    steps, visits = steps_of(recipe, len(loaded.problems))
    args.max_steps = steps
    return Plan(name, recipe, run, task, loaded, args, steps, visits)


def train(name: str, recipe: Recipe, run: Path, *, resume: bool = False, quiet: bool = False) -> Result:
    """Trains a recipe into `run`. Raises ConfigError where settings make no sense, or where `run` is there already.

    Ctrl-C (or SIGTERM) ends at the next place where the run can be resumed, with a checkpoint and `model/` saved.
    """
    import torch
    import transformers
    from accelerate import PartialState

    from lcpo.train.progress import Display

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    made = plan(name, recipe, run)
    main = PartialState().is_main_process
    with PartialState().main_process_first(), files.writing(str(run)):
        if main:
            checkpoint.prepare(run, resume)
            same_recipe(run, recipe, resume)
            files.write_text(run / "recipe.toml", recipe.toml())
        base = source.base(recipe, made.loaded.problems, run)
    started = _warm_start(made, base, quiet)
    done = checkpoint.checkpoints(run)
    if (run / "model").exists() and _steps_finished(run) >= made.steps:
        return _result(made)
    from_step, folder = done[-1] if resume and done else (0, None)
    with _interrupts() as asked:
        trainer = build(made, started)
        if main:
            checkpoint.discard_broken(run, from_step)
            _write_start(made, base, from_step)
        PartialState().wait_for_everyone()
        show = Display(made.steps, from_step, quiet=quiet or not main)
        for note in _opening(made, from_step):
            show.note(note)
        try:
            _fit(made, trainer, from_step, folder, asked, show)
        finally:
            show.close()
    if main:
        with files.writing(str(run / "model")):
            _finish(made, trainer, base)
    PartialState().wait_for_everyone()
    return _result(made)


def _steps_finished(run: Path) -> int:
    """Steps of the model in `run`: the manifest says so last of all, once model/ is whole."""
    path = run / "manifest.json"
    return int(_read_json(path).get("steps", 0)) if path.exists() else 0


def _opening(made: Plan, from_step: int) -> Iterator[str]:
    """What is said before the first step."""
    group, device = made.recipe.group, "the CPU" if made.args.use_cpu else "the GPU"
    yield f"{len(made.loaded.problems)} problems of {made.task.name} (left out: {made.loaded.dropped})"
    yield from (f"warning: {note}" for note in made.loaded.notes)
    yield f"{made.steps} steps of {group.problems} problems x {group.size} rollouts on {device}, into {made.run}"
    if from_step:
        yield f"going on from step {from_step}"
    if made.recipe.scratch is not None:
        yield "the model is random, made on the spot: this shows the path, nothing is expected to be learned"


def build(made: Plan, started: str) -> Any:
    """The trainer of a plan, its model loaded from the folder or hub id `started`."""
    from lcpo.train.trainer import LcpoTrainer, Options

    recipe = made.recipe
    model, tokenizer = source.load(started, recipe, bool(made.args.use_cpu))
    made.args.model_init_kwargs = None
    chosen = data.order(len(made.loaded.problems), made.visits, recipe.seed)
    chat = getattr(tokenizer, "chat_template", None) is not None
    options = Options(
        advantage=recipe.advantage,
        template=recipe.budget.template,
        shuffled=recipe.budget.shuffled,
        schedule=recipe.schedule,
        controller=recipe.controller,
        sampler=recipe.sampler,
        thought=recipe.thought,
        answer_tokens=recipe.answer_tokens,
        bins=recipe.log.bins,
        box=recipe.task.box,
        filler=recipe.task.filler,
    )
    return LcpoTrainer(
        model,
        objective=recipe.reward,
        budget=recipe.budget.sampler,
        verifier=recipe.task.verifier or made.task.verifier,
        options=options,
        processing_class=tokenizer,
        args=made.args,
        train_dataset=data.rows(made.loaded.problems, recipe.budget.template, chat),
        order=chosen,
        peft_config=lora(recipe),
    )


def lora(recipe: Recipe) -> Any:
    """The peft configuration of a recipe's [lora] table, None for full fine-tuning. Raises ConfigError."""
    if recipe.lora is None:
        return None
    import dataclasses

    from peft import LoraConfig

    from lcpo.errors import unknown

    names = {field.name for field in dataclasses.fields(LoraConfig) if field.init}
    for key in recipe.lora:
        if key not in names:
            raise unknown("key in [lora]", key, names)
    return LoraConfig(**({"task_type": "CAUSAL_LM", "target_modules": "all-linear"} | recipe.lora))


def _warm_start(made: Plan, base: str, quiet: bool) -> str:
    """The model that RL starts from: the base, or what hindsight made of it (kept in warm/, made once)."""
    if made.recipe.hindsight is None:
        return base
    from lcpo.train.hindsight import warm_start

    return str(warm_start(made.recipe, made.task, base, made.run / "warm", quiet=quiet))


def _fit(made: Plan, trainer: Any, from_step: int, folder: Path | None, asked: Any, show: Any) -> None:
    """Runs the trainer with our records and stops."""
    from transformers import PrinterCallback

    from lcpo.train.progress import Recorder, Stop

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Stop(asked, made.every))
    if trainer.accelerator.is_main_process:
        trainer.add_callback(Recorder(made.run, trainer, made.recipe.log, from_step, show))
    writer = _tensorboard(made, from_step)
    if writer is not None:
        trainer.add_callback(writer)
    trainer.train(resume_from_checkpoint=None if folder is None else str(folder))


def _tensorboard(made: Plan, from_step: int) -> Any:
    """TRL's log as TensorBoard events in tensorboard/, None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    from accelerate import PartialState
    from transformers.integrations import TensorBoardCallback

    if not PartialState().is_main_process:
        return None
    folder = str(made.run / "tensorboard")
    purge = from_step + 1 if from_step else None
    return TensorBoardCallback(SummaryWriter(log_dir=folder, purge_step=purge))


@contextmanager
def _interrupts() -> Iterator[Any]:
    """Ctrl-C and SIGTERM ask for an end; a second Ctrl-C ends at once. Yields the function that says whether asked."""
    wanted = {"stop": False}

    def handle(number: int, _: Any) -> None:
        if wanted["stop"]:
            raise KeyboardInterrupt
        wanted["stop"] = True
        print("stopping at the next checkpoint; once more ends at once", file=sys.stderr)

    try:
        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: whoever runs us handles signals
        before = {}
    try:
        yield lambda: wanted["stop"]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def same_recipe(run: Path, recipe: Recipe, resume: bool) -> None:
    """Raises ConfigError where --resume is given another recipe than the run was started with."""
    path = run / "recipe.toml"
    if not resume or not path.exists():
        return
    started = parse_recipe(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    changed = files.differences(tomllib.loads(started.toml()), tomllib.loads(recipe.toml()))
    if changed:
        raise ConfigError(
            f"{run} was started with other settings: {'; '.join(changed[:3])}; resume with the same, or start "
            "anew with another --out"
        )


def _write_start(made: Plan, base: str, from_step: int) -> None:
    path = made.run / "manifest.json"
    found = {
        "task": made.task.name,
        "problems": len(made.loaded.problems),
        "dropped": made.loaded.dropped.counts,
        "sha256": dict(made.loaded.sha256),
    }
    folder = Path(base)
    weights = files.model_sha256(folder) if folder.is_dir() else None
    model = {"source": made.recipe.model, "sha256": weights, "warm_start": made.recipe.hindsight is not None}
    if from_step and path.exists():
        _same_inputs(made.run, _read_json(path), found, model)
        return
    record = {"recipe": made.name, **manifest.run_manifest(made.recipe.seed, found, model)}
    files.write_json(path, record)


def _same_inputs(run: Path, record: Record, data_now: Record, model_now: Record) -> None:
    """Raises ConfigError where a run is resumed with other data or another base under the same names."""
    for what, now in (("data", portable(data_now)), ("model", portable(model_now))):
        if portable(record.get(what, now)) != now:
            raise ConfigError(
                f"{run} was started with other {what} ({record[what]}) than there is now ({now}); put back what was "
                "there, or start anew with another --out"
            )


def _finish(made: Plan, trainer: Any, base: str) -> None:
    """model/ (and adapter/), its card, and the closing lines of the manifest."""
    from lcpo.train.saving import save_model

    path = made.run / "manifest.json"
    record = _read_json(path)
    lines = _lines(made.run)
    record["steps"] = int(trainer.state.global_step)
    record["tokens"] = trainer.tokens
    record["seconds"] = lines[-1]["seconds"] if lines else 0.0
    record["cpu_seconds"] = trainer.cpu_before + manifest.cpu_seconds()
    save_model(trainer, made.run, card.card(made.name, made.recipe, made.recipe.model, record, lines))
    files.write_json(path, record)


def _result(made: Plan) -> Result:
    record = _read_json(made.run / "manifest.json")
    return Result(made.run, int(record.get("steps", 0)), made.steps, _lines(made.run), record)


def _lines(run: Path) -> list[Record]:
    import json

    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _read_json(path: Path) -> Record:
    import json

    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, json.JSONDecodeError) as error:
        raise EngineError(f"cannot read {path}: {error}") from None
