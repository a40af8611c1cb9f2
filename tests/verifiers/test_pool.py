"""The workers: any thread, after a fork, in a spawned process, at exit, and when they or their parent are killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import lcpo.verifiers
from lcpo.errors import EngineError
from lcpo.verifiers import grade, pool
from lcpo.verifiers.pool import Job, Pool, Reply


@pytest.fixture
def own() -> Iterator[Pool]:
    """A pool of one worker for a test that breaks it."""
    made = Pool(1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def workers() -> Iterator[Pool]:
    """A pool of two workers for all tests that leave it whole."""
    made = Pool(2)
    yield made
    made.close()


def job(answer: str, gold: str = "x+1", deadline: float = 5.0) -> Job:
    return Job((((gold, "", ()), (answer, "", ())),), answer, deadline)


TOWER = "9^{9^{9^{9}}}"


def processes_below(parent: int) -> set[int]:
    """All living descendants of a process."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z":
            parents[int(stat.parent.name)] = int(fields[1])
    found: set[int] = set()
    while more := {pid for pid, above in parents.items() if above in found | {parent}} - found:
        found |= more
    return found


def wait_until(true: Callable[[], Any], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not (done := true()) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(done)


def test_right_and_wrong(workers: Pool) -> None:
    assert workers.run(job("1+x")).right
    reply = workers.run(job("2+x"))
    assert (reply.right, reply.reason, reply.failed) == (False, "different by algebra", False)


def test_sixteen_threads_share_two_workers_and_each_gets_its_own_reply(workers: Pool) -> None:
    def one(i: int) -> bool:
        return workers.run(job(f"{i}+x" if i % 2 else f"{i}-x", gold=f"x+{i}")).right

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(one, range(100))) == [bool(i % 2) for i in range(100)]
    assert len(workers.workers) == 2


def test_a_deadline_in_one_thread_does_not_hold_up_another(workers: Pool) -> None:
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(workers.run, [job(f"{i}") for i in range(20)]))  # starts both
        assert len(workers.workers) == 2
        slow = threads.submit(workers.run, job(TOWER, "5", deadline=3.0))
        quick = [threads.submit(workers.run, job("1+x")).result() for _ in range(5)]
        assert not slow.done()
        assert all(reply.right for reply in quick)
        assert slow.result() == Reply(False, "past the deadline of 3 s", failed=True)


def test_replies_stay_in_step_when_workers_are_killed(own: Pool) -> None:
    """The server below a keeper is killed while idle, then the keeper itself: the next replies are right again."""
    assert own.run(job("1+x")).right
    keeper = next(iter(own.workers)).process.pid
    (server,) = processes_below(keeper)
    os.kill(server, signal.SIGKILL)
    assert wait_until(lambda: processes_below(keeper) - {server})
    assert own.run(job("1+x")).right
    assert not own.run(job("2+x")).right
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(own.run, job(TOWER, "5", deadline=60.0))
        time.sleep(0.3)
        os.killpg(keeper, signal.SIGKILL)
        assert slow.result() == Reply(False, "the algebra died", failed=True)
    assert own.run(job("1+x")).right


def test_a_worker_is_replaced_after_its_share_of_jobs(own: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "JOBS_PER_WORKER", 2)
    for _ in range(2):
        assert own.run(job("1+x")).right
    assert own.workers == set()
    assert own.run(job("1+x")).right


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="reads the limits of a process from /proc")
def test_memory_of_a_worker_is_limited(workers: Pool) -> None:
    assert workers.run(job("1+x")).right
    (server,) = processes_below(next(iter(workers.workers)).process.pid)
    limits = Path(f"/proc/{server}/limits").read_text()
    assert f"Max address space         {pool.MEMORY_BYTES}" in limits


def test_a_python_without_math_verify_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/nowhere"])
    with pytest.raises(EngineError, match="check that math-verify is installed"):
        Pool(1).run(job("1"))


def _grade_in_child(queue: Any) -> None:
    queue.put(grade("\\boxed{1+\\sin y}", "\\sin y+1").reason)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # Python 3.12 on, in a process with threads
def test_works_in_a_child_process_and_still_in_the_parent(method: str) -> None:
    assert grade("\\boxed{1+\\sin z}", "\\sin z+1").reason == "equal by algebra"
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_grade_in_child, args=(queue,), daemon=True)
    child.start()
    assert queue.get(timeout=120) == "equal by algebra"
    child.join(120)
    assert child.exitcode == 0
    queue.close()
    queue.join_thread()
    assert grade("\\boxed{2+\\sin z}", "\\sin z+2").reason == "equal by algebra"


SCRIPT = """
import sys, threading, time
from lcpo.verifiers import grade
assert grade("\\\\boxed{1+\\\\sin x}", "\\\\sin x+1").reason == "equal by algebra"
print("ready", flush=True)
"""


def script(rest: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-W", "error", "-c", SCRIPT + rest]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=hear_ctrl_c)


def hear_ctrl_c() -> None:
    """A child of a background job ignores Ctrl-C unless told otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "raise SystemExit(0)",
        "threading.Thread(target=lambda: grade('\\\\boxed{9^{9^{9^9}}}', '5', deadline=60), daemon=True).start()\n"
        "time.sleep(0.5)",
    ],
    ids=["end", "SystemExit", "busy daemon thread"],
)
def test_leaves_at_exit_without_a_word_and_leaves_nothing(rest: str) -> None:
    process = script(rest)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    below = processes_below(process.pid)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (0, "", "")
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))


def test_workers_end_when_their_parent_is_killed_in_the_middle_of_a_job() -> None:
    process = script("grade('\\\\boxed{9^{9^{9^9}}}', '5', deadline=1)")
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    below = processes_below(process.pid)
    assert len(below) >= 2
    process.kill()
    process.communicate(timeout=120)
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))


def test_ctrl_c_ends_the_parent_alone_and_no_worker_speaks() -> None:
    rest = "try:\n  print('trying', flush=True)\n  time.sleep(60)\nexcept KeyboardInterrupt:\n  "
    process = script(rest + "print(grade('\\\\boxed{2+\\\\sin x}', '\\\\sin x+2').reason)")
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "trying\n"]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (0, "equal by algebra\n", "")


def test_verdicts_are_kept() -> None:
    lcpo.verifiers._kept.cache_clear()
    texts = ["\\boxed{1+\\sin w}", "so \\boxed{1+\\sin w}.", "\\boxed{ 1+\\sin w }"] * 10
    assert all(found.correct for found in lcpo.verifiers.grade_many(texts, ["\\sin w+1"] * 30))
    assert lcpo.verifiers._kept.cache_info().misses == 1


def test_importing_is_cheap() -> None:
    code = "import sys, lcpo.verifiers; print([m for m in ('sympy', 'math_verify', 'torch') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
