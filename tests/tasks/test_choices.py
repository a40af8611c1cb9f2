"""Options and which of them is right: labels of the data's own, letters, texts, places; one rule for a column."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from rows import write

from lcpo.errors import TaskError
from lcpo.tasks.columns import parse
from lcpo.tasks.dataset import load
from lcpo.types import Problem


def problems(path: Path, rows: list[dict[str, Any]], columns: str | None = None) -> list[Problem]:
    named = [{"question": f"Which one, number {n}?", **row} for n, row in enumerate(rows)]
    return load(write(path / "o.json", named), columns=parse(columns)).problems


def rights(path: Path, rows: list[dict[str, Any]], columns: str | None = None) -> str:
    return "".join(problem.answers[0] for problem in problems(path, rows, columns))


def arc(labels: str, key: Any) -> dict[str, Any]:
    return {"choices": {"text": ["ice", "wood", "iron", "salt"], "label": list(labels)}, "answerKey": key}


class TestLabels:
    def test_numeric_labels_are_labels_and_no_places(self, tmp_path: Path) -> None:
        assert rights(tmp_path, [arc("1234", "3")]) == "C"
        assert rights(tmp_path, [arc("1234", "3"), arc("ABCD", "B"), arc("1234", 1)]) == "CBA"
        assert rights(tmp_path, [arc("0123", "3")]) == "D"

    def test_labels_may_stand_in_each_option(self, tmp_path: Path) -> None:
        options = [{"label": "P", "text": "red"}, {"label": "Q", "text": "blue"}]
        problem = problems(tmp_path, [{"options": options, "answer": "Q"}])[0]
        assert (problem.options, problem.answers) == (("red", "blue"), ("B",))
        keyed = [{"key": n, "content": word} for n, word in ((10, "red"), (20, "blue"))]
        assert rights(tmp_path, [{"options": keyed, "answer": 20}]) == "B"

    def test_labels_that_do_not_hold_for_the_whole_column_are_not_trusted(self, tmp_path: Path) -> None:
        assert rights(tmp_path, [arc("1234", 0), arc("1234", 1), arc("1234", 3)]) == "ABD"  # counted from 0 after all

    def test_text_of_an_option_beside_labels(self, tmp_path: Path) -> None:
        assert rights(tmp_path, [arc("1234", "iron")]) == "C"

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"text": ["x", "y", "z"], "label": ["A", "B"]}, "an object with text, label; wanted is a list of 2 to 26"),
            ({"text": ["x", "y"], "label": ["A", "A"]}, "two options have the same label"),
            ([{"a": "x"}, {"b": "y"}], "wanted is a list of 2 to 26 options"),
            ("x or y", "the text 'x or y'; wanted is a list"),
            (["x"], "1 options are there; wanted are 2 to 26"),
            (["x", None, None], "1 options are there"),
            ([str(n) for n in range(27)], "27 options are there"),
            ([["x"], ["y", "z"]], "a list of 2; wanted is text"),
            ([True, False], "the truth value true"),
        ],
    )
    def test_options_that_cannot_be_read(self, tmp_path: Path, options: Any, message: str) -> None:
        with pytest.raises(TaskError, match=rf"o\.json row 1, column options: .*{message}"):
            problems(tmp_path, [{"options": options, "answer": "A"}])


class TestNone:
    @pytest.mark.parametrize("nothing", [None, "", " ", float("nan")])
    def test_empty_options_are_left_out(self, tmp_path: Path, nothing: Any) -> None:
        rows = [
            {"options": ["x", "y", nothing, nothing], "answer": "B"},
            {"options": {"A": "x", "B": "y", "C": nothing, "D": nothing}, "answer": "A"},
        ]
        found = problems(tmp_path, rows)
        assert [problem.options for problem in found] == [("x", "y"), ("x", "y")]
        assert [problem.answers for problem in found] == [("B",), ("A",)]

    def test_letters_and_places_count_the_empty_one(self, tmp_path: Path) -> None:
        for answer in ("C", 2, "z", "(C)"):
            problem = problems(tmp_path, [{"options": ["x", None, "z"], "answer": answer}])[0]
            assert (problem.options, problem.answers) == (("x", "z"), ("B",))
        with pytest.raises(TaskError, match="answer 'B' is none of its 2 options"):
            problems(tmp_path, [{"options": ["x", None, "z"], "answer": "B"}])

    def test_columns_of_options_may_be_empty(self, tmp_path: Path) -> None:
        out = io.StringIO()
        csv.writer(out).writerows([["question", "a", "b", "c", "answer"], ["Which?", "x", "y", "", "B"]])
        problem = load(write(tmp_path / "c.csv", out.getvalue()), columns=parse("options=a|b|c")).problems[0]
        assert (problem.options, problem.answers) == (("x", "y"), ("B",))

    def test_the_word_none_is_an_option(self, tmp_path: Path) -> None:
        assert problems(tmp_path, [{"options": ["None", "Both"], "answer": "None"}])[0].options == ("None", "Both")


class TestPlaces:
    @staticmethod
    def rows(answers: list[Any], options: list[Any] | None = None) -> list[dict[str, Any]]:
        return [{"choices": options or ["red", "blue", "green"], "label": answer} for answer in answers]

    def test_numbers_count_from_0_unless_the_column_shows_that_they_do_not(self, tmp_path: Path) -> None:
        assert rights(tmp_path, self.rows([1])) == "B"
        assert rights(tmp_path, self.rows([0, 2, 1])) == "ACB"
        assert rights(tmp_path, self.rows([1, 3, 2])) == "ACB"

    def test_numbers_in_text_need_the_column_or_a_word(self, tmp_path: Path) -> None:
        assert rights(tmp_path, self.rows(["1", "3", "2"])) == "ACB"
        assert rights(tmp_path, self.rows(["1", "0"])) == "BA"
        assert rights(tmp_path, self.rows(["1.0", "0.0"])) == "BA"
        with pytest.raises(TaskError, match=r"'2' may mean C \(label@0\), B \(label@1\); .*--columns answer=label@1"):
            rights(tmp_path, self.rows(["2", "1"]))
        assert rights(tmp_path, self.rows(["2", "1"]), "answer=label@1") == "BA"
        assert rights(tmp_path, self.rows(["2", "1"]), "answer=label@0") == "CB"

    def test_a_place_outside_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(TaskError, match=r"row 3, column label: answer 4 is none of its 3 options \(A-C, 0-2\)"):
            rights(tmp_path, self.rows([0, 1, 4]))
        with pytest.raises(TaskError, match="answer '0' read by 1 is none of its 3 options"):
            rights(tmp_path, self.rows(["2", "0"]), "answer=label@1")

    def test_options_that_are_numbers(self, tmp_path: Path) -> None:
        digits = ["1", "2", "3", "4"]
        assert rights(tmp_path, self.rows([1], digits)) == "B"  # a number is a place
        assert rights(tmp_path, self.rows(["1"], digits)) == "A"  # a text that is an option is that option
        assert rights(tmp_path, self.rows(["3", "4"], digits)) == "CD"
        assert rights(tmp_path, self.rows([12, 10], [10, 12, 14])) == "BA"


class TestLetters:
    def test_an_options_own_text_may_look_like_a_letter(self, tmp_path: Path) -> None:
        blood = ["A", "B", "AB", "O"]
        assert rights(tmp_path, [{"options": blood, "answer": answer} for answer in ("O", "AB", "B", "A")]) == "DCBA"
        assert rights(tmp_path, [{"options": blood, "answer": "O"}]) == "D"

    def test_letter_or_text_is_decided_by_the_column_or_asked(self, tmp_path: Path) -> None:
        vitamins = ["K", "C", "A", "D"]
        rows = [{"options": vitamins, "answer": "A"}]
        with pytest.raises(TaskError, match=r"'A' may mean A \(answer@letter\), C \(answer@text\)"):
            rights(tmp_path, rows)
        assert rights(tmp_path, [*rows, {"options": vitamins, "answer": "K"}]) == "CA"
        assert rights(tmp_path, [*rows, {"options": ["x", "y"], "answer": "B"}]) == "AB"
        assert rights(tmp_path, rows, "answer=answer@text") == "C"

    @pytest.mark.parametrize("answer", ["(C) z", "C. z", "C) z", "option C", "Choice (C)", "\\boxed{C}", "So\n#### C"])
    def test_letters_in_company(self, tmp_path: Path, answer: str) -> None:
        assert rights(tmp_path, [{"options": ["x", "y", "z", "w"], "answer": answer}]) == "C"

    def test_a_letter_with_another_options_text_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(TaskError, match="none of its 2 options"):
            rights(tmp_path, [{"options": ["x", "y"], "answer": "(A) y"}])

    def test_several_right_options_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(TaskError, match="a list of 2; wanted is one right option"):
            rights(tmp_path, [{"options": ["x", "y"], "answer": ["A", "B"]}])

    def test_a_list_of_options_in_text(self, tmp_path: Path) -> None:
        for options in ("['x', 'y']", '["x", "y"]', "[3, 4]", "{'A': 'x', 'B': 'y'}"):
            assert rights(tmp_path, [{"options": options, "answer": "B"}]) == "B"
        with pytest.raises(TaskError, match="a list with commas"):
            rights(tmp_path, [{"options": "['x' 'y']", "answer": "B"}])

    def test_a_mixed_column_is_read_row_by_row(self, tmp_path: Path) -> None:
        rows = [{"options": ["x", "y", "z"], "answer": answer} for answer in ("C", "y", 0)]
        assert rights(tmp_path, rows) == "CBA"
