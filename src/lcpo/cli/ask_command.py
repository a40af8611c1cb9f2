"""`lcpo ask`: one answer, with what it used."""

from typing import Any

import click

from lcpo.cli import emit
from lcpo.cli.server_options import server_options


@click.command("ask")
@click.argument("model")
@click.argument("question")
@click.option("--budget", type=click.IntRange(1), metavar="N", help="Tokens to use. [default: as many as it likes]")
@click.option("--kind", type=click.Choice(["exact", "max"]), help="Exactly, or at most. [default: the model's own]")
@click.option("--method", "spec", metavar="M", help="A method of `lcpo methods`. [default: prompted]")
@click.option("--wording", metavar="W", help="Words of the budget sentence. [default: the model's own]")
@click.option("--temperature", type=click.FloatRange(0), default=0.6, show_default=True, help="0 is greedy.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--cap", type=click.IntRange(1), metavar="N", help="Limit of the response. [default: twice the budget]")
@click.option(
    "--engine",
    metavar="NAME",
    default="auto",
    show_default=True,
    help="What runs a model here; a wrong name lists all.",
)
@server_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(model: str, question: str, as_json: bool, **given: Any) -> None:
    """Ask MODEL one QUESTION, and see what was sent, the answer, and what it used.

    MODEL is a run folder, a folder in Hugging Face format, a model by name (lcpo models), a hub id, or a
    server as URL#model.
    """
    from lcpo.evaluate.asking import ask

    answer = ask(model, question, **given)
    for warning in answer["warnings"]:
        click.echo(f"warning: {warning}", err=True)
    used = f"used {_or_unknown(answer['tokens'])}"
    if answer["budget"] is not None:
        asked = "exactly" if answer["kind"] == "exact" else "at most"
        used = f"asked for {asked} {answer['budget']} tokens, {used}"
    else:
        used += " tokens"
    if answer["thinking_tokens"] is not None:
        used += f" ({answer['thinking_tokens']} thinking, {answer['answer_tokens']} answer)"
    lines = ["> " + printable(answer["prompt"]).replace("\n", "\n> "), "", printable(answer["text"]), "", used]
    if answer["finish_reason"] == "length":
        lines.append("the response was cut by the cap; give a larger --cap")
    emit(answer, as_json, "\n".join(lines))


def printable(text: str) -> str:
    """Text without control characters: a model's words must not steer a terminal."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\ufffd" for sign in text)


def _or_unknown(tokens: int | None) -> str:
    return "an unknown number of" if tokens is None else str(tokens)
