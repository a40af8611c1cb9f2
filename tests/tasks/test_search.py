"""The search world: questions, thoughts read try by try, what tries are worth, splits that never meet."""

import itertools
import random

import pytest

from lcpo.errors import TaskError
from lcpo.tasks import search, task
from lcpo.tasks.search import Search, read_thought
from lcpo.verifiers import grade

EXAMPLE = Search((48, 217, 393, 125), "bcef")  # bc 265, be 441, bf 173, ce 610, cf 342, ef 518


def test_question_and_answer() -> None:
    assert EXAMPLE.question == "Which two of b048 c217 e393 f125 add up closest to 550?"
    assert EXAMPLE.sums == {"bc": 265, "be": 441, "bf": 173, "ce": 610, "cf": 342, "ef": 518}
    assert EXAMPLE.best == "ef"
    assert EXAMPLE.distance("be") == 109
    assert search.parse(EXAMPLE.question) == EXAMPLE
    assert search.parse(EXAMPLE.question + " Think for 24 tokens.") == EXAMPLE


def test_either_order_of_labels_is_right() -> None:
    problem = search.as_problem(EXAMPLE)
    assert (problem.answers, problem.size, problem.instruction) == (("ef", "fe"), "4", "")
    for answer, right in (("ef", True), (" fe", True), ("be", False), ("", False)):
        assert grade(f"<think> ef518!</think>{answer}", problem.answers, "exact").correct is right


def test_the_documented_example_is_right() -> None:
    assert search.EXAMPLE.best in (search.__doc__ or "")
    thought = (search.__doc__ or "").split("a thought:")[1].split("...")[0]
    tries = read_thought(search.EXAMPLE, thought).tries
    assert [each.verdict for each in tries] == ["right"] * 5
    assert search.EXAMPLE.question in (search.__doc__ or "")


@pytest.mark.parametrize(
    ("thought", "verdicts", "best"),
    [
        ("", [], None),
        (" bc265! be441! bf173", ["right", "right", "right"], "be"),
        (" bc=265! be:048+393=441!", ["right", "right"], "be"),
        (" cb265! ef518", ["right", "right"], "ef"),  # labels in any order
        (" be441! be441 eb441", ["right", "doubled", "doubled"], "be"),
        (" be440! be441", ["wrong", "right"], "be"),  # a wrong try may be made again
        (" be441! be442", ["right", "wrong"], "be"),
        (" be:049+392=441!", ["wrong"], None),  # the sum holds, the numbers do not
        (" ad300! be441 bb096", ["invented", "right", "invented"], "be"),
        (" be441!Wait ef518!", ["right", "right"], "ef"),
        (" be441! ef51", ["right"], "be"),  # cut inside a try
        (" be441! ef:125+3", ["right"], "be"),
        (" be4410 ........ 12", [], None),
    ],
)
def test_a_thought_is_read_try_by_try(thought: str, verdicts: list[str], best: str | None) -> None:
    read = read_thought(EXAMPLE, thought)
    assert [each.verdict for each in read.tries] == verdicts
    assert read.best == best
    for verdict in ("right", "doubled", "wrong", "invented"):
        assert read.count(verdict) == verdicts.count(verdict)  # type: ignore[arg-type]


def test_places_of_tries_cover_their_marks_and_blanks() -> None:
    thought = " bc265! be440 bc265 xy123Wait ef=518"
    read = read_thought(EXAMPLE, thought)
    assert [thought[start:end] for start, end in read.wasted] == [" be440", " bc265", " xy123"]
    assert [thought[each.start : each.end] for each in read.tries if each.verdict == "right"] == [" bc265!", " ef=518"]
    assert [each.marked for each in read.tries] == [True, False, False, False, False]


@pytest.mark.parametrize(("tries", "pairs", "share"), [(0, 28, 0.0), (7, 28, 0.25), (28, 28, 1.0), (40, 28, 1.0)])
def test_attainable(tries: int, pairs: int, share: float) -> None:
    assert search.attainable(tries, pairs) == share


def test_random_tries_reach_what_is_attainable() -> None:
    """k random tries hold the best pair as often as min(1, k / N) says."""
    rng = random.Random(0)
    hits = 0
    for problem in search.problems("train", 400, sizes=(8,)):
        each = search.parse(problem.question)
        thought = "".join(f" {pair}{each.sums[pair]:03d}" for pair in rng.sample(list(each.sums), 14))
        hits += read_thought(each, thought).best == each.best
    assert hits / 400 == pytest.approx(search.attainable(14, 28), abs=0.08)


def test_no_budget_of_the_study_exhausts_a_problem() -> None:
    assert [search.ideal_tries(tokens) for tokens in (3, 4.2, 8, 92)] == [0, 1, 1, 21]
    assert search.ideal_tries(96) < min(map(search.pairs_of, search.SIZES))


def test_chance_is_small() -> None:
    assert pytest.approx((1 / 28 + 1 / 36 + 1 / 45) / 3) == search.CHANCE
    assert search.CHANCE < 0.05 and search.UNSEEN_CHANCE < 0.05


def test_reordering_and_relabelling_stay_in_the_split() -> None:
    rng = random.Random(0)
    for _ in range(50):
        numbers = tuple(rng.sample(range(1, search.HIGHEST + 1), 4))
        assert {search.split_of(order) for order in itertools.permutations(numbers)} == {search.split_of(numbers)}


def test_splits_have_their_shares() -> None:
    rng = random.Random(1)
    splits = [search.split_of(rng.sample(range(1, 500), 9)) for _ in range(4000)]
    assert 0.03 < splits.count("test") / 4000 < 0.07
    assert 0.03 < splits.count("validation") / 4000 < 0.07


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_problems_belong_to_their_split_and_have_one_answer(split: search.Split) -> None:
    problems = search.problems(split, 120, seed=3)
    assert problems[:50] == search.problems(split, 50, seed=3)
    forms = set()
    for problem in problems:
        held = search.parse(problem.question)
        forms.add(search.canonical(held.numbers))
        assert search.split_of(held.numbers) == split
        distances = sorted(map(held.distance, held.sums))
        assert 0 < distances[0] < distances[1]
        assert problem.answers[0] == held.best == min(held.sums, key=held.distance)
    assert len(forms) == len(problems)
    assert {problem.size for problem in problems} == {"8", "9", "10"}


def test_tasks_hold_the_sizes_they_name() -> None:
    assert {p.size for p in task("search").problems("validation", 9)} == {"8", "9", "10"}
    assert {p.size for p in task("search_unseen").problems("test", 8)} == {"6", "7", "11", "12"}
    with pytest.raises(TaskError, match="search_unseen has no train split"):
        task("search_unseen").problems("train", 1)


@pytest.mark.parametrize(
    ("numbers", "labels", "message"),
    [
        ((1, 500, 3), "abc", "from 1 to 499"),
        ((1, 1, 3), "abc", "different numbers"),
        ((1, 2), "ab", "3 to 12 numbers"),
        ((1, 2, 3), "acb", "in order"),
        ((1, 2, 3), "abz", "in order"),
        ((1, 2, 3), "abcd", "a label for each"),
    ],
)
def test_a_search_that_cannot_be_asked_is_refused(numbers: tuple[int, ...], labels: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Search(numbers, labels)


def test_other_questions_unknown_splits_and_sizes_are_refused() -> None:
    with pytest.raises(TaskError, match="not a question of the search world"):
        search.parse("Add b48 c17.")
    with pytest.raises(TaskError, match="allowed are"):
        search.problems("dev", 1)  # type: ignore[arg-type]
    with pytest.raises(TaskError, match="sizes are"):
        search.problems("test", 1, sizes=(2,))


def test_of_two_pairs_equally_far_away_the_first_is_the_best_so_far() -> None:
    even = Search((100, 440, 460, 7), "abcd")  # ab 540, ac 560
    assert read_thought(even, " ac560! ab540 ad107").best == "ac"
    assert read_thought(even, " ab540! ac560").best == "ab"
