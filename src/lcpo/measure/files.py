"""Files that are written whole or not at all, and hashes of what they hold."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lcpo.errors import EngineError


def write_text(path: Path, text: str) -> None:
    """Writes a file whole: into a temporary one beside it, flushed to disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_json(path: Path, value: Any) -> None:
    """A JSON file, written whole; refuses NaN."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


@contextlib.contextmanager
def writing(what: str) -> Iterator[None]:
    """Turns a failed write below into one line that says what failed and that nothing before it is lost."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if not _is_write_error(error):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise EngineError(
            f"cannot write {what}: {reason}; what was saved before is whole: make room, then run again with --resume"
        ) from None


def _is_write_error(error: BaseException) -> bool:
    return isinstance(error, OSError) or "writ" in str(error).lower() or "serializ" in str(error).lower()


def weights_sha256(folder: Path) -> str | None:
    """SHA-256 over the weight files of a model folder; None where it holds none."""
    files = sorted(folder.glob("*.safetensors"))
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(2**22):
                digest.update(block)
    return digest.hexdigest() if files else None
