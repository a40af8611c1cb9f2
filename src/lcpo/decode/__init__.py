"""Decoding methods: how a budget is imposed on a response. The table below is all there is; to add one: one line."""

from collections.abc import Mapping
from dataclasses import fields, replace

from lcpo.decode.base import Ask, Method, Response, Steps, run_method, run_methods
from lcpo.decode.forcing import S1, S1Fair, Truncate
from lcpo.decode.majority import Majority
from lcpo.decode.plain import Chat, Direct, FillerMarks, Prompted, Unlimited
from lcpo.decode.s1_l1 import S1L1
from lcpo.errors import ConfigError, unknown

__all__ = ["METHODS", "Ask", "Method", "Response", "Steps", "method", "options", "run_method", "run_methods"]

METHODS: Mapping[str, Method] = {
    "prompted": Prompted(),
    "unlimited": Unlimited(),
    "truncate": Truncate(),
    "s1": S1(),
    "s1_fair": S1Fair(),
    "s1_l1": S1L1(),
    "direct": Direct(),
    "filler": FillerMarks(),
    "majority": Majority(),
    "chat": Chat(),
}


def options(given: Method) -> dict[str, int | str]:
    """What can be changed about a method, with its values."""
    return {f.name: getattr(given, f.name) for f in fields(given) if f.name != "name"}


def method(spec: str) -> Method:
    """A method by name, with options after colons: "s1", "s1:waits=4", "majority:votes=8".

    Its name is then the whole spec, so that samples of different options are never mixed. Raises ConfigError naming
    what exists.
    """
    name, *settings = spec.split(":")
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    plain = METHODS[name]
    known = options(plain)
    changes: dict[str, int | str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in known:
            raise ConfigError(f"method {name}: {unknown('option', key, known)} Write it as {name}:option=value.")
        if isinstance(known[key], int) and not value.isdigit():
            raise ConfigError(f"method {name}: {key} is a whole number, given {value!r}")
        changes[key] = int(value) if isinstance(known[key], int) else value
    return replace(plain, name=spec, **changes) if changes else plain
