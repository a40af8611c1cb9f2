"""The first line of a CSV: names of columns or a row. An unknown header is never graded as a problem."""

import csv
import io
from pathlib import Path

import pytest
from rows import write

from lcpo.errors import TaskError
from lcpo.tasks.columns import parse
from lcpo.tasks.dataset import evaluation, load, training


def table(path: Path, *rows: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return write(path / "t.csv", out.getvalue())


SUMS = [["What is 2 + 2?", "4"], ["What is 3 + 3?", "6"]]
CAPITALS = [["Name the capital of France.", "Paris"], ["And the one of Peru, please?", "Lima"]]


@pytest.mark.parametrize("rows", [SUMS, CAPITALS])
@pytest.mark.parametrize(
    "header",
    [
        ["text", "result"],
        ["Frage", "Lösung"],
        ["Task?", "Key!"],
        ["my question", "final result"],
        ["task", "cost ($)"],
        ["x_1", "y_1"],
        ["问题", "答案"],
    ],
)
def test_an_unknown_header_is_refused_and_the_right_columns_are_proposed(
    tmp_path: Path, header: list[str], rows: list[list[str]]
) -> None:
    source = table(tmp_path, header, *rows)
    proposal = f"problem={header[0]},answer={header[1]}"
    for read in (load, evaluation, training):
        with pytest.raises(TaskError) as refused:
            read(source)
        assert f"it has {header[0]}, {header[1]}. Name them: --columns {proposal} (in a recipe: " in str(refused.value)
    assert [list(p.answers) for p in load(source, columns=parse(proposal)).problems] == [[row[1]] for row in rows]


def test_proposals_go_by_content_and_name(tmp_path: Path) -> None:
    rows = [["1", "easy", "What is 2 + 2?", "4", "algebra"], ["2", "hard", "What is 3 + 3?", "6", "algebra"]]
    with pytest.raises(TaskError, match="--columns problem=text,answer=result "):
        load(table(tmp_path, ["id", "grade", "text", "result", "topic"], *rows))
    with pytest.raises(TaskError, match=r"for the answer; .*Name it: --columns problem=question,answer=topic "):
        load(table(tmp_path, ["id", "kind", "question", "out", "topic"], *rows))
    with pytest.raises(TaskError, match="--columns problem=2,answer=3 "):
        load(table(tmp_path, ["id", "grade", "the text, whole", "key, or so", "topic"], *rows))
    with pytest.raises(TaskError, match=r"5 columns without names, 0 to 4\. Name them: --columns problem=2,answer=4"):
        load(table(tmp_path, *rows))


def test_a_header_with_one_known_name_proposes_the_other(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no column for the answer; .*--columns problem=question,answer=value "):
        load(table(tmp_path, ["question", "value"], *SUMS))


@pytest.mark.parametrize(
    "rows",
    [
        SUMS,
        CAPITALS,
        [["Solve $x^2 = 2$", "\\sqrt{2}"], ["2+3", "5"]],
        [["x+1=3", "two"], ["x+1=4", "three"]],
        [["Half of 8 is", "4"], ["Half of 6 is", "3"]],
        [["Which one is the largest", "a whale"], ["Which one is the smallest", "a flea"]],
    ],
)
def test_rows_without_a_header_are_read_from_the_first(tmp_path: Path, rows: list[list[str]]) -> None:
    assert [p.question for p in load(table(tmp_path, *rows)).problems] == [row[0] for row in rows]


def test_numbers_as_names_are_pandas_header(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="--columns problem=0,answer=1"):
        load(table(tmp_path, ["0", "1"], *SUMS))
    assert len(load(table(tmp_path, ["0", "1"], *SUMS), columns=parse("problem=0,answer=1")).problems) == 2


def test_columns_by_place_pass_over_a_header(tmp_path: Path) -> None:
    by_place = parse("problem=0,answer=1")
    loaded = load(table(tmp_path, ["text", "result"], *SUMS), columns=by_place)
    assert [p.answers for p in loaded.problems] == [("4",), ("6",)]
    assert "line 1 (text, result) was taken for the names of columns" in loaded.notes[0]
    known = load(table(tmp_path, ["question", "answer"], *SUMS), columns=by_place)
    assert [p.answers for p in known.problems] == [("4",), ("6",)] and not known.notes


def test_a_last_column_of_letters_is_mmlus(tmp_path: Path) -> None:
    rows = [
        ["Largest planet", "Mars", "Venus", "Jupiter", "Earth", "C"],
        ["Sea bird", "gull", "wren", "owl", "emu", "A"],
    ]
    assert [p.answers for p in load(table(tmp_path, *rows)).problems] == [("C",), ("A",)]


def test_an_empty_column_is_not_taken_for_the_problem(tmp_path: Path) -> None:
    rows = [["Add 2 and 2.", "", "4"], ["Add 3 and 3.", "", "6"]]
    with pytest.raises(TaskError, match="--columns problem=instruction,answer=output"):
        load(table(tmp_path, ["instruction", "input", "output"], *rows))


@pytest.mark.parametrize(
    "names",
    [
        ["A", "B", "C"],
        ["a", "b", "c"],
        ["option_a", "option_b", "option_c"],
        ["Choice 1", "Choice 2", "Choice 3"],
        ["answerA", "answerB", "answerC"],
    ],
)
def test_a_column_for_each_option_is_recognised(tmp_path: Path, names: list[str]) -> None:
    rows = [["Which is red?", "sky", "rose", "grass", "B"], ["Which is blue?", "sky", "rose", "grass", "A"]]
    problems = load(table(tmp_path, ["question", *names, "answer"], *rows)).problems
    assert [p.options for p in problems] == [("sky", "rose", "grass")] * 2
    assert [p.answers for p in problems] == [("B",), ("A",)]


def test_columns_that_merely_have_short_names_are_no_options(tmp_path: Path) -> None:
    problems = load(table(tmp_path, ["question", "a", "b", "answer"], ["Add them.", "1", "2", "3"])).problems
    assert (problems[0].options, problems[0].answers) == ((), ("3",))


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_other_signs_than_commas_part_the_columns_of_a_known_header(tmp_path: Path, sign: str) -> None:
    text = f'"Question"{sign}Answer\n"Add 1; 2, 3 | 4."{sign}10\nAdd 2 and 2.{sign}4\n'
    problems = load(write(tmp_path / "s.csv", text)).problems
    assert [(p.question, p.answers[0]) for p in problems] == [("Add 1; 2, 3 | 4.", "10"), ("Add 2 and 2.", "4")]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="two columns are called 'answer'"):
        load(table(tmp_path, ["question", "answer", "answer"], ["Add them.", "1", "2"]))
    assert load(table(tmp_path, ["question", "answer", "", ""], ["Add them.", "1", "", ""])).problems[0].answers == (
        "1",
    )


def test_a_context_stands_before_its_question(tmp_path: Path) -> None:
    problem = load(table(tmp_path, ["context", "question", "answer"], ["Ann ran.", "Who ran?", "Ann"])).problems[0]
    assert problem.question == "Ann ran.\n\nWho ran?"


def test_a_conversation_with_its_answer_in_it_asks_for_the_answers_column(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "4"}]}]
    with pytest.raises(TaskError, match="--columns problem=messages,answer=COLUMN"):
        load(write(tmp_path / "m.json", rows))
