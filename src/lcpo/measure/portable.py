"""What may be written down and shared: secrets are taken out, and local paths are relative."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HIDDEN = "***"
SECRET = re.compile(r"(^|[-_.?&])(api)?(keys?|token|secrets?|passw(or)?ds?|credentials?|auth)$", re.IGNORECASE)
"""Names of options, settings and parameters whose value is a secret."""
HARMLESS = re.compile(r"(eos|pad|bos|unk|mask|stop)_token$", re.IGNORECASE)
"""Names that SECRET would take for one."""
KNOWN = re.compile(r"\b(sk-|hf_|gh[pousr]_|xox[abp]-)[\w-]{8,}|(?<=Bearer )\S+")
"""Keys that are known by their form, wherever they stand."""
USER = re.compile(r"(?<=://)[^/\s@]+@")
PARAMETER = re.compile(r"([?&][\w.-]+)=([^&#\s]+)")
PATH = re.compile(r"(?:(?<=^)|(?<=[\s'\"=\[,(@]))(/[\w.~+-][^\s'\",\])]*)")
"""An absolute path within a text; the path of a URL has its host before it."""


def portable(value: Any) -> Any:
    """`value` (of JSON) with secrets that show by their form replaced by ***, and absolute paths relative to the
    working folder; of a path outside of it the last name remains. Keys of tables too.
    """
    if isinstance(value, str):
        text = KNOWN.sub(HIDDEN, USER.sub("", value))
        text = PARAMETER.sub(lambda match: f"{match[1]}={HIDDEN}" if _secret(match[1]) else match[0], text)
        return _relative(text) if os.path.isabs(text) else PATH.sub(lambda match: _relative(match[1]), text)
    if isinstance(value, Mapping):
        return {portable(key): portable(part) for key, part in value.items()}
    return [portable(part) for part in value] if isinstance(value, list | tuple) else value


def command_line(arguments: Sequence[str]) -> list[str]:
    """A command line that may be written down: what follows --api-key and its like is ***, all else as `portable`."""
    shown: list[str] = []
    hide = False
    for argument in arguments:
        name, given, _ = argument.partition("=")
        option = name.startswith("-")
        if hide and not option:
            shown.append(HIDDEN)
        elif given and _secret(name) and re.fullmatch(r"[\w.-]+", name):
            shown.append(f"{name}={HIDDEN}")
        else:
            shown.append(portable(argument))
        hide = option and not given and _secret(name)
    return shown


def _secret(name: str) -> bool:
    return bool(SECRET.search(name)) and not HARMLESS.search(name)


def _relative(path: str) -> str:
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return Path(path).name
