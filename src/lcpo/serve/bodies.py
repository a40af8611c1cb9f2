"""Bodies of the routes, and the one call that each of them becomes."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from lcpo.serve.calls import ApiError, Call, text_of
from lcpo.serve.local import REFUSED
from lcpo.serve.plan import Served
from lcpo.serve.spellings import HOLDERS, LIMITS, properties, read, read_limit, split_model, unread

SEEDS = 2**63
Natural = Annotated[int, Field(ge=0, lt=2**31)]
Stops = str | Annotated[list[str], Field(max_length=16)] | None
Turn = dict[str, Any]


class Sampled(BaseModel):
    """What all routes share. Fields that are not named here are read as budgets, or passed to an upstream."""

    model_config = ConfigDict(
        extra="allow",
        strict=True,
        json_schema_extra=lambda schema: schema["properties"].update(properties() | schema["properties"]),
    )

    model: str = ""
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    temperature: Annotated[float | int, Field(ge=0, le=100)] | None = None
    top_p: Annotated[float | int, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, lt=2**31)] | None = None
    min_p: Annotated[float | int, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-SEEDS, lt=2 * SEEDS)] | None = None
    stop: Stops = None
    min_tokens: Natural | None = None


class ChatBody(Sampled):
    """/v1/chat/completions"""

    messages: Annotated[list[Turn], Field(min_length=1)]
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None


class CompletionBody(Sampled):
    """/v1/completions"""

    prompt: str | list[Any]


class ResponsesBody(Sampled):
    """/v1/responses"""

    input: str | Annotated[list[Turn], Field(min_length=1)]
    instructions: str | None = None


class MessagesBody(Sampled):
    """/v1/messages, as Anthropic has it."""

    messages: Annotated[list[Turn], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1, lt=2**31)]
    system: str | list[Turn] | None = None
    stop_sequences: Annotated[list[str], Field(max_length=16)] | None = None


OWN = frozenset().union(*(kind.model_fields for kind in (ChatBody, CompletionBody, ResponsesBody, MessagesBody)))
"""Fields that are read here, beside those of budgets."""


NOT_EXTRA = OWN | HOLDERS | set(LIMITS)
SAMPLING = ("temperature", "top_p", "top_k", "min_p", "seed", "min_tokens")


def turns(messages: Sequence[Turn]) -> tuple[Turn, ...]:
    """Messages whose role is known; Responses' items are those of type message. Raises ApiError."""
    for turn in messages:
        if turn.get("role") not in ("system", "developer", "user", "assistant", "tool", "function"):
            raise ApiError(f"a message has a role: system, user or assistant; given {turn.get('role')!r}", "messages")
    return tuple({**turn, "role": "system"} if turn["role"] == "developer" else turn for turn in messages)


def make_call(body: Sampled, headers: Mapping[str, str], models: Mapping[str, Served], **given: Any) -> Call:
    """The call that a body asks for. Raises ApiError."""
    raw = {name: value for name, value in body if value is not None}
    name, suffix = split_model(body.model or next(iter(models)), tuple(models))
    if name not in models:
        names = ", ".join(models)
        raise ApiError(f"unknown model {name!r}; there is {names}", "model", status=404)
    if given.get("continues") and len(given["messages"]) == 1:
        raise ApiError("a message of the user comes before the assistant's", "messages")
    stop = given.pop("stop", None) or body.stop or ()
    return Call(
        model=name,
        asked=read(raw, suffix, headers, models[name].effort),
        seed=_seed(body.seed, headers.get("x-lcpo-seed")),
        max_tokens=read_limit(raw),
        min_tokens=body.min_tokens or 0,
        temperature=1.0 if body.temperature is None else float(body.temperature),
        top_p=1.0 if body.top_p is None else float(body.top_p),
        top_k=max(0, body.top_k or 0),
        min_p=float(body.min_p or 0),
        stop=tuple(text for text in ((stop,) if isinstance(stop, str) else stop) if text),
        stream=bool(body.stream),
        include_usage=bool((body.stream_options or {}).get("include_usage")),
        sampling={name: raw[name] for name in SAMPLING if name in raw} | ({"stop": stop} if stop else {}),
        extra={**{name: value for name, value in raw.items() if name not in NOT_EXTRA}, **unread(raw)},
        **given,
    )


def _seed(seed: int | None, whole: str | None) -> int:
    """The engine's seed: all of it from the header x-lcpo-seed, else the client's, else a random one."""
    if whole is not None:
        if not (whole.isascii() and whole.isdigit()) or int(whole) >= 2 * SEEDS:
            raise ApiError(f"the header x-lcpo-seed is a whole number below 2**64, given {whole!r}", "x-lcpo-seed")
        return int(whole)
    return secrets.randbits(48) if seed is None else seed % (2 * SEEDS)


def chat_call(body: ChatBody, headers: Mapping[str, str], models: Mapping[str, Served]) -> Call:
    """A chat."""
    messages = turns(body.messages)
    continues = bool(body.continue_final_message)
    if continues and (messages[-1]["role"] != "assistant" or body.add_generation_prompt):
        raise ApiError(
            "continue_final_message needs an assistant's message at the end, and add_generation_prompt false",
            "continue_final_message",
        )
    return make_call(body, headers, models, messages=messages, continues=continues)


def completion_call(body: CompletionBody, headers: Mapping[str, str], models: Mapping[str, Served]) -> Call:
    """A raw text to go on with."""
    prompt = body.prompt
    if isinstance(prompt, list):
        if len(prompt) != 1 or not isinstance(prompt[0], str):
            raise ApiError("prompt is one text; send several as several requests", "prompt")
        prompt = prompt[0]
    return make_call(body, headers, models, prompt=prompt.encode("utf-8", "replace").decode("utf-8"))


def responses_call(body: ResponsesBody, headers: Mapping[str, str], models: Mapping[str, Served]) -> Call:
    """OpenAI's Responses: items of type message, instructions before them."""
    items: list[Turn] = [{"role": "user", "content": body.input}] if isinstance(body.input, str) else body.input
    for item in items:
        if item.get("type", "message") not in ("message", "reasoning"):
            raise ApiError(f"input holds messages; an item of type {item['type']!r} is not supported", "input")
    before = [{"role": "system", "content": body.instructions}] if body.instructions else []
    messages = turns([*before, *(item for item in items if item.get("type") != "reasoning")])
    if not messages:
        raise ApiError("input holds no message", "input")
    return make_call(body, headers, models, messages=_plain(body, messages))


def messages_call(body: MessagesBody, headers: Mapping[str, str], models: Mapping[str, Served]) -> Call:
    """Anthropic's Messages: thoughts of earlier turns are left out, an assistant's last turn is gone on with."""
    before = [{"role": "system", "content": body.system}] if body.system else []
    messages = turns([*before, *(_without_thoughts(turn) for turn in body.messages)])
    continues = messages[-1]["role"] == "assistant"
    return make_call(
        body, headers, models, messages=_plain(body, messages), continues=continues, stop=body.stop_sequences
    )


def _plain(body: Sampled, messages: Sequence[Turn]) -> tuple[Turn, ...]:
    """Messages as text. Raises ApiError for what these routes cannot pass on to an upstream's chat."""
    for name in ("tools", "text", "previous_response_id", "background"):
        value = (body.model_extra or {}).get(name)
        if value is not None and value not in REFUSED[name]:
            raise ApiError(f"{name} has no effect on this route; /v1/chat/completions passes on more", name)
    return tuple({"role": turn["role"], "content": text_of(turn)} for turn in messages)


def _without_thoughts(turn: Turn) -> Turn:
    def kept(part: Any) -> bool:
        return not isinstance(part, Mapping) or part.get("type") not in ("thinking", "redacted_thinking")

    content = turn.get("content")
    return {**turn, "content": [*filter(kept, content)]} if isinstance(content, list) else turn
