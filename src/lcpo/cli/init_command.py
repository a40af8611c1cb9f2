"""`lcpo init`: a commented minimal recipe of one's own, from a model and a data file."""

import json
import os
from pathlib import Path
from typing import Any

import click

from lcpo.cli import emit

SMALL, LARGE = 256, 1024
"""Largest budget where nothing is known: a model of up to 2,048 positions, and any other."""
NARROW = 512
"""Width of the hidden state below which a model is trained whole, without an adapter."""
WHOLE = 'without = ["lora"]                # a small model: all of its weights are trained\n'

RECIPE = """\
# A recipe of lcpo. Check it:  lcpo train {file} --dry-run     Train:  lcpo train {file}
# What it takes:  lcpo plan {file}
# What is not said here is as in lcpo-{kind}, which explains every line:  lcpo recipes lcpo-{kind}
extends = "lcpo-{kind}"
{without}model = {model}{model_note}
seed = 0

[task]
data = {data}{data_note}
{columns}
verifier = "{verifier}"{verifier_note}
# exclude = ["math500.json"]      # test sets whose problems are kept out of training

[budget.law]                      # tokens; what is evaluated and where responses are cut follow from it
low = {low}
high = {high}{high_note}

[hindsight]                       # first the dial: the model's own samples, each told a length that it has
samples = 2000                    # of a round; there are two
steps = 200

[group]                           # then RL: be right, and use the tokens that were asked for
problems = 16                     # problems of a generation, with 16 rollouts each

[trl]                             # passed to TRL's GRPOConfig unchanged
max_steps = 300
learning_rate = {rate}{rate_note}
"""


@click.command("init")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="recipe.toml")
@click.option("--model", required=True, metavar="MODEL", help="A shipped name, a folder, or a hub id.")
@click.option("--data", required=True, metavar="FILE", help="Problems with answers: a file, or hub:owner/name@REV.")
@click.option("--columns", metavar="MAP", help="Which column holds what, for example problem=question,answer=label.")
@click.option("--kind", type=click.Choice(["exact", "max"]), default="exact", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print what was guessed as one JSON document.")
def command(file: Path, model: str, data: str, columns: str | None, kind: str, as_json: bool) -> None:
    """Write a commented minimal recipe to FILE (recipe.toml), and say what was guessed."""
    from lcpo.errors import ConfigError
    from lcpo.measure.files import write_text
    from lcpo.recipes.recipe import read_recipe
    from lcpo.tasks.columns import parse

    if file.exists():
        raise ConfigError(f"{file} is there already; give another FILE, or remove it")
    if file.suffix != ".toml":
        raise ConfigError(f"a recipe's name ends in .toml, given {file}")
    of_data, guesses = _data(data, parse(columns))
    of_model, more = _model(model)
    values: dict[str, Any] = {**of_data, **of_model, "file": file, "kind": kind}
    values["data"] = json.dumps(_from(file, data), ensure_ascii=False)
    write_text(file, RECIPE.format(**values))
    read_recipe(str(file))
    guesses += more
    emit({"file": str(file), "guesses": guesses}, as_json, "\n".join([*guesses, "", f"{file} is written; check it with"
         f"  lcpo train {file} --dry-run"]))  # fmt: skip


def _from(file: Path, data: str) -> str:
    """A data file as the recipe's folder sees it."""
    path, separator, member = data.partition("::")
    if data.startswith("hub:") or Path(path).is_absolute():
        return data
    return os.path.relpath(path, file.parent) + separator + member


def _data(data: str, given: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """(values for the recipe, what was guessed) of a data file. Raises TaskError."""
    from lcpo.errors import TaskError
    from lcpo.tasks import columns as roles
    from lcpo.tasks.dataset import load
    from lcpo.tasks.reading import read

    table, named = read(data, roles.header(given)), dict(given)
    guesses = []
    try:
        roles.resolve(table, given)
    except TaskError:
        named |= {role: column for role, column in roles.propose(table, {}).items() if role not in given}
        guesses.append(f"columns by their contents, of {', '.join(table.columns)}: look whether they are right")
    places = roles.resolve(table, named)
    loaded = load(data, columns=named)
    options = sum(bool(problem.options) for problem in loaded.problems)
    verifier = "choice" if options == len(loaded.problems) else "math"
    shown = ", ".join(
        f"{role} = {json.dumps('|'.join(columns), ensure_ascii=False)}" for role, columns in places.items()
    )
    guesses.append(f"columns: {shown}")
    guesses.append(f"verifier {verifier}: {options} of {len(loaded.problems)} problems have options")
    guesses += [f"warning: {note}" for note in loaded.notes]
    written = ", ".join(f"{role} = {json.dumps(column, ensure_ascii=False)}" for role, column in named.items())
    return {
        "columns": f"columns = {{ {written} }}"
        if named
        else f"# columns = {{ {shown} }}   # recognised by their names",
        "data_note": f"   # {len(loaded.problems)} problems; left out: {loaded.dropped}",
        "verifier": verifier,
        "verifier_note": "" if verifier == "choice" else '             # or "exact": the same text',
    }, guesses


def _model(model: str) -> tuple[dict[str, Any], list[str]]:
    """(values for the recipe, what was guessed) of a model. Raises ConfigError."""
    from lcpo.engines.models import resolve
    from lcpo.errors import ConfigError

    source = resolve(model)
    if source.kind == "server":
        raise ConfigError(f"{model} is a server, and a server cannot be trained; give a folder or a hub id")
    path = Path(source.path) / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    context, small = config.get("max_position_embeddings"), config.get("hidden_size", NARROW) < NARROW
    own = source.tables.get("evaluate", {}).get("budgets")
    high = max(own) if own else SMALL if context and context <= 2048 else LARGE
    high = min(high, (context or 2**31) // 8)
    reason = (
        "as the model's card says" if own else f"an eighth of {context:,} positions at most" if context else "a guess"
    )
    low = max(4, high // 16)
    return {
        "model": json.dumps(model, ensure_ascii=False),
        "model_note": f"   # {context:,} positions" if context else "",
        "low": low,
        "high": high,
        "high_note": f"   # {reason}; make it about as long as your model thinks",
        "without": WHOLE if small else "",
        "rate": "3e-4" if small else "5e-5",
        "rate_note": "" if small else "              # of an adapter; for all weights 1e-6 to 5e-6",
    }, [f"budgets of {low} to {high} tokens: {reason}"]
