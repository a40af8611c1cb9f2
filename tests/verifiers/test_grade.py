"""What `grade` takes and refuses, what it does when the algebra fails, and which answers are one vote."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import lcpo.verifiers
from lcpo.errors import ConfigError
from lcpo.verifiers import check_gold, grade, grade_many, group_answers, pool

TOWER = "9^{9^{9^{9}}}"


@pytest.mark.parametrize(
    "gold",
    ["12", 12, 12.0, Fraction(12), Decimal("12"), Decimal("12.0"), np.int64(12), np.float64(12), ["7", 12], (12,)],
)
def test_a_gold_is_a_text_a_number_or_several(gold: Any) -> None:
    assert grade("12", gold).correct
    assert not grade("13", gold).correct


@pytest.mark.parametrize(
    ("gold", "answer"), [(0.5, "\\frac12"), (1e-7, "10^{-7}"), (4.5e33, "4.5 \\times 10^{33}"), (-3, "-3")]
)
def test_a_number_as_gold_is_its_value(gold: float, answer: str) -> None:
    assert grade(f"\\boxed{{{answer}}}", gold).correct


@pytest.mark.parametrize(
    "gold",
    [None, "", "  ", [], [None], ["12", ""], True, float("nan"), float("inf"), {"answer": "12"}, [["12"]], b"12", 3j],
)
def test_any_other_gold_is_refused_in_one_line(gold: Any) -> None:
    with pytest.raises(ConfigError) as error:
        grade("12", gold)
    assert "\n" not in str(error.value) and "drop problems without one" in str(error.value)


@pytest.mark.parametrize("text", [None, 12, ["12"], b"12"])
def test_a_response_is_a_text(text: Any) -> None:
    with pytest.raises(ConfigError, match="a response is a text"):
        grade(text, "12")


@pytest.mark.parametrize(
    "gold", ["\\boxed{f(2) = 9", "{1,2", "\\frac{1}{", "$x", "\\sqrt[", "\\begin{pmatrix} 1", "(((", "\\text{", "}"]
)
def test_a_gold_that_cannot_be_read_raises_nothing_and_equals_its_own_text(gold: str) -> None:
    assert not grade("\\boxed{9}", gold).correct
    assert not grade("the answer is 9", gold).correct


@pytest.mark.parametrize("gold", ["\\boxed{f(2) = 9", "{1,2", "\\frac{1}{", "$x", "", None, {"a": 1}, "\\boxed{}"])
def test_such_a_gold_is_named_when_data_are_read(gold: Any) -> None:
    why = check_gold(gold)
    assert why is not None and "\n" not in why


@pytest.mark.parametrize(
    "gold", ["12", 12, "\\frac{1}{2}", "\\{1,2\\}", "\\$5", "$5", "$x^2$", "\\text{Friday}", "[1,2)", "\\boxed{3}"]
)
def test_a_gold_that_can_be_read_is_fine(gold: Any) -> None:
    assert check_gold(gold) is None
    assert check_gold(gold, "exact") is None


def test_past_the_deadline_is_an_outcome_of_its_own_tried_twice_and_never_kept() -> None:
    grade("\\boxed{\\sin a + 2b}", "2b + \\sin a")  # starts a worker
    kept = lcpo.verifiers._kept.cache_info().currsize
    done = sum(worker.jobs for worker in pool.shared().workers)
    late = grade(f"\\boxed{{{TOWER}}}", "5", deadline=0.2)
    assert (late.correct, late.failed, late.reason) == (False, True, "past the deadline of 0.2 s")
    assert sum(worker.jobs for worker in pool.shared().workers) == done + 2
    assert lcpo.verifiers._kept.cache_info().currsize == kept
    assert [g.failed for g in grade_many([f"\\boxed{{{TOWER}}}", "\\boxed{5}"], ["5", "5"], deadline=0.2)] == [
        True,
        False,
    ]


def test_a_worker_that_dies_is_replaced_and_the_answer_graded_all_the_same() -> None:
    with ThreadPoolExecutor(4) as threads:  # so that every worker runs
        list(threads.map(lambda n: grade(f"\\boxed{{\\sin a + {n}b}}", f"{n}b + \\sin a"), range(30, 42)))
    for worker in pool.shared().workers:
        os.killpg(worker.process.pid, signal.SIGKILL)
        worker.process.wait(timeout=30)
    found = grade("\\boxed{\\sin a + 4b}", "4b + \\sin a")
    assert (found.correct, found.failed) == (True, False)


@pytest.mark.parametrize(
    ("answers", "groups"),
    [
        (["3", "\\frac{1}{2}", "0.5", "\\dfrac12"], [0, 1, 1, 1]),
        (["7", "1,000", "1000", "1000.0"], [0, 1, 1, 1]),
        (["x+1", None, "1+x", " ", "x + 1", "x-1"], [0, None, 0, None, 0, 5]),
        (["2, 3", "3, 2", "(2, 3]"], [0, 0, 2]),
        (["\\text{Friday}", "friday", "Sunday"], [0, 0, 2]),
        ([], []),
    ],
)
def test_equal_answers_are_one_vote(answers: list[str | None], groups: list[int | None]) -> None:
    assert group_answers(answers) == groups


def test_labels_are_one_vote() -> None:
    assert group_answers(["C", "(C)", "B", "\\text{C}", "c"], "choice") == [0, 0, 2, 0, 0]
    assert group_answers(["a b", "a  b", "A b"], "exact") == [0, 0, 2]
