"""Files and folders that are written whole or not at all, locked while written, compared, and told apart by a hash."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lcpo.errors import ConfigError, EngineError

LOCK = ".lock"
"""The file by which a process holds a run or evaluation folder."""
LARGE, BLOCKS, BLOCK = 200_000_000, 64, 2**20
"""Files of so many bytes and more are hashed by so many evenly spaced blocks of so many bytes."""
_FAILED_WRITES = ("PytorchStreamWriter failed", "unexpected pos", "file write failed", "I/O error", "No space left")
"""What torch and safetensors say where a write fails; they raise neither OSError nor a class of their own for it."""


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


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Writes a folder whole: `write` fills one beside it, which then takes its place; nothing is left if it fails."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        write(part)
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def appending(path: Path) -> Iterator[Callable[[Sequence[Any]], None]]:
    """Yields what appends records to a JSONL file, flushed to disk; a last line that was half written goes first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
    with path.open("ab") as file:
        file.truncate(len(whole[0]) + len(whole[1]))

        def write(records: Sequence[Any]) -> None:
            with writing(str(path)):
                lines = [json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records]
                file.write("".join(lines).encode("utf-8", "replace"))
                file.flush()
                os.fsync(file.fileno())

        yield write


def read_lines(path: Path) -> list[Any]:
    """The records of a JSONL file, [] where there is none; a last line that was half written is no record."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]


@contextlib.contextmanager
def writing(what: str, then: str = "make room, then run again with --resume") -> Iterator[None]:
    """Turns a failed write below into one line: what failed, that nothing before it is lost, and what to do then."""
    try:
        yield
    except _write_errors() as error:
        if not isinstance(error, OSError) and not any(said in str(error) for said in _FAILED_WRITES):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise EngineError(f"cannot write {what}: {reason}; what was saved before is whole: {then}") from None


def _write_errors() -> tuple[type[Exception], ...]:
    """What a failed write raises; asked once it has, for safetensors may be imported on the way to it."""
    safetensors = sys.modules.get("safetensors")
    return (OSError, RuntimeError, *([safetensors.SafetensorError] if safetensors else []))


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds a folder for this process, until it ends in whatever way.

    Where another one holds it: says so on stderr and waits for that to end, or raises ConfigError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    with contextlib.ExitStack() as opened:
        while True:
            file = opened.enter_context(path.open("a"))
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if not wait:
                    raise ConfigError(
                        f"another process is writing into {folder}; let it end, or choose another folder with --out"
                    ) from None
                print(f"another process is writing into {folder}: waiting for it", file=sys.stderr, flush=True)
                fcntl.lockf(file, fcntl.LOCK_EX)
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                break  # else the holder before us removed the file that we had opened
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], where: str = "") -> list[str]:
    """Where two nested tables differ, one `key: old -> new` each."""
    found: list[str] = []
    for key in sorted({*old, *new}):
        a, b, name = old.get(key), new.get(key), f"{where}{key}"
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b, name + ".")
        elif (
            isinstance(a, list) and isinstance(b, list) and len(a) == len(b) and all(isinstance(x, dict) for x in a + b)
        ):
            for i, (x, y) in enumerate(zip(a, b, strict=True)):
                found += differences(x, y, f"{name}[{i}].")
        elif a != b:
            found.append(f"{name}: {a!r} -> {b!r}")
    return found


def sha256(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_sha256(folder: Path) -> str:
    """What tells a model folder from others: a hash of its files, of large ones of their size and some blocks.

    .bin files count where there are no .safetensors: beside those nobody reads them.
    """
    paths = [path for path in sorted(folder.iterdir()) if path.is_file()]
    safe = any(path.suffix == ".safetensors" for path in paths)
    digest = hashlib.sha256()
    for path in paths:
        if path.suffix in (".json", ".jinja", ".safetensors", ".model", ".txt") or (path.suffix == ".bin" and not safe):
            digest.update(json.dumps([path.name, path.stat().st_size]).encode())
            for part in _parts(path):
                digest.update(part)
    return digest.hexdigest()


def _parts(path: Path) -> Iterator[bytes]:
    """What of a file is hashed: all of it, or of a large one evenly spaced blocks, the first and the last included."""
    size = path.stat().st_size
    if size < LARGE:
        yield path.read_bytes()
        return
    with path.open("rb") as file:
        for i in range(BLOCKS):
            file.seek(i * (size - BLOCK) // (BLOCKS - 1))
            yield file.read(BLOCK)
