"""A hard time limit around anything that can hang: algebra is done in worker processes that a deadline ends.

Usable from any thread, and after a fork (a child begins with a pool of its own); nothing stays behind at exit: a worker
ends with the last end of its pipe, however the process that started it went.
"""

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcpo.errors import EngineError

START_SECONDS = 120.0
"""How long a worker may take to import math-verify (a second on an idle machine) before it counts as broken."""
WALL_PER_CPU = 20.0
"""Seconds on the clock that a second of computing may take on a busy machine."""
GRACE_SECONDS = 10.0
"""How long past that a worker may take to say so (it takes milliseconds) before it is killed from outside."""
MEMORY_BYTES = 2 << 30
"""Address space of a worker; an answer that needs more is wrong."""
JOBS_PER_WORKER = 50_000
"""After so many jobs a worker is replaced: symbolic algebra keeps caches."""


Form = tuple[str, str, tuple["Form", ...]]
"""An answer as the algebra gets it: its LaTeX, how its members stand together ("" for one value), the members."""


@dataclass(frozen=True)
class Job:
    """One question to the algebra: is one of the pairs (gold, answer) equal? Hashable, so that verdicts can be kept.

    answer: what the response says, to be shown. deadline: seconds of computing (CPU time).
    """

    pairs: tuple[tuple[Form, Form], ...]
    answer: str
    deadline: float


@dataclass(frozen=True)
class Reply:
    """What came of a job: right or not, and why; failed: no verdict, it passed its deadline or the worker died."""

    right: bool
    reason: str
    failed: bool = False


class _Gone(Exception):
    """The worker does not answer any more."""


class _Worker:
    """One worker process and the two pipes to it; used by one thread at a time."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", "-S", str(Path(__file__).with_name("worker.py"))]
        command += [json.dumps([p for p in sys.path if p]), str(MEMORY_BYTES)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
            bufsize=0,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._sink, self._source = self._process.stdin, self._process.stdout
        self._rest = b""
        self.jobs = 0
        try:
            self._read(START_SECONDS)
        except _Gone:
            self.kill()
            raise EngineError(
                f"the grading worker did not start ({sys.executable} imports math_verify); check that math-verify is "
                "installed beside lcpo:  python -c 'import math_verify'"
            ) from None

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None

    def run(self, job: Job) -> Reply:
        """The reply to a job, late or dead ones as failed; raises _Gone when the worker is lost."""
        self.jobs += 1
        while self._waiting(0):  # a server that was ended while idle has a successor, which said so
            self._read(0)
        self._write({"id": self.jobs, "pairs": job.pairs, "deadline": job.deadline})
        end = time.monotonic() + WALL_PER_CPU * job.deadline + GRACE_SECONDS
        said = self._read(end - time.monotonic())
        while said.get("id", self.jobs) != self.jobs:
            said = self._read(end - time.monotonic())
        if "ready" in said:
            late = said["ended"] == signal.SIGPROF
            how = f"past the deadline of {job.deadline:g} s" if late else f"the algebra died of signal {said['ended']}"
            return Reply(False, how, failed=True)
        if "error" in said:
            return Reply(False, f"the algebra raised {said['error']}")
        return Reply(said["right"], "equal by algebra" if said["right"] else "different by algebra")

    def _write(self, message: dict[str, Any]) -> None:
        """Sends one line; raises _Gone when nobody reads any more."""
        line = json.dumps(message).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._sink.fileno(), line) :]
        except OSError:
            raise _Gone from None

    def _waiting(self, seconds: float) -> bool:
        """Whether the worker has said something, or ended, waiting for it so long."""
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        return b"\n" in self._rest or bool(poll.poll(max(0.0, seconds) * 1000))

    def _read(self, seconds: float) -> dict[str, Any]:
        """The next line of the worker; raises _Gone at the end of the pipe or of the time."""
        end = time.monotonic() + seconds
        while b"\n" not in self._rest:
            if not self._waiting(end - time.monotonic()):
                raise _Gone
            part = os.read(self._source.fileno(), 65536)
            if not part:
                raise _Gone
            self._rest += part
        line, self._rest = self._rest.split(b"\n", 1)
        said: dict[str, Any] = json.loads(line)
        return said

    def kill(self) -> None:
        """Ends the keeper and its server, and waits for them."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._close()
        self._process.wait()

    def abandon(self) -> None:
        """In a forked child: lets go of the parent's worker without touching it."""
        self._close()
        self._process.returncode = 0  # not our child: nothing to wait for, nothing to warn about

    def _close(self) -> None:
        for pipe in (self._sink, self._source):
            with contextlib.suppress(OSError):
                pipe.close()


class Pool:
    """Up to `size` workers, started when they are first needed and used by any number of threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = threading.Condition()
        self._idle: list[_Worker] = []
        self._workers: set[_Worker] = set()
        self._starting = 0

    def run(self, job: Job) -> Reply:
        """The reply to a job; waiting for a free worker does not count towards its deadline. Raises EngineError."""
        worker = self._take()
        try:
            reply = worker.run(job)
        except _Gone:
            self._drop(worker)
            return Reply(False, "the algebra died", failed=True)
        except BaseException:  # Ctrl-C in between: its pipe may hold half a reply
            self._drop(worker)
            raise
        if worker.jobs >= JOBS_PER_WORKER:
            self._drop(worker)
        else:
            with self._free:
                self._idle.append(worker)
                self._free.notify()
        return reply

    def close(self) -> None:
        """Ends all workers."""
        with self._free:
            workers, self._workers = self._workers, set()
            self._idle.clear()
        for worker in workers:
            worker.kill()

    def abandon(self) -> None:
        """In a forked child: lets go of the parent's workers."""
        for worker in self._workers:
            worker.abandon()

    def _take(self) -> _Worker:
        """An idle worker, a new one while there are fewer than size, else the next to come free."""
        with self._free:
            while not self._idle and len(self._workers) + self._starting >= self.size:
                self._free.wait()
            while self._idle:
                idle = self._idle.pop()
                if idle.alive:
                    return idle
                self._workers.discard(idle)  # it was ended while nobody looked
                idle.kill()
            self._starting += 1
        worker = None
        try:
            worker = _Worker()
        finally:
            with self._free:
                self._starting -= 1
                if worker is None:
                    self._free.notify()
                else:
                    self._workers.add(worker)
        return worker

    def _drop(self, worker: _Worker) -> None:
        """Ends a worker and makes room for another."""
        worker.kill()
        with self._free:
            self._workers.discard(worker)
            self._free.notify()


_shared: Pool | None = None
_guard = threading.Lock()
_hooked = False


def shared() -> Pool:
    """The pool of this process, made at the first call: one worker per core that the process may use, at most 8."""
    global _shared, _hooked
    with _guard:
        if _shared is None:
            _shared = Pool(min(8, _cores()))
            if not _hooked:
                _hooked = True
                atexit.register(close)
                os.register_at_fork(after_in_child=_forked)
        return _shared


def close() -> None:
    """Ends the workers of this process; the next job starts new ones."""
    global _shared
    with _guard:
        pool, _shared = _shared, None
    if pool is not None:
        pool.close()


def _forked() -> None:
    """In a forked child: forgets the parent's pool, which may be in the middle of anything."""
    global _shared, _guard
    _guard = threading.Lock()
    pool, _shared = _shared, None
    if pool is not None:
        pool.abandon()


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
