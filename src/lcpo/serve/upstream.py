"""In front of another server: the sentence goes into the prompt, the wall into the upstream's own words, and what comes
back is counted and said.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from lcpo.engines.replies import Failure, counts, document, refused, texts, words
from lcpo.serve.backstop import Splitter
from lcpo.serve.calls import ApiError, Call, Enforced, Outcome, Piece, Plan, Stream, ThinkingFinish
from lcpo.serve.kinds import Upstream
from lcpo.serve.plan import Served, make_plan
from lcpo.thinking import CLOSE, OPEN

CLOSING = 8
"""Tokens that closing a thought may take, where no tokenizer is at hand."""


@dataclass
class _Answer:
    """What has come of one call so far."""

    splitter: Splitter
    finish: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    stop: str | None = None
    logprobs: Any = None
    thought: list[str] = field(default_factory=list)
    answered: bool = False

    def read(self, chunk: Mapping[str, Any]) -> Piece:
        """A chunk, or a whole answer, as a piece. Raises ApiError where it tells of an error."""
        if chunk.get("error"):
            raise ApiError(f"the upstream failed: {words(chunk['error'])}", status=502)
        usage, choices = chunk.get("usage"), chunk.get("choices")
        self.usage = usage if isinstance(usage, Mapping) else self.usage
        choice = choices[0] if isinstance(choices, list) and choices else {}
        if not isinstance(choice, Mapping):
            raise ApiError("the upstream does not speak OpenAI's API", status=502)
        self.finish = choice.get("finish_reason") or self.finish
        reason = choice.get("stop_reason")
        self.stop = reason if isinstance(reason, str) else self.stop
        self.logprobs = choice.get("logprobs") or self.logprobs
        part = choice.get("delta") or choice.get("message")
        part = part if isinstance(part, Mapping) else {}
        thought = answer = ""
        for thinking, text in texts(part or choice):
            if thinking and text and self.splitter.where == "start":
                self.splitter.where = "parsed"
            parted = (text, "") if thinking else ("", text)
            more = parted if thinking or not text or self.splitter.where == "parsed" else self.splitter.feed(text)
            thought, answer = thought + more[0], answer + more[1]
        if thought:
            self.thought.append(thought)
        self.answered = self.answered or bool(answer)
        extra = {name: value for name, value in part.items() if value is not None and name not in _READ}
        return Piece(thought, answer, (), extra)


_READ = {"role", "content", "reasoning_content", "reasoning"}


class UpstreamBackend:
    """One server. key: its key, which no client sees. template_argument: the chat template's own name for a budget."""

    def __init__(
        self,
        upstream: Upstream,
        served: Mapping[str, Served],
        *,
        key: str | None = None,
        template_argument: str | None = None,
        deadline: float = 600.0,
    ) -> None:
        self.upstream, self.served, self.key, self.deadline = upstream, served, key, deadline
        self.template_argument = template_argument
        self._session: aiohttp.ClientSession | None = None

    def describe(self, name: str) -> dict[str, Any]:
        """What /v1/models says about a model beside its name."""
        facts = self.upstream.facts
        enforced = "upstream" if facts.cap else "two calls" if facts.two_calls else None
        wording = self.served[name].wording
        return {
            "enforced": enforced or ("trained only" if wording or self.template_argument else "no"),
            "upstream": self.upstream.kind,
            "cap": facts.cap,
            "measured": self.upstream.measured,
            "wording": wording,
        }

    def plan(self, call: Call) -> Plan:
        """How the budget of a call is applied. Raises ApiError."""
        if call.extra.get("n") not in (None, 1):
            raise ApiError("n is 1; send several requests for several responses", "n")
        asked, facts, warnings = call.asked, self.upstream.facts, []
        if asked.level is not None and facts.levels:
            asked = replace(asked, tokens=None)
        served = self.served[call.model]
        room = self._room(call) if call.max_tokens is None else None
        plan = make_plan(asked, served, last=call.question, max_tokens=call.max_tokens, closing=CLOSING, room=room)
        if plan.budget is None:
            return plan
        enforced: Enforced = (
            "trained only" if plan.sentence or (self.template_argument and plan.mode != "wall") else "no"
        )
        if plan.wall is not None and facts.cap is not None:
            enforced = "upstream"
            if plan.wall < facts.least:
                warnings.append(f"the upstream takes no cap below {facts.least}")
                plan = replace(plan, wall=facts.least)
        elif plan.wall is not None and facts.two_calls and call.prompt is None:
            enforced = "two calls"
        elif plan.wall is not None:
            warnings.append(f"an upstream of kind {self.upstream.kind} has no cap on thoughts; nothing closes them")
        return replace(plan, enforced=enforced, warnings=(*plan.warnings, *warnings))

    def _room(self, call: Call) -> int | None:
        """Tokens that the context leaves for a response; a prompt counts as half of its characters and 64 more."""
        context = self.upstream.context.get(call.model)
        prompt = call.prompt if call.prompt is not None else "".join(str(turn.get("content")) for turn in call.messages)
        return None if context is None else max(1, context - len(prompt) // 2 - 64)

    async def run(self, call: Call, plan: Plan) -> Stream:
        """The response as it comes; closing the generator hangs up. Raises ApiError."""
        body, answer = self._body(call, plan), _Answer(Splitter(False))
        path = "/completions" if call.prompt is not None else "/chat/completions"
        if call.prompt is not None or call.continues:
            answer.splitter.feed(call.begun)
        second = plan.wall is not None and plan.enforced == "two calls"
        if second:
            body[self.upstream.facts.limit] = max(1, plan.wall or 0)
        async with aclosing(self._post(path, body, answer)) as pieces:
            async for piece in pieces:
                yield piece
        if second and answer.finish == "length" and not answer.answered:
            async with aclosing(self._close(call, plan, answer)) as rest:
                async for item in rest:
                    yield item
            return
        yield _outcome(plan, answer)

    async def _close(self, call: Call, plan: Plan, first: _Answer) -> Stream:
        """The second call: the thought, closed here, and what the model goes on with."""
        thought = "".join(first.thought).rstrip("\ufffd")
        turn = {"role": "assistant", "content": f"{OPEN}{thought}{CLOSE}"}
        body = self._body(replace(call, messages=(*call.messages, turn), continues=True), plan)
        body[self.upstream.facts.limit] = max(1, plan.limit - (counts(first.usage)[1] or plan.wall or 0) - CLOSING)
        answer = _Answer(Splitter(False))
        answer.splitter.where, answer.splitter.strict = "answer", True
        async with aclosing(self._post("/chat/completions", body, answer)) as pieces:
            async for piece in pieces:
                yield replace(piece, thought="", answer=piece.answer)
        last = _outcome(plan, answer)
        prompt, used, thinking = counts(first.usage)
        if prompt is None or used is None or last.tokens is None or last.prompt_tokens is None:
            yield replace(last, thinking_finish="budget", tokens=None, reasoning_tokens=None, forced=1)
            return
        inserted = max(1, last.prompt_tokens - prompt - used)
        yield replace(
            last,
            thinking_finish="budget",
            prompt_tokens=prompt,
            tokens=used + inserted + last.tokens,
            reasoning_tokens=used if thinking is None else thinking,
            forced=inserted,
        )

    def _body(self, call: Call, plan: Plan) -> dict[str, Any]:
        body: dict[str, Any] = {"model": call.model, **call.extra, **call.sampling}
        if call.max_tokens is not None or plan.budget is not None or call.metered:
            body[self.upstream.facts.limit] = plan.limit
        if call.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if call.asked.level is not None and self.upstream.facts.levels:
            body["reasoning_effort"] = call.asked.level
        if plan.wall is not None and self.upstream.facts.cap is not None:
            _put(body, self.upstream.facts.cap, plan.wall)
        if call.prompt is not None:
            return body | {"prompt": call.prompt}
        sentence = plan.sentence
        if self.template_argument and plan.budget and plan.mode != "wall":
            _put(body, f"chat_template_kwargs.{self.template_argument}", plan.budget)
            sentence = ""
        body["messages"] = call.asking(sentence)
        if call.continues:
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return body

    async def _post(self, path: str, body: Mapping[str, Any], answer: _Answer) -> AsyncGenerator[Piece, None]:
        """The pieces of one call. Raises ApiError where the upstream refuses, or breaks off."""
        if self._session is None:
            headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
            timeout = aiohttp.ClientTimeout(None, sock_connect=10, sock_read=self.deadline)
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector)
        data = json.dumps(body, separators=(",", ":")).encode()
        head = {"Content-Type": "application/json"}
        try:
            async with self._session.post(self.upstream.url + path, data=data, headers=head) as response:
                if response.status != 200:
                    raise _refused(response.status, await response.content.read(2**16), response.headers)
                if not body.get("stream"):
                    yield _whole(await response.read(), answer)
                    return
                async for piece in _events(response.content, answer):
                    yield piece
        except Failure as failure:
            raise ApiError(f"the upstream {failure}", status=502) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(f"the upstream broke off ({type(error).__name__}); try again later", status=502) from None
        if answer.finish is None:
            raise ApiError("the upstream broke off without an end; try again later", status=502)

    async def close(self) -> None:
        """Lets go of connections."""
        if self._session is not None:
            await self._session.close()


async def _events(content: aiohttp.StreamReader, answer: _Answer) -> AsyncGenerator[Piece, None]:
    """The pieces of a stream of events; deltas of text that come together are one piece."""
    rest = b""
    async for data in content.iter_any():
        *lines, rest = (rest + data).split(b"\n")
        thought = text = ""
        for line in lines:
            if not line.startswith(b"data:") or line.strip() == b"data: [DONE]":
                continue
            try:
                piece = answer.read(document(line[5:].decode("utf-8", "replace")))
            except (ApiError, Failure):
                yield Piece(thought, text)
                raise
            thought, text = thought + piece.thought, text + piece.answer
            if piece.extra:
                yield Piece(thought, text, (), piece.extra)
                thought = text = ""
        if thought or text:
            yield Piece(thought, text)
    if answer.splitter.held:
        held = answer.splitter.end()
        yield Piece(*held)


def _whole(data: bytes, answer: _Answer) -> Piece:
    piece = answer.read(document(data.decode("utf-8", "replace")))
    held = answer.splitter.end()
    answer.finish = answer.finish or "stop"
    return replace(piece, thought=piece.thought + held[0], answer=piece.answer + held[1])


def _outcome(plan: Plan, answer: _Answer) -> Outcome:
    prompt, tokens, thinking = counts(answer.usage)
    ended: ThinkingFinish | None = "natural" if answer.thought or thinking else None
    if ended and answer.finish == "length" and not answer.answered:
        ended = "length"
    elif plan.enforced == "upstream" and plan.wall is not None and (thinking or 0) >= plan.wall:
        ended = "budget"
    details = answer.usage.get("completion_tokens_details") or {}
    forced = details.get("forced_tokens") if isinstance(details, dict) else None
    if isinstance(details, dict) and details.get("thinking_finish") in ("natural", "budget", "length"):
        ended = details["thinking_finish"]
    finish = answer.finish or "stop"
    count = forced if isinstance(forced, int) else 0
    return Outcome(finish, ended, prompt, tokens, thinking, count, answer.stop, answer.logprobs)


def _put(body: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        body[parent] = dict(body.get(parent) or {})
        body = body[parent]
    body[name] = value


def _refused(status: int, data: bytes, headers: Mapping[str, str]) -> ApiError:
    """What a client is told of an upstream's refusal; never what it says about our key."""
    if status in (401, 403):
        return ApiError("the upstream refused the server's key; its operator has to look at it", status=502)
    text = refused(status, headers, data.decode("utf-8", "replace"))
    kept = {"Retry-After": headers["Retry-After"]} if "Retry-After" in headers else {}
    return ApiError(f"the upstream refused the request: {text}", status=status if status < 500 else 502, headers=kept)
