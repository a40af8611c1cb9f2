"""A real `lcpo serve` on a free port, in a thread, and a model with a dial behind it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import uvicorn
from fastapi import FastAPI

from lcpo.engines.base import Request
from lcpo.engines.scripted import ScriptedEngine
from lcpo.serve.app import Server, make_app
from lcpo.serve.local import LocalBackend
from lcpo.serve.plan import Served
from lcpo.serve.run import Options, listen, local_backend
from sums_model import EXACT

QUESTION = [{"role": "user", "content": "Add b48 c17 d93 e25."}]
"""Its answer is 83."""


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The address of a server, which ends with the block."""
    port = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, log_level="warning", loop="uvloop", http="httptools", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [port]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        port.close()


@cache
def tiny() -> LocalBackend:
    """The sums world's model with a dial, loaded once."""
    return local_backend(str(EXACT), Options())


@contextmanager
def serving_tiny(**options: Any) -> Iterator[str]:
    """A server of it."""
    with serving(make_app(Server(tiny(), **options))) as url:
        yield url


@contextmanager
def serving_script(script: Callable[[Request], str], **served: Any) -> Iterator[str]:
    """A server of a scripted engine called `talker`."""
    model = Served("talker", **served)
    backend = LocalBackend(ScriptedEngine(script), model)
    with serving(make_app(Server(backend))) as url:
        yield url
