"""OpenAI's Responses: an item for the thought, an item for the message, and an event for every step of them."""

from typing import Any

from lcpo.serve.calls import ApiError, Call, Outcome, Plan
from lcpo.serve.wires import ItemWire, event, openai_usage, report

UNUSED: dict[str, Any] = {"error": None, "instructions": None, "metadata": {}, "tools": [], "tool_choice": "none"}
"""Fields that clients ask for and that say nothing here."""


class ResponsesWire(ItemWire):
    """/v1/responses"""

    def __init__(self, call: Call, plan: Plan) -> None:
        super().__init__(call, plan)
        self.number = 0
        self.items: list[dict[str, Any]] = []

    def _event(self, kind: str, **fields: Any) -> bytes:
        self.number += 1
        return event({"type": kind, "sequence_number": self.number - 1, **fields}, kind)

    def _response(self, status: str, outcome: Outcome | None) -> dict[str, Any]:
        call = self.call
        head = {"id": self.id, "object": "response", "created_at": self.created, "model": call.model, "status": status}
        reason = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return head | {
            "output": self.items,
            "incomplete_details": reason,
            "temperature": call.temperature,
            "top_p": call.top_p,
            "usage": _usage(self.plan, outcome) if outcome else None,
            "lcpo": report(self.plan, outcome),
            "parallel_tool_calls": False,
            **UNUSED,
        }

    def _item(self, kind: str, text: str, status: str) -> dict[str, Any]:
        name = self._name(kind)
        if kind == "thought":
            content = [{"type": "reasoning_text", "text": text}]
            return {"id": name, "type": "reasoning", "summary": [], "content": content, "status": status}
        content = [_part(text)] if status != "in_progress" else []
        return {"id": name, "type": "message", "role": "assistant", "status": status, "content": content}

    def _name(self, kind: str | None) -> str:
        return ("rs_" if kind == "thought" else "msg_") + self.id.removeprefix("resp-")

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._name(self.open), "output_index": len(self.items), "content_index": 0}

    def begin(self) -> bytes:
        """The response without content."""
        kinds = ("response.created", "response.in_progress")
        return b"".join(self._event(kind, response=self._response("in_progress", None)) for kind in kinds)

    def start(self, kind: str) -> bytes:
        """response.output_item.added"""
        self.open = kind
        item = self._item(kind, "", "in_progress")
        data = self._event("response.output_item.added", output_index=len(self.items), item=item)
        if kind == "answer":
            data += self._event("response.content_part.added", **self._place(), part=_part(""))
        return data

    def delta(self, kind: str, text: str) -> bytes:
        """response.reasoning_text.delta, response.output_text.delta"""
        if kind == "thought":
            return self._event("response.reasoning_text.delta", **self._place(), delta=text)
        return self._event("response.output_text.delta", **self._place(), delta=text, logprobs=[])

    def close(self, status: str = "completed") -> bytes:
        """response.output_item.done, and what comes before it"""
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

    def end(self, outcome: Outcome) -> bytes:
        """The whole response."""
        status = "incomplete" if outcome.finish == "length" else "completed"
        data = b"" if self.answer else self.close() + self.start("answer")
        return data + self.close(status) + self._event(f"response.{status}", response=self._response(status, outcome))

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """response"""
        status = "incomplete" if outcome.finish == "length" else "completed"
        self.items = [self._item("thought", "".join(self.thought), "completed")] if self.thought else []
        self.items.append(self._item("answer", "".join(self.answer), status))
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
