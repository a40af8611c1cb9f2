"""What survives a crash: checkpoints that count only with their marker."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from lcpo.errors import ConfigError
from lcpo.measure.files import write_text

MARKER = "lcpo.json"
"""The file that makes a checkpoint count; written last."""


def checkpoints(run: Path) -> list[tuple[int, Path]]:
    """(step, folder) of every checkpoint that counts, oldest first."""
    found = [(int(match[1]), path) for path in run.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))]
    return sorted((step, path) for step, path in found if (path / MARKER).is_file())


_NAME = re.compile(r"checkpoint-(\d+)")


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


def cut_back(path: Path, step: int) -> list[dict[str, Any]]:
    """Drops the lines of a JSONL file beyond `step`, and a last one that was half written; returns what stays."""
    if not path.exists():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            break
        if int(record["step"]) > step:
            break
        kept.append(record)
    write_text(path, "".join(json.dumps(record) + "\n" for record in kept))
    return kept


def prepare(run: Path, resume: bool) -> None:
    """The run folder, made or reused. Raises ConfigError where one is there without --resume, or cannot be written."""
    if run.exists() and any(run.iterdir()) and not resume:
        raise ConfigError(f"{run} exists already; go on with --resume, or choose another folder with --out")
    try:
        run.mkdir(parents=True, exist_ok=True)
        write_text(run / ".write", "")
        (run / ".write").unlink()
    except OSError as error:
        raise ConfigError(f"cannot write to {run}: {error.strerror}; choose another folder with --out") from None
