"""`lcpo serve`: a model behind the APIs that people call."""

import click

from lcpo.errors import MissingExtra


@click.command("serve")
@click.argument("model")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--name", metavar="NAME", help="What clients call the model. [default: its own name]")
def command(model: str, host: str, port: int, name: str | None) -> None:
    """Serve MODEL with OpenAI's and Anthropic's APIs, and a budget in every request."""
    try:
        from lcpo.serve.run import serve
    except ImportError as error:
        raise MissingExtra(error.name or "fastapi", "serve") from None

    serve(model, host=host, port=port, name=name)
