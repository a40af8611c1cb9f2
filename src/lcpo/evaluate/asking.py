"""One question, one answer, and what it used."""

from dataclasses import replace
from functools import partial
from typing import Any, cast

from lcpo.budgets import prompt
from lcpo.decode import Ask, Method, method, run_methods
from lcpo.engines import make_engine
from lcpo.engines.base import user
from lcpo.engines.models import ModelSource, resolve
from lcpo.errors import ConfigError
from lcpo.evaluate.batch import token_counts, votes_by_value
from lcpo.tasks import TASKS
from lcpo.tasks.base import Generated
from lcpo.thinking import split_text
from lcpo.types import NO_BUDGET, Budget, Kind, Problem

CAP = 2048
"""Limit of a response without a budget, tokens, where the model's own settings say none."""


def ask(
    model: str,
    question: str,
    budget: int | None = None,
    *,
    kind: str | None = None,
    spec: str | None = None,
    wording: str | None = None,
    temperature: float = 0.6,
    seed: int = 0,
    cap: int | None = None,
    engine: str = "auto",
    **server: Any,
) -> dict[str, Any]:
    """What a model (or URL#model) answers: prompt, text, thought, answer, tokens used, and warnings. Raises LcpoError.

    spec: a method of `lcpo methods`; by default `prompted` with a budget (tokens), else `unlimited`. server: fields of
    lcpo.engines.openai.Connection.
    """
    chosen = method(spec or ("prompted" if budget else "unlimited"))
    _check(chosen, budget, cap)
    source = resolve(model)
    loaded = make_engine(source, engine, **server)
    task, own = TASKS.get(str(source.tables.get("task", {}).get("name"))), source.tables.get("evaluate", {})
    world = task if isinstance(task, Generated) else None
    kind = kind or own.get("kind", "exact")
    wording = wording or source.tables.get("budget", {}).get("template", "l1")
    problem = Problem("asked", question, (), instruction="" if world else None)  # worlds train on bare questions
    asked = Ask(
        conversation=user(prompt(problem, NO_BUDGET, wording)),
        budget=Budget(cast(Kind, kind), budget, chosen.scope) if budget is not None else None,
        engine=loaded,
        seed=seed,
        cap=cap or max(2 * (budget or 0), own.get("generation_cap", 0)) or CAP,
        wording=wording,
        temperature=temperature,
        votes=partial(votes_by_value, golds=("0",), verifier=task.verifier if task else "math"),
    )
    asked = asked if cap else _fitting(asked, chosen)
    (response,) = run_methods(loaded, [chosen.steps(asked)])
    counts = token_counts(response, loaded, {})
    thought, said = split_text(response.response.text, response.thinking)
    return {
        "model": source.name,
        "method": chosen.name,
        "kind": kind if budget else "none",
        "budget": budget,
        "prompt": response.prompt,
        "text": response.response.text,
        "thought": thought,
        "answer": said,
        "tokens": response.tokens,
        **{name: counts[name] for name in ("thinking_tokens", "answer_tokens", "filler_tokens")},
        "length_source": "ids" if response.from_ids else "usage",
        "finish_reason": "length" if response.finish == "length" else "stop",
        "calls": response.calls,
        "warnings": _warnings(source, world, question),
    }


def _check(chosen: Method, budget: int | None, cap: int | None) -> None:
    """Raises ConfigError where method, budget and cap do not go together."""
    if chosen.budgeted and budget is None:
        raise ConfigError(f"method {chosen.name} needs a budget; give --budget N")
    if budget is not None and not chosen.budgeted:
        raise ConfigError(f"method {chosen.name} takes no budget; leave --budget out")
    if cap is not None and budget is not None and cap < budget:
        raise ConfigError(f"a cap of {cap} tokens is below the budget of {budget}; raise --cap")


def _fitting(asked: Ask, chosen: Method) -> Ask:
    """The same with a cap that the model's context has room for. Raises ConfigError where there is none for the budget.

    A response without a budget gets what room there is.
    """
    room = asked.engine.room(next(chosen.steps(asked))[0])
    wanted = asked.budget.tokens if asked.budget is not None and asked.budget.tokens is not None else 1
    if room is None or room >= asked.cap:
        return asked
    if room < wanted:
        raise ConfigError(
            f"{asked.engine.name} has room for {max(0, room)} tokens after this question, and {wanted} are asked for;"
            " ask for fewer, or a shorter question"
        )
    return replace(asked, cap=room)


def _warnings(source: ModelSource, world: Generated | None, question: str) -> list[str]:
    """What a reader of the answer should know of the question."""
    if world is None or world.knows(question):
        return []
    (example,) = world.problems("validation", 1)
    return [f"{source.name} knows only questions like {example.question!r}; its answer to another one means nothing"]
