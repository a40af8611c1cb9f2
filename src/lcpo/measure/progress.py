"""Progress with time left, on stderr: a bar on a terminal, plain lines in a log."""

import sys
import time
from types import TracebackType
from typing import Self

LOG_EVERY = 15.0
"""Seconds between two lines in a log."""


def duration(seconds: float) -> str:
    """Seconds as a person says it: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Counts done units; `start` are those done before (they do not count for the speed)."""

    def __init__(self, what: str, total: int, start: int = 0) -> None:
        self.what, self.total, self.start, self.done = what, total, start, start
        self.began = self.said = time.monotonic()
        self._bar: object | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._rich = Bar(*columns, console=Console(stderr=True))
            self._rich.start()
            self._bar = self._rich.add_task(self.what, total=self.total, completed=self.start)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._rich.stop()

    def add(self, count: int, note: str = "") -> None:
        """`count` more are done."""
        self.done += count
        if self._bar is not None:
            self._rich.update(self._bar, completed=self.done, description=f"{self.what} {note}".strip())  # type: ignore[arg-type]
            return
        now = time.monotonic()
        if now - self.said >= LOG_EVERY or self.done >= self.total:
            self.said = now
            print(
                f"{self.what}: {self.done}/{self.total}, {self.left(now)} {note}".rstrip(), file=sys.stderr, flush=True
            )

    def left(self, now: float) -> str:
        """Time left at the speed so far, or the time it took."""
        spent = now - self.began
        if self.done >= self.total:
            return f"done in {duration(spent)}"
        speed = (self.done - self.start) / max(spent, 1e-9)
        return f"{duration((self.total - self.done) / speed)} left" if speed > 0 else "time left unknown"
