"""lcpo tiny build: make the tiny base again, from nothing."""

from pathlib import Path

import click

from lcpo.cli import emit


@click.group(name="tiny")
def command() -> None:
    """The tiny reasoner."""


@command.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/tiny-base"), show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Another seed, another base.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def build(out: Path, seed: int, threads: int, as_json: bool) -> None:
    """Pre-train the base: a quarter of an hour on one free core. An interrupted build goes on where it stopped."""
    from lcpo.train.pretrain import build as make

    folder = make(out, seed, threads=threads)
    emit({"model": str(folder)}, as_json, f"the tiny base is in {folder}")
