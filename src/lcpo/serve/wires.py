"""How each route writes a response: as one document, and as server-sent events. The report stands in both.

What an answer used stands in `usage`, where proxies keep it; all that was decided about the budget in `lcpo`.
"""

import json
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from lcpo.serve.calls import ApiError, Call, Outcome, Piece, Plan
from lcpo.thinking import CLOSE, OPEN


def dump(value: Any) -> str:
    """Compact JSON, on one line, safe inside an event."""
    return json.dumps(value, separators=(",", ":"))


def event(value: Any, name: str | None = None) -> bytes:
    """One server-sent event."""
    return (f"event: {name}\ndata: {dump(value)}\n\n" if name else f"data: {dump(value)}\n\n").encode()


def report(plan: Plan, outcome: Outcome | None) -> dict[str, Any]:
    """What was asked for, what was applied, what kept it, and how it ended."""
    told: dict[str, Any] = {
        "asked": plan.asked,
        "asked_by": plan.by,
        "budget": plan.budget,
        "scope": plan.scope,
        "mode": plan.mode if plan.budget is not None else None,
        "sentence": plan.sentence.strip() or None,
        "limit": plan.limit,
        "enforced": plan.enforced if plan.budget is not None else None,
        "warnings": list(plan.warnings),
    }
    if outcome is not None:
        told |= {
            "tokens": outcome.tokens,
            "reasoning_tokens": outcome.reasoning_tokens,
            "thinking_finish": outcome.thinking_finish,
            "forced_tokens": outcome.forced,
        }
    return told


def headers(plan: Plan, outcome: Outcome | None = None) -> dict[str, str]:
    """The report as headers; counts only where the response is over."""
    told = report(plan, outcome)
    names = ("budget", "scope", "mode", "enforced", "tokens", "reasoning_tokens", "thinking_finish", "forced_tokens")
    found = {f"x-lcpo-{name.replace('_', '-')}": str(told[name]) for name in names if told.get(name) is not None}
    if plan.warnings:
        text = "; ".join(plan.warnings).encode("ascii", "replace").decode()
        found["x-lcpo-warning"] = "".join(sign if sign.isprintable() else "?" for sign in text)[:1000]
    return found


class Wire(ABC):
    """One response on its way to a client. thought, answer: all of it so far."""

    prefix = "resp"

    def __init__(self, call: Call, plan: Plan, include_usage: bool = False) -> None:
        self.call, self.plan, self.include_usage = call, plan, include_usage
        self.id, self.created = f"{self.prefix}-{secrets.token_hex(12)}", int(time.time())
        self.thought: list[str] = []
        self.answer: list[str] = []
        self.extra: dict[str, Any] = {}

    def add(self, piece: Piece) -> None:
        """Keeps a piece for the whole; what is hidden is dropped."""
        if piece.thought:
            self.thought.append(piece.thought)
        if piece.answer:
            self.answer.append(piece.answer)
        if piece.extra:
            self.extra |= piece.extra

    def shown(self, piece: Piece) -> Piece:
        """The piece without what the client does not want to see."""
        return Piece("", piece.answer, piece.ids, piece.extra) if self.call.asked.hide and piece.thought else piece

    def texts(self) -> tuple[str, str]:
        """(thought, answer) of the whole, the thought as far as it is to be seen."""
        return "" if self.call.asked.hide else "".join(self.thought), "".join(self.answer)

    @abstractmethod
    def begin(self) -> Iterator[bytes]:
        """Events before the first piece."""

    @abstractmethod
    def piece(self, piece: Piece) -> bytes:
        """Events of a piece."""

    @abstractmethod
    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """Events after the last piece."""

    @abstractmethod
    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """The response as one document."""

    def error(self, error: ApiError) -> bytes:
        """The event of a response that breaks off."""
        return event(error.json(), "error")


def openai_usage(plan: Plan, outcome: Outcome) -> dict[str, Any] | None:
    """Usage of chat and completions."""
    if outcome.tokens is None:
        return None
    prompt = outcome.prompt_tokens or 0
    details = {
        "reasoning_tokens": outcome.reasoning_tokens,
        "budget_tokens": plan.budget,
        "thinking_finish": outcome.thinking_finish,
        "forced_tokens": outcome.forced,
    }
    return {
        "prompt_tokens": prompt,
        "completion_tokens": outcome.tokens,
        "total_tokens": prompt + outcome.tokens,
        "completion_tokens_details": details,
    }


class ChatWire(Wire):
    """/v1/chat/completions"""

    prefix = "chatcmpl"

    def _chunk(self, choices: list[Any], **more: Any) -> bytes:
        head = {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.call.model}
        return event({**head, "choices": choices, **more})

    def begin(self) -> Iterator[bytes]:
        """The role."""
        yield self._chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        head = dump(
            {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.call.model}
        )
        self._head = f'data: {head[:-1]},"choices":[{{"index":0,"delta":'

    def piece(self, piece: Piece) -> bytes:
        """A delta."""
        delta: dict[str, Any] = dict(piece.extra or {})
        if piece.thought:
            delta["reasoning_content"] = delta["reasoning"] = piece.thought
        if piece.answer:
            delta["content"] = piece.answer
        return f'{self._head}{dump(delta)},"finish_reason":null}}]}}\n\n'.encode() if delta else b""

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """How it ended; usage in a chunk of its own where it was asked for."""
        usage = openai_usage(self.plan, outcome)
        last = {"index": 0, "delta": {}, "finish_reason": outcome.finish}
        yield self._chunk([last], lcpo=report(self.plan, outcome))
        if self.include_usage:
            yield self._chunk([], usage=usage, lcpo=report(self.plan, outcome))
        yield b"data: [DONE]\n\n"

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """chat.completion"""
        thought, answer = self.texts()
        content = answer if answer or outcome.finish == "stop" else None
        message: dict[str, Any] = {"role": "assistant", "content": content, **self.extra}
        if thought:
            message["reasoning_content"] = message["reasoning"] = thought
        choice = {"index": 0, "message": message, "finish_reason": outcome.finish, "logprobs": outcome.logprobs}
        if outcome.stop is not None:
            choice["stop_reason"] = outcome.stop
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.call.model,
            "choices": [choice],
            "usage": openai_usage(self.plan, outcome),
            "lcpo": report(self.plan, outcome),
        }

    def error(self, error: ApiError) -> bytes:
        """OpenAI's clients look for `error` in a chunk."""
        return event(error.json()) + b"data: [DONE]\n\n"


class CompletionWire(ChatWire):
    """/v1/completions: the text as the model wrote it, tags and all."""

    prefix = "cmpl"

    def __init__(self, call: Call, plan: Plan, include_usage: bool = False) -> None:
        super().__init__(call, plan, include_usage)
        self.where = "thought" if OPEN in (call.prompt or "").rpartition(CLOSE)[2] else "start"

    def _text(self, piece: Piece) -> str:
        """The tags that stood between the parts."""
        text = ""
        if piece.thought:
            text += (OPEN if self.where == "start" else "") + piece.thought
            self.where = "thought"
        if piece.answer:
            text += (CLOSE if self.where == "thought" else "") + piece.answer
            self.where = "answer"
        return text

    def _of(self, text: str, finish: str | None, stop: str | None = None) -> dict[str, Any]:
        head = {"id": self.id, "object": "text_completion", "created": self.created, "model": self.call.model}
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
        if stop is not None:
            choice["stop_reason"] = stop
        return {**head, "choices": [choice]}

    def begin(self) -> Iterator[bytes]:
        """Nothing."""
        return iter(())

    def piece(self, piece: Piece) -> bytes:
        """A piece of text."""
        text = self._text(piece)
        return event(self._of(text, None)) if text else b""

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """How it ended."""
        yield event({**self._of("", outcome.finish, outcome.stop), "lcpo": report(self.plan, outcome)})
        if self.include_usage:
            usage = openai_usage(self.plan, outcome)
            yield event({**self._of("", None), "choices": [], "usage": usage, "lcpo": report(self.plan, outcome)})
        yield b"data: [DONE]\n\n"

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """text_completion"""
        text = self._text(Piece(*self.texts()))
        told = {"usage": openai_usage(self.plan, outcome), "lcpo": report(self.plan, outcome)}
        return {**self._of(text, outcome.finish, outcome.stop), **told}
