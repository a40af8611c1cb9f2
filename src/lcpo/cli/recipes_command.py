"""lcpo recipes: what is shipped, a line each; or one recipe's text."""

import click

from lcpo import recipes
from lcpo.cli import emit


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def command(name: str | None, as_json: bool) -> None:
    """List the shipped recipes; with NAME, print that recipe."""
    if name is not None:
        emit(recipes.tables(name)[1], as_json, recipes.text(name).rstrip())
        return
    found = {one: str(recipes.tables(one)[1].get("about", "")) for one in recipes.names()}
    width = max((len(one) for one in found), default=0)
    emit(found, as_json, "\n".join(f"{one:<{width}}  {about}" for one, about in found.items()))
