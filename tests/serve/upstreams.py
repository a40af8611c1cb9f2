"""A server to stand in front of: it records what it is sent, thinks thirty tokens unless a cap that it knows says less,
and misbehaves on purpose.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from served import serving

from lcpo.serve.app import Server, make_app
from lcpo.serve.kinds import detect
from lcpo.serve.plan import Served
from lcpo.serve.spellings import EFFORT
from lcpo.serve.upstream import UpstreamBackend

THOUGHT, ANSWER = [f"t{i} " for i in range(30)], ["forty", "-two"]


@dataclass
class Double:
    """cap: the field that it obeys. parsed: the thought comes apart from the content. trouble: what goes wrong."""

    cap: str | None = "thinking_token_budget"
    version: bool = True
    parsed: bool = True
    usage: bool = True
    trouble: str | None = None
    context: int | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    open: int = 0

    def say(self, body: dict[str, Any]) -> tuple[list[str], list[str], str]:
        """(thought, answer, finish) of a request."""
        last = body["messages"][-1] if "messages" in body else {"role": "user"}
        begun = last["content"] if last["role"] == "assistant" else ""
        cap: Any = body
        for name in (self.cap or "nothing").split("."):
            cap = cap.get(name) if isinstance(cap, dict) else None
        thought = THOUGHT[: cap if isinstance(cap, int) else None]
        if "</think>" in begun:
            thought = []
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or 10**6
        answer = ANSWER[: max(0, limit - len(thought))]
        return thought[:limit], answer, "length" if len(thought) + len(ANSWER) > limit else "stop"

    def count(self, body: dict[str, Any], thought: list[str], answer: list[str]) -> dict[str, Any]:
        """usage"""
        prompt = sum(len(str(turn["content"]).split()) for turn in body.get("messages", ()))
        total = len(thought) + len(answer)
        details = {"reasoning_tokens": len(thought)} if self.parsed else {}
        counts = {"prompt_tokens": prompt, "completion_tokens": total, "total_tokens": prompt + total}
        return {**counts, "completion_tokens_details": details}


def double_app(double: Double) -> FastAPI:
    app = FastAPI()

    @app.get("/version")
    async def version() -> Response:
        return JSONResponse({"version": "0.32.0"}, status_code=200 if double.version else 404)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"data": [{"id": "up", "max_model_len": double.context}]}

    @app.post("/v1/{path:path}")
    async def create(path: str, request: Request) -> Response:
        body = await request.json()
        double.bodies.append(body)
        double.headers.append(dict(request.headers))
        if double.trouble == "html":
            return Response("<h1>Bad gateway</h1>", media_type="text/html")
        if double.trouble in ("401", "429", "500"):
            error = {"error": {"message": "Incorrect API key provided: sk-up"}}
            return JSONResponse(error, status_code=int(double.trouble), headers={"Retry-After": "7"})
        if body.get("stream"):
            return StreamingResponse(_stream(double, body), media_type="text/event-stream")
        thought, answer, finish = double.say(body)
        message: dict[str, Any] = {"role": "assistant", "content": "".join(answer) or None}
        if double.parsed:
            message["reasoning"] = "".join(thought)
        elif thought:
            message["content"] = "<think>" + "".join(thought) + ("</think>" + "".join(answer) if answer else "")
        if body.get("tools"):
            message["tool_calls"] = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
        choice = {"index": 0, "message": message, "text": message["content"], "finish_reason": finish}
        usage = {"usage": double.count(body, thought, answer)} if double.usage else {}
        return JSONResponse({"id": "1", "object": "chat.completion", "choices": [choice], **usage})

    return app


async def _stream(double: Double, body: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    thought, answer, finish = double.say(body)
    deltas = [{"reasoning" if double.parsed else "content": text} for text in thought]
    if not double.parsed and thought:
        deltas = [{"content": "<thi"}, {"content": "nk>"}, *deltas, *([{"content": "</think>"}] if answer else [])]
    deltas += [{"content": text} for text in answer]
    double.open += 1
    try:
        for i, delta in enumerate(deltas):
            if double.trouble == "slow":
                await asyncio.sleep(0.05)
            if double.trouble == "breaks" and i == 5:
                return
            if double.trouble == "fails" and i == 5:
                yield b'data: {"error": {"message": "out of memory"}}\n\n'
                return
            yield b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"
        yield (
            b"data: " + json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}).encode() + b"\n\n"
        )
        if double.usage:
            yield (
                b"data: " + json.dumps({"choices": [], "usage": double.count(body, thought, answer)}).encode() + b"\n\n"
            )
        yield b"data: [DONE]\n\n"
    finally:
        double.open -= 1


@contextmanager
def in_front_of(
    double: Double, kind: str | None = None, wording: str | None = None, effort: Any = EFFORT, **given: Any
) -> Iterator[str]:
    """A proxy in front of the double."""
    with serving(double_app(double)) as up:
        found = asyncio.run(detect(up + "/v1", "sk-up", kind))
        double.bodies.clear()
        served = {name: Served(name, wording=wording, effort=effort) for name in found.models}
        backend = UpstreamBackend(found, served, key="sk-up", **given)
        with serving(make_app(Server(backend))) as url:
            yield url


def run(port: int) -> None:
    """A slow double as a process of its own."""
    import uvicorn

    uvicorn.run(double_app(Double(trouble="slow")), port=port, log_level="warning")
