"""Every kind of answer in tests/cases/kinds.json: right ones are accepted, and what means something else never is."""

import json
from pathlib import Path
from typing import Any

import pytest

from lcpo.verifiers import grade, grade_many

CASES = Path(__file__).parents[1] / "cases"
KINDS: dict[str, list[Any]] = json.loads((CASES / "kinds.json").read_text("utf-8"))
"""kind -> rows of a gold, answers that equal it, answers that do not."""

AROUND: dict[str, list[str]] = json.loads((CASES / "around.json").read_text("utf-8"))
"""golds, and what is written around them (@): `same` changes no meaning, `other` makes another answer of it."""


def graded(gold: str, answers: list[str]) -> dict[str, bool]:
    grades = grade_many([f"so \\boxed{{{answer}}}." for answer in answers], [gold] * len(answers))
    return {answer: grade.correct for answer, grade in zip(answers, grades, strict=True)}


@pytest.mark.parametrize("kind", KINDS)
def test_kind(kind: str) -> None:
    for gold, right, wrong in KINDS[kind]:
        expected = dict.fromkeys(right, True) | dict.fromkeys(wrong, False)
        assert graded(gold, [*expected]) == expected, gold


@pytest.mark.parametrize("gold", AROUND["golds"])
def test_what_is_only_dress_changes_nothing_and_what_means_more_is_another_answer(gold: str) -> None:
    expected = {form.replace("@", gold): True for form in AROUND["same"]} | {
        form.replace("@", gold): False for form in AROUND["other"]
    }
    assert graded(gold, [*expected]) == expected


TEXTS: dict[str, list[Any]] = json.loads((CASES / "texts.json").read_text("utf-8"))
"""kind -> rows of a gold, whether the response is right, the response."""
CHOICES: list[Any] = json.loads((CASES / "choices.json").read_text("utf-8"))


@pytest.mark.parametrize("kind", TEXTS)
def test_whole_responses(kind: str) -> None:
    for gold, right, text in TEXTS[kind]:
        assert grade(text, gold).correct is right, (gold, text)


def test_multiple_choice() -> None:
    for gold, right, text in CHOICES:
        assert grade(text, gold, verifier="choice").correct is right, (gold, text)


def test_the_last_box_alone_counts_where_a_box_is_required() -> None:
    """The rule of arXiv:2503.04697's code: several boxes are no list there, and an empty last one is no answer."""
    assert grade("\\boxed{2}, \\boxed{9}", "9", box="require").correct
    assert not grade("\\boxed{2}, \\boxed{9}", "2, 9", box="require").correct
    assert grade("\\boxed{9} in \\boxed{}", "9", box="require").answer is None
