"""Starts a server: loads the model, opens the port, says where it is."""

import socket
from typing import Any, cast

import click
import uvicorn

from lcpo.engines.models import ModelSource, resolve
from lcpo.errors import ConfigError, EngineError, MissingExtra
from lcpo.serve.app import Server, make_app
from lcpo.serve.local import LocalBackend
from lcpo.serve.plan import Served, levels
from lcpo.types import Kind


def serve(model: str, *, host: str, port: int, name: str | None = None) -> None:
    """Serves until it is interrupted. Raises LcpoError."""
    backend = local_backend(model, name)
    app = make_app(Server(backend, {backend.served.name: backend.served}))
    listening = listen(host, port)
    click.echo(f"lcpo: {backend.served.name} at http://{host}:{listening.getsockname()[1]}/v1", err=True)
    config = uvicorn.Config(app, log_level="warning", loop="uvloop", http="httptools", timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """Raises EngineError where the address is taken or is none of this machine."""
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024
        )
    except OSError as error:
        raise EngineError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from None


def local_backend(model: str, name: str | None = None, **operator: Any) -> LocalBackend:
    """A model in this process. Raises LcpoError."""
    source = resolve(model)
    if source.kind == "server":
        raise ConfigError(f"{model} is a server; put lcpo in front of it with --upstream {model}")
    try:
        from lcpo.engines.local import LocalEngine
    except ImportError:
        raise MissingExtra("torch", "train") from None
    engine = LocalEngine.load(source.path, source.name)
    room = getattr(engine.model.config.get_text_config(), "max_position_embeddings", None)
    served = served_model(source, name, **operator)
    return LocalBackend(engine, served, context=room, count=lambda request: len(engine.prompt_ids(request)))


def served_model(source: ModelSource, name: str | None = None, **operator: Any) -> Served:
    """What a model's card or recipe says of its budgets, with what the operator sets."""
    law, measured = source.tables.get("budget") or {}, source.tables.get("evaluate", {})
    told: dict[str, Any] = {
        "wording": law.get("template", "l1") if law else None,
        "kind": cast(Kind, measured.get("kind", "exact")),
        "effort": levels(tuple(measured.get("budgets", ()))),
    }
    return Served(
        name or source.name, **{**told, **{key: value for key, value in operator.items() if value is not None}}
    )
