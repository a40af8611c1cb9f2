"""Cells that are not strings: read by their meaning, or refused with file, row and column; never Python's print."""

import csv
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import write

from lcpo.errors import TaskError
from lcpo.tasks.cells import Cell, answers, number, text
from lcpo.tasks.dataset import load
from lcpo.types import Problem

ASKED = "How many legs have three spiders?"


def only(path: Path, row: dict[str, Any], columns: dict[str, str] | None = None) -> Problem:
    return load(write(path / "a.json", [row]), columns=columns).problems[0]


@pytest.mark.parametrize(
    "cell",
    [
        ASKED,
        [{"type": "text", "text": ASKED}],
        {"type": "text", "text": ASKED},
        [ASKED],
        {"role": "user", "content": ASKED},
        [{"role": "user", "content": ASKED}],
        [{"role": "user", "content": [{"type": "text", "text": ASKED}]}],
        [{"role": "user", "content": {"type": "text", "text": ASKED}}],
        [{"role": "system", "content": "Be short."}, {"role": "user", "content": [ASKED]}],
        [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": ASKED},
        ],
        [{"from": "human", "value": ASKED}, {"from": "gpt", "value": "24"}],
        json.dumps([{"role": "user", "content": ASKED}]),
        str([{"role": "user", "content": ASKED}]),
        str([{"type": "text", "text": ASKED}]),
    ],
)
def test_a_question_in_every_dress(tmp_path: Path, cell: Any) -> None:
    assert only(tmp_path, {"prompt": cell, "answer": "24"}).question == ASKED


def test_parts_of_a_message_stand_on_lines_of_their_own(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "A farmer has 3 pens."}, {"type": "text", "text": "How many sheep fit?"}]
    row = {"prompt": [{"role": "user", "content": parts}], "answer": "9"}
    assert only(tmp_path, row).question == "A farmer has 3 pens.\nHow many sheep fit?"


@pytest.mark.parametrize("cell", ["[asy] draw((0,0)--(1,1)); [/asy]", "{1, 2} is a set?", "[1, 2]", '{"a": 1}', "['x"])
def test_text_that_merely_looks_like_a_list_stays(tmp_path: Path, cell: str) -> None:
    assert only(tmp_path, {"problem": cell, "answer": "9"}).question == cell


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ([{"type": "image_url", "image_url": {"url": "a.png"}}], "a part of type 'image_url'; only text is read"),
        ([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}], "a part of type 'image'"),
        ({"en": "one", "de": "eins"}, r"an object with en, de; wanted is one of its fields; name it prompt\.FIELD"),
        (["one", "two"], "a list of 2; wanted is text, a number, or a conversation"),
        (True, "the truth value true; wanted is text, a number, or a conversation"),
        ([[1, 2], [3]], "a list of 2"),
    ],
)
def test_a_question_that_cannot_be_read_names_file_row_and_column(tmp_path: Path, cell: Any, message: str) -> None:
    rows = [{"prompt": "What?", "answer": "1"}, {"prompt": cell, "answer": "2"}]
    with pytest.raises(TaskError, match=rf"q\.json row 2, column prompt: {message}"):
        load(write(tmp_path / "q.json", rows))


@pytest.mark.parametrize(
    ("cell", "golds"),
    [
        ("['70']", ("70",)),
        ('["1/2", "0.5"]', ("1/2", "0.5")),
        ("['$2$,$3$']", ("$2$,$3$",)),
        (["$2$", "$3$"], ("$2$", "$3$")),
        ([["7"], [8]], ("7", "8")),
        ("[1, 2]", ("[1, 2]",)),  # an interval, for all that is known
        ("[2, 5)", ("[2, 5)",)),
        ("{1, 2}", ("{1, 2}",)),
        ("[]", ("[]",)),
        ("so \\boxed{3} and \\boxed{4}", ("3, 4",)),
        ("\\boxed{3", ("\\boxed{3",)),
        ('{"name": "add"}', ('{"name": "add"}',)),
        ({"type": "text", "text": "the sum is \\boxed{9}"}, ("9",)),
        ([{"role": "user", "content": "?"}, {"role": "assistant", "content": "So \\boxed{5}."}], ("5",)),
        (1e-07, ("0.0000001",)),
        (1e25, ("1" + "0" * 25,)),
        (-0.0, ("0",)),
        (2.50, ("2.5",)),
        (100, ("100",)),
        ([None, float("nan"), "3"], ("3",)),
    ],
)
def test_golds_in_every_dress(tmp_path: Path, cell: Any, golds: tuple[str, ...]) -> None:
    assert only(tmp_path, {"problem": "q", "answer": cell}).answers == golds


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ({"style": "rule", "ground_truth": "4"}, r"an object with style, ground_truth; .*name it answer\.ground_truth"),
        ([{"n": 4}], r"an object with n; wanted is one of its fields; name it answer\.FIELD"),
        (True, "the truth value true"),
        ("['70' '71']", "wanted is a list with commas between its parts"),
    ],
)
def test_a_gold_that_cannot_be_read_names_file_row_and_column(tmp_path: Path, cell: Any, message: str) -> None:
    with pytest.raises(TaskError, match=rf"g\.json row 1, column answer: .*{message}"):
        load(write(tmp_path / "g.json", [{"problem": "q", "answer": cell}]))


def test_columns_of_parquet_keep_their_meaning(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    import pyarrow

    rows = {"problem": ["q", "r"], "answer": [Decimal("1.50"), Decimal("7.00")]}
    parquet.write_table(pyarrow.table(rows), tmp_path / "d.parquet")
    assert [p.answers for p in load(str(tmp_path / "d.parquet")).problems] == [("1.5",), ("7",)]
    parquet.write_table(pyarrow.table({"problem": ["q"], "answer": [date(2024, 5, 1)]}), tmp_path / "e.parquet")
    with pytest.raises(TaskError, match=r"e\.parquet row 1, column answer: a date; wanted is text"):
        load(str(tmp_path / "e.parquet"))


VERL = {
    "prompt": [{"role": "user", "content": "What is 6 x 7?"}],
    "ability": "math",
    "reward_model": {"style": "rule", "ground_truth": "42"},
    "extra_info": {"index": 0},
}


class TestNested:
    def test_verls_rows_are_recognised(self, tmp_path: Path) -> None:
        problem = only(tmp_path, VERL)
        assert (problem.question, problem.answers) == ("What is 6 x 7?", ("42",))

    def test_a_field_can_be_named_and_its_object_alone_is_refused(self, tmp_path: Path) -> None:
        row = {"q": {"text": "What?", "lang": "en"}, "key": {"value": 9}}
        assert only(tmp_path, row, {"problem": "q.text", "answer": "key.value"}).answers == ("9",)
        with pytest.raises(TaskError, match=r"column reward_model: .*name it reward_model\.ground_truth"):
            only(tmp_path, VERL, {"answer": "reward_model"})
        with pytest.raises(TaskError, match=r"no column 'key\.valeu' \(answer\)"):
            only(tmp_path, row, {"problem": "q.text", "answer": "key.valeu"})

    def test_an_object_in_a_csv_is_text(self, tmp_path: Path) -> None:
        out = io.StringIO()
        csv.writer(out).writerows([["prompt", "reward_model"], ["What?", json.dumps({"ground_truth": ["1", "one"]})]])
        assert load(write(tmp_path / "v.csv", out.getvalue())).problems[0].answers == ("1", "one")


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_number_is_written_without_an_exponent_and_means_the_same(value: float) -> None:
    written = number(value)
    assert "e" not in written.lower()
    assert (int(written) if isinstance(value, int) else float(written)) == value


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["role", "type", "text", "a"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_no_value_is_ever_turned_into_pythons_print(value: Any) -> None:
    for read in (lambda cell: (text(cell),), answers):
        try:
            found = read(Cell(value, "f.json row 1, column c"))
        except TaskError as error:
            assert str(error).startswith("f.json row 1, column c: ")
            continue
        if isinstance(value, (dict, list, bool, type(None))):
            assert str(value) not in found
