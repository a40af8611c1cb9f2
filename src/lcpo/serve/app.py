"""The application: routes, and what every request passes through on its way to a backend and back."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from lcpo.serve.bodies import (
    ChatBody,
    CompletionBody,
    MessagesBody,
    ResponsesBody,
    chat_call,
    completion_call,
    messages_call,
    responses_call,
)
from lcpo.serve.calls import ApiError, Backend, Call, Outcome
from lcpo.serve.metrics import Metrics
from lcpo.serve.plan import Served
from lcpo.serve.wire_messages import MessagesWire
from lcpo.serve.wire_responses import ResponsesWire
from lcpo.serve.wires import ChatWire, CompletionWire, Wire, headers

T = TypeVar("T")


class Server:
    """What the routes share. models: by name. deadline: seconds that a response may take. queue: requests at once."""

    def __init__(
        self, backend: Backend, models: Mapping[str, Served], *, deadline: float = 600.0, queue: int = 1024
    ) -> None:
        self.backend, self.models, self.deadline, self.queue = backend, models, deadline, queue
        self.running = 0
        means = {name: served.curve.unbudgeted for name, served in models.items() if served.curve}
        self.metrics = Metrics({name: mean for name, mean in means.items() if mean is not None})

    async def answer(
        self, request: Request, call: Call, stream: bool, wire: type[Wire], include_usage: bool = False
    ) -> Response:
        """The response to a call, as one document or as events."""
        plan = self.backend.plan(call)
        if self.running >= self.queue:
            raise ApiError("the queue is full; try again later", status=503, headers={"Retry-After": "1"})
        written = wire(call, plan, include_usage)
        if stream:
            told = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", **headers(plan)}
            return StreamingResponse(self._events(written), media_type="text/event-stream", headers=told)
        outcome = await unless_gone(request, self._collect(written))
        return JSONResponse(written.whole(outcome), headers=headers(plan, outcome))

    async def _pieces(self, wire: Wire) -> AsyncGenerator[Any, None]:
        """The backend's pieces, within the deadline; counted when they are over."""
        self.running += 1
        self.metrics.running.set(self.running)
        model, began, first, status = wire.call.model, time.monotonic(), 0.0, "cancelled"
        try:
            async with asyncio.timeout(self.deadline), aclosing(self.backend.run(wire.call, wire.plan)) as pieces:
                async for piece in pieces:
                    first = first or time.monotonic() - began
                    if isinstance(piece, Outcome):
                        self.metrics.record(model, wire.plan, piece, time.monotonic() - began, first)
                        status = ""
                    yield piece
        except TimeoutError:
            status = "timeout"
            raise ApiError(f"the response took longer than {self.deadline:.0f} s", status=504) from None
        except ApiError:
            status = "error"
            raise
        finally:
            if status:
                self.metrics.requests.labels(model, status).inc()
            self.running -= 1
            self.metrics.running.set(self.running)

    async def _collect(self, wire: Wire) -> Outcome:
        async with aclosing(self._pieces(wire)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Outcome):
                    return piece
                wire.add(piece)
        raise AssertionError("a response ends with an outcome")

    async def _events(self, wire: Wire) -> AsyncGenerator[bytes, None]:
        for data in wire.begin():
            yield data
        try:
            async with aclosing(self._pieces(wire)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Outcome):
                        for data in wire.end(piece):
                            yield data
                    elif data := wire.piece(wire.shown(piece)):
                        yield data
        except ApiError as error:
            yield wire.error(error)


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """What the work returns; it is cancelled where the client hangs up before."""
    task = asyncio.ensure_future(work)

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    watch = asyncio.ensure_future(gone())
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            raise ApiError("the client hung up", status=499)
        return task.result()
    finally:
        watch.cancel()


def make_app(server: Server) -> FastAPI:
    """The application of a server."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        yield
        await server.backend.close()

    app = FastAPI(title="lcpo serve", lifespan=lifespan, docs_url=None, redoc_url=None)
    _errors(app)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "lcpo", **server.backend.describe(name)}
            for name in server.backend.names
        ]
        return {"object": "list", "data": data}

    @app.post("/v1/chat/completions")
    async def chat(body: ChatBody, request: Request) -> Response:
        call = chat_call(body, request.headers, server.models)
        usage = bool((body.stream_options or {}).get("include_usage"))
        return await server.answer(request, call, bool(body.stream), ChatWire, usage)

    @app.post("/v1/completions")
    async def completions(body: CompletionBody, request: Request) -> Response:
        call = completion_call(body, request.headers, server.models)
        usage = bool((body.stream_options or {}).get("include_usage"))
        return await server.answer(request, call, bool(body.stream), CompletionWire, usage)

    @app.post("/v1/responses")
    async def responses(body: ResponsesBody, request: Request) -> Response:
        call = responses_call(body, request.headers, server.models)
        return await server.answer(request, call, bool(body.stream), ResponsesWire)

    @app.post("/v1/messages")
    async def messages(body: MessagesBody, request: Request) -> Response:
        call = messages_call(body, request.headers, server.models)
        return await server.answer(request, call, bool(body.stream), MessagesWire)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(server.metrics.text(), media_type="text/plain; version=0.0.4")

    return app


def _errors(app: FastAPI) -> None:
    """Errors in the shape that OpenAI's and Anthropic's clients know."""

    def answer(error: ApiError) -> JSONResponse:
        return JSONResponse(error.json(), status_code=error.status, headers=error.headers)

    async def api(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return answer(error)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = str(next((part for part in first["loc"] if part != "body"), ""))
        return answer(ApiError(f"{where or 'the body'}: {first['msg']}", where or None))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return answer(ApiError(str(error.detail), status=error.status_code, headers=error.headers))

    handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        ApiError: api,
        RequestValidationError: invalid,
        HTTPException: http,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
