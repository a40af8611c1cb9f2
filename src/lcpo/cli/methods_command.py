"""`lcpo methods`: the decoding methods, a line each."""

import click

from lcpo.cli import emit


@click.command("methods")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(as_json: bool) -> None:
    """List the decoding methods: what `lcpo eval --methods` takes, with their options."""
    from lcpo.decode import METHODS, options

    found = {
        name: {"about": one.about, "options": options(one), "budgeted": one.budgeted, "scope": one.scope}
        for name, one in METHODS.items()
    }
    lines = []
    for name, one in METHODS.items():
        settings = "".join(f":{key}={value}" for key, value in options(one).items())
        lines.append(f"{name:10} {one.about}{f' (options {settings})' if settings else ''}")
    emit(found, as_json, "\n".join(lines))
