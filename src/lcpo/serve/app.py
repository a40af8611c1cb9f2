"""The application: routes, and what every request passes through on its way to a backend and back."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Send
from starlette.types import Scope as ScopeType

from lcpo.serve.bodies import (
    ChatBody,
    CompletionBody,
    MessagesBody,
    ResponsesBody,
    Sampled,
    chat_call,
    completion_call,
    messages_call,
    responses_call,
)
from lcpo.serve.calls import ApiError, Call, Outcome, Piece, Plan, Stream
from lcpo.serve.guard import LOOPBACK, Guard, Rules, error_answer
from lcpo.serve.ledger import Ledger, Reservation, reserve_for_key
from lcpo.serve.metrics import Metrics
from lcpo.serve.page import page
from lcpo.serve.plan import Served
from lcpo.serve.wire_messages import MessagesWire
from lcpo.serve.wire_responses import ResponsesWire
from lcpo.serve.wires import ChatWire, CompletionWire, Wire, headers

T = TypeVar("T")
B = TypeVar("B", bound=Sampled)
Headers = Mapping[str, str]
Models = Mapping[str, Served]
LEAST_TASK = 8
"""Tokens that a conversation must have left for another call."""


class Backend(Protocol):
    """Whoever answers: a model in this process, or another server."""

    @property
    def served(self) -> Mapping[str, Served]:
        """The models that it serves, by name."""

    def plan(self, call: Call) -> Plan:
        """How the budget of a call is applied. Raises ApiError where it cannot be."""

    def run(self, call: Call, plan: Plan) -> Stream:
        """The response as it comes; closing the generator cancels it. Raises ApiError."""

    def describe(self, name: str) -> dict[str, Any]:
        """What /v1/models says about a model beside its name."""

    async def close(self) -> None:
        """Lets go of connections."""


class Server:
    """What the routes share.

    deadline: seconds that a response may take. queue: requests at once. rules: who may ask, and use how much; ledger:
    what they have used.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        deadline: float = 600.0,
        queue: int = 1024,
        rules: Rules | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.backend, self.models, self.deadline, self.queue = backend, backend.served, deadline, queue
        self.rules, self.ledger = rules or Rules(hosts=LOOPBACK), ledger or Ledger()
        self.running = 0
        means = {name: served.curve.unbudgeted for name, served in self.models.items() if served.curve}
        self.metrics = Metrics({name: mean for name, mean in means.items() if mean is not None})

    async def answer(self, request: Request, call: Call, wire: type[Wire]) -> Response:
        """The response to a call, as one document or as events."""
        if self.running >= self.queue:
            raise ApiError("the queue is full; try again later", status=503, headers={"Retry-After": "1"})
        key = getattr(request.state, "key", None)
        call, account, total = self._conversation(replace(call, metered=key is not None), key)
        plan = self.backend.plan(call)
        written = wire(call, plan)
        reserved = []
        if key is not None:
            reserved.append(reserve_for_key(self.ledger, key, self.rules.keys[key], plan.limit))
        if account is not None and (taken := self.ledger.reserve(account, "", plan.limit, total)) is not None:
            reserved.append(taken)
        if call.stream:
            told = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", **headers(plan)}
            return EventResponse(self._events(written, reserved), headers=told)
        outcome = await until_gone(request.receive, self._collect(written, reserved))
        if outcome is None:
            raise ApiError("the client hung up", status=499)
        return JSONResponse(written.whole(outcome), headers=headers(plan, outcome))

    def _conversation(self, call: Call, key: str | None) -> tuple[Call, str | None, int | None]:
        """The call with what is left of the budget that its conversation shares, and whose account that is."""
        asked = call.asked
        if asked.conversation is None or asked.task is None:
            return call, None, None
        account = f"conversation:{key or ''}:{asked.conversation}"
        left = asked.task - self.ledger.used(account, "")
        if left < LEAST_TASK:
            raise ApiError(f"the conversation has used its {asked.task} tokens", "output_config.task_budget")
        return replace(call, asked=replace(asked, task=left)), account, asked.task

    async def _pieces(self, wire: Wire, reserved: Sequence[Reservation]) -> AsyncGenerator[Any, None]:
        """The backend's pieces, within the deadline; counted when they are over, whichever way that is.

        A response that breaks off is charged what it had, and all that was reserved where nobody counts tokens.
        """
        self.running += 1
        self.metrics.running.set(self.running)
        model, began, first, status = wire.call.model, time.monotonic(), 0.0, "cancelled"
        used: int | None = 0
        try:
            async with asyncio.timeout(self.deadline), aclosing(self.backend.run(wire.call, wire.plan)) as pieces:
                async for piece in pieces:
                    first = first or time.monotonic() - began
                    if isinstance(piece, Piece):
                        if wire.call.asked.hide and piece.thought:
                            piece = replace(piece, thought="")
                        used = None if used is None or not piece.ids else used + len(piece.ids)
                    else:
                        used = piece.tokens
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
            for reservation in reserved:
                self.ledger.settle(reservation, reservation.tokens if used is None else used)
            self.running -= 1
            self.metrics.running.set(self.running)

    async def _collect(self, wire: Wire, reserved: Sequence[Reservation]) -> Outcome:
        async with aclosing(self._pieces(wire, reserved)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Outcome):
                    return piece
                wire.add(piece)
        raise AssertionError("a response ends with an outcome")

    async def _events(self, wire: Wire, reserved: Sequence[Reservation]) -> AsyncGenerator[bytes, None]:
        """Raises ApiError for what goes wrong before the first piece; later it is an event."""
        begun = False
        try:
            async with aclosing(self._pieces(wire, reserved)) as pieces:
                async for piece in pieces:
                    if not begun:
                        yield wire.begin()
                    begun = True
                    if isinstance(piece, Outcome):
                        yield wire.end(piece)
                    elif data := wire.piece(piece):
                        yield data
        except ApiError as error:
            if not begun:
                raise
            yield wire.error(error)


class EventResponse(Response):
    """Server-sent events. A client that hangs up ends them."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], headers: Mapping[str, str]) -> None:
        super().__init__(None, headers=dict(headers))
        del self.headers["content-length"]
        self.events = events

    async def __call__(self, scope: ScopeType, receive: Receive, send: Send) -> None:
        """Sends them all; an error before the first is an answer of its own."""

        async def send_all() -> None:
            async with aclosing(self.events) as events:
                try:
                    data = await anext(events)
                except ApiError as error:
                    await error_answer(error)(scope, receive, send)
                    return
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": data, "more_body": True})
                async for data in events:
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        await until_gone(receive, send_all())


async def until_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work returns; None where the client hangs up before, and it is cancelled."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task, watch = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watch.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    return None if task.cancelled() else task.result()


def make_app(server: Server) -> FastAPI:
    """The application of a server."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        yield
        await server.backend.close()
        server.ledger.close()

    app = FastAPI(title="lcpo serve", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, rules=server.rules)
    _errors(app)

    playground = page()

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return playground

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        every = {"object": "model", "created": 0, "owned_by": "lcpo"}
        data = [
            {"id": name, **every, "effort": dict(served.effort), **server.backend.describe(name)}
            for name, served in server.models.items()
        ]
        return {"object": "list", "data": data}

    def add(
        path: str, kind: type[B], make: Callable[[B, Headers, Mapping[str, Served]], Call], wire: type[Wire]
    ) -> None:
        async def route(body: kind, request: Request) -> Response:  # type: ignore[valid-type]
            return await server.answer(request, make(body, request.headers, server.models), wire)

        app.post(path, name=path.rpartition("/v1/")[2])(route)

    add("/v1/chat/completions", ChatBody, chat_call, ChatWire)
    add("/v1/completions", CompletionBody, completion_call, CompletionWire)
    add("/v1/responses", ResponsesBody, responses_call, ResponsesWire)
    add("/v1/messages", MessagesBody, messages_call, MessagesWire)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(server.metrics.text(), media_type="text/plain; version=0.0.4")

    return app


def _errors(app: FastAPI) -> None:
    """Errors in the shape that OpenAI's and Anthropic's clients know."""

    @app.exception_handler(ApiError)
    async def api(request: Request, error: ApiError) -> Response:
        return error_answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = str(next((part for part in first["loc"] if part != "body"), ""))
        return error_answer(ApiError(f"{where or 'the body'}: {first['msg']}", where or None))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return error_answer(ApiError(str(error.detail), status=error.status_code, headers=error.headers))
