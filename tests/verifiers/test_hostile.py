"""Hostile answers from worker threads: a small run of benchmarks/hostile.py, and the ones that deserve a name."""

import importlib.util
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lcpo.verifiers
from lcpo.types import Grade
from lcpo.verifiers import grade
from lcpo.verifiers.pool import Job


@pytest.fixture(scope="module")
def hostile() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "hostile.py"
    spec = importlib.util.spec_from_file_location("hostile", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hostile"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_no_hostile_answer_hangs_or_crashes(hostile: ModuleType) -> None:
    results = hostile.run(250, deadline=0.3, threads=2, seed=1, margin=30.0)
    assert len(results) == 250
    assert {result.kind for result in results} == set(hostile.KINDS)
    assert [result.fault for result in results if result.fault] == []


def test_the_same_seed_makes_the_same_answers(hostile: ModuleType) -> None:
    assert hostile.odd_answers(50, seed=3) == hostile.odd_answers(50, seed=3)


def test_power_tower_ends_at_its_deadline_in_a_thread_and_the_next_answer_is_graded() -> None:
    found = {}
    grade("\\boxed{\\sin a+b}", "b+\\sin a")  # starts a worker

    def work() -> None:
        start = time.monotonic()
        found["tower"] = grade("\\boxed{9^{9^{9^{9^{7}}}}}", "5", deadline=0.5)
        found["seconds"] = time.monotonic() - start
        found["next"] = grade("\\boxed{\\sin a+c}", "c+\\sin a")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(300)
    assert not found["tower"].correct
    assert found["tower"].reason == "past the deadline of 0.5 s"
    assert 0.4 < found["seconds"] < 30
    assert found["next"].correct


@pytest.mark.parametrize(
    "text",
    [
        *(unit * (1_000_000 // len(unit)) for unit in ("\\boxed{", "{", "9", " ", "answer: ", "$", "\x00")),
        "\\boxed{" + "9" * 1_000_000 + "}",
        "\\boxed{" + " " * 1_000_000 + "5}",
    ],
    ids=lambda text: text[:8] + "...",
)
@pytest.mark.parametrize("verifier", ["math", "choice", "exact"])
def test_a_megabyte_takes_no_time(text: str, verifier: str) -> None:
    start = time.process_time()
    found = grade(text, "C" if verifier == "choice" else "7919", verifier=verifier, deadline=1.0)
    assert not found.correct
    assert time.process_time() - start < 3


def test_an_answer_longer_than_the_limit_is_wrong_and_shown_cut() -> None:
    found = grade("\\boxed{" + "1+" * 200 + "1}", "201")
    assert not found.correct
    assert found.answer is not None and len(found.answer) == 200
    assert found.reason == "longer than 200 characters"


def test_a_long_gold_still_equals_itself() -> None:
    gold = "+".join(f"x_{{{i}}}" for i in range(60))
    assert len(gold) > 200
    assert grade(f"\\boxed{{{gold}}}", gold).correct


SYMBOLS = (
    r"1 2 9 0 . , + - * / ^ _ = < ( ) [ ] { } | ! % $ x i e : ; ' ? ~ & \\ \{ \} √ ² ½ € ° … ≤ \frac \sqrt \pi \infty "
    r"\cup \pm \text{ \mathrm{ \circ \ne \boxed{ \overline{ \begin{pmatrix} \end{pmatrix} \approx and or hours in cm^2 "
    'million dozen negative half not base percent R for all where is to am N "'
)


@given(
    st.lists(st.sampled_from(SYMBOLS.split()), max_size=25),
    st.sampled_from(["", " "]),
    st.sampled_from(["7", "x+1", "(1,2]", "\\pi", "3 \\text{ cm}", "\\text{Ann}", "y=2x", "1:2"]),
)
@settings(max_examples=1500, deadline=None)
def test_no_text_raises_and_none_takes_long(parts: list[str], joint: str, gold: str) -> None:
    answer = joint.join(parts)
    for text, golds in ((f"\\boxed{{{answer}}}", (gold,)), (answer, (gold,)), ("\\boxed{7}", (answer or "1",))):
        start = time.process_time()
        assert isinstance(lcpo.verifiers._look(text, golds, "math", 5.0, "auto", "prefer"), Grade | Job)
        assert time.process_time() - start < 1.0
