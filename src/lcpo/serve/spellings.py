"""Every spelling of a budget that clients send, as one table: what it means here, or why it is refused.

A number is tokens and stays a number; a word is a level and goes through the operator's table. Nothing is dropped
without a word: a spelling is translated, refused with the parameter's name, or answered with a warning.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from lcpo.errors import unknown
from lcpo.serve.calls import ApiError, Asked, Mode
from lcpo.types import Scope

Reads = Literal["tokens", "level", "level or switch", "switch", "type", "task", "hide", "show", "ours", "nothing"]
"""tokens: a number, -1 or null for no limit. switch: false is a budget of 0. type: Anthropic's word for a switch.
task: a budget that the calls of a conversation share. hide, show: whether the thought is given out. nothing: it has no
effect here, and a warning says so."""


@dataclass(frozen=True)
class Spelling:
    """A parameter. path: where it stands in the body, dots between the levels. who: the servers that know it."""

    path: str
    reads: Reads
    who: str
    scope: Scope = "thinking"

    @cached_property
    def holder(self) -> str:
        """The field of the body that it stands in."""
        return self.path.split(".")[0]


SPELLINGS = (
    Spelling("thinking_token_budget", "tokens", "vLLM, TensorRT-LLM, Dynamo"),
    Spelling("thinking_budget", "tokens", "Alibaba Model Studio, SiliconFlow, mlx-vlm, FastDeploy"),
    Spelling("thinking_budget_tokens", "tokens", "llama.cpp chat"),
    Spelling("reasoning_budget_tokens", "tokens", "llama.cpp completion"),
    Spelling("max_thinking_tokens", "tokens", "SGLang generate"),
    Spelling("nvext.max_thinking_tokens", "tokens", "NVIDIA NIM, Dynamo"),
    Spelling("custom_params.thinking_budget", "tokens", "SGLang"),
    Spelling("chat_template_kwargs.thinking_budget", "tokens", "Seed-OSS and other templates"),
    Spelling("vllm_xargs.thinking_token_budget", "tokens", "vLLM's processors"),
    Spelling("vllm_xargs.response_budget", "tokens", "vLLM's processors", "response"),
    Spelling("reasoning.max_tokens", "tokens", "OpenRouter"),
    Spelling("thinking.budget_tokens", "tokens", "Anthropic, vLLM, llama.cpp"),
    Spelling("thinking.token_budget", "tokens", "Cohere"),
    Spelling("thinkingConfig.thinkingBudget", "tokens", "Gemini"),
    Spelling("generationConfig.thinkingConfig.thinkingBudget", "tokens", "Gemini"),
    Spelling("reasoning_effort", "level", "OpenAI, vLLM, SGLang, DeepSeek"),
    Spelling("reasoning.effort", "level", "OpenAI Responses, OpenRouter"),
    Spelling("output_config.effort", "level", "Anthropic"),
    Spelling("chat_template_kwargs.reasoning_effort", "level", "templates"),
    Spelling("thinkingConfig.thinkingLevel", "level", "Gemini 3"),
    Spelling("generationConfig.thinkingConfig.thinkingLevel", "level", "Gemini 3"),
    Spelling("think", "level or switch", "Ollama"),
    Spelling("enable_thinking", "switch", "Alibaba Model Studio, LMDeploy"),
    Spelling("chat_template_kwargs.enable_thinking", "switch", "Qwen3, GLM, Nemotron"),
    Spelling("chat_template_kwargs.thinking", "switch", "DeepSeek, Kimi, Granite"),
    Spelling("reasoning.enabled", "switch", "OpenRouter, SGLang"),
    Spelling("thinking.type", "type", "Anthropic, DeepSeek, GLM, Kimi"),
    Spelling("output_config.task_budget", "task", "Anthropic", "response"),
    Spelling("reasoning.exclude", "hide", "OpenRouter"),
    Spelling("thinking.display", "hide", "Anthropic"),
    Spelling("include_reasoning", "show", "vLLM, OpenRouter"),
    Spelling("thinkingConfig.includeThoughts", "show", "Gemini"),
    Spelling("generationConfig.thinkingConfig.includeThoughts", "show", "Gemini"),
    Spelling("reasoning.summary", "nothing", "OpenAI Responses"),
    Spelling("reasoning.mode", "nothing", "OpenAI Responses"),
    Spelling("reasoning.context", "nothing", "OpenAI Responses"),
    Spelling("reasoning_budget_start_tag", "nothing", "llama.cpp completion"),
    Spelling("reasoning_budget_end_tag", "nothing", "llama.cpp completion"),
    Spelling("reasoning_budget_end_tags", "nothing", "llama.cpp completion"),
    Spelling("reasoning_budget_message", "nothing", "llama.cpp completion"),
    Spelling("reasoning_control", "nothing", "llama.cpp completion"),
    Spelling("custom_logit_processor", "nothing", "SGLang"),
    Spelling("lcpo", "ours", "lcpo serve"),
)
HOLDERS = frozenset(spelling.holder for spelling in SPELLINGS)
"""The fields of a body that are read here: none of them goes to an upstream as it came."""
OBJECTS = HOLDERS - {spelling.path for spelling in SPELLINGS}
LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens", "num_predict", "n_predict")
"""Spellings of the limit of the whole response."""
OURS = {"budget", "mode", "scope", "kind", "reserve", "conversation"}
"""What the field `lcpo` may hold."""
EFFORT: Mapping[str, int | None] = {
    "none": 0,
    "minimal": 128,
    "low": 1024,
    "medium": 4096,
    "high": 16384,
    "xhigh": 32768,
    "max": None,
}
"""Tokens of each level where neither the operator nor the model's own budgets say otherwise; None: no limit."""
TYPES = ("adaptive", "auto", "disabled", "enabled")
SUFFIX = re.compile(r"(?P<model>.+?)(?:\((?P<inner>-?\w+)\)|:(?P<level>none|minimal|low|medium|high|xhigh|max|auto))")


@dataclass
class _Reading:
    """What the spellings of one request have said so far."""

    effort: Mapping[str, int | None]
    numbers: dict[str, int | None] = field(default_factory=dict)
    levels: dict[str, int | None] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    off: str | None = None
    type: str | None = None
    word: str | None = None
    auto: str | None = None
    hide: bool = False
    task: int | None = None
    own: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read(
    body: Mapping[str, Any], suffix: str | None, headers: Mapping[str, str], effort: Mapping[str, int | None]
) -> Asked:
    """The budget that a body, the suffix of its model's name, and its headers ask for.

    Raises ApiError, naming the parameter, for what is no budget and for two that differ.
    """
    state = _Reading(effort)
    for holder in OBJECTS & body.keys():
        if not isinstance(body[holder], Mapping | None):
            raise ApiError(f"{holder} is an object, given {body[holder]!r}", holder)
    for spelling in SPELLINGS:
        if spelling.holder in body and (value := _at(body, spelling.path)) is not None:
            _take(state, spelling, value)
    if suffix is not None:
        number = re.fullmatch(r"-?\d+", suffix)
        _take(state, Spelling("model", "tokens" if number else "level", ""), int(suffix) if number else suffix)
    return _settle(state, headers.get("x-lcpo-conversation"))


def split_model(name: str, known: tuple[str, ...]) -> tuple[str, str | None]:
    """(model, budget) of a name that may end in its budget: name(512), name(high), name:high."""
    match = None if name in known else SUFFIX.fullmatch(name)
    if match is None:
        return name, None
    return match["model"], match["inner"] or match["level"]


def read_limit(body: Mapping[str, Any]) -> int | None:
    """The limit of the whole response, in whichever spelling. Raises ApiError."""
    limits = {name: body[name] for name in LIMITS if body.get(name) is not None}
    for name, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
            raise ApiError(f"{name} is a positive whole number of tokens, given {value!r}", name)
    if len(set(limits.values())) > 1:
        raise ApiError(f"{' and '.join(limits)} differ; leave out all but one", list(limits)[1])
    return next(iter(limits.values()), None)


def unread(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields that hold budgets hold beside them: for the upstream, as it is."""
    rest: dict[str, Any] = {}
    for holder in body.keys() & HOLDERS - {"lcpo", "thinking", "reasoning", "output_config"}:
        value = body.get(holder)
        if isinstance(value, Mapping):
            kept = {name: inner for name, inner in value.items() if not _is_read(f"{holder}.{name}")}
            rest |= {holder: kept} if kept else {}
    return rest


def properties() -> dict[str, Any]:
    """The spellings as properties of a body in JSON schema."""
    types = {"tokens": ["integer", "string", "null"], "level": ["string", "null"], "switch": ["boolean", "null"]}
    tree: dict[str, Any] = {name: {"type": ["integer", "null"]} for name in LIMITS}
    for spelling in SPELLINGS:
        *parents, name = spelling.path.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {"type": ["object", "null"], "properties": {}})["properties"]
        typed = {"type": types[spelling.reads]} if spelling.reads in types else {}
        place[name] = {"description": f"{spelling.reads} ({spelling.who})", **typed}
    return tree


def _is_read(path: str) -> bool:
    return any(spelling.path == path or spelling.path.startswith(path + ".") for spelling in SPELLINGS)


def _at(body: Mapping[str, Any], path: str) -> Any:
    value: Any = body
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _take(state: _Reading, spelling: Spelling, value: Any) -> None:
    path, reads = spelling.path, spelling.reads
    if reads == "tokens":
        _take_tokens(state, spelling, value)
    elif reads in ("switch", "level or switch") and isinstance(value, bool):
        state.off = state.off if value else path
    elif reads in ("level", "level or switch"):
        _take_level(state, path, value)
    elif reads == "type":
        if value not in TYPES:
            raise ApiError(f"{path} is one of {', '.join(TYPES)}, given {value!r}", path)
        state.type, state.off = value, path if value == "disabled" else state.off
    elif reads == "task":
        state.task = _task(value, path)
    elif reads in ("hide", "show"):
        state.hide = state.hide or value in ((True, "omitted") if reads == "hide" else (False,))
    elif reads == "ours":
        state.own = _own(value)
    elif reads == "nothing":
        state.warnings.append(f"{path} has no effect here")
    else:
        raise ApiError(f"{path} is true or false, given {value!r}", path)


def _take_tokens(state: _Reading, spelling: Spelling, value: Any) -> None:
    if value == "auto":
        state.auto = spelling.path
    else:
        state.numbers[spelling.path] = tokens(value, spelling.path)
        state.scopes[spelling.path] = spelling.scope


def tokens(value: Any, path: str) -> int | None:
    """A number of tokens; None for -1, no limit. Raises ApiError."""
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value < 2**31:
        raise ApiError(
            f"{path} is a whole number of tokens, 0 for no thought or -1 for no limit, given {value!r}", path
        )
    return None if value == -1 else value


def _take_level(state: _Reading, path: str, value: Any) -> None:
    word = value.lower() if isinstance(value, str) else value
    if word == "auto":
        state.auto = path
        return
    if not isinstance(word, str) or word not in state.effort:
        names = ", ".join(state.effort)
        hint = str(unknown("level", value, state.effort)) if isinstance(value, str) else f"given {value!r}"
        raise ApiError(f"{path} is one of {names}; a number of tokens goes into thinking_token_budget. {hint}", path)
    state.levels[path] = state.effort[word]
    state.word = word


def _task(value: Any, path: str) -> int | None:
    if not isinstance(value, Mapping) or value.get("type", "tokens") != "tokens":
        raise ApiError(f'{path} is {{"type": "tokens", "total": N}}, given {value!r}', path)
    name = "total" if value.get("remaining") is None else "remaining"
    left = tokens(value.get(name, -1), f"{path}.{name}")
    if left == 0:
        raise ApiError(f"{path}.{name} is 0, and a call needs some", f"{path}.{name}")
    return left


def _own(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ApiError(f"lcpo is an object, given {value!r}", "lcpo")
    for name in value:
        if name not in OURS:
            raise ApiError(str(unknown("field of lcpo", str(name), OURS)), f"lcpo.{name}")
    allowed = {"mode": get_args(Mode), "scope": get_args(Scope), "kind": ("exact", "max")}
    for name, words in allowed.items():
        if value.get(name) is not None and value[name] not in words:
            raise ApiError(f"lcpo.{name} is one of {', '.join(words)}, given {value[name]!r}", f"lcpo.{name}")
    if value.get("reserve") is not None:
        tokens(value["reserve"], "lcpo.reserve")
    if not isinstance(value.get("conversation", ""), str) or not value.get("conversation", "").isprintable():
        raise ApiError(f"lcpo.conversation is a name, given {value['conversation']!r}", "lcpo.conversation")
    return dict(value)


def _settle(state: _Reading, conversation: str | None) -> Asked:
    """One budget out of all that was said. Raises ApiError where two things differ."""
    own = state.own
    if own.get("budget") is not None:
        _take(state, Spelling("lcpo.budget", "tokens", "", own.get("scope") or "thinking"), own["budget"])
    if state.type == "adaptive" and state.numbers.get("thinking.budget_tokens") == 0:
        del state.numbers["thinking.budget_tokens"]  # what clients send that mean the model's own choice
    _differ(state.numbers)
    if state.off and any(state.numbers.values()):
        other = next(path for path, value in state.numbers.items() if value)
        raise ApiError(f"{state.off} switches the thought off, and {other} gives it tokens; leave out one", other)
    said = dict(state.numbers) or ({state.off: 0} if state.off else {}) or dict(state.levels)
    if said and not state.numbers and not state.off:
        _differ(state.levels)
    elif state.levels and said:
        state.warnings.append(f"{next(iter(said))} is taken, {', '.join(state.levels)} is not")
    by: str | None = next(iter(said), None)
    value = said[by] if by else None
    scope: Scope = own.get("scope") or state.scopes.get(by or "", "thinking")
    if state.auto and said:
        state.warnings.append(f"{by} is taken, {state.auto} is not")
    return Asked(
        tokens=value,
        by=by or state.auto,
        scope=scope,
        mode=own.get("mode"),
        kind=own.get("kind"),
        reserve=own.get("reserve"),
        auto=bool(state.auto) and not said,
        hide=state.hide,
        task=state.task,
        conversation=conversation or own.get("conversation"),
        level=state.word if by in state.levels else None,
        warnings=tuple(state.warnings),
    )


def _differ(said: Mapping[str, int | None]) -> None:
    first = next(iter(said), None)
    for path, value in said.items():
        if value != said[str(first)]:
            raise ApiError(f"{first} and {path} differ; leave out one", path)
