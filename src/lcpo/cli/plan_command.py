"""lcpo plan: what a recipe will take, before it is started."""

import click

from lcpo.cli import emit


@click.command()
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]")
@click.option("--gpus", default="8xH100", show_default=True, help="Cards: COUNTxCARD, or NODESxCOUNTxCARD.")
@click.option("--size", help="The model's size (0.5B, 1.5B, ...); default: what its config.json says, or its name.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as one JSON document.")
def command(recipe: str, overrides: tuple[str, ...], gpus: str, size: str | None, as_json: bool) -> None:
    """Print what a RECIPE will take: memory of a card, tokens, and a range of hours, with what they rest on."""
    from lcpo.cluster.plan import plan, text
    from lcpo.recipes.recipe import read_recipe

    _, read = read_recipe(recipe, overrides)
    planned = plan(read, gpus, size)
    emit(planned, as_json, text(planned))
