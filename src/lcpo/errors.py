"""What can go wrong, as four classes: ConfigError, TaskError, EngineError, MissingExtra, all below LcpoError.

Every message says what was given, what is allowed, and what to do.
"""

import difflib
from collections.abc import Iterable

MANY = 60
"""Names beyond which an error does not list them all."""


class LcpoError(Exception):
    """Anything that lcpo reports to a person in one line; the command line exits with 1."""

    exit_code = 1


class ConfigError(LcpoError):
    """A setting, name or argument is wrong; the command line exits with 2."""

    exit_code = 2


class TaskError(LcpoError):
    """A data file or task cannot be used as it is."""


class EngineError(LcpoError):
    """A model, server or trainer cannot do what was asked."""


class RequestError(EngineError):
    """One request cannot be answered; others may be."""


class MissingExtra(LcpoError):
    """An optional dependency is not installed; the message names the extra to install."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: run  pip install 'lcpo[{extra}]'")


def unknown(what: str, given: str, allowed: Iterable[str]) -> ConfigError:
    """The error for a name that does not exist: names the nearest one, and all that there are unless they are many."""
    names = sorted(allowed)
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    known = f" Known: {', '.join(names)}." if len(names) <= MANY else ""
    return ConfigError(f"unknown {what} '{given}'.{hint}{known}")
