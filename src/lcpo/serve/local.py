"""A model in this process: requests join and leave the engine's one running batch."""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

from lcpo.engines.base import EMPTY, Conversation, Engine, Message, Request, Segment
from lcpo.errors import EngineError
from lcpo.serve.backstop import Backstop
from lcpo.serve.calls import ApiError, Call, Plan, Stream, text_of
from lcpo.serve.plan import Served, make_plan

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
        self.engine, self.model, self.context, self.count = engine, served, context, count
        self.served: Mapping[str, Served] = {served.name: served}
        self.closing = len(engine.encode(engine.format.empty).ids or ())

    def describe(self, name: str) -> dict[str, Any]:
        """What /v1/models says about the model beside its name."""
        return {"max_model_len": self.context, "enforced": "engine", "wording": self.model.wording}

    def plan(self, call: Call) -> Plan:
        """How the budget of a call is applied. Raises ApiError for what cannot be done here."""
        for name, neutral in REFUSED.items():
            value = call.extra.get(name)
            if value is not None and value not in neutral:
                raise ApiError(f"{name} is not supported by a model in this process; leave it out", name)
        plan = make_plan(call.asked, self.model, last=call.question, max_tokens=call.max_tokens, closing=self.closing)
        if self.context is None or self.count is None:
            return plan
        try:
            used = self.count(self._request(call, plan)) + len(self._prefix(call).ids or ())
        except EngineError as error:
            raise ApiError(str(error), "messages") from None
        room = self.context - used
        if room < 1 or not used:
            raise ApiError(
                f"{self.model.name} has a context of {self.context} tokens, and the prompt has {used}; "
                + ("shorten it" if used else "give at least one token"),
                "prompt" if call.prompt is not None else "messages",
            )
        return make_plan(
            call.asked, self.model, last=call.question, max_tokens=call.max_tokens, closing=self.closing, room=room
        )

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
            return Segment(None, call.prompt[: len(call.prompt) - len(call.begun)])
        turns = tuple(Message(str(turn["role"]), text_of(turn)) for turn in call.asking(sentence))
        return turns[:-1] if call.continues else turns

    def _prefix(self, call: Call) -> Segment:
        return self.engine.encode(call.begun) if call.begun else EMPTY
