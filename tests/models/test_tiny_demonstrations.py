"""What the tiny base is shown: right tries, no pair twice, the best so far answered, nothing held out, any length."""

import random
import re

import numpy as np
import pytest

from lcpo.budgets import parse
from lcpo.models.tiny import demonstrations as demo
from lcpo.tasks import search
from lcpo.tasks.search import Search, read_thought
from lcpo.types import NO_BUDGET

EXAMPLE = Search((48, 217, 393, 125), "bcef")


def solved(count: int, seed: int = 0) -> list[tuple[Search, str, str, demo.Demonstration]]:
    """Problem, thought, answer and demonstration, many times."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        problem = demo.problem(rng)
        row = demo.solve(rng, problem)
        thought, _, answer = row.response.removeprefix("<think>").partition("</think> ")
        rows.append((problem, thought, answer, row))
    return rows


def test_tries_are_written_as_documented() -> None:
    assert "".join(demo.write("terse", EXAMPLE, "bc", marked=False)) == " bc265"
    assert "".join(demo.write("equals", EXAMPLE, "bc", marked=True)) == " bc=265!"
    assert "".join(demo.write("written", EXAMPLE, "bc", marked=False)) == " bc:048+217=265"
    for form, cost in demo.COSTS.items():
        assert len(demo.write(form, EXAMPLE, "be", marked=False)) == cost
        assert len(demo.write(form, EXAMPLE, "be", marked=True)) == cost + 1


def test_tries_are_right_and_distinct_and_the_answer_is_the_best_of_them() -> None:
    guesses = 0
    for problem, thought, answer, _ in solved(400):
        read = read_thought(problem, thought)
        assert read.count("right") == len(read.tries)
        assert answer == (read.best or problem.best)
        guesses += read.best is None
    assert 20 < guesses < 160  # answers without a thought are shown too


def test_the_best_so_far_carries_a_mark_and_nothing_else_does() -> None:
    for problem, thought, _, row in solved(200, seed=1):
        best = None
        tries = read_thought(problem, thought).tries
        for place, each in enumerate(tries):
            better = best is None or problem.distance(each.pair) < best
            broken_off = place == len(tries) - 1 and row.muted
            assert each.marked == better or broken_off
            best = problem.distance(each.pair) if better else best


def test_what_the_model_shall_not_say_by_itself_is_muted() -> None:
    waits = cuts = 0
    for _, thought, _, row in solved(600, seed=2):
        muted = [row.response[start:end] for start, end in row.muted]
        assert set(muted) <= {"Wait", "</think>"}
        assert muted.count("Wait") == thought.count("Wait")
        waits += muted.count("Wait")
        cuts += "</think>" in muted
    assert waits > 30 and cuts > 30


def test_thoughts_have_all_lengths_evenly_on_a_log_scale() -> None:
    lengths = np.array([thought_tokens(thought) for _, thought, _, _ in solved(2000, seed=3)])
    counts = np.histogram(lengths, [8, 16, 32, 64, 128])[0]
    assert counts.min() > 0.6 * counts.max()
    assert np.mean((lengths > 0) & (lengths < 8)) > 0.05
    assert np.mean(lengths > 100) > 0.03  # beyond the budgets that are evaluated


def thought_tokens(thought: str) -> int:
    """Tokens of a thought: every character is one, but a pair takes its blank along, and "Wait" is one."""
    return len(re.sub(r" [a-l]{2}", "x", thought).replace("Wait", "W"))


def test_no_demonstration_is_held_out() -> None:
    for problem, *_ in solved(1000, seed=4):
        assert search.split_of(search.parse(problem.question).numbers) == "train"
        assert len(problem.numbers) in search.SIZES


def test_the_budget_sentence_is_never_shown_and_counting_never_beside_a_problem() -> None:
    rng = random.Random(5)
    counted = [demo.count(rng) for _ in range(300)]
    for row in [*counted, *(row for *_, row in solved(300, seed=5))]:
        assert parse(row.question)[1] == NO_BUDGET
        assert not re.search(r"think for|token|budget", row.question, re.IGNORECASE)
        assert row.question.startswith("Which") != row.question.startswith("Write")


@pytest.mark.parametrize("size", search.SIZES)
def test_a_style_has_enough_pairs_for_the_length(size: int) -> None:
    rng = random.Random(size)
    for room in (4, 40, 96, demo.LONGEST):
        thought = demo.think(rng, demo.draw(rng, "train", size), room)
        assert len(thought.tokens) >= 0.85 * room


def test_answers_in_between_are_the_best_so_far() -> None:
    rng = random.Random(6)
    between = 0
    for _ in range(200):
        problem = demo.problem(rng)
        row = demo.solve(rng, problem, answers=0.5)
        *before, last = row.response.removeprefix("<think>").split("</think> ")
        for place, rest in enumerate([*before[1:], last]):
            so_far = read_thought(problem, "".join(before[: place + 1])).best
            if so_far is not None:
                assert rest.startswith(so_far)
                between += rest.startswith(f"{so_far}Wait")
    assert between > 100
