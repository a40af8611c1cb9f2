"""A real HTTP server that speaks OpenAI's API with the words of the scripted engine, and with whatever quirk."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lcpo.engines.base import Request, Segment, user
from lcpo.engines.scripted import ScriptedEngine

Answer = dict[str, Any]
Raw = tuple[int, dict[str, str], Any]
"""HTTP status, headers, and a body: text as it is, anything else as JSON."""


@dataclass
class Server:
    """url: its /v1; bodies: all requests; failures: HTTP answers given first; usage, reasoning: what it reports.

    quirk: what it makes of a request and its usual answer: an answer, a raw one, or None, where it hangs up.
    """

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    failures: list[Raw] = field(default_factory=list)
    usage: bool = True
    reasoning: bool = False
    stop_reason: bool = True
    quirk: Callable[[dict[str, Any], Answer], Answer | Raw | None] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


def _answer(server: Server, engine: ScriptedEngine, path: str, body: dict[str, Any]) -> Answer:
    chat = path.endswith("/chat/completions")
    messages = body.get("messages") or [{"content": body["prompt"]}]
    prefix = messages[1]["content"] if len(messages) > 1 else ""
    request = Request(
        prompt=user(messages[0]["content"]),
        max_tokens=body.get("max_tokens", body.get("max_completion_tokens")),
        seed=body.get("seed", 0),
        prefix=engine.encode(prefix) if prefix else Segment((), ""),
        stop=tuple(body.get("stop", ())),
    )
    (found,) = engine.generate([request])
    choice: dict[str, Any] = {"index": 0, "finish_reason": "length" if found.finish == "length" else "stop"}
    if server.stop_reason:
        choice["stop_reason"] = request.stop[0] if found.finish == "stop" else None
    usage: dict[str, Any] = {"prompt_tokens": found.prompt_tokens, "completion_tokens": found.tokens}
    message = {"role": "assistant", "content": found.kept.text}
    if server.reasoning:
        thought, _, content = found.kept.text.removeprefix("<think>").partition("</think>")
        message |= {"reasoning": thought, "content": content}
        usage["completion_tokens_details"] = {"reasoning_tokens": len(engine.encode(thought).ids or ())}
    choice |= {"message": message} if chat else {"text": found.kept.text}
    answer = {"id": "x", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [choice]}
    return {**answer, "usage": usage} if server.usage else answer


def _events(answer: Answer) -> str:
    """An answer as a server streams it: some characters at a time, then the reason, then the usage."""
    head = {name: answer[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    (choice,) = answer["choices"]
    message = choice.pop("message", None)
    pieces: list[Any] = [": a comment"]
    for name in ("reasoning", "content") if message else ("text",):
        text = (message or choice).get(name) or ""
        for i in range(0, len(text), 3):
            part = {name: text[i : i + 3]}
            pieces.append({**head, "choices": [{"index": 0, **({"delta": part} if message else part)}]})
    choice.pop("text", None)
    pieces.append({**head, "choices": [{**choice, **({"delta": {}} if message else {"text": ""})}]})
    pieces.append({**head, "choices": [], "usage": answer.get("usage")})
    lines = [piece if isinstance(piece, str) else "data: " + json.dumps(piece) for piece in [*pieces, "data: [DONE]"]]
    return "\n\n".join(lines) + "\n\n"


@contextmanager
def speaking(script: Callable[[Request], str]) -> Iterator[Server]:
    """A server on a free port, in a thread, until the block ends."""
    engine = ScriptedEngine(script)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:
            pass

        def _send(self, status: int, headers: dict[str, str], value: Any) -> None:
            data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
            self.send_response(status)
            for name, text in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            with server.lock:
                server.headers.append(dict(self.headers))
                failure = server.failures.pop(0) if server.failures else None
            self._send(*failure or (200, {}, {"object": "list", "data": [{"id": "talker", "object": "model"}]}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.bodies.append(body)
                server.headers.append(dict(self.headers))
                server.paths.append(self.path)
                failure = server.failures.pop(0) if server.failures else None
            answer = failure or _answer(server, engine, self.path, body)
            if not failure and server.quirk:
                with server.lock:
                    answer = server.quirk(body, answer)
            if answer is None:
                self.close_connection = True
            elif isinstance(answer, tuple):
                self._send(*answer)
            elif body.get("stream"):
                self._send(200, {"Content-Type": "text/event-stream"}, _events(answer))
            else:
                self._send(200, {}, answer)

    class Http(ThreadingHTTPServer):
        request_queue_size = 64

    http = Http(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{http.server_address[1]}/v1")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
