"""What MODEL on a command line means: a run folder, a Hugging Face folder, a shipped model, a hub id, or a server's
URL.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from lcpo.config import read_toml
from lcpo.errors import ConfigError, EngineError, unknown
from lcpo.measure import files

MODELS = Path(str(resources.files("lcpo"))) / "models"
WEIGHTS = MODELS / "tiny" / "weights"
SHIPPED = {name: WEIGHTS / name for name in ("tiny", "tiny-exact", "tiny-max") if (WEIGHTS / name).is_dir()}
"""Models that ship as package data, by name: the search world's base, and what LCPO made of it."""
ADAPTERS = MODELS / "smol" / "weights"
ADAPTED = ("smol", "smol-exact", "smol-max")
"""Models that are smollm2 with an adapter, which lies with its card in ADAPTERS, under the model's name."""
BUILT = ("smollm2", "smollm2-hub", *ADAPTED)
"""Models that `lcpo models build NAME` makes on this machine, in the user's cache."""
MADE_FROM = "made_from.json"
"""The file in which a model with an adapter says which one that was."""
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
SERVER = re.compile(r"https?://[^#\s]+(#.+)?")


@dataclass(frozen=True)
class ModelSource:
    """A model and where it is.

    path: a folder, a hub id, or a server's URL. tables: what its run's recipe says, else what its model card says (the
    same tables: task, budget, evaluate); empty where it says nothing.
    """

    name: str
    path: str
    kind: Literal["run", "folder", "shipped", "built", "hub", "server"]
    tables: Mapping[str, Any] = field(default_factory=dict)


def is_server(path: str) -> bool:
    """Whether a model's path is a server's URL."""
    return SERVER.fullmatch(path) is not None


def built(name: str) -> Path:
    """The folder in the user's cache (XDG_CACHE_HOME, else ~/.cache) where the model `name` is, once it is built."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lcpo" / name


def unready(name: str) -> str | None:
    """Why the model `name`, one of BUILT, cannot be used yet and what to do; None where it can."""
    adapter = ADAPTERS / name if name in ADAPTED else None
    if adapter is not None and not (adapter / "adapter_model.safetensors").is_file():
        return "has no adapter in this version of lcpo; train it:  lcpo train smol-exact"
    folder = built(name)
    if not os.path.isfile(folder / "config.json"):  # False too where the folder cannot be read
        return f"is not on this machine yet; run  lcpo models build {name}"
    if adapter is not None and made_from(folder) != files.model_sha256(adapter):
        return f"was made from another adapter than this version of lcpo has; run  lcpo models build {name}"
    return None


def made_from(folder: Path) -> str | None:
    """The hash of the adapter that a built model was made from, None where its file does not say."""
    path = folder / MADE_FROM
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["adapter_sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def resolve(model: str) -> ModelSource:
    """The source that `model` names, looked up in this order: URL, shipped or built name, folder, hub id.

    Raises ConfigError where it is none of them, or a run that has no model yet.
    """
    if is_server(model):
        url, _, name = model.partition("#")
        return ModelSource(
            name or urlsplit(url).netloc.rpartition("@")[2], url + (f"#{name}" if name else ""), "server"
        )
    if model in SHIPPED:
        folder = SHIPPED[model]
        if not (folder / "config.json").is_file():
            raise EngineError(
                f"the weights of '{model}' are not in this installation; install lcpo from its wheel again"
            )
        return ModelSource(model, str(folder), "shipped", card_tables(folder))
    if model in BUILT:
        if (reason := unready(model)) is not None:
            raise EngineError(f"'{model}' {reason}")
        card = ADAPTERS / model if model in ADAPTED else built(model)
        return ModelSource(model, str(built(model)), "built", card_tables(card))
    path = Path(model)
    if path.is_dir():
        return _folder(path)
    if HUB_ID.fullmatch(model) and not model.startswith(("./", "../", "runs/")):
        return ModelSource(model.split("/")[1], model, "hub")
    raise unknown(
        "model", model, [*SHIPPED, *BUILT, "a run folder", "a Hugging Face folder", "a hub id (owner/name)", "a URL"]
    )


def _folder(path: Path) -> ModelSource:
    name = path.resolve().name
    if (path / "recipe.toml").is_file():
        if not (path / "model" / "config.json").is_file():
            raise ConfigError(f"{path} is a run without a finished model/; let the run end (lcpo train ... --resume)")
        return ModelSource(name, str(path / "model"), "run", read_toml(path / "recipe.toml"))
    if not (path / "config.json").is_file():
        raise ConfigError(f"{path} holds neither recipe.toml (a run) nor config.json (a model in Hugging Face format)")
    if name == "model" and (path.parent / "recipe.toml").is_file():
        return ModelSource(path.resolve().parent.name, str(path), "run", read_toml(path.parent / "recipe.toml"))
    return ModelSource(name, str(path), "folder", card_tables(path))


def card_tables(folder: Path) -> Mapping[str, Any]:
    """The tables task, budget and evaluate of a folder's card (card_block). Raises ConfigError."""
    tables = card_block(folder)
    return {name: tables[name] for name in ("task", "budget", "evaluate") if isinstance(tables.get(name), dict)}


def card_block(folder: Path) -> Mapping[str, Any]:
    """The last ```toml block in a folder's README.md; empty where there is none.

    Raises ConfigError where the block is malformed.
    """
    card = folder / "README.md"
    if not card.is_file():
        return {}
    blocks = re.findall(r"^```toml\n(.*?)^```", card.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    if not blocks:
        return {}
    try:
        return tomllib.loads(blocks[-1])
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the toml block of {card} is malformed: {error}") from None
