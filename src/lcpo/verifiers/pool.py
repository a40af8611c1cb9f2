"""A hard time limit around anything that can hang: algebra is done in worker processes that a deadline ends.

Usable from any thread, and after a fork (a child begins with a pool of its own); nothing stays behind at exit: a worker
ends with the last end of its pipe, however the process that started it went.
"""

import atexit
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Pipe
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
    """One worker process and the pipe to it; used by one thread at a time."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        command = [sys.executable, "-P", "-S", str(Path(__file__).with_name("worker.py"))]
        command += [json.dumps([p for p in sys.path if p]), str(MEMORY_BYTES), str(theirs.fileno())]
        nothing = subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, stdin=nothing, stdout=nothing, stderr=nothing, process_group=0, pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self.jobs = 0
        try:
            self._read(START_SECONDS)
        except _Gone:
            self.kill()
            raise EngineError(
                f"the grading worker did not start ({sys.executable} imports math_verify); check that math-verify is "
                "installed beside lcpo:  python -c 'import math_verify'"
            ) from None

    def run(self, job: Job) -> Reply:
        """The reply to a job, late or dead ones as failed; raises _Gone when the worker is lost."""
        self.jobs += 1
        while self._pipe.poll():  # a server that was ended while idle has a successor, which said so
            self._read(0)
        try:
            self._pipe.send({"id": self.jobs, "pairs": job.pairs, "deadline": job.deadline})
        except OSError:
            raise _Gone from None
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

    def _read(self, seconds: float) -> dict[str, Any]:
        """What the worker says next; raises _Gone at the end of the pipe or of the time."""
        try:
            if self._pipe.poll(max(0.0, seconds)):
                said: dict[str, Any] = self._pipe.recv()
                return said
        except (EOFError, OSError):
            pass
        raise _Gone

    def kill(self) -> None:
        """Ends the keeper and its server, and waits for them."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._pipe.close()
        self.process.wait()

    def abandon(self) -> None:
        """In a forked child: lets go of the parent's worker without touching it."""
        self._pipe.close()
        self.process.returncode = 0  # not our child: nothing to wait for, nothing to warn about


class Pool:
    """Up to `size` workers, started when they are first needed and used by any number of threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.workers: set[_Worker] = set()
        self._places: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(size):
            self._places.put(None)

    def run(self, job: Job) -> Reply:
        """The reply to a job; waiting for a free worker does not count towards its deadline. Raises EngineError."""
        worker, keep = self._places.get(), False
        try:
            if worker is not None and worker.process.poll() is not None:  # it was ended while nobody looked
                self._drop(worker)
                worker = None
            if worker is None:
                worker = _Worker()
                self.workers.add(worker)
            reply = worker.run(job)
            keep = worker.jobs < JOBS_PER_WORKER
            return reply
        except _Gone:
            return Reply(False, "the algebra died", failed=True)
        finally:  # after Ctrl-C in between its pipe may hold half a reply
            if worker is not None and not keep:
                self._drop(worker)
            self._places.put(worker if keep else None)

    def _drop(self, worker: _Worker) -> None:
        self.workers.discard(worker)
        worker.kill()

    def close(self) -> None:
        """Ends all workers."""
        for worker in self.workers.copy():
            self._drop(worker)

    def abandon(self) -> None:
        """In a forked child: lets go of the parent's workers."""
        while self.workers:
            self.workers.pop().abandon()


_shared: Pool | None = None
_guard = threading.Lock()


def shared() -> Pool:
    """The pool of this process, made at the first call: one worker per core that the process may use, at most 8."""
    global _shared
    with _guard:
        if _shared is None:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            _shared = Pool(min(8, cores))
            atexit.register(_shared.close)
            os.register_at_fork(after_in_child=_forked)
        return _shared


def _forked() -> None:
    """In a forked child: forgets the parent's pool, which may be in the middle of anything."""
    global _shared, _guard
    _guard, pool, _shared = threading.Lock(), _shared, None
    if pool is not None:
        pool.abandon()
