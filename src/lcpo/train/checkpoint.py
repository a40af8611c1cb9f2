"""What survives a crash: checkpoints that count only with their marker, which is written last."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lcpo.errors import ConfigError
from lcpo.measure import files, manifest

MARKER = "lcpo.json"
"""The file that makes a checkpoint count; written last."""


def checkpoints(run: Path) -> list[tuple[int, Path]]:
    """(step, folder) of every checkpoint that counts, oldest first."""
    found = [(int(match[1]), path) for path in run.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))]
    return sorted((step, path) for step, path in found if (path / MARKER).is_file())


_NAME = re.compile(r"checkpoint-(\d+)")


def save(trainer: Any, write: Callable[[], None]) -> None:
    """Calls TRL's own saving (`write`), then writes the marker, then removes older checkpoints, in this order.

    Whatever interrupts this, the newest checkpoint with a marker is whole.
    """
    run, step = Path(trainer.args.output_dir), int(trainer.state.global_step)
    folder = run / f"checkpoint-{step}"
    main = trainer.accelerator.is_main_process
    with files.writing(str(folder)):
        if main and folder.exists():
            shutil.rmtree(folder)
        trainer.accelerator.wait_for_everyone()
        write()
        trainer.accelerator.wait_for_everyone()
        if main:
            record = {
                "step": step,
                "tokens": trainer.tokens,
                "cpu_seconds": trainer.cpu_before + manifest.cpu_seconds(),
                "pool": trainer.pool,
            }
            files.write_json(folder / MARKER, record)
            rotate(run, trainer.keep_checkpoints)


def discard_broken(run: Path, after: int) -> None:
    """Removes checkpoints without a marker, and those beyond step `after` (that trajectory is about to be redone)."""
    whole = {path for step, path in checkpoints(run) if step <= after}
    for path in run.glob("checkpoint-*"):
        if _NAME.fullmatch(path.name) and path not in whole:
            shutil.rmtree(path)


def rotate(run: Path, keep: int) -> None:
    """Removes all but the newest `keep` checkpoints that count."""
    for _, path in checkpoints(run)[:-keep]:
        (path / MARKER).unlink()  # first: from here on it does not count, whatever else is left of it
        shutil.rmtree(path)


def cut_back(run: Path, step: int) -> list[dict[str, Any]]:
    """Drops metrics and rollouts beyond `step`, and a line that was half written; returns the metrics that stay."""
    path = run / "metrics.jsonl"
    kept = [record for record in files.read_lines(path) if int(record["step"]) <= step]
    if path.exists():
        files.write_text(path, "".join(json.dumps(record) + "\n" for record in kept))
    for sample in (run / "rollouts").glob("step-*.jsonl"):
        if int(sample.stem.removeprefix("step-")) > step:
            sample.unlink()
    return kept


def prepare(run: Path, resume: bool) -> None:
    """The run folder, made or reused. Raises ConfigError where one is there without --resume, or cannot be written."""
    free(run, resume)
    try:
        run.mkdir(parents=True, exist_ok=True)
        files.write_text(run / ".write", "")
        (run / ".write").unlink()
    except OSError as error:
        raise ConfigError(f"cannot write to {run}: {error.strerror}; choose another folder with --out") from None


def free(run: Path, resume: bool) -> None:
    """Raises ConfigError where a run is there without --resume, or where no folder can be made; writes nothing."""
    if run.is_dir() and not resume and any(run.iterdir()):
        raise ConfigError(f"{run} exists already; go on with --resume, or choose another folder with --out")
    above = next(path for path in (run, *run.absolute().parents) if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ConfigError(f"cannot write to {run}: {above} is no folder, or may not be written; choose another --out")
