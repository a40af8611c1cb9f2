"""The shipped recipes: TOML files of this package, each setting with its reason or source.

A recipe that begins with `extends = "<shipped recipe>"` (or a TOML file beside it) states only what differs: its tables
are merged into the other's key by key, [objective] replaces it whole, and `without` names tables, or keys ("trl.seed"),
that are left out.
"""

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from lcpo.config import read_toml
from lcpo.errors import unknown


def names() -> list[str]:
    """The names of all shipped recipes."""
    return sorted(f.name.removesuffix(".toml") for f in resources.files(__name__).iterdir() if f.name.endswith(".toml"))


def text(name: str) -> str:
    """The TOML text of a shipped recipe. Raises ConfigError naming those that exist and the nearest."""
    known = names()
    if name not in known:
        raise unknown("recipe", name, known)
    return resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")


def tables(given: str, folder: Path = Path()) -> tuple[str, dict[str, Any]]:
    """(name, tables) of a shipped recipe or of a TOML file, what it extends merged in. Raises ConfigError.

    folder: where a relative path to a TOML file starts.
    """
    path = folder / given
    if path.suffix == ".toml" or path.is_file():
        return path.stem, extended(read_toml(path), path.parent)
    return given, extended(tomllib.loads(text(given)))


def extended(given: Mapping[str, Any], folder: Path = Path()) -> dict[str, Any]:
    """A recipe's tables with what it extends merged in. Raises ConfigError for an unknown recipe or table."""
    own = dict(given)
    base, without = own.pop("extends", None), own.pop("without", [])
    if base is None:
        return own
    result = tables(str(base), folder)[1]
    for name in without:
        _drop(result, str(name))
    return _merged(result, own)


def _drop(tables: dict[str, Any], name: str) -> None:
    """Leave out a table, or one key of it: "schedule", "trl.lr_scheduler_kwargs"."""
    *outer, last = name.split(".")
    for part in outer:
        inner = tables.get(part)
        tables = inner if isinstance(inner, dict) else {}
    if last not in tables:
        raise unknown("table in without", name, tables)
    del tables[last]


def _merged(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        merge = isinstance(old, dict) and isinstance(value, Mapping) and key not in ("objective", "kinds")
        result[key] = _merged(old, value) if merge and old is not None else value
    return result
