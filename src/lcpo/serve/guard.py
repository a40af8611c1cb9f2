"""Who may speak to the server, and how much they may send: the first thing that a request meets.

A server on this machine alone answers only to this machine's names, so that no page of the web can reach it under a
name of its own; a page of another origin is refused everywhere. Keys are compared as hashes, in constant time.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lcpo.serve.calls import ApiError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS = frozenset({"/", "/health"})
"""What needs no key."""


@dataclass(frozen=True)
class Key:
    """A client's key: its hash, and tokens per day (UTC), None for no limit."""

    sha256: bytes
    tokens_per_day: int | None = None


@dataclass(frozen=True)
class Rules:
    """keys: by their names; empty asks for none. hosts: names in the Host header, empty allows all.

    body, headers: bytes. patience: seconds in which a body must have come.
    """

    keys: Mapping[str, Key] = field(default_factory=dict)
    hosts: frozenset[str] = frozenset()
    body: int = 4 * 2**20
    headers: int = 64 * 2**10
    patience: float = 30.0


class Guard:
    """Middleware that refuses what the rules do not allow."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app, self.rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            name = self._check(scope)
        except ApiError as error:
            await error_answer(error)(scope, receive, send)
            return
        scope.setdefault("state", {})["key"] = name
        body = _Body(self.rules, receive)

        async def answer(message: Message) -> None:
            if body.error is None:
                await send(message)
            elif message["type"] == "http.response.start":  # what the application makes of it is of no interest
                await error_answer(body.error)(scope, receive, send)

        await self.app(scope, body.receive, answer)

    def _check(self, scope: MutableMapping[str, Any]) -> str | None:
        """The name of the key. Raises ApiError."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) > self.rules.headers:
            raise ApiError("the headers are too large", status=431)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if self.rules.hosts and _name(host) not in self.rules.hosts:
            raise ApiError("this server does not answer to that Host; add it with --allow-host", status=403)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise ApiError("requests of pages of another origin are not allowed", status=403)
        size = headers.get("content-length", "0")
        if not size.isdigit() or int(size) > self.rules.body:
            raise ApiError(f"a body may have {self.rules.body} bytes", status=413)
        if not self.rules.keys or scope["path"] in OPEN_PATHS:
            return None
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        digest = sha256(given.encode("latin-1"))
        matches = [name for name, known in self.rules.keys.items() if hmac.compare_digest(known.sha256, digest)]
        if not matches:
            text = "no such key; send it as  Authorization: Bearer KEY  or  x-api-key: KEY"
            raise ApiError(text, status=401, headers={"WWW-Authenticate": "Bearer"})
        return matches[0]


class _Body:
    """Reads a body that stays within its size and comes within its time; error: why it did not."""

    def __init__(self, rules: Rules, receive: Receive) -> None:
        self.rules, self.inner, self.read, self.done = rules, receive, 0, False
        self.error: ApiError | None = None

    async def receive(self) -> Message:
        """The next message of the client. Raises ApiError."""
        if self.done:
            return await self.inner()
        try:
            async with asyncio.timeout(self.rules.patience):
                message = await self.inner()
        except TimeoutError:
            self.error = ApiError("the body did not come in time", status=408)
            raise self.error from None
        self.read += len(message.get("body", b""))
        self.done = not message.get("more_body", False)
        if self.read > self.rules.body:
            self.error = ApiError(f"a body may have {self.rules.body} bytes", status=413)
            raise self.error
        return message


def _name(host: str) -> str:
    """A Host header without its port."""
    try:
        return (urlsplit("//" + host).hostname or "").lower()
    except ValueError:
        return ""


def sha256(key: bytes) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key).digest()


def error_answer(error: ApiError) -> Response:
    """What a client is told; in ASCII, since it may repeat halves of characters that the client has sent."""
    return Response(json.dumps(error.json()), error.status, error.headers, media_type="application/json")
