"""The tasks in plain English: answers, readers, splits that never meet, a wording and a story kept out."""

import itertools
import random

import pytest

from lcpo.errors import TaskError
from lcpo.tasks import chains, pairs, task
from lcpo.tasks.chains import Chain
from lcpo.tasks.pairs import Pairs
from lcpo.verifiers import grade

PROBLEM = Pairs((48, 17, 93, 25, 61, 36, 8))


def test_a_search_by_hand() -> None:
    assert PROBLEM.best == (93, 8)
    problem = pairs.as_problem(PROBLEM, pairs.WORDINGS[0])
    assert problem.question == "Which two of 48, 17, 93, 25, 61, 36 and 8 add up closest to 100?"
    for answer in ("93 and 8", "8 and 93", " 93, 8"):
        assert grade(f"<think>48+17=65!</think>{answer}", problem.answers, "exact").correct
    assert not grade("<think>93+8=101!</think>48 and 17", problem.answers, "exact").correct


def test_every_kind_of_try_is_read() -> None:
    thought = (
        "48+17=65!\n17 and 48 make 65, 35 off.\n48+17=66\n61+36=97, 4 off\n61+36=97, 3 off!Wait\n"
        "93 plus 8: tens 90, ones 11, so 101, 1 off!\n93+7=100\n8+8=16\n25+6"
    )
    tries = pairs.read_thought(PROBLEM, thought)
    assert [each.verdict for each in tries.tries] == [
        *("right", "doubled", "wrong", "wrong", "right", "right", "invented", "invented")
    ]
    assert tries.best == "93 and 8"
    assert [thought[start:end] for start, end in tries.wasted][-1] == "8+8=16"
    assert [each.marked for each in tries.tries] == [True, False, False, False, True, True, False, False]


def test_a_chain_by_hand() -> None:
    chain = Chain(34, (17, -25, 9))
    assert chain.totals == (51, 26, 35)
    assert chain.answer == "35"
    assert Chain(34, (9, 17, -25)).canonical == chain.canonical


@pytest.mark.parametrize(
    "name", ["pairs", "pairs_reworded", "pairs_unseen", "chains", "chains_reworded", "chains_long"]
)
def test_problems_are_of_the_split_and_say_what_they_ask(name: str) -> None:
    problems = task(name).problems("validation", 120, seed=3)
    assert problems == task(name).problems("validation", 120, seed=3)
    forms = set()
    for problem in problems:
        if name.startswith("pairs"):
            search = pairs.parse(problem.question)
            assert pairs.split_of(search) == "validation"
            assert pairs.spoken(search.best) == problem.answers[0]
            assert search.has_one_best() and len(search.numbers) == int(problem.size or 0)
            forms.add(search.canonical)
        else:
            chain = chains.parse(problem.question)
            assert chains.split_of(chain) == "validation"
            assert chain.answer == problem.answers[0] and len(chain.steps) == int(problem.size or 0)
            forms.add(chain.canonical)
    assert len(forms) == 120


def test_another_order_stays_in_the_split() -> None:
    rng = random.Random(0)
    for _ in range(20):
        numbers = tuple(rng.sample(range(1, 100), 5))
        assert len({pairs.split_of(Pairs(order)) for order in itertools.permutations(numbers)}) == 1


def test_words_are_both_in_turn_and_in_known_wordings() -> None:
    problems = task("words").problems("train", 400)
    assert len(problems) == 400
    for place, problem in enumerate(problems):
        if place % 2 == 0:
            assert pairs.split_of(pairs.parse(problem.question)) == "train"
            assert not problem.question.startswith("Choose two")
        else:
            assert chains.split_of(chains.parse(problem.question)) == "train"
            assert "bus" not in problem.question


@pytest.mark.parametrize("name", ["pairs_reworded", "pairs_unseen", "chains_reworded", "chains_long"])
def test_what_is_kept_out_has_no_training_split(name: str) -> None:
    with pytest.raises(TaskError, match="no train split"):
        task(name).problems("train", 1)


@pytest.mark.parametrize("question", ["Which two?", "What is 3 plus 4?", "1, 2 and 3 or 4, 5 and 6?"])
def test_other_questions_are_refused(question: str) -> None:
    with pytest.raises(TaskError, match="not a"):
        pairs.parse(question)
    with pytest.raises(TaskError, match="not a"):
        chains.parse(question)


@pytest.mark.parametrize("numbers", [(1, 2), (1, 1, 2), (0, 5, 7), (100, 5, 7)])
def test_numbers_that_cannot_be_asked_are_refused(numbers: tuple[int, ...]) -> None:
    with pytest.raises(TaskError, match="different numbers"):
        Pairs(numbers)


def test_a_chain_out_of_range_is_refused() -> None:
    with pytest.raises(TaskError, match="totals from 1 to 99"):
        Chain(50, (60,))
