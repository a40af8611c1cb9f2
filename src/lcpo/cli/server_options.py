"""Options of every command that may speak to a server."""

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click

from lcpo.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])


def server_options(command: F) -> F:
    """Adds the fields of lcpo.engines.openai.Connection that a user may set, in their order."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def read_key(context: click.Context, parameter: click.Parameter, given: str | None, plain: bool = False) -> str | None:
    """The key itself: of a file, a variable, or typed in; with `plain` also as it stands there. Raises ConfigError."""
    option = parameter.opts[0]
    if given is None:
        return None
    key = given
    if given == "-":
        asked = sys.stdin.isatty()
        key = click.prompt("API key", hide_input=True, err=True) if asked else sys.stdin.readline()
    elif given.startswith("env:"):
        key = os.environ.get(given[4:], "")
    elif given.startswith("@"):
        try:
            with open(given[1:], encoding="utf-8") as file:
                key = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the API key from {given[1:]}: {error}") from None
    elif plain:
        click.echo(
            "warning: other users of this machine can see the key in the list of processes; give it as @FILE, env:NAME,"
            " - (asks for it), or in OPENAI_API_KEY",
            err=True,
        )
    else:
        raise ConfigError(f"{option} takes @FILE, env:NAME, or - to be asked; others can read a command line")
    key = key.strip()
    if not key:
        raise ConfigError(f"{option} {given} is empty; give @FILE, env:NAME, or - to be asked for it")
    if not key.isprintable() or not key.isascii():
        raise ConfigError(f"{option} {given[:1]}... holds signs that no key has; give the key alone")
    return key


def _names(context: click.Context, parameter: click.Parameter, given: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in given.split(",") if name.strip())


OPTIONS = (
    click.option(
        "--api-key",
        metavar="@FILE",
        callback=partial(read_key, plain=True),
        help="Key of a server: @FILE, env:NAME, or - to be asked. [default: env:LCPO_API_KEY or env:OPENAI_API_KEY]",
    ),
    click.option("--tokenizer", metavar="NAME", help="Of a server's model, for methods that continue a text."),
    click.option(
        "--thought-opened/--no-thought-opened",
        "opened",
        default=None,
        help="Whether a server's chat template opens <think>. [default: the tokenizer says, else unknown]",
    ),
    click.option(
        "--without",
        metavar="LIST",
        default="",
        callback=_names,
        help="Parameters that a server does not take: temperature,top_p,seed ...",
    ),
    click.option("--parallel", type=click.IntRange(1), metavar="N", help="Requests to a server at once. [default: 16]"),
)
