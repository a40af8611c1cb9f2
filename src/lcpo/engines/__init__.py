"""Engines: one file each; the table below is all there is. They are imported when they are used: torch is slow to."""

import importlib
from collections.abc import Mapping
from typing import Any

from lcpo.engines.base import Engine
from lcpo.engines.models import ModelSource
from lcpo.errors import ConfigError, unknown

__all__ = ["ENGINES", "Engine", "make_engine"]

ENGINES: Mapping[str, str] = {
    "transformers": "lcpo.engines.local:LocalEngine",
    "vllm": "lcpo.engines.vllm:VllmEngine",
}
"""Engines that load a model in this process: name -> module and class, whose `load(path, name)` makes one."""


def make_engine(source: ModelSource, engine: str = "auto", **server: Any) -> Engine:
    """The engine of a model: a client for a URL, else the named one; auto is transformers.

    server: fields of lcpo.engines.openai.Connection; None is their default. Raises ConfigError, EngineError.
    """
    server = {name: value for name, value in server.items() if value not in (None, ())}
    if source.kind == "server":
        from lcpo.engines.openai import Connection, OpenAIEngine

        return OpenAIEngine.connect(source.path, Connection(**server))
    if server:
        raise ConfigError(f"{', '.join(server)}: these are for servers, and {source.name} is none; leave them out")
    name = "transformers" if engine == "auto" else engine
    if name not in ENGINES:
        raise unknown("engine", name, ["auto", *ENGINES])
    module, _, kind = ENGINES[name].partition(":")
    made: Engine = getattr(importlib.import_module(module), kind).load(source.path, source.name)
    return made
