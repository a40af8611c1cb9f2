"""From the budget that is asked for to the one that is applied: sentence, wall, limit, and what is said of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lcpo.budgets.prompting import parse, render, template_named
from lcpo.errors import ConfigError
from lcpo.serve.calls import ApiError, Asked, Mode, Plan
from lcpo.serve.curve import Curve
from lcpo.serve.spellings import EFFORT
from lcpo.types import Budget, Kind, Scope

RESERVE = 8
"""The answer is kept an eighth of the budget, and at least LEAST tokens."""
LEAST = 4
ROOM = 2048
"""Tokens of a response beyond its budget where nobody says a limit."""


@dataclass(frozen=True)
class Served:
    """A model as it is served.

    wording: the budget sentence that it was trained on, None for none. kind: of that budget. effort: tokens of each
    level. default: its budget where a request has none. mode: how a budget is kept where a request does not say.
    answer: tokens of closing tag, answer and EOS, which a sentence about the whole response adds to a thought's budget.
    curve: what it was measured to do, for `auto`. target: the accuracy that auto reaches.
    """

    name: str
    wording: str | None = None
    kind: Kind = "exact"
    effort: Mapping[str, int | None] = field(default_factory=lambda: EFFORT)
    default: int | None = None
    mode: Mode | None = None
    answer: int = 0
    curve: Curve | None = None
    target: float | None = None


def levels(budgets: tuple[int, ...]) -> Mapping[str, int | None]:
    """The levels of a model that was trained or measured at these budgets: from its smallest to its largest."""
    if len(budgets) < 2:
        return EFFORT
    ordered = sorted(budgets)
    shares = {"minimal": 0.0, "low": 0.25, "medium": 0.5, "high": 0.75, "xhigh": 1.0}
    return {
        "none": 0,
        **{name: ordered[round(share * (len(ordered) - 1))] for name, share in shares.items()},
        "max": None,
    }


def make_plan(
    asked: Asked, served: Served, *, last: str, max_tokens: int | None, closing: int, room: int | None = None
) -> Plan:
    """How a budget is applied.

    last: the user's last message, which may end in a budget sentence of its own. closing: tokens of an empty thought,
    tags and all. room: tokens that the context has left. Raises ApiError for two budgets that differ.
    """
    asked, warnings = _chosen(asked, served)
    wording = served.wording
    written = parse(last)[1]
    if written.kind != "none":
        asked, wording = _in_message(asked, written), None
    if asked.task is not None:
        max_tokens = asked.task if max_tokens is None else min(asked.task, max_tokens)
        if asked.tokens is None:
            asked = replace(asked, tokens=asked.task, by="output_config.task_budget", scope="response", mode="wall")
    mode: Mode = asked.mode or served.mode or ("both" if wording or written.kind != "none" else "wall")
    most = room if room is not None else 2**31
    if asked.tokens is None:
        return Plan(None, asked.scope, mode, min(most, max_tokens or ROOM), by=asked.by, warnings=tuple(warnings))
    limit = min(most, max_tokens if max_tokens is not None else asked.tokens + closing + ROOM)
    if max_tokens is not None and max_tokens > most:
        warnings.append(f"the context leaves {most} tokens, and not the {max_tokens} that were asked for")
    budget, wall = asked.tokens, None
    if budget == 0:
        asked = replace(asked, scope="thinking")  # a response of no tokens cannot be meant
    if mode != "sentence":
        limit = min(limit, budget) if asked.scope == "response" else limit
        reserve = asked.reserve if asked.reserve is not None else max(LEAST, min(budget, limit) // RESERVE)
        wall = max(0, min(budget, limit - closing - reserve))
        if asked.scope == "thinking" and wall < budget:
            warnings.append(
                f"a limit of {limit} tokens with room for the answer leaves {wall} of {budget} for the thought"
            )
            budget = wall
    sentence = _sentence(asked, budget, served, mode, wording, closing, warnings)
    return Plan(budget, asked.scope, mode, limit, sentence, wall, "engine", asked.by, asked.tokens, tuple(warnings))


def _chosen(asked: Asked, served: Served) -> tuple[Asked, list[str]]:
    """The request with the operator's default, or what `auto` chooses; and the warnings so far."""
    warnings = list(asked.warnings)
    if asked.auto:
        if served.curve is None or served.target is None:
            warnings.append(
                "auto needs a measured curve (lcpo serve --auto EVALDIR --target ACCURACY); no budget is set"
            )
            return asked, warnings
        return replace(
            asked, tokens=served.curve.smallest(served.target), by="auto", scope=served.curve.scope
        ), warnings
    if asked.tokens is None and asked.by is None and served.default is not None:
        return replace(asked, tokens=served.default, by="default"), warnings
    return asked, warnings


def _in_message(asked: Asked, written: Budget) -> Asked:
    """The request with the budget that stands in the message already. Raises ApiError where another is asked for."""
    if asked.tokens is None or asked.by == "default":
        mode = asked.mode or "sentence"
        return replace(asked, tokens=written.tokens, by="message", scope=written.scope, mode=mode)
    if asked.tokens != written.tokens:
        raise ApiError(
            f"the message asks for {written.tokens} tokens and {asked.by} for {asked.tokens}; leave out one", asked.by
        )
    return asked


def _sentence(
    asked: Asked, budget: int, served: Served, mode: Mode, wording: str | None, closing: int, warnings: list[str]
) -> str:
    """The budget sentence, "" where the mode has none; the number is converted to what the wording speaks of."""
    if mode == "wall" or budget == 0 or asked.by == "message":
        return ""
    if wording is None:
        if asked.mode in ("sentence", "both"):
            warnings.append(f"{served.name} was trained on no budget sentence; none is put into the prompt")
        return ""
    scope: Scope = template_named(wording).scope
    number = budget
    if scope == "response" and asked.scope == "thinking":
        number = budget + served.answer
    elif scope == "thinking" and asked.scope == "response":
        number = max(1, budget - closing - served.answer)
    kind: Kind = asked.kind or served.kind
    try:
        return render(Budget(kind, number, scope), wording)
    except ConfigError as error:
        raise ApiError(str(error), asked.by) from None
