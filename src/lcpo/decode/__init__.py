"""Decoding methods: one file each; the table below is all there is."""

from collections.abc import Mapping
from dataclasses import fields, replace

from lcpo.decode.base import Ask, Method, Response, Steps, together
from lcpo.decode.chat import Chat
from lcpo.decode.direct import Direct
from lcpo.decode.filler import FillerMarks
from lcpo.decode.majority import Majority
from lcpo.decode.prompted import Prompted
from lcpo.decode.s1 import S1
from lcpo.decode.s1_fair import S1Fair
from lcpo.decode.s1_l1 import S1L1
from lcpo.decode.truncate import Truncate
from lcpo.decode.unlimited import Unlimited
from lcpo.errors import ConfigError, unknown

__all__ = ["METHODS", "Ask", "Method", "Response", "Steps", "method", "together"]

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
    found = METHODS[name]
    known = options(found)
    changes: dict[str, int | str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in known:
            raise ConfigError(f"method {name}: {unknown('option', key, known)} Write it as {name}:option=value.")
        if isinstance(known[key], int) and not value.isdigit():
            raise ConfigError(f"method {name}: {key} is a whole number, given {value!r}")
        changes[key] = int(value) if isinstance(known[key], int) else value
    return replace(found, name=spec, **changes) if changes else found
