"""An evaluation from options to results: settle, run, compute."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from lcpo.engines import Engine, make_engine
from lcpo.evaluate.plan import EvaluatedModel
from lcpo.evaluate.runner import finish, run
from lcpo.evaluate.setup import Options, Setup, set_up


def evaluate(
    options: Options,
    out: Path | None = None,
    *,
    resume: bool = False,
    engine: str = "auto",
    api_key: str | None = None,
    tokenizer: str | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Runs what is asked for; (folder, results).

    Without `out` it goes to evals/<models>-<task>-<seed>. Raises LcpoError; on Ctrl-C what is done is kept.
    """
    setup = set_up(options)
    folder = out or Path("evals") / "-".join([*setup.sources, setup.task.name, str(options.seed)])[:120].replace(
        "/", "_"
    )

    settings = replace(
        setup.settings, engine=None if engine in ("auto", "transformers") else engine, tokenizer=tokenizer
    )

    def load(subject: EvaluatedModel) -> Engine:
        return make_engine(setup.sources[subject.run], engine, api_key, tokenizer)

    if setup.loaded.dropped.counts:
        print(f"{setup.task.name}: left out {setup.loaded.dropped}", file=sys.stderr)
    for note in setup.loaded.notes:
        print(f"warning: {note}", file=sys.stderr)
    try:
        state = run(settings, setup.loaded.problems, load, folder, resume=resume)
    except KeyboardInterrupt:
        print(f"stopped; what is done is kept in {folder}: go on with the same command and --resume", file=sys.stderr)
        raise
    return folder, finish(
        folder, state, {**setup.extra, "models": _models(setup)}, {setup.task.name: setup.task.chance}
    )


def _models(setup: Setup) -> dict[str, Any]:
    return {run: {"given": source.name, "kind": source.kind} for run, source in setup.sources.items()}
