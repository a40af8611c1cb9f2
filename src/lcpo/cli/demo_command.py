"""`lcpo demo`: the base at several budgets, a short real training, the same again; a table and a page."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from lcpo.cli import emit
from lcpo.recipes.recipe import Recipe, read_recipe

BEFORE, TRAINED, AFTER = "before", "trained", "after"
"""Folders inside the demo's own: an evaluation, a training run, an evaluation."""
_say = partial(click.echo, err=True)


@click.command("demo")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/demo"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def command(overrides: tuple[str, ...], out: Path, as_json: bool) -> None:
    """See a model learn to obey a token budget: before, a few minutes of training, after.

    KEY=VALUE overrides a setting of the recipe `demo`, as in `lcpo train`: seed=1.
    """
    from lcpo.cli import demo_text
    from lcpo.cli.train_command import need_extra
    from lcpo.errors import EngineError
    from lcpo.report.load import load
    from lcpo.report.page import PAGE, write_page

    _, recipe = read_recipe("demo", overrides)
    need_extra("torch", "transformers", "trl", "datasets")
    need_extra("matplotlib", "jinja2", extra="report")
    _say(demo_text.opening(out))
    try:
        before = _measure(recipe.model, recipe, out / BEFORE)
        _say(demo_text.side_by_side({BEFORE: _answers(out / BEFORE)}))
        _train(recipe, out / TRAINED)
        after = _measure(str(out / TRAINED), recipe, out / AFTER)
    except KeyboardInterrupt:
        raise EngineError("stopped, and what is done is kept; the same command goes on") from None
    answers = {name: _answers(out / name) for name in (BEFORE, AFTER)}
    folders = [out / name for name in (BEFORE, AFTER, TRAINED)]
    page = write_page(load(folders), out / PAGE, title="Before and after a few minutes of training")
    text = (demo_text.side_by_side(answers), demo_text.table(before, after), demo_text.closing(page, out / TRAINED))
    emit({"page": str(page), BEFORE: before, AFTER: after}, as_json, "\n\n".join(text))


def _measure(model: str, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """The results of a model on the validation split, at the recipe's budgets."""
    from lcpo.evaluate.plan import Options
    from lcpo.evaluate.run import evaluate

    own = recipe.evaluate
    _say(f"\n{folder.name.capitalize()}: {own.problems} held-out problems, at budgets that training never draws.")
    given: dict[str, Any] = {"task": recipe.task.name, "seed": recipe.seed, "wording": recipe.budget.template}
    given |= own.model_dump(exclude={"generation_cap"}) | {"cap": own.generation_cap}
    options = Options((model,), split="validation", batch=256, **given)
    return evaluate(options, folder, resume=True)[1]


def _answers(folder: Path) -> dict[str, dict[int, Any]]:
    """The first answer to every problem of an evaluation, by problem and budget."""
    from lcpo.evaluate.records import read_samples

    answers: dict[str, dict[int, Any]] = {}
    for sample in read_samples(folder):
        answers.setdefault(sample.problem, {}).setdefault(sample.budget or 0, sample)
    return answers


def _train(recipe: Recipe, run: Path) -> None:
    """The training, from where it is. Raises KeyboardInterrupt where it was asked to end."""
    from lcpo.train.run import train
    from lcpo.train.supervised import Stopped

    _say("\nThe training:")
    try:
        complete = train("demo", recipe, run, resume=True).complete
    except Stopped:
        complete = False
    if not complete:
        raise KeyboardInterrupt
