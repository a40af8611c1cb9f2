"""Runs an evaluation: batch by batch, each written and marked before the next, so that any interruption loses one
batch.

Folder: samples.jsonl (a line per sample), progress.json (settings and how many batches are in, replaced as a whole
after each), then results.json and curve.csv. What a batch holds depends on the settings alone: stopped and resumed
equals run through.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lcpo.budgets import prompt
from lcpo.decode import Ask, Response, method, run_methods
from lcpo.engines.base import Engine, user
from lcpo.errors import ConfigError, EngineError, TaskError
from lcpo.evaluate.plan import Batch, Cell, EvaluatedModel, Settings, batches, row_seed, total
from lcpo.evaluate.records import Sample
from lcpo.evaluate.traces import CachingEngine
from lcpo.measure.files import LOCK, differences, locked, write_text
from lcpo.measure.filler import filler_tokens
from lcpo.measure.manifest import manifest
from lcpo.measure.portable import portable
from lcpo.measure.progress import Progress
from lcpo.thinking import Thinking, split_ids
from lcpo.types import NO_BUDGET, Grade, Problem
from lcpo.verifiers import grade, grade_many, group_answers

LONGEST_CHARACTER = 4
"""Bytes, and so tokens at most, of one character."""
SAMPLES, PROGRESS = "samples.jsonl", "progress.json"


@dataclass
class State:
    """How far an evaluation is: what stands in progress.json. served: what each model was called by its engine."""

    settings: dict[str, Any]
    batches: int = 0
    bytes: int = 0
    generated: int = 0
    asked: int = 0
    cpu_seconds: float = 0.0
    seconds: float = 0.0
    served: dict[str, str] = field(default_factory=dict)


def run(
    settings: Settings,
    problems: Sequence[Problem],
    load: Callable[[EvaluatedModel], Engine],
    out: Path,
    *,
    resume: bool = False,
    quiet: bool = False,
) -> State:
    """Runs what is left of an evaluation into `out`; its samples are complete afterwards.

    load: makes the engine of a model, called once for each that has work left. Raises ConfigError where `out` is taken
    or holds other settings or another model's samples, TaskError where it cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file, and an evaluation goes into a folder; choose another --out")
    plan = list(batches(settings))
    engine: Engine | None = None
    subject: EvaluatedModel | None = None
    with _holding(out), Progress(["eval"], quiet) as progress:
        state = open_folder(settings, out, resume)
        left = plan[state.batches :]
        progress.phase("eval", total(settings), sum(len(b.rows) * len(b.cells) for b in plan[: state.batches]))
        for batch in left:
            if batch.subject != subject:
                engine, subject = load(batch.subject), batch.subject
                check_engine(batch.subject, engine)
                check_served(state, batch.subject, engine, out)
            assert engine is not None
            began, cpu = time.monotonic(), time.process_time()
            shared = CachingEngine(engine)
            samples = run_batch(settings, batch, problems, shared)
            state.generated, state.asked = state.generated + shared.generated, state.asked + shared.asked
            state.seconds += time.monotonic() - began
            state.cpu_seconds += time.process_time() - cpu
            append(out, state, samples)
            progress.add(len(samples), batch.subject.run)
    return state


@contextlib.contextmanager
def _holding(out: Path) -> Iterator[None]:
    """The folder of an evaluation, made and locked. Raises TaskError where it cannot be written."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(out))
        except OSError as error:
            raise TaskError(f"cannot write to {out}: {error.strerror}; choose another --out") from None
        yield


def check_engine(subject: EvaluatedModel, engine: Engine) -> None:
    """Raises EngineError where a method asks for what the engine cannot do."""
    for spec in subject.methods:
        found = method(spec)
        if found.needs_ids and engine.marks is None:
            raise EngineError(f"method {spec} works on token ids; {engine.name} gives text only")


def check_served(state: State, subject: EvaluatedModel, engine: Engine, out: Path) -> None:
    """Raises ConfigError where a server that was named without a model serves another one than before."""
    before = state.served.setdefault(subject.run, engine.name)
    if engine.name != before:
        raise ConfigError(
            f"{out} was made with {before!r}, and {subject.path} now serves {engine.name!r}; serve {before!r} again,"
            " or choose another --out"
        )


def open_folder(settings: Settings, out: Path, resume: bool) -> State:
    """The state of `out`, made if it is new; samples that are not marked as done are cut off."""
    marker = out / PROGRESS
    state = State(**json.loads(marker.read_text(encoding="utf-8"))) if marker.exists() else None
    if state is None or state.batches == 0:
        if state is None and any(path.name != LOCK for path in out.iterdir()):
            raise ConfigError(f"{out} is not empty and holds no evaluation; choose another --out")
        try:
            out.mkdir(parents=True, exist_ok=True)
            (out / SAMPLES).write_bytes(b"")
        except OSError as error:
            raise TaskError(f"cannot write to {out}: {error.strerror}; choose another --out") from None
        state = State(settings.json())
        _mark(out, state)
        return state
    if not resume:
        raise ConfigError(f"{out} holds an evaluation already; add --resume to go on with it, or choose another --out")
    changed = differences(portable(state.settings), settings.json())
    if changed:
        raise ConfigError(
            f"{out} was made with other settings, and they are never mixed: {'; '.join(changed[:5])};"
            " give the same, or choose another --out"
        )
    with (out / SAMPLES).open("r+b") as file:
        file.truncate(state.bytes)
    return state


def append(out: Path, state: State, samples: Sequence[Sample]) -> None:
    """Writes a batch, then marks it as done."""
    lines = "".join(json.dumps(sample.json(), ensure_ascii=False, allow_nan=False) + "\n" for sample in samples)
    try:
        with (out / SAMPLES).open("ab") as file:
            file.write(lines.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
            state.bytes = file.tell()
        state.batches += 1
        _mark(out, state)
    except OSError as error:
        raise TaskError(
            f"cannot write to {out}: {error.strerror}; what was done is kept, go on with --resume"
        ) from None


def _mark(out: Path, state: State) -> None:
    write_text(out / PROGRESS, json.dumps(vars(state), indent=1))


def read_samples(out: Path) -> Iterator[Sample]:
    """The samples of a folder, one at a time, fields that this version does not know left out.

    Raises TaskError naming the line that cannot be read.
    """
    known = {each.name for each in fields(Sample)}
    with (out / SAMPLES).open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield Sample(**{name: value for name, value in json.loads(line).items() if name in known})
            except (ValueError, TypeError, AttributeError) as error:
                text = f"{out / SAMPLES}, line {number}, is no sample ({error}); run the evaluation with --resume"
                raise TaskError(text) from None


def finish(out: Path, state: State, extra: Mapping[str, Any], chances: Mapping[str, float | None]) -> dict[str, Any]:
    """Computes results.json and curve.csv from the samples and writes them; returns the results."""
    from lcpo.evaluate.metrics import curve_csv, results

    told = {
        **manifest(),
        "settings": state.settings,
        **portable(extra),
        "tokens_generated": state.generated,
        "tokens_unshared": state.asked,
        "cpu_seconds": round(state.cpu_seconds, 2),
        "seconds": round(state.seconds, 2),
    }
    found = results(read_samples(out), told, chances=chances, seed=state.settings["seed"])
    write_text(out / "results.json", json.dumps(found, indent=1, allow_nan=False))
    write_text(out / "curve.csv", curve_csv(found))
    return found


def run_batch(settings: Settings, batch: Batch, problems: Sequence[Problem], engine: Engine) -> list[Sample]:
    """The samples of a batch: cell by cell, within it row by row."""
    places = [(cell, problem, sample) for cell in batch.cells for problem, sample in batch.rows]
    asks = [_ask(settings, cell, problems[problem], sample, engine) for cell, problem, sample in places]
    steps = [method(cell.method).steps(ask) for (cell, _, _), ask in zip(places, asks, strict=True)]
    decoded = run_methods(engine, steps)
    grades = []
    modes: tuple[Thinking, ...] = ("auto", True, False)
    for thinking in modes:
        which = [
            i for i, one in enumerate(decoded) if one.thinking == thinking and type(one.thinking) is type(thinking)
        ]
        texts = [decoded[i].graded or decoded[i].response.text for i in which]
        golds = [problems[places[i][1]].answers for i in which]
        graded = grade_many(texts, golds, settings.verifier, thinking=thinking, box=settings.box) if which else []
        grades += list(zip(which, graded, strict=True))
    by_place = dict(grades)
    known: dict[int, str] = {}
    return [
        _sample(settings, cell, problems[problem], sample, decoded[i], by_place[i], engine, known)
        for i, (cell, problem, sample) in enumerate(places)
    ]


def _ask(settings: Settings, cell: Cell, problem: Problem, sample: int, engine: Engine) -> Ask:
    def votes(responses: Sequence[Response]) -> list[int | None]:
        graded = (
            grade(each.response.text, problem.answers, settings.verifier, thinking=each.thinking, box=settings.box)
            for each in responses
        )
        return group_answers([each.answer for each in graded], settings.verifier)

    return Ask(
        conversation=user(prompt(problem, NO_BUDGET, cell.subject.wording)),
        budget=cell.asked,
        engine=engine,
        seed=row_seed(settings, problem, sample),
        cap=settings.cap,
        wording=cell.subject.wording,
        temperature=settings.temperature,
        top_p=settings.top_p,
        votes=votes,
    )


def _sample(
    settings: Settings,
    cell: Cell,
    problem: Problem,
    sample: int,
    one: Response,
    grade: Grade,
    engine: Engine,
    known: dict[int, str],
) -> Sample:
    thinking, answer, filler = token_parts(one, engine, known)
    return Sample(
        run=cell.subject.run,
        model=cell.subject.model,
        task=settings.task,
        method=cell.method,
        kind=cell.subject.kind if cell.budget is not None else "none",
        scope=method(cell.method).scope,
        wording=cell.subject.wording,
        budget=cell.budget,
        seen=cell.seen,
        problem=problem.id,
        size=problem.size,
        sample=sample,
        seed=settings.seed,
        temperature=settings.temperature,
        generation_cap=settings.cap,
        prompt=one.prompt,
        text=one.response.text,
        tokens=one.tokens,
        thinking_tokens=thinking,
        answer_tokens=answer,
        filler_tokens=filler,
        length_source="ids" if one.from_ids else "usage",
        finish_reason={"end": "stop", "stop": "stop", "length": "length"}[one.finish],
        truncated=one.finish == "length",
        forced=one.forced,
        no_answer=grade.answer is None,
        correct=grade.correct,
        answer=grade.answer,
        gold=" | ".join(problem.answers),
        calls=one.calls,
    )


def token_parts(one: Response, engine: Engine, known: dict[int, str]) -> tuple[int | None, int | None, int | None]:
    """(tokens of thought, of answer, of filler), over all responses of the sample; None where not known."""
    responses = [response.ids for response in (one.response, *one.others)]
    if engine.marks is None or any(ids is None for ids in responses):
        rest = None if one.tokens is None or one.reasoning is None else max(0, one.tokens - one.reasoning)
        return one.reasoning, rest, None
    thinking = answer = filler = 0
    for ids in responses:
        assert ids is not None
        parts = split_ids(ids, engine.marks)
        thinking, answer = thinking + parts.thinking, answer + parts.answer
        pieces = token_texts(ids[: parts.response - parts.ended], engine, known)
        filler += filler_tokens(pieces, thinking=one.thinking)
    return thinking, answer, filler


def token_texts(ids: Sequence[int], engine: Engine, known: dict[int, str]) -> list[str]:
    """The text that each token adds, so that joined they are the text of all; a cut character belongs to its last
    token.

    known: texts of tokens that stand for themselves, remembered.
    """
    texts: list[str] = []
    start = 0
    for i, token in enumerate(ids):
        if start == i and token in known:
            texts.append(known[token])
            start = i + 1
            continue
        text = engine.decode(ids[start : i + 1])
        if text.endswith("\ufffd") and i + 1 < len(ids) and i - start < LONGEST_CHARACTER - 1:
            texts.append("")
            continue
        if start == i and "\ufffd" not in text:
            known[token] = text
        texts.append(text)
        start = i + 1
    return texts
