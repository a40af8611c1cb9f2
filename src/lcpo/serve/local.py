"""A model in this process: requests join and leave the engine's one running batch."""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

from lcpo.engines.base import EMPTY, Conversation, Engine, Message, Request, Segment
from lcpo.errors import EngineError
from lcpo.serve.backstop import Backstop
from lcpo.serve.calls import ApiError, Call, Plan, Stream
from lcpo.serve.plan import Served, make_plan
from lcpo.thinking import CLOSE, OPEN

REFUSED: Mapping[str, tuple[Any, ...]] = {
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "n": (1,),
    "best_of": (1,),
    "response_format": ({"type": "text"},),
    "text": ({"format": {"type": "text"}}, {}),
    "logprobs": (False, 0),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "echo": (False,),
    "suffix": ("",),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
    "previous_response_id": (),
    "background": (False,),
    "prompt_logprobs": (0,),
    "guided_json": (),
    "structured_outputs": (),
}
"""What a model in this process cannot do, and the values that ask for nothing. An upstream is sent all of it."""


class LocalBackend:
    """One engine with token ids. context: tokens of its window. count: tokens of a request's prompt, where known."""

    def __init__(
        self,
        engine: Engine,
        served: Served,
        *,
        context: int | None = None,
        count: Callable[[Request], int] | None = None,
    ) -> None:
        self.engine, self.served, self.context, self.count = engine, served, context, count
        self.names: tuple[str, ...] = (served.name,)
        self.closing = len(engine.encode(engine.format.empty).ids or ())

    def describe(self, name: str) -> dict[str, Any]:
        """What /v1/models says about the model beside its name."""
        return {"max_model_len": self.context, "enforced": "engine", "wording": self.served.wording}

    def plan(self, call: Call) -> Plan:
        """How the budget of a call is applied. Raises ApiError for what cannot be done here."""
        for name, neutral in REFUSED.items():
            value = call.extra.get(name)
            if value is not None and value not in neutral:
                raise ApiError(f"{name} is not supported by a model in this process; leave it out", name)
        asked, last = call.asked, _last(call)
        plan = make_plan(asked, self.served, last=last, max_tokens=call.max_tokens, closing=self.closing)
        if self.context is None or self.count is None:
            return plan
        used = self.count(self._request(call, plan)) + len(self._prefix(call).ids or ())
        room = self.context - used
        if room < 1 or not used:
            raise ApiError(
                f"{self.served.name} has a context of {self.context} tokens, and the prompt has {used}; "
                + ("shorten it" if used else "give at least one token"),
                "prompt" if call.prompt is not None else "messages",
            )
        return make_plan(asked, self.served, last=last, max_tokens=call.max_tokens, closing=self.closing, room=room)

    async def run(self, call: Call, plan: Plan) -> Stream:
        """The response as it comes; closing the generator cancels it. Raises ApiError."""
        request = self._request(call, plan)
        opened = bool(self.engine.format.opened) and call.prompt is None
        tokens = self.count(request) + len(request.prefix.ids or ()) if self.count else None
        stop = Backstop(self.engine, request, plan.wall, opened=opened, prompt_tokens=tokens)
        try:
            async with aclosing(stop.run()) as pieces:
                async for piece in pieces:
                    yield piece
        except EngineError as error:
            raise ApiError(str(error), status=500) from None

    async def close(self) -> None:
        """Nothing to let go of."""

    def _request(self, call: Call, plan: Plan) -> Request:
        return Request(
            prompt=self._prompt(call, plan.sentence),
            max_tokens=plan.limit,
            seed=call.seed,
            temperature=call.temperature,
            top_p=call.top_p,
            top_k=call.top_k,
            min_p=call.min_p,
            prefix=self._prefix(call),
            stop=call.stop,
            min_tokens=call.min_tokens,
        )

    def _prompt(self, call: Call, sentence: str) -> Conversation | Segment:
        if call.prompt is not None:
            return Segment(None, call.prompt[: _thought_at(call.prompt)])
        turns = [Message(str(turn["role"]), text_of(turn)) for turn in call.messages]
        if call.continues:
            turns.pop()
        for i in range(len(turns) - 1, -1, -1):
            if turns[i].role == "user":
                turns[i] = Message("user", turns[i].content + sentence)
                break
        return tuple(turns)

    def _prefix(self, call: Call) -> Segment:
        text = text_of(call.messages[-1]) if call.continues else ""
        if call.prompt is not None:
            text = call.prompt[_thought_at(call.prompt) :]
        return self.engine.encode(text) if text else EMPTY


def _thought_at(prompt: str) -> int:
    """Where a thought begins that a raw prompt leaves open; the prompt's end where there is none."""
    start = prompt.rfind(OPEN)
    return start if start > prompt.rfind(CLOSE) else len(prompt)


def _last(call: Call) -> str:
    """The user's last message."""
    turns = [turn for turn in call.messages if turn["role"] == "user"]
    return text_of(turns[-1]) if turns else ""


def text_of(turn: Mapping[str, Any], *, strict: bool = True) -> str:
    """The text of a message: a string, or parts. Raises ApiError for images and the like, which else are skipped."""
    content = turn.get("content")
    if content is None:
        return ""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = []
    for part in parts if isinstance(parts, list) else [parts]:
        text = part.get("text") if isinstance(part, Mapping) else None
        if not isinstance(text, str) and not strict:
            continue
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
            raise ApiError(f"a message holds text; {kind!r} is not supported by a model in this process", "messages")
        texts.append(text)
    return "".join(texts).encode("utf-8", "replace").decode("utf-8")
