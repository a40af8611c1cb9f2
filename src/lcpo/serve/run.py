"""Starts a server: loads the model, opens the port, says where it is."""

import asyncio
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import click
import uvicorn

from lcpo.budgets.prompting import template_named
from lcpo.engines.models import ModelSource, resolve
from lcpo.errors import ConfigError, EngineError, MissingExtra
from lcpo.serve.app import Server, make_app
from lcpo.serve.calls import Mode
from lcpo.serve.curve import read_curve
from lcpo.serve.guard import LOOPBACK, Key, Rules, sha256
from lcpo.serve.kinds import detect
from lcpo.serve.ledger import Ledger, read_keys
from lcpo.serve.local import LocalBackend
from lcpo.serve.plan import Served, levels
from lcpo.serve.upstream import UpstreamBackend
from lcpo.types import Kind

INTERVAL = 0.04
"""Seconds between two events of a stream at least: 25 a second look fluent, and each costs as much as a token."""


@dataclass(frozen=True)
class Options:
    """What the command line says of the server; None where it says nothing."""

    host: str = "127.0.0.1"
    port: int = 8000
    name: str | None = None
    api_key: str | None = field(default=None, repr=False)
    keys: Path | None = None
    allow_host: tuple[str, ...] = ()
    effort: tuple[str, ...] = ()
    default_budget: int | None = None
    mode: str | None = None
    auto: Path | None = None
    target: float | None = None
    upstream: str | None = None
    upstream_kind: str | None = None
    upstream_key: str | None = field(default=None, repr=False)
    wording: str | None = None
    template_argument: str | None = None
    deadline: float = 600.0
    queue: int = 1024


def serve(model: str | None, options: Options) -> None:
    """Serves until it is interrupted. Raises LcpoError."""
    rules = _access(options)
    if (model is None) == (options.upstream is None):
        raise ConfigError("give a MODEL, or --upstream URL to stand in front of a server")
    if options.target is not None and options.auto is None:
        raise ConfigError("--target goes with --auto EVALDIR")
    if options.wording is not None:
        template_named(options.wording)
    backend = upstream_backend(options.upstream, options) if options.upstream else local_backend(str(model), options)
    ledger = Ledger(str(options.keys.with_suffix(".sqlite")) if options.keys else ":memory:")
    server = Server(backend, rules=rules, ledger=ledger, deadline=options.deadline, queue=options.queue)
    listening = listen(options.host, options.port)
    for name in backend.served:
        kept = backend.describe(name)["enforced"]
        click.echo(f"lcpo: {name}, budgets kept by: {kept}", err=True)
    click.echo(f"lcpo: http://{options.host}:{listening.getsockname()[1]}/v1", err=True)
    config = uvicorn.Config(
        make_app(server), log_level="warning", loop="uvloop", http="httptools", timeout_graceful_shutdown=5
    )
    uvicorn.Server(config).run(sockets=[listening])


def _access(options: Options) -> Rules:
    """Who may ask. Raises ConfigError for an address that others reach and no key."""
    keys = dict(read_keys(options.keys)) if options.keys else {}
    if options.api_key:
        keys["admin"] = Key(sha256(options.api_key.encode()))
    local = options.host in LOOPBACK or options.host.startswith("127.")
    if not local and not keys:
        raise ConfigError(f"--host {options.host} can be reached by others; give --api-key @FILE or --keys FILE")
    hosts = LOOPBACK | {options.host} | set(options.allow_host) if local else frozenset(options.allow_host)
    return Rules(keys, frozenset(hosts))


def _efforts(given: tuple[str, ...]) -> dict[str, int | None]:
    """Tokens of the levels that the operator sets. Raises ConfigError."""
    effort: dict[str, int | None] = {}
    for level in given:
        name, _, number = level.partition("=")
        if not re.fullmatch(r"-1|\d+", number):
            raise ConfigError(f"--effort {level}: give LEVEL=TOKENS, for example low=512; -1 is no limit")
        effort[name] = None if number == "-1" else int(number)
    return effort


def listen(host: str, port: int) -> socket.socket:
    """Raises EngineError where the address is taken or is none of this machine."""
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024
        )
    except OSError as error:
        raise EngineError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from None


def local_backend(model: str, options: Options) -> LocalBackend:
    """A model in this process. Raises LcpoError."""
    source = resolve(model)
    if source.kind == "server":
        raise ConfigError(f"{model} is a server; put lcpo in front of it with --upstream {model}")
    try:
        from lcpo.engines.local import LocalEngine
    except ImportError:
        raise MissingExtra("torch", "train") from None
    engine = LocalEngine.load(source.path, source.name)
    engine.interval = INTERVAL
    room = getattr(engine.model.config.get_text_config(), "max_position_embeddings", None)
    served = served_model(source, options, options.name or source.name)
    return LocalBackend(engine, served, context=room, count=lambda request: len(engine.prompt_ids(request)))


def upstream_backend(url: str, options: Options) -> UpstreamBackend:
    """In front of a server. Raises LcpoError."""
    found = asyncio.run(detect(url, options.upstream_key, options.upstream_kind))
    served = {name: served_model(ModelSource(name, url, "server"), options, name) for name in found.models}
    return UpstreamBackend(
        found,
        served,
        key=options.upstream_key,
        template_argument=options.template_argument,
        deadline=options.deadline,
    )


def served_model(source: ModelSource, options: Options, name: str) -> Served:
    """What a model's card or recipe says of its budgets, with what the operator sets."""
    law, measured = source.tables.get("budget") or {}, source.tables.get("evaluate", {})
    curve = read_curve(options.auto, source.name) if options.auto is not None else None
    return Served(
        name,
        wording=options.wording or (law.get("template", "l1") if law else None),
        kind=cast(Kind, measured.get("kind", "exact")),
        effort={**levels(tuple(measured.get("budgets", ()))), **_efforts(options.effort)},
        default=options.default_budget,
        mode=cast(Mode | None, options.mode),
        answer=round(curve.answer) if curve is not None and curve.answer is not None else 0,
        curve=curve,
        target=options.target,
    )
