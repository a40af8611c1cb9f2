"""`lcpo eval`: accuracy and length at every budget, for one model or several."""

import sys
from pathlib import Path
from typing import Any

import click

from lcpo.cli import emit
from lcpo.cli.server_options import server_options


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _budgets(text: str | None) -> tuple[int, ...]:
    from lcpo.errors import ConfigError

    try:
        numbers = tuple(int(part) for part in _list(text))
    except ValueError:
        numbers = (0,)
    if any(number < 1 for number in numbers):
        raise ConfigError(f"--budgets is {text!r}; give positive whole numbers of tokens, for example 512,1024,2048")
    return numbers


def _price(context: click.Context, parameter: click.Parameter, given: str | None) -> tuple[float, float] | None:
    if given is None:
        return None
    try:
        read, written = map(float, given.split(","))
    except ValueError:
        raise click.BadParameter(f"{given!r}; give two numbers, for example 0.25,2.00") from None
    return read, written


def _agreed(question: str) -> bool:
    return sys.stdin.isatty() and click.confirm(question, err=True)


@click.command("eval")
@click.argument("models", nargs=-1, required=True, metavar="MODEL [MODEL ...]")
@click.option("--task", metavar="T", help="A task of `lcpo tasks`. Default: what the model was trained on.")
@click.option(
    "--data", multiple=True, metavar="FILE", help="Problems from a file (JSON, JSONL, CSV, Parquet, zip) or hub."
)
@click.option("--columns", metavar="MAP", help="Which column holds what, for example problem=question,answer=label.")
@click.option("--verifier", type=click.Choice(["math", "choice", "exact"]), help="What grades --data.")
@click.option("--split", type=click.Choice(["test", "validation"]), default="test", show_default=True)
@click.option("--budgets", metavar="LIST", help="Token budgets, for example 512,1024,2048.")
@click.option("--kind", type=click.Choice(["exact", "max"]), help="What the prompt asks: exactly, or at most.")
@click.option("--methods", metavar="LIST", help="Decoding methods (see `lcpo methods`), or all. [default: prompted]")
@click.option("--problems", type=click.IntRange(1), metavar="N", help="At most so many problems.")
@click.option("--samples", type=click.IntRange(1), metavar="N", help="Samples of each problem.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--temperature", type=click.FloatRange(0), metavar="T", help="0 is greedy.  [default: 1]")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), metavar="P", help="[default: 1]")
@click.option("--wording", metavar="W", help="Words of the budget sentence, to see how brittle a model is.")
@click.option("--cap", type=click.IntRange(1), metavar="N", help="Limit of any response, the same for all budgets.")
@click.option("--protocol", metavar="NAME", help="A published protocol: l1 (the paper's).")
@click.option(
    "--inert", type=click.IntRange(1), metavar="N", help="Test in N samples of each row which thought is inert."
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to write. [default: evals/...]")
@click.option("--resume", is_flag=True, help="Go on with what is in --out.")
@click.option(
    "--engine",
    metavar="NAME",
    default="auto",
    show_default=True,
    help="What runs a model here; a wrong name lists all.",
)
@click.option(
    "--batch", type=click.IntRange(1), default=1536, metavar="N", help="Requests side by side, unit of resume."
)
@server_options
@click.option("--price", metavar="IN,OUT", callback=_price, help="Of a million tokens: what a server's answers cost.")
@click.option("--limit", type=click.IntRange(1), metavar="TOKENS", help="Ask before a server may use more.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json instead of a table.")
def command(models: tuple[str, ...], out: Path | None, resume: bool, as_json: bool, **given: Any) -> None:
    """Measure accuracy and length of MODELs at every budget, against baselines.

    MODEL is a run folder, a folder in Hugging Face format, a model by name (lcpo models), a hub id, or a
    server as URL#model. Several models go into one comparison.
    """
    from lcpo.evaluate.plan import Options
    from lcpo.evaluate.run import evaluate

    connection = {name: given.pop(name) for name in ("engine", "api_key", "tokenizer", "opened", "without", "parallel")}
    given["budgets"], given["methods"] = _budgets(given["budgets"]), _list(given["methods"])
    spending = {"price": given.pop("price"), "limit": given.pop("limit"), "agreed": _agreed}
    try:
        folder, found = evaluate(Options(models=models, **given), out, resume=resume, **spending, **connection)
    except KeyboardInterrupt:
        click.echo("go on with the same command and --resume", err=True)
        raise
    _report(folder)
    emit(found, as_json, f"{table(found)}\n\n{folder}")


def _report(folder: Path) -> None:
    """The page and plots beside the results, where the packages for them are installed."""
    from lcpo.errors import MissingExtra

    try:
        from lcpo.report.page import write_all

        write_all(folder)
    except MissingExtra as missing:
        click.echo(f"no report.html and plots: {missing}", err=True)


def table(found: dict[str, Any]) -> str:
    """The rows as a table for people."""
    names = [row["run"] for row in found["rows"]]
    width = max(map(len, names))
    wide = max(6, *(len(row["method"]) for row in found["rows"]))
    lines = [f"{'model':{width}}  {'method':{wide}}  budget  tokens  off by  accuracy         no answer  filler"]
    measured = any(row["inert"] is not None for row in found["rows"])
    lines[0] += "  inert" if measured else ""
    for row in found["rows"]:
        cells = (("budget", "6d"), ("tokens_mean", "6.1f"), ("mare", "6.1%"), ("accuracy", "8.3f"))
        shown = "  ".join(_cell(row[name], form) for name, form in cells)
        error, missing, filler = (row[name] for name in ("accuracy_stderr", "no_answer", "filler"))
        lines.append(
            f"{row['run']:{width}}  {row['method']:{wide}}  {shown} ±{_cell(error, '5.3f')}"
            f"  {_cell(missing, '9.1%')}  {_cell(filler, '6.1%')}"
            + (f"  {_cell(row['inert'], '.0%')} to {_cell(row['inert_at_most'], '.0%')}" if measured else "")
        )
    for dial in found["dials"]:
        lines.append(
            f"{dial['run']} {dial['method']} ({dial['kind']}): slope {_cell(dial['slope'], '.2f')},"
            f" rank correlation {_cell(dial['rank_correlation'], '.2f')}, dial ratio {_cell(dial['dial_ratio'], '.2f')}"
        )
    return "\n".join(lines)


def _cell(value: float | None, form: str) -> str:
    if value is None:
        width = form.partition(".")[0].rstrip("d")
        return "-".rjust(int(width)) if width else "-"
    return format(value, form)
