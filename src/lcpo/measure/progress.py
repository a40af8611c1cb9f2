"""Progress in named phases, on stderr: a bar on a terminal, plain lines in a log, with rate and time left."""

import sys
import time
from collections.abc import Sequence
from typing import Any, Self

FIRST, EVERY = 3.0, 15.0
"""Seconds to the first line of a phase in a log, and between two."""


def duration(seconds: float) -> str:
    """Seconds as a person says it: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Where a piece of work is: `phases` in order, each with units that are counted. A quiet one shows nothing."""

    def __init__(self, phases: Sequence[str], quiet: bool = False) -> None:
        self.phases, self.quiet = list(phases), quiet
        self.title, self.total, self.start, self.done = "", 0, 0, 0
        self.began = self.said = time.monotonic()
        self._bars: Any = None
        self._bar: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self.quiet:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Bars(*columns, TextColumn("{task.fields[says]}"), console=Console(stderr=True))
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def phase(self, name: str, total: int, start: int = 0) -> None:
        """Begins a phase of `total` units; `start` of them were done before and do not count for the speed."""
        number = f"{self.phases.index(name) + 1}/{len(self.phases)} " if len(self.phases) > 1 else ""
        self.title, self.total, self.start, self.done = f"{number}{name}", total, start, start
        self.began = time.monotonic()
        self.said = self.began - EVERY + FIRST
        if self._bars is not None:
            if self._bar is not None:
                self._bars.stop_task(self._bar)
            self._bar = self._bars.add_task(self.title, total=total, completed=start, says="")
        elif number:
            self.note(f"{self.title}: {start:,} of {total:,} done")

    def add(self, count: int, says: str = "") -> None:
        """`count` more units are done; `says` is what there is to say of them."""
        self.update(self.done + count, says)

    def update(self, done: int, says: str = "") -> None:
        """`done` units of this phase are done, those before it included."""
        self.done = done
        if self._bars is not None:
            self._bars.update(self._bar, completed=done, says=f"{self._rate()} {says}")
            return
        now = time.monotonic()
        if now - self.said >= EVERY or done >= self.total:
            self.said = now
            self.note("  ".join(filter(None, (f"{self.title}: {done:,}/{self.total:,}", says, self._left()))))

    def note(self, text: str) -> None:
        """A line of its own."""
        if self.quiet:
            return
        if self._bars is not None:
            self._bars.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def _rate(self) -> str:
        spent = time.monotonic() - self.began
        speed = (self.done - self.start) / max(spent, 1e-9)
        return f"{speed:.3g}/s" if speed >= 1 or not speed else f"{1 / speed:.3g} s each"

    def _left(self) -> str:
        """Rate and time left at the speed so far, or the time it took."""
        spent = time.monotonic() - self.began
        if self.done >= self.total:
            return f"done in {duration(spent)}"
        if self.done <= self.start:
            return "time left unknown"
        return f"{self._rate()}, {duration((self.total - self.done) * spent / (self.done - self.start))} left"
