"""lcpo train: a recipe to a run folder and a table."""

from pathlib import Path
from typing import Any

import click

from lcpo.cli import emit
from lcpo.recipes.recipe import Recipe, read_recipe


@click.command()
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder; default runs/<recipe>-<seed>.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
@click.option("--engine", type=click.Choice(["trl", "verl"]), default="trl", show_default=True)
@click.option("--dry-run", is_flag=True, help="Print the resolved recipe and what it takes; train nothing.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def command(
    recipe: str,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: bool,
    engine: str,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train a model to obey a token budget.

    RECIPE is a shipped recipe (`lcpo recipes`) or a TOML file; KEY=VALUE overrides one of its settings, with dotted
    keys and TOML values: `lcpo train tiny-exact objective.sharpness=3 trl.max_steps=20`.
    """
    name, read = read_recipe(recipe, overrides)
    run = out or Path("runs") / f"{name}-{read.seed}"
    if engine == "verl":
        _verl(name, read, run, resume=resume, dry_run=dry_run, quiet=quiet, as_json=as_json)
        return
    need_extra("torch", "transformers", "trl", "datasets")
    if dry_run:
        _dry_run(name, read, run, resume, as_json)
        return
    from lcpo.train import card
    from lcpo.train.run import train

    result = train(name, read, run, resume=resume, quiet=quiet)
    table = f"{card.table(result.json())}\n\n" if result.lines else ""
    emit(result.json(), as_json, table + _closing(read, result))
    if not result.complete:
        raise SystemExit(1)


def _closing(recipe: Recipe, result: Any) -> str:
    from lcpo.train import card

    found = result.json()
    dial = "-" if found["rank_correlation"] is None else f"{found['rank_correlation']:.2f}"
    state = "done" if result.complete else f"stopped at step {result.steps} of {result.wanted}; go on with --resume"
    seconds = found["cpu_seconds"] or 0.0
    stages = ", then ".join(card.stages(recipe, result.manifest, result.lines))
    return f"{state}: {result.run}/model; {stages}; {seconds:.0f} CPU seconds; rank correlation {dial}"


def _dry_run(name: str, recipe: Recipe, run: Path, resume: bool, as_json: bool) -> None:
    from lcpo.train import checkpoint
    from lcpo.train.run import plan, same_recipe
    from lcpo.train.settings import resolved

    checkpoint.free(run, resume)
    same_recipe(run, recipe, resume)
    made = plan(name, recipe, run)
    group = recipe.group
    generations = recipe.generations(len(made.loaded.problems))
    takes = {
        "run": str(run),
        "problems": len(made.loaded.problems),
        "dropped": made.loaded.dropped.counts,
        "warnings": list(made.loaded.notes),
        "stages": made.phases,
        "optimizer_steps": made.steps,
        "generations": generations,
        "rollouts": generations * group.rollouts,
        "tokens_at_most": generations * group.rollouts * made.args.max_completion_length,
        "device": "cpu" if made.args.use_cpu else "gpu",
    }
    settled = resolved(recipe, made.args)
    lines = [
        "# resolved:",
        *(f"#   {key} = {value}" for key, value in settled.items()),
        f"# {takes['problems']} problems (left out: {made.loaded.dropped}); stages: {', '.join(made.phases)}",
        *(f"# warning: {note}" for note in made.loaded.notes),
        f"# {made.steps} optimizer steps over {generations} generations of {group.problems} problems x {group.size} "
        f"rollouts: {takes['rollouts']:,} rollouts, at most {takes['tokens_at_most']:,} tokens; on {takes['device']}",
        f"# into {run}",
    ]
    result = {"recipe": recipe.model_dump(mode="json"), "resolved": settled, "takes": takes}
    emit(result, as_json, recipe.toml() + "\n" + "\n".join(lines))


def need_extra(*packages: str, extra: str = "train") -> None:
    """Raises MissingExtra for a package that is not installed."""
    import importlib.util

    from lcpo.errors import MissingExtra

    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, extra)


def _verl(name: str, recipe: Recipe, run: Path, **how: bool) -> None:
    from lcpo.cluster import launch

    as_json = how.pop("as_json")
    result = launch.train(name, recipe, run, **how)
    emit(result, as_json, launch.text(result))
