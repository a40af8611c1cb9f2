"""The command line: a command is a module here, loaded when used, so that `--help` is fast and free of torch."""

import importlib
import json
import sys
from typing import Any

import click

from lcpo.errors import LcpoError, unknown

COMMANDS = {
    "demo": "Five minutes: a model before, a short training, and after.",
    "init": "Write a recipe of one's own, from a model and a data file.",
    "train": "Train a model to obey a token budget.",
    "eval": "Measure accuracy and length at every budget.",
    "report": "Make one HTML page from evaluations and runs.",
    "ask": "Ask one question, and see what the answer used.",
    "serve": "Serve a model with a budget in every request.",
    "show": "Show rollouts of a run: asked, used, right or wrong.",
    "tasks": "List the tasks, or check one.",
    "objectives": "List the objectives and presets.",
    "methods": "List the decoding methods.",
    "recipes": "List the shipped recipes.",
    "models": "List the models by name; build, audit or export one.",
    "plan": "What a recipe will take: memory, tokens, hours.",
}
"""Every command with its line in --help; its module is lcpo.cli.<name>_command."""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"lcpo.cli.{cmd_name}_command").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(str(unknown("command", args[0], COMMANDS)), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lcpo")
def cli() -> None:
    """Make a reasoning model obey a token budget: train it, measure it."""


def emit(result: Any, as_json: bool, text: str) -> None:
    """Print a result to stdout: `text` for people, one JSON document with --json."""
    click.echo(json.dumps(result, allow_nan=False) if as_json else text)


def main() -> None:
    """Entry point: exit code 0 done, 1 failed, 2 wrong use; an LcpoError is one line on stderr, never a traceback."""
    try:
        cli()
    except LcpoError as error:
        click.echo(f"lcpo: {error}", err=True)
        sys.exit(error.exit_code)
