"""Runs an evaluation: batch by batch, each written and marked before the next, so that any interruption loses one
batch; with a server request by request (lcpo.evaluate.requests).

Folder: samples.jsonl (a line per sample), progress.json (settings and how many batches are in, replaced as a whole
after each), then results.json and curve.csv. What a batch holds depends on the settings alone: stopped and resumed
equals run through.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lcpo.budgets import prompt
from lcpo.decode import method, run_method
from lcpo.engines import Engine, make_engine
from lcpo.engines.base import run_async
from lcpo.engines.models import is_server
from lcpo.errors import ConfigError, EngineError, TaskError
from lcpo.evaluate.batch import ask_of, graded, run_batch
from lcpo.evaluate.caching import CachingEngine
from lcpo.evaluate.inert import further_requests
from lcpo.evaluate.plan import EvaluatedModel, Options, Place, Settings, batches, make_plan
from lcpo.evaluate.records import SAMPLES, Sample, read_samples
from lcpo.evaluate.requests import Asking, announce, key
from lcpo.evaluate.results import curve_csv, results
from lcpo.measure.files import LOCK, appending, locked, write_json, write_text
from lcpo.measure.manifest import manifest
from lcpo.measure.portable import portable
from lcpo.measure.progress import Progress
from lcpo.recipes.recipe import unknown_keys
from lcpo.tasks.base import Task
from lcpo.types import NO_BUDGET, Problem

PROGRESS = "progress.json"


def evaluate(
    options: Options,
    out: Path | None = None,
    *,
    resume: bool = False,
    engine: str = "auto",
    price: tuple[float, float] | None = None,
    limit: int | None = None,
    agreed: Callable[[str], bool] = lambda question: False,
    **server: Any,
) -> tuple[Path, dict[str, Any]]:
    """Runs what is asked for; (folder, results).

    price, limit, agreed: see lcpo.evaluate.requests.announce. server: fields of lcpo.engines.openai.Connection. Without
    `out` it goes to evals/<models>-<task>-<seed>. Raises LcpoError; on Ctrl-C what is done is kept.
    """
    settings, sources, task, loaded = make_plan(options)
    settings = replace(
        settings,
        engine=None if engine in ("auto", "transformers") else engine,
        tokenizer=server.get("tokenizer"),
        opened=server.get("opened"),
        without=server.get("without") or None,
    )
    folder = out or Path("evals") / "-".join([*sources, task.name, str(options.seed)])[:120].replace("/", "_")
    if settings.inert:
        print(further_requests(settings), file=sys.stderr)
    if loaded.dropped.counts:
        print(f"{task.name}: left out {loaded.dropped}", file=sys.stderr)
    for name, source in sources.items():
        if source.kind == "run" and (ignored := unknown_keys(source.tables)):
            print(f"{name}: its recipe.toml says {', '.join(ignored)}, which is ignored", file=sys.stderr)

    def before(places: Sequence[Place]) -> None:
        asked = (prompt(loaded.problems[place.problem], NO_BUDGET, place.cell.model.wording) for place in places)
        announce(places, asked, settings.cap, price, limit, agreed)

    def load(model: EvaluatedModel) -> Engine:
        return make_engine(sources[model.run], engine, **server)

    try:
        state = run(settings, loaded.problems, load, folder, task=task, resume=resume, before=before)
    except KeyboardInterrupt:
        print(f"stopped; what is done is kept in {folder}", file=sys.stderr)
        raise
    data = {"sha256": dict(loaded.sha256), "dropped": loaded.dropped.counts, "split": options.split}
    models = {run: {"given": source.name, "kind": source.kind} for run, source in sources.items()}
    return folder, finish(folder, state, {"data": data, "models": models}, {task.name: task.chance})


# ---- the folder -----------------------------------------------------------------------------------------------------


@dataclass
class State:
    """How far an evaluation is: what stands in progress.json.

    served: what each model was called by its engine. left_out: parameters that its requests were made without.
    """

    settings: dict[str, Any]
    batches: int = 0
    bytes: int = 0
    generated: int = 0
    asked: int = 0
    cpu_seconds: float = 0.0
    seconds: float = 0.0
    served: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)


def run(
    settings: Settings,
    problems: Sequence[Problem],
    load: Callable[[EvaluatedModel], Engine],
    out: Path,
    *,
    task: Task | None = None,
    resume: bool = False,
    quiet: bool = False,
    before: Callable[[Sequence[Place]], None] = lambda places: None,
) -> State:
    """Runs what is left of an evaluation into `out`; its samples are complete afterwards, but for failed requests.

    load: makes the engine of a model, called once for each that has work left. task: see run_batch. before: is told all
    that servers will be asked for. Raises ConfigError where `out` is taken or holds other settings or another model's
    samples, TaskError where it cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file, and an evaluation goes into a folder; choose another --out")
    plan = list(batches(settings))
    with contextlib.ExitStack() as held, Progress(["eval"], quiet) as progress:
        with _writing(out, "choose another --out"):
            held.enter_context(locked(out))
        state = open_folder(settings, out, resume)
        if state.batches < len(plan) and not is_server(plan[state.batches][0].cell.model.path):
            os.truncate(out / SAMPLES, state.bytes)
        write = held.enter_context(appending(out / SAMPLES))
        left = _left(settings, plan, state.batches, problems, out)
        before([place for places in left for place in places if is_server(place.cell.model.path)])
        progress.phase("eval", sum(map(len, plan)), sum(map(len, plan)) - sum(map(len, left)))

        def keep(samples: Sequence[Sample]) -> None:
            write([sample.json() for sample in samples])
            progress.add(len(samples), samples[0].run)

        for model in settings.subjects:
            numbers = [i for i, places in enumerate(left) if places and places[0].cell.model == model]
            if not numbers:
                continue
            engine = load(model)
            check_engine(settings, state, model, engine, out)
            if engine.parallel:
                _mark(out, state, state.batches)
                places = [place for i in numbers for place in left[i]]
                known = {sample.method for sample in read_samples(out) if sample.run == model.run}
                with _timed(state):
                    _ask_server(settings, places, problems, engine, keep, known)
                state.left_out[model.run] = sorted(engine.left_out)
                _mark(out, state, numbers[-1] + 1)
                continue
            for i in numbers:
                shared = CachingEngine(engine)
                with _timed(state):
                    keep(run_batch(settings, left[i], problems, shared, task))
                state.generated, state.asked = state.generated + shared.generated, state.asked + shared.asked
                _mark(out, state, i + 1)
    return state


def _left(
    settings: Settings, plan: Sequence[list[Place]], done: int, problems: Sequence[Problem], out: Path
) -> list[list[Place]]:
    """What is left of each batch: of an engine of ours all of it or nothing, of a server what is not in the folder."""
    servers = {model.run for model in settings.subjects if is_server(model.path)}
    kept = {key(sample) for sample in read_samples(out) if sample.run in servers} if servers else set()
    return [
        [place for place in batch if key(place, problems) not in kept]
        if batch[0].cell.model.run in servers
        else batch[: len(batch) * (i >= done)]
        for i, batch in enumerate(plan)
    ]


@contextlib.contextmanager
def _timed(state: State) -> Iterator[None]:
    began, cpu = time.monotonic(), time.process_time()
    yield
    state.seconds += time.monotonic() - began
    state.cpu_seconds += time.process_time() - cpu


@contextlib.contextmanager
def _writing(out: Path, then: str) -> Iterator[None]:
    """Turns a failed write into one line that ends in what to do then. Raises TaskError."""
    try:
        yield
    except OSError as error:
        raise TaskError(f"cannot write to {out}: {error.strerror}; {then}") from None


def check_engine(settings: Settings, state: State, model: EvaluatedModel, engine: Engine, out: Path) -> None:
    """Raises EngineError where a method asks for what the engine cannot do, ConfigError where the model is another one
    than before.
    """
    for spec in model.methods:
        if method(spec).needs_ids and engine.marks is None:
            raise EngineError(f"method {spec} works on token ids; {engine.name} gives text only")
    if settings.inert and engine.marks is None:
        raise EngineError(f"--inert works on token ids; {engine.name} gives text only: leave it out")
    before = state.served.setdefault(model.run, engine.name)
    if before != engine.name:
        raise ConfigError(
            f"{out} was made with {before!r}, and {model.path} now serves {engine.name!r}; serve {before!r} again,"
            " or choose another --out"
        )


def open_folder(settings: Settings, out: Path, resume: bool) -> State:
    """The state of `out`, made if it is new."""
    marker = out / PROGRESS
    state = State(**json.loads(marker.read_text(encoding="utf-8"))) if marker.exists() else None
    if state is None or (state.batches == 0 and not (out / SAMPLES).stat().st_size):
        if state is None and any(path.name != LOCK for path in out.iterdir()):
            raise ConfigError(f"{out} is not empty and holds no evaluation; choose another --out")
        state = State(settings.json())
        with _writing(out, "choose another --out"):
            (out / SAMPLES).write_bytes(b"")
            write_json(marker, vars(state))
        return state
    if not resume:
        raise ConfigError(f"{out} holds an evaluation already; add --resume to go on with it, or choose another --out")
    changed = settings.changes(state.settings)
    if changed:
        raise ConfigError(
            f"{out} was made with other settings, and they are never mixed: {'; '.join(changed[:5])};"
            " give the same, or choose another --out"
        )
    return state


def _mark(out: Path, state: State, batches: int) -> None:
    """So many batches are done, as the samples stand there."""
    state.batches, state.bytes = max(state.batches, batches), (out / SAMPLES).stat().st_size
    with _writing(out, "what was done is kept, go on with --resume"):
        write_json(out / PROGRESS, vars(state))


def finish(out: Path, state: State, extra: Mapping[str, Any], chances: Mapping[str, float | None]) -> dict[str, Any]:
    """Computes results.json and curve.csv from the samples and writes them; returns the results."""
    used = sum(sample.tokens or 0 for sample in read_samples(out) if sample.run in state.left_out)
    origin = {
        **manifest(),
        "settings": state.settings,
        "left_out": state.left_out,
        **portable(extra),
        "tokens_generated": state.generated + used,
        "tokens_unshared": state.asked + used,
        "cpu_seconds": round(state.cpu_seconds, 2),
        "seconds": round(state.seconds, 2),
    }
    computed = results(read_samples(out), origin, chances=chances, seed=state.settings["seed"])
    of_each = state.settings["problems"] * state.settings["samples"]
    for row in computed["rows"]:
        row["requests_failed"] = of_each - row["samples"]
    write_json(out / "results.json", computed)
    write_text(out / "curve.csv", curve_csv(computed))
    return computed


def _ask_server(
    settings: Settings,
    places: Sequence[Place],
    problems: Sequence[Problem],
    engine: Engine,
    keep: Callable[[Sequence[Sample]], None],
    known: Collection[str],
) -> None:
    """Asks a server for places; `keep` gets each sample as it comes. known: methods that it has answered before."""

    async def answer(place: Place) -> None:
        steps = method(place.cell.method).steps(ask_of(settings, place, problems, engine))
        response = await run_method(engine, steps)
        samples = await asyncio.to_thread(graded, settings, [place], problems, [response], engine)
        keep(samples)

    async def every() -> None:
        try:
            await Asking(places, answer, known).run(engine.parallel or 1)
        finally:
            await engine.aclose()

    run_async(every())
