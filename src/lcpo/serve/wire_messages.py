"""Anthropic's Messages: a block for the thought, a block for the text."""

from collections.abc import Iterator
from typing import Any

from lcpo.serve.calls import ApiError, Call, Outcome, Piece, Plan
from lcpo.serve.wires import Wire, event, report

STOPS = {"length": "max_tokens", "tool_calls": "tool_use"}


class MessagesWire(Wire):
    """/v1/messages"""

    prefix = "msg"

    def __init__(self, call: Call, plan: Plan, include_usage: bool = False) -> None:
        super().__init__(call, plan, include_usage)
        self.open: str | None = None
        self.blocks = 0

    def _message(self, **fields: Any) -> dict[str, Any]:
        message = {"id": self.id, "type": "message", "role": "assistant", "model": self.call.model, "content": []}
        return {**message, "stop_reason": None, "stop_sequence": None, **fields}

    def begin(self) -> Iterator[bytes]:
        """A message without content."""
        usage = {"input_tokens": 0, "output_tokens": 0}
        yield event({"type": "message_start", "message": self._message(usage=usage)}, "message_start")

    def piece(self, piece: Piece) -> bytes:
        """Deltas, and what opens and closes blocks around them."""
        data = b""
        for kind, text in (("thinking", piece.thought), ("text", piece.answer)):
            if not text:
                continue
            if self.open != kind:
                data += self._done() + self._begin(kind)
            delta = {"type": f"{kind}_delta", kind: text}
            data += event({"type": "content_block_delta", "index": self.blocks, "delta": delta}, "content_block_delta")
        return data

    def _begin(self, kind: str) -> bytes:
        self.open = kind
        block = {"type": "thinking", "thinking": "", "signature": ""} if kind == "thinking" else _text("")
        return event(
            {"type": "content_block_start", "index": self.blocks, "content_block": block}, "content_block_start"
        )

    def _done(self) -> bytes:
        if self.open is None:
            return b""
        data = event({"type": "content_block_stop", "index": self.blocks}, "content_block_stop")
        self.open, self.blocks = None, self.blocks + 1
        return data

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """How it ended, and usage."""
        if not self.blocks and self.open is None:
            yield self._begin("text")
        yield self._done()
        delta = {"stop_reason": _reason(outcome), "stop_sequence": outcome.stop}
        told = {"usage": _usage(self.plan, outcome), "lcpo": report(self.plan, outcome)}
        yield event({"type": "message_delta", "delta": delta, **told}, "message_delta")
        yield event({"type": "message_stop"}, "message_stop")

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """message"""
        thought, answer = self.texts()
        blocks = [{"type": "thinking", "thinking": thought, "signature": ""}] if thought else []
        return self._message(
            content=[*blocks, _text(answer)],
            stop_reason=_reason(outcome),
            stop_sequence=outcome.stop,
            usage=_usage(self.plan, outcome),
            lcpo=report(self.plan, outcome),
        )

    def error(self, error: ApiError) -> bytes:
        """error"""
        return event(error.json(), "error")


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "citations": None}


def _reason(outcome: Outcome) -> str:
    return "stop_sequence" if outcome.stop is not None else STOPS.get(outcome.finish, "end_turn")


def _usage(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    details = {
        "thinking_tokens": outcome.reasoning_tokens,
        "budget_tokens": plan.budget,
        "thinking_finish": outcome.thinking_finish,
        "forced_tokens": outcome.forced,
    }
    return {
        "input_tokens": outcome.prompt_tokens or 0,
        "output_tokens": outcome.tokens or 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens_details": details,
    }
