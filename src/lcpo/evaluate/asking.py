"""One question, one answer, and what it used."""

from typing import Any, cast

from lcpo.budgets import prompt
from lcpo.decode import Ask, method, run_methods
from lcpo.engines import make_engine
from lcpo.engines.base import user
from lcpo.engines.models import ModelSource, resolve
from lcpo.errors import ConfigError
from lcpo.evaluate.runner import token_parts
from lcpo.tasks import TASKS
from lcpo.tasks.base import Generated
from lcpo.thinking import split_text
from lcpo.types import NO_BUDGET, Budget, Kind, Problem

CAP = 2048
"""Limit of a response without a budget, tokens, where the model's own settings say none."""


def ask(
    model: str,
    question: str,
    *,
    budget: int | None = None,
    kind: str | None = None,
    spec: str | None = None,
    wording: str | None = None,
    temperature: float = 0.6,
    seed: int = 0,
    cap: int | None = None,
    engine: str = "auto",
    api_key: str | None = None,
    tokenizer: str | None = None,
) -> dict[str, Any]:
    """What the model answers: text, thought, answer, and tokens used. Raises LcpoError."""
    chosen = method(spec or ("prompted" if budget else "unlimited"))
    if chosen.budgeted and budget is None:
        raise ConfigError(f"method {chosen.name} needs a budget; give --budget N")
    if budget is not None and not chosen.budgeted:
        raise ConfigError(f"method {chosen.name} takes no budget; leave --budget out")
    source = resolve(model)
    if cap is not None and budget is not None and cap < budget:
        raise ConfigError(f"a cap of {cap} tokens is below the budget of {budget}; raise --cap")
    one = make_engine(source, engine, api_key, tokenizer)
    own = source.tables.get("evaluate", {}).get("generation_cap")
    kind = kind or source.tables.get("evaluate", {}).get("kind", "exact")
    wording = wording or source.tables.get("budget", {}).get("template", "l1")
    problem = Problem("asked", question, (), instruction="" if _needs_no_instruction(source) else None)
    asked = Ask(
        conversation=user(prompt(problem, NO_BUDGET, wording)),
        budget=Budget(cast(Kind, kind), budget, chosen.scope) if budget is not None else None,
        wording=wording,
        seed=seed,
        temperature=temperature,
        cap=cap or max(2 * budget if budget else 0, own or 0) or CAP,
        engine=one,
    )
    (decoded,) = run_methods(one, [chosen.steps(asked)])
    thinking, answer, filler = token_parts(decoded, one, {})
    thought, said = split_text(decoded.response.text, decoded.thinking)
    return {
        "model": source.name,
        "method": chosen.name,
        "kind": kind if budget else "none",
        "budget": budget,
        "prompt": decoded.prompt,
        "text": decoded.response.text,
        "thought": thought,
        "answer": said,
        "tokens": decoded.tokens,
        "thinking_tokens": thinking,
        "answer_tokens": answer,
        "filler_tokens": filler,
        "length_source": "ids" if decoded.from_ids else "usage",
        "finish_reason": "length" if decoded.finish == "length" else "stop",
        "calls": decoded.calls,
    }


def _needs_no_instruction(source: ModelSource) -> bool:
    """Whether the model was trained on bare questions, as the tiny reasoner was."""
    name = source.tables.get("task", {}).get("name")
    return isinstance(TASKS.get(str(name)), Generated)
