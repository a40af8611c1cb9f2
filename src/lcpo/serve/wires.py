"""How each route writes a response: as one document, and as server-sent events. The report stands in both.

What an answer used stands in `usage`, where proxies keep it; all that was decided about the budget in `lcpo`.
"""

import json
import secrets
import time
from abc import ABC, abstractmethod
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

    def __init__(self, call: Call, plan: Plan) -> None:
        self.call, self.plan = call, plan
        self.id, self.created = f"{self.prefix}-{secrets.token_hex(12)}", int(time.time())
        self.thought: list[str] = []
        self.answer: list[str] = []
        self.extra: dict[str, Any] = {}

    def add(self, piece: Piece) -> None:
        """Keeps a piece for the whole."""
        if piece.thought:
            self.thought.append(piece.thought)
        if piece.answer:
            self.answer.append(piece.answer)
        if piece.extra:
            self.extra |= piece.extra

    @abstractmethod
    def begin(self) -> bytes:
        """Events before the first piece."""

    @abstractmethod
    def piece(self, piece: Piece) -> bytes:
        """Events of a piece."""

    @abstractmethod
    def end(self, outcome: Outcome) -> bytes:
        """Events after the last piece."""

    @abstractmethod
    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """The response as one document, of the pieces that were added."""

    def error(self, error: ApiError) -> bytes:
        """The event of a response that breaks off."""
        return event(error.json(), "error")


def counts(plan: Plan, outcome: Outcome, thought: str = "reasoning_tokens") -> dict[str, Any]:
    """What stands beside the number of tokens; `thought` is the API's own name for those of the thought."""
    return {
        thought: outcome.reasoning_tokens,
        "budget_tokens": plan.budget,
        "thinking_finish": outcome.thinking_finish,
        "forced_tokens": outcome.forced,
    }


def openai_usage(plan: Plan, outcome: Outcome) -> dict[str, Any] | None:
    """Usage of chat and completions."""
    if outcome.tokens is None:
        return None
    prompt = outcome.prompt_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": outcome.tokens,
        "total_tokens": prompt + outcome.tokens,
        "completion_tokens_details": counts(plan, outcome),
    }


class ChatWire(Wire):
    """/v1/chat/completions"""

    prefix = "chatcmpl"
    chunk, document = "chat.completion.chunk", "chat.completion"

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.call.model}

    def _chunk(self, choices: list[Any], **more: Any) -> bytes:
        return event({**self._head(self.chunk), "choices": choices, **more})

    def _last(self, choice: dict[str, Any], outcome: Outcome) -> bytes:
        """How it ended; usage in a chunk of its own where it was asked for."""
        told = report(self.plan, outcome)
        data = self._chunk([_stopped(choice, outcome)], lcpo=told)
        if self.call.include_usage:
            data += self._chunk([], usage=openai_usage(self.plan, outcome), lcpo=told)
        return data + b"data: [DONE]\n\n"

    def _document(self, choice: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
        told = {"usage": openai_usage(self.plan, outcome), "lcpo": report(self.plan, outcome)}
        return {**self._head(self.document), "choices": [_stopped(choice, outcome)], **told}

    def begin(self) -> bytes:
        """The role."""
        self._before = f'data: {dump(self._head(self.chunk))[:-1]},"choices":[{{"index":0,"delta":'
        return self._chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])

    def piece(self, piece: Piece) -> bytes:
        """A delta."""
        delta: dict[str, Any] = dict(piece.extra or {})
        if piece.thought:
            delta["reasoning_content"] = delta["reasoning"] = piece.thought
        if piece.answer:
            delta["content"] = piece.answer
        return f'{self._before}{dump(delta)},"finish_reason":null}}]}}\n\n'.encode() if delta else b""

    def end(self, outcome: Outcome) -> bytes:
        """How it ended."""
        return self._last({"index": 0, "delta": {}, "finish_reason": outcome.finish}, outcome)

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """chat.completion"""
        thought, answer = "".join(self.thought), "".join(self.answer)
        content = answer if answer or outcome.finish == "stop" else None
        message: dict[str, Any] = {"role": "assistant", "content": content, **self.extra}
        if thought:
            message["reasoning_content"] = message["reasoning"] = thought
        choice = {"index": 0, "message": message, "finish_reason": outcome.finish, "logprobs": outcome.logprobs}
        return self._document(choice, outcome)

    def error(self, error: ApiError) -> bytes:
        """OpenAI's clients look for `error` in a chunk."""
        return event(error.json()) + b"data: [DONE]\n\n"


def _stopped(choice: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """The choice with the stop sequence that ended it, in vLLM's place."""
    return choice if outcome.stop is None else {**choice, "stop_reason": outcome.stop}


class CompletionWire(ChatWire):
    """/v1/completions: the text as the model wrote it, tags and all."""

    prefix = "cmpl"
    chunk = document = "text_completion"

    def __init__(self, call: Call, plan: Plan) -> None:
        super().__init__(call, plan)
        self.where = "thought" if OPEN in (call.prompt or "").rpartition(CLOSE)[2] else "start"

    def _choice(self, thought: str, answer: str, finish: str | None = None) -> dict[str, Any]:
        """The parts, and the tags that stood between them."""
        text = ""
        if thought:
            text += (OPEN if self.where == "start" else "") + thought
            self.where = "thought"
        if answer:
            text += (CLOSE if self.where == "thought" else "") + answer
            self.where = "answer"
        return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def piece(self, piece: Piece) -> bytes:
        """A piece of text."""
        return self._chunk([self._choice(piece.thought, piece.answer)]) if piece.thought or piece.answer else b""

    def end(self, outcome: Outcome) -> bytes:
        """How it ended."""
        return self._last(self._choice("", "", outcome.finish), outcome)

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """text_completion"""
        return self._document(self._choice("".join(self.thought), "".join(self.answer), outcome.finish), outcome)


class ItemWire(Wire):
    """Formats in which thought and answer are items that open and close. open: which of the two is."""

    open: str | None = None

    @abstractmethod
    def start(self, kind: str) -> bytes:
        """Opens an item, `thought` or `answer`."""

    @abstractmethod
    def delta(self, kind: str, text: str) -> bytes:
        """More of the item that is open."""

    @abstractmethod
    def close(self) -> bytes:
        """Closes the item that is open, if any."""

    def piece(self, piece: Piece) -> bytes:
        """Deltas, and what opens and closes items around them."""
        self.add(piece)
        data = b""
        for kind, text in (("thought", piece.thought), ("answer", piece.answer)):
            if text:
                data += (b"" if self.open == kind else self.close() + self.start(kind)) + self.delta(kind, text)
        return data
