"""A training run from a recipe to a run folder: prepare, the stages in order, save; resuming loses nothing."""

import json
import shutil
import signal
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcpo.engines.models import resolve
from lcpo.errors import ConfigError, EngineError
from lcpo.measure import files, manifest
from lcpo.measure.portable import portable
from lcpo.measure.progress import Progress
from lcpo.recipes.recipe import Recipe, parse_recipe
from lcpo.tasks import Loaded, Task
from lcpo.train import card, checkpoint, data, policy

Record = dict[str, Any]
STAGES = "stages"
"""The folder of what [supervised] and [hindsight] leave to the next stage, in a run folder."""


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
        counts = {"steps": self.steps, "wanted": self.wanted, "tokens": tokens}
        return {"run": str(self.run), "stages": self.manifest.get("stages", {}), **counts, **took, **summary}


@dataclass(frozen=True)
class Plan:
    """A recipe with what it needs found: base (a folder or hub id), task, problems, TRL settings, its length."""

    name: str
    recipe: Recipe
    run: Path
    base: str
    task: Task
    loaded: Loaded
    args: Any
    steps: int
    visits: int

    @property
    def phases(self) -> list[str]:
        """What progress calls the stages, in order."""
        from lcpo.train.hindsight import phases

        names = ["supervised"] if self.recipe.supervised else []
        names += phases(self.recipe.hindsight) if self.recipe.hindsight else []
        return [*names, "LCPO"] if self.steps else names


def plan(name: str, recipe: Recipe, run: Path) -> Plan:
    """Everything that can be checked before anything is written or trained. Raises ConfigError or TaskError."""
    from accelerate import PartialState

    from lcpo.train.settings import settings, steps_of
    from lcpo.train.supervised import read_records

    base = resolve(recipe.model)
    if base.kind == "server":
        raise ConfigError(f"model {recipe.model} is a server; training needs weights: a folder or a hub id")
    policy.lora(recipe)
    policy.adapter(recipe)
    args = settings(recipe, run, PartialState(cpu=bool(recipe.trl.get("use_cpu")) or None).num_processes)
    _refuse_sharded(recipe)
    if recipe.supervised is not None:
        read_records(recipe.supervised.data)
    task, loaded = data.load(recipe.task, recipe.seed)
    loaded = data.fitting(loaded, recipe, base.path, args.max_completion_length or 0)
    steps, visits = steps_of(recipe, len(loaded.problems))
    args.max_steps = steps
    return Plan(name, recipe, run, base.path, task, loaded, args, steps, visits)


def _refuse_sharded(recipe: Recipe) -> None:
    """Raises ConfigError where stages that need whole weights would run on parts of them."""
    from transformers.integrations import is_deepspeed_zero3_enabled, is_fsdp_enabled

    if (recipe.supervised or recipe.hindsight) and (is_deepspeed_zero3_enabled() or is_fsdp_enabled()):
        raise ConfigError(
            "[supervised] and [hindsight] need whole weights in each process, and ZeRO-3 and FSDP cut them in parts; "
            "run these stages without (trl.max_steps=0), then give that run as model, and leave the tables out"
        )


def train(
    name: str, recipe: Recipe, run: Path, *, resume: bool = False, quiet: bool = False, trainer: Any = None
) -> Result:
    """Trains a recipe into `run`. Raises ConfigError where settings make no sense, or where `run` is there already.

    Ctrl-C (or SIGTERM) ends at the next place where the run can be resumed, with what is there saved. trainer: makes
    the trainer, for experiments; LcpoTrainer where it is left out.
    """
    import torch
    import transformers
    from accelerate import PartialState

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    made = plan(name, recipe, run)
    main = PartialState().is_main_process
    with ExitStack() as held:
        with PartialState().main_process_first(), files.writing(str(run)):
            if main:
                checkpoint.prepare(run, resume)
                held.enter_context(files.locked(run))
                same_recipe(run, recipe, resume)
                files.write_text(run / "recipe.toml", recipe.toml())
        if _finished(made):
            return _result(made)
        asked = held.enter_context(_interrupts())
        show = held.enter_context(Progress(made.phases, quiet=quiet or not main))
        if main:
            _write_start(made)
        for note in _opening(made):
            show.note(note)
        stage = _stages(made, show, asked)
        if made.steps:
            _reinforce(made, stage, resume, show, asked, trainer)
        elif main:
            _finish(made, *policy.load(made.base, recipe, bool(made.args.use_cpu), stage))
        PartialState().wait_for_everyone()
    return _result(made)


def _finished(made: Plan) -> bool:
    """Whether every step is made and the model saved: the manifest says so last of all, once model/ is whole."""
    path = made.run / "manifest.json"
    if not (made.run / "model").exists() or not path.exists():
        return False
    return int(_read_json(path).get("steps", -1)) >= made.steps


def _opening(made: Plan) -> Iterator[str]:
    """What is said before the first step."""
    group, device = made.recipe.group, "the CPU" if made.args.use_cpu else "the GPU"
    yield f"{len(made.loaded.problems):,} problems of {made.task.name} (left out: {made.loaded.dropped})"
    yield from (f"warning: {note}" for note in made.loaded.notes)
    stages = [name for name in ("supervised", "hindsight") if getattr(made.recipe, name) is not None]
    stages += [f"LCPO: {made.steps:,} steps of {group.problems} problems x {group.size} rollouts"] if made.steps else []
    yield f"{', then '.join(stages)}; on {device}, into {made.run}"
    if made.args.use_vllm and "max" in made.recipe.budget.kinds:
        yield "TRL gives vLLM one cap for all: rollouts of a maximum run to trl.max_completion_length"


def _stages(made: Plan, show: Progress, asked: Callable[[], bool]) -> Path | None:
    """[supervised], then [hindsight], each from the model of the one before, each made once. The last one's folder.

    The first begins with the recipe's adapter, where it has one.
    """
    from accelerate import PartialState

    from lcpo.train.hindsight import hindsight
    from lcpo.train.supervised import Stage, supervised

    recipe, before, main = made.recipe, policy.adapter(made.recipe), PartialState().is_main_process
    for name in ("supervised", "hindsight"):
        table, folder = getattr(recipe, name), made.run / STAGES / name
        if table is None:
            continue
        if not folder.exists():
            cpu = bool(made.args.use_cpu)
            model, tokenizer = policy.load(made.base, recipe, cpu, before)
            model = policy.with_adapter(model if cpu else model.to(PartialState().device), recipe)
            work = folder.with_name(f"{name}.partial")
            work.mkdir(parents=True, exist_ok=True)
            stage = Stage(recipe, made.args, model, tokenizer, work, show, asked)
            told: Any
            if name == "supervised":
                told = supervised(stage, table)
            else:
                told = hindsight(stage, table, made.loaded.problems, recipe.task.verifier or made.task.verifier)
            if main:
                with files.writing(str(folder)):
                    record = _read_json(made.run / "manifest.json")
                    record.setdefault("stages", {})[name] = told
                    files.write_json(made.run / "manifest.json", record)
                    policy.save_stage(model, tokenizer, folder)
                shutil.rmtree(work)
            PartialState().wait_for_everyone()
            del model, stage
        before = folder
    return before


def _reinforce(
    made: Plan, stage: Path | None, resume: bool, show: Progress, asked: Callable[[], bool], trainer: Any
) -> None:
    """RL from the base, or from what the stages before left, to model/."""
    from accelerate import PartialState

    main = PartialState().is_main_process
    done = checkpoint.checkpoints(made.run)
    from_step, folder = done[-1] if resume and done else (0, None)
    built = build(made, stage, trainer)
    if main:
        checkpoint.discard_broken(made.run, from_step)
    PartialState().wait_for_everyone()
    show.phase("LCPO", made.steps, from_step)
    _fit(made, built, from_step, folder, asked, show)
    sharded = built.accelerator.distributed_type.value in ("FSDP", "DEEPSPEED")
    state = built.accelerator.get_state_dict(built.model_wrapped) if sharded else None
    if main:
        model = built.accelerator.unwrap_model(built.model_wrapped if sharded else built.model)
        _finish(made, model, built.processing_class, built, state)


def build(made: Plan, stage: Path | None = None, trainer: Any = None) -> Any:
    """The trainer of a plan, its model loaded from the base, or from what a stage before left."""
    from lcpo.train.trainer import LcpoTrainer, Options

    recipe = made.recipe
    model, tokenizer = policy.load(made.base, recipe, bool(made.args.use_cpu), stage)
    made.args.model_init_kwargs = None
    chosen = data.order(len(made.loaded.problems), made.visits, recipe.seed)
    chat = getattr(tokenizer, "chat_template", None) is not None
    options = Options(
        advantage=recipe.advantage,
        template=recipe.budget.template,
        schedule=recipe.schedule,
        sampler=recipe.sampler,
        bins=recipe.log.bins,
        box=recipe.task.box,
        filler=recipe.task.filler,
        task=made.task,
        useless=recipe.task.useless,
    )
    return (trainer or LcpoTrainer)(
        model,
        objective=recipe.objective,
        budget=recipe.budget.sampler,
        verifier=recipe.task.verifier or made.task.verifier,
        options=options,
        processing_class=tokenizer,
        args=made.args,
        train_dataset=data.rows(made.loaded.problems, recipe.budget.template, chat),
        order=chosen,
        peft_config=None if hasattr(model, "peft_config") else policy.lora(recipe),
    )


def _fit(
    made: Plan, trainer: Any, from_step: int, folder: Path | None, asked: Callable[[], bool], show: Progress
) -> None:
    """Runs the trainer with our records and stops."""
    from transformers import PrinterCallback

    from lcpo.train.recorder import Recorder, SkipNonFinite, Stop

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(SkipNonFinite(show))
    trainer.add_callback(Stop(asked, made.recipe.updates_per_generation))
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
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM ask for an end; a second Ctrl-C ends at once.

    Yields the function that says whether any process was asked; all processes must call it together.
    """
    from accelerate import PartialState
    from accelerate.utils import gather_object

    wanted, alone = {"stop": False}, PartialState().num_processes == 1

    def handle(number: int, _: Any) -> None:
        if wanted["stop"]:
            raise KeyboardInterrupt
        wanted["stop"] = True
        print("stopping where the run can be resumed; once more ends at once", file=sys.stderr)

    try:
        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: whoever runs us handles signals
        before = {}
    try:
        yield lambda: wanted["stop"] if alone else any(gather_object([wanted["stop"]]))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def same_recipe(run: Path, recipe: Recipe, resume: bool) -> None:
    """Raises ConfigError where --resume is given another recipe than the run was started with."""
    path = run / "recipe.toml"
    if not resume or not path.exists():
        return
    where = f"{path} (if an earlier version wrote it, start anew with another --out)"
    started = parse_recipe(tomllib.loads(path.read_text(encoding="utf-8")), where)
    changed = files.differences(tomllib.loads(started.toml()), tomllib.loads(recipe.toml()))
    if changed:
        raise ConfigError(
            f"{run} was started with other settings: {'; '.join(changed[:3])}; resume with the same, or start "
            "anew with another --out"
        )


def _write_start(made: Plan) -> None:
    """The manifest of a run that begins. Raises ConfigError where one goes on with other data or another base."""
    path = made.run / "manifest.json"
    found: Record = {
        "task": made.task.name,
        "problems": len(made.loaded.problems),
        "dropped": made.loaded.dropped.counts,
        "sha256": dict(made.loaded.sha256),
    }
    if made.recipe.supervised is not None:
        found["supervised"] = {source: files.sha256(Path(source)) for source in made.recipe.supervised.data}
    folder = Path(made.base)
    model = {"source": made.recipe.model, "sha256": files.model_sha256(folder) if folder.is_dir() else None}
    start = policy.adapter(made.recipe)
    if start is not None:
        model["adapter_sha256"] = files.model_sha256(start)
    if not path.exists():
        files.write_json(path, {"recipe": made.name, **manifest.run_manifest(made.recipe.seed, found, model)})
    record = _read_json(path)
    for what, now in (("data", portable(found)), ("model", portable(model))):
        if portable(record.get(what, now)) != now:
            raise ConfigError(
                f"{made.run} was started with other {what} ({record[what]}) than there is now ({now}); put back what "
                "was there, or start anew with another --out"
            )


def _finish(made: Plan, model: Any, tokenizer: Any, trainer: Any = None, state: Any = None) -> None:
    """model/ (and adapter/), its card, and the closing lines of the manifest."""
    path = made.run / "manifest.json"
    record, lines = _read_json(path), files.read_lines(made.run / "metrics.jsonl")
    record["steps"] = int(trainer.state.global_step) if trainer else 0
    record["tokens"] = trainer.tokens if trainer else 0
    record["seconds"] = lines[-1]["seconds"] if lines else 0.0
    record["cpu_seconds"] = (trainer.cpu_before if trainer else 0.0) + manifest.cpu_seconds()
    with files.writing(str(made.run / "model")):
        text = card.card(made.name, made.recipe, made.recipe.model, record, lines)
        policy.save(model, tokenizer, made.run, text, state)
        files.write_json(path, record)


def _result(made: Plan) -> Result:
    record = _read_json(made.run / "manifest.json")
    lines = files.read_lines(made.run / "metrics.jsonl")
    return Result(made.run, int(record.get("steps", 0)), made.steps, lines, record)


def _read_json(path: Path) -> Record:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, json.JSONDecodeError) as error:
        raise EngineError(f"cannot read {path}: {error}") from None
