"""`lcpo serve`: a model behind the APIs that people call."""

from pathlib import Path
from typing import Any

import click

from lcpo.cli.server_options import read_key
from lcpo.errors import MissingExtra

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("serve")
@click.argument("model", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Another address needs a key.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--name", metavar="NAME", help="What clients call the model. [default: its own name]")
@click.option("--api-key", metavar="@FILE", callback=read_key, help="Key of the operator: @FILE, env:NAME, or -.")
@click.option("--keys", type=FILE, help="TOML file of keys with tokens per day; what they used is kept beside it.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="Answer to this name in the Host header too.")
@click.option("--effort", multiple=True, metavar="LEVEL=N", help="Tokens of a level, for example low=512.")
@click.option("--default-budget", type=click.IntRange(0), metavar="N", help="Where a request has none.")
@click.option("--mode", type=click.Choice(["sentence", "wall", "both"]), help="[default: both if trained, else wall]")
@click.option("--auto", type=FOLDER, metavar="EVALDIR", help="Curve of `lcpo eval`, for budgets called auto.")
@click.option("--target", type=click.FloatRange(0, 1), metavar="ACCURACY", help="What an auto budget shall reach.")
@click.option("--upstream", metavar="URL", help="Stand in front of this server (its /v1) instead of a MODEL.")
@click.option("--upstream-kind", metavar="K", help="vllm, sglang, llama.cpp ... [default: found out]")
@click.option("--upstream-key", metavar="@FILE", callback=read_key, help="Key of the upstream: @FILE, env:NAME, or -.")
@click.option(
    "--wording", metavar="W", help="Budget sentence that the upstream's model was trained on, for example l1."
)
@click.option("--template-argument", metavar="NAME", help="What the upstream's chat template calls the budget.")
@click.option("--deadline", type=click.FloatRange(1), default=600.0, show_default=True, help="Seconds of a response.")
@click.option("--queue", type=click.IntRange(1), default=1024, show_default=True, help="Responses at once.")
def command(model: str | None, **given: Any) -> None:
    """Serve MODEL, or a server, with OpenAI's and Anthropic's APIs and a budget in every request."""
    try:
        from lcpo.serve.run import Options, serve
    except ImportError as error:
        raise MissingExtra(error.name or "fastapi", "serve") from None
    serve(model, Options(**given))
