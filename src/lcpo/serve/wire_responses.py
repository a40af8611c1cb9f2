"""OpenAI's Responses: an item for the thought, an item for the message, and an event for every step of them."""

from collections.abc import Iterator
from typing import Any

from lcpo.serve.calls import ApiError, Call, Outcome, Piece, Plan
from lcpo.serve.wires import Wire, event, openai_usage, report


class ResponsesWire(Wire):
    """/v1/responses"""

    prefix = "resp"

    def __init__(self, call: Call, plan: Plan, include_usage: bool = False) -> None:
        super().__init__(call, plan, include_usage)
        self.number = 0
        self.open: str | None = None
        self.items: list[dict[str, Any]] = []

    def _event(self, kind: str, **fields: Any) -> bytes:
        self.number += 1
        return event({"type": kind, "sequence_number": self.number - 1, **fields}, kind)

    def _response(self, status: str, outcome: Outcome | None) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "model": self.call.model,
            "output": self.items,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": False,
            "temperature": self.call.temperature,
            "top_p": self.call.top_p,
            "tool_choice": "none",
            "tools": [],
            "usage": _usage(self.plan, outcome) if outcome else None,
            "lcpo": report(self.plan, outcome),
        }

    def _item(self, kind: str, text: str, status: str) -> dict[str, Any]:
        number = self.id.removeprefix("resp-")
        if kind == "thought":
            content = [{"type": "reasoning_text", "text": text}]
            return {"id": f"rs_{number}", "type": "reasoning", "summary": [], "content": content, "status": status}
        content = [_part(text)] if status != "in_progress" else []
        return {"id": f"msg_{number}", "type": "message", "role": "assistant", "status": status, "content": content}

    def _place(self) -> dict[str, Any]:
        kind = "rs_" if self.open == "thought" else "msg_"
        return {"item_id": kind + self.id.removeprefix("resp-"), "output_index": len(self.items), "content_index": 0}

    def begin(self) -> Iterator[bytes]:
        """The response without content."""
        yield self._event("response.created", response=self._response("in_progress", None))
        yield self._event("response.in_progress", response=self._response("in_progress", None))

    def piece(self, piece: Piece) -> bytes:
        """Deltas, and what opens and closes items around them."""
        self.add(piece)
        data = b""
        for kind, text in (("thought", piece.thought), ("answer", piece.answer)):
            if not text:
                continue
            if self.open != kind:
                data += self._done() + self._begin(kind)
            name = "response.reasoning_text.delta" if kind == "thought" else "response.output_text.delta"
            more: dict[str, Any] = {} if kind == "thought" else {"logprobs": []}
            data += self._event(name, **self._place(), delta=text, **more)
        return data

    def _begin(self, kind: str) -> bytes:
        self.open = kind
        item = self._item(kind, "", "in_progress")
        data = self._event("response.output_item.added", output_index=len(self.items), item=item)
        if kind == "answer":
            data += self._event("response.content_part.added", **self._place(), part=_part(""))
        return data

    def _done(self, status: str = "completed") -> bytes:
        """Closes the item that is open."""
        if self.open is None:
            return b""
        kind, text = self.open, "".join(self.thought if self.open == "thought" else self.answer)
        item = self._item(kind, text, status)
        if kind == "thought":
            data = self._event("response.reasoning_text.done", **self._place(), text=text)
        else:
            data = self._event("response.output_text.done", **self._place(), text=text, logprobs=[])
            data += self._event("response.content_part.done", **self._place(), part=_part(text))
        data += self._event("response.output_item.done", output_index=len(self.items), item=item)
        self.items.append(item)
        self.open = None
        return data

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """The whole response."""
        status = "incomplete" if outcome.finish == "length" else "completed"
        if not self.answer and self.open != "answer":
            yield self._done() + self._begin("answer")
        yield self._done(status)
        yield self._event(f"response.{status}", response=self._response(status, outcome))

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """response"""
        status = "incomplete" if outcome.finish == "length" else "completed"
        thought, answer = self.texts()
        self.items = [self._item("thought", thought, "completed")] if thought else []
        self.items.append(self._item("answer", answer, status))
        return self._response(status, outcome)

    def error(self, error: ApiError) -> bytes:
        """response.failed"""
        response = self._response("failed", None) | {"error": {"code": "server_error", "message": str(error)}}
        return self._event("response.failed", response=response)


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(plan: Plan, outcome: Outcome) -> dict[str, Any] | None:
    usage = openai_usage(plan, outcome)
    return usage and {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": usage["completion_tokens_details"],
        "total_tokens": usage["total_tokens"],
    }
