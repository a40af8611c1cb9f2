"""A batch: what methods are asked, and the samples that their responses are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from lcpo.budgets import prompt
from lcpo.decode import Ask, Response, method, run_methods
from lcpo.engines.base import Engine, sub_seed, user
from lcpo.evaluate.inert import changes
from lcpo.evaluate.plan import Place, Settings
from lcpo.evaluate.records import Sample
from lcpo.measure.filler import filler_tokens, token_texts
from lcpo.tasks.base import Steps, Task, count_steps
from lcpo.thinking import split_ids
from lcpo.types import NO_BUDGET, Grade, Problem
from lcpo.verifiers import Box, grade, grade_many, group_answers


def run_batch(
    settings: Settings,
    batch: Sequence[Place],
    problems: Sequence[Problem],
    engine: Engine,
    task: Task | None = None,
) -> list[Sample]:
    """The samples of a batch, in its order. task: the problems', where it can read their thoughts."""
    asks = [ask_of(settings, place, problems, engine) for place in batch]
    responses = run_methods(engine, [method(at.cell.method).steps(ask) for at, ask in zip(batch, asks, strict=True)])
    samples = graded(settings, batch, problems, responses, engine, task)
    changed = changes(settings, batch, problems, asks, responses, engine) if settings.inert else {}
    return [replace(sample, changed=changed.get(i)) for i, sample in enumerate(samples)]


def graded(
    settings: Settings,
    batch: Sequence[Place],
    problems: Sequence[Problem],
    responses: Sequence[Response],
    engine: Engine,
    task: Task | None = None,
) -> list[Sample]:
    """The samples that responses are."""
    grades: dict[int, Grade] = {}
    for thinking in {response.thinking for response in responses}:
        which = [i for i, response in enumerate(responses) if response.thinking == thinking]
        texts = [responses[i].graded or responses[i].response.text for i in which]
        golds = [problems[batch[i].problem].golds for i in which]
        verdicts = grade_many(texts, golds, settings.verifier, thinking=thinking, box=settings.box)
        grades |= dict(zip(which, verdicts, strict=True))
    known: dict[int, str] = {}
    samples = []
    for i, (place, response) in enumerate(zip(batch, responses, strict=True)):
        problem = problems[place.problem]
        counts = token_counts(response, engine, known, partial(task.steps, problem) if task else None)
        samples.append(_sample(settings, place, problem, response, grades[i], counts))
    return samples


def ask_of(settings: Settings, place: Place, problems: Sequence[Problem], engine: Engine) -> Ask:
    """What a method is asked for one sample."""
    model, problem = place.cell.model, problems[place.problem]
    return Ask(
        conversation=user(prompt(problem, NO_BUDGET, model.wording)),
        budget=place.cell.asked,
        engine=engine,
        seed=sub_seed(settings.seed, problem.id, place.sample),  # whatever the model, method and budget are
        cap=settings.cap,
        wording=model.wording,
        temperature=settings.temperature,
        top_p=settings.top_p,
        votes=partial(votes_by_value, golds=problem.golds, verifier=settings.verifier, box=settings.box),
    )


def votes_by_value(
    responses: Sequence[Response], golds: Sequence[str], verifier: str, box: Box = "prefer"
) -> list[int | None]:
    """What responses vote for: those whose answers the verifier takes for equal vote for the same."""
    grades = [grade(each.response.text, golds, verifier, thinking=each.thinking, box=box) for each in responses]
    return group_answers([each.answer for each in grades], verifier)


def _sample(
    settings: Settings,
    place: Place,
    problem: Problem,
    response: Response,
    grade: Grade,
    counts: Mapping[str, Any],
) -> Sample:
    cell, model = place.cell, place.cell.model
    return Sample(
        run=model.run,
        model=model.model,
        task=settings.task,
        method=cell.method,
        kind=model.kind if cell.budget is not None else "none",
        scope=method(cell.method).scope,
        wording=model.wording,
        budget=cell.budget,
        seen=cell.seen,
        problem=problem.id,
        size=problem.size,
        sample=place.sample,
        seed=settings.seed,
        temperature=settings.temperature,
        generation_cap=settings.cap,
        prompt=response.prompt,
        text=response.response.text,
        tokens=response.tokens,
        length_source="ids" if response.from_ids else "usage",
        finish_reason="length" if response.finish == "length" else "stop",
        truncated=response.finish == "length",
        forced=response.forced,
        no_answer=grade.answer is None,
        correct=grade.correct,
        answer=grade.answer,
        gold=" | ".join(problem.answers),
        calls=response.calls,
        grade_failed=grade.failed,
        **counts,
    )


def token_counts(
    response: Response, engine: Engine, known: dict[int, str], read: Callable[[str], Steps | None] | None = None
) -> dict[str, int | None]:
    """What a sample counts, over all that a method wrote, by the sample's fields; None where it is not known.

    known: texts of tokens, see lcpo.measure.filler.token_texts. read: reads a thought, where a world can.
    """
    names = ("thinking_tokens", "answer_tokens", "filler_tokens", "right_steps", "useless_tokens")
    counts: dict[str, int | None] = dict.fromkeys(names)
    written = [segment.ids for segment in (response.response, *response.others)]
    if engine.marks is None or None in written:
        thinking, tokens = response.reasoning, response.tokens
        answer = None if tokens is None or thinking is None else max(0, tokens - thinking)
        return {**counts, "thinking_tokens": thinking, "answer_tokens": answer}
    for ids in written:
        assert ids is not None
        parts = split_ids(ids, engine.marks)
        pieces = token_texts(ids[: parts.response - parts.ended], engine.decode, known)
        numbers = [parts.thinking, parts.answer, filler_tokens(pieces, thinking=response.thinking)]
        if read is not None and (steps := count_steps(pieces, read, response.thinking)) is not None:
            numbers += steps
        counts |= {name: (counts[name] or 0) + n for name, n in zip(names, numbers, strict=False)}
    return counts
