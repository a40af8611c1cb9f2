"""The base of all that is read from text (TOML, command line, HTTP): strict, frozen, with errors a person can use."""

import copy
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, get_args

import pydantic
from pydantic import BaseModel, ConfigDict

from lcpo.errors import ConfigError, unknown


class Config(BaseModel):
    """A frozen table of settings; unknown keys and wrong types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @classmethod
    def read(cls, table: Mapping[str, Any], where: str) -> Self:
        """The settings in `table`. Raises ConfigError naming `where`, the key, what was given and what is allowed."""
        try:
            return cls.model_validate(table)
        except pydantic.ValidationError as error:
            raise ConfigError(_explain(cls, error, where)) from None


def _explain(cls: type[BaseModel], error: pydantic.ValidationError, where: str) -> str:
    """All keys that are missing, then what is wrong with the first three others, in one line."""
    errors = error.errors()
    missing = [_key(cls, each["loc"]) for each in errors if each["type"] == "missing"]
    told = [f"{', '.join(missing)} must be given"] if missing else []
    told += [_one_error(cls, each) for each in errors if each["type"] != "missing"]
    more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
    return f"{where}: {'; '.join(told[:3])}{more}"


def _one_error(cls: type[BaseModel], error: Any) -> str:
    key, given, context = _key(cls, error["loc"]), error["input"], error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        outer = _key(cls, error["loc"][:-1])
        names = {name for model in _models_at(cls, error["loc"][:-1])[0] for name in model.model_fields}
        return str(unknown("key", key, [f"{outer}.{name}" if outer else name for name in names])).removesuffix(".")
    if error["type"] == "union_tag_invalid":
        allowed = [name.strip("' ") for name in context["expected_tags"].split(",")]
        return str(unknown(f"{key}.{context['discriminator'].strip(chr(39))}", context["tag"], allowed)).removesuffix(
            "."
        )
    if error["type"] == "union_tag_not_found":
        return f"{key} must say its {context['discriminator']}"
    value = "" if isinstance(given, Mapping) else f" (given {given!r})"
    return f"{key or 'settings'}: {error['msg'].removeprefix('Value error, ')}{value}"


def _key(cls: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """The dotted key as a person writes it, without the names of union members."""
    return ".".join(_models_at(cls, loc)[1])


def _models_at(cls: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[list[type[BaseModel]], list[str]]:
    """The models that may stand at a place of `cls`, and the place without the names of union members."""
    models, path = [cls], []
    for part in loc:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        if fields:
            models = [inner for field in fields for inner in _models_in(field.annotation)]
        elif isinstance(part, str) and (named := [model for model in models if _is_named(model, part)]):
            models = named
            continue
        path.append(str(part))
    return models, path


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _is_named(model: type[BaseModel], tag: str) -> bool:
    """Whether a union tells this model from others by the name `tag`."""
    return any(tag in get_args(field.annotation) for field in model.model_fields.values())


def apply_overrides(table: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """`table` with dotted overrides applied (`objective.alpha=1e-3`). Raises ConfigError where one is malformed."""
    result: dict[str, Any] = copy.deepcopy(table)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise ConfigError(f"override {override!r} is not key=value, for example objective.alpha=1e-3")
        *path, last = key.strip().split(".")
        here = result
        for part in path:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                raise ConfigError(f"override {override!r}: {part} is a value, not a table")
        try:
            here[last] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            here[last] = value  # a bare word is a string
    return result


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigError where it is missing or malformed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
