"""Anthropic's Messages: a block for the thought, a block for the text."""

from typing import Any

from lcpo.serve.calls import Outcome
from lcpo.serve.wires import ItemWire, counts, event, report

STOPS = {"length": "max_tokens", "tool_calls": "tool_use"}


class MessagesWire(ItemWire):
    """/v1/messages. blocks: those that are closed."""

    prefix = "msg"
    blocks = 0

    def _message(self, **fields: Any) -> dict[str, Any]:
        message = {"id": self.id, "type": "message", "role": "assistant", "model": self.call.model, "content": []}
        return {**message, "stop_reason": None, "stop_sequence": None, **fields}

    def begin(self) -> bytes:
        """A message without content."""
        return _event("message_start", message=self._message(usage={"input_tokens": 0, "output_tokens": 0}))

    def start(self, kind: str) -> bytes:
        """content_block_start"""
        self.open = kind
        return _event("content_block_start", index=self.blocks, content_block=_block(kind, ""))

    def delta(self, kind: str, text: str) -> bytes:
        """content_block_delta"""
        name = "thinking" if kind == "thought" else "text"
        return _event("content_block_delta", index=self.blocks, delta={"type": f"{name}_delta", name: text})

    def close(self) -> bytes:
        """content_block_stop"""
        if self.open is None:
            return b""
        self.open, self.blocks = None, self.blocks + 1
        return _event("content_block_stop", index=self.blocks - 1)

    def end(self, outcome: Outcome) -> bytes:
        """How it ended, and usage."""
        data = self.start("answer") if not self.blocks and self.open is None else b""
        told = {"usage": self._usage(outcome), "lcpo": report(self.plan, outcome)}
        return data + self.close() + _event("message_delta", delta=_reason(outcome), **told) + _event("message_stop")

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """message"""
        blocks = [_block("thought", "".join(self.thought))] if self.thought else []
        told = {"usage": self._usage(outcome), "lcpo": report(self.plan, outcome)}
        return self._message(content=[*blocks, _block("answer", "".join(self.answer))], **_reason(outcome), **told)

    def _usage(self, outcome: Outcome) -> dict[str, Any]:
        return {
            "input_tokens": outcome.prompt_tokens or 0,
            "output_tokens": outcome.tokens or 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens_details": counts(self.plan, outcome, "thinking_tokens"),
        }


def _event(kind: str, **fields: Any) -> bytes:
    return event({"type": kind, **fields}, kind)


def _block(kind: str, text: str) -> dict[str, Any]:
    if kind == "thought":
        return {"type": "thinking", "thinking": text, "signature": ""}
    return {"type": "text", "text": text, "citations": None}


def _reason(outcome: Outcome) -> dict[str, Any]:
    reason = "stop_sequence" if outcome.stop is not None else STOPS.get(outcome.finish, "end_turn")
    return {"stop_reason": reason, "stop_sequence": outcome.stop}
