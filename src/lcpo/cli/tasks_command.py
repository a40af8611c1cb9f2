"""`lcpo tasks`: what there is to train and evaluate on, and whether a task's verifier accepts its own answers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from lcpo.cli import emit

if TYPE_CHECKING:
    from lcpo.tasks.base import Task
    from lcpo.tasks.check import Checked


@click.command()
@click.option("--check", "name", metavar="NAME", help="Verify a task's own gold answers.")
@click.option("--data", multiple=True, metavar="FILE", help="Read it from a file, a zip's member or a hub name.")
@click.option("--columns", metavar="ROLE=COLUMN,...", help="Which column holds what, where names are not usual.")
@click.option(
    "--split", type=click.Choice(["train", "validation", "test"]), help="Default: test; train of a training set."
)
@click.option("--problems", type=click.IntRange(min=1), metavar="N", help="Check so many only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    name: str | None, data: Sequence[str], columns: str | None, split: Any, problems: int | None, as_json: bool
) -> None:
    """List the tasks, a line each; or check one, or a file of yours (--data alone)."""
    from lcpo.tasks import TASKS

    if name is None and not data:
        rows = [_row(task) for task in TASKS.values()]
        emit(rows, as_json, "\n".join(_line(row) for row in rows))
        return
    checked = _check(name, data, columns, split, problems)
    emit(checked.json(), as_json, _report(checked))
    if not checked.sound:
        raise click.exceptions.Exit(1)


def _row(task: "Task") -> dict[str, Any]:
    return {"name": task.name, "about": task.about, "verifier": task.verifier, "chance": task.chance}


def _line(row: dict[str, Any]) -> str:
    chance = "" if row["chance"] is None else f", chance {100 * row['chance']:g} %"
    return f"{row['name']:<14} {row['about']} ({row['verifier']}{chance})"


def _check(name: str | None, data: Sequence[str], columns: str | None, split: Any, problems: int | None) -> "Checked":
    from lcpo.tasks import evaluation, task
    from lcpo.tasks.check import check
    from lcpo.tasks.columns import parse

    named = parse(columns) or None
    chosen = evaluation(data, named) if name is None else task(name)
    if name is not None and data:
        chosen = chosen.with_data(data, named)
    return check(chosen, chosen.load(split or chosen.default_split, problems))


def _report(checked: "Checked") -> str:
    from lcpo.types import Dropped

    total = checked.problems
    lines = [
        f"{checked.task}: {total} problems, verifier {checked.verifier}, dropped: {Dropped(dict(checked.dropped))}",
        f"  own gold answers accepted:            {_share(checked.passed['own'], total)}",
        f"  the same in a sentence without a box: {_share(checked.passed['prose'], total)}",
        f"  another problem's gold refused:       {_share(checked.passed['other'], total)}",
    ]
    for one in checked.findings:
        why = one.known or one.reason
        lines.append(f"  {one.id} ({one.form}): given {one.given!r}, read {one.read!r}, gold {one.gold!r}: {why}")
    lines += [f"  warning: {note}" for note in checked.notes]
    return "\n".join([*lines, *(f"  sha256 {digest}  {source}" for source, digest in checked.sha256.items())])


def _share(passed: int, total: int) -> str:
    return f"{passed} of {total} ({100 * passed / total:.4g} %)"
