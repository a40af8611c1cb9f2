"""Kinds of inputs that public bug reports showed, a check for each; where their list is at hand, none is left out."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rows import ROWS, write

from lcpo.errors import ConfigError, LcpoError, TaskError
from lcpo.tasks import evaluation, training
from lcpo.tasks.columns import parse
from lcpo.tasks.dataset import load
from lcpo.thinking import CLOSE, split_ids, split_text
from lcpo.verifiers import grade
from real_tokenizers import build, encode, marks_of

LIST = Path(__file__).resolve().parents[2].parent / "shared" / "cases" / "other.json"
KINDS = ("data file", "length")
FURTHER = ("t10", "t11", "t12", "t13")
"""Golds as a trainer hands them over."""


def handed() -> list[str]:
    if not LIST.is_file():
        return []
    cases = json.loads(LIST.read_text(encoding="utf-8"))
    mine = [case for case in cases if case["kind"] in KINDS or case["id"] in FURTHER]
    return [case["id"] for case in mine if case["verdict"] != "debatable"]


def golds(path: Path, *rows: dict[str, Any], columns: str = "") -> list[str]:
    named = [{"question": f"Which, {n}?", **row} for n, row in enumerate(rows)]
    return [" | ".join(p.answers) for p in evaluation(write(path / "d.json", named), parse(columns)).problems()]


def arc(labels: str, key: str) -> dict[str, Any]:
    return {"choices": {"text": ["gas", "ice", "fog", "dew"], "label": list(labels)}, "answerKey": key}


def numeric_labels(path: Path) -> None:
    assert golds(path, arc("1234", "3"), columns="answer=answerKey") == ["C"]


def numeric_labels_beside_letters(path: Path) -> None:
    assert golds(path, arc("1234", "3"), arc("ABCD", "B"), columns="answer=answerKey") == ["C", "B"]


def options_in_columns_counted_from_one(path: Path) -> None:
    row = {"answerA": "sad", "answerB": "glad", "answerC": "cold", "label": "2"}
    with pytest.raises(TaskError, match="label@1"):
        golds(path, row, columns="options=answerA|answerB|answerC")
    assert golds(path, row, columns="options=answerA|answerB|answerC,answer=label@1") == ["B"]


def a_number_is_a_place(path: Path) -> None:
    assert golds(path, {"choices": ["1", "2", "3", "4"], "answer": 1}) == ["B"]


def a_prompt_made_of_parts(path: Path) -> None:
    prompt = [{"role": "user", "content": [{"type": "text", "text": "How far is it?"}]}]
    assert load(write(path / "p.json", [{"prompt": prompt, "answer": "7"}])).problems[0].question == "How far is it?"


def an_object_is_no_gold(path: Path) -> None:
    with pytest.raises(TaskError, match=r"name it reward_model\.ground_truth"):
        golds(path, {"reward_model": {"style": "rule", "ground_truth": "7"}}, columns="answer=reward_model")


def options_that_are_none(path: Path) -> None:
    rows = [
        {"options": o, "answer": "B"}
        for o in (["x", "y", None, None], dict(zip("ABCD", "xy", strict=False)) | {"C": None})
    ]
    problems = load(write(path / "n.json", [{"question": f"{n}?", **row} for n, row in enumerate(rows)])).problems
    assert [p.options for p in problems] == [("x", "y"), ("x", "y")]


def a_list_as_text(path: Path) -> None:
    assert golds(path, {"answer": "['70']"}) == ["70"]


def golds_as_floats(path: Path) -> None:
    assert golds(path, *({"answer": gold} for gold in (142.0, 0.5, [70]))) == ["142", "0.5", "70"]


def a_small_number(path: Path) -> None:
    (gold,) = golds(path, {"answer": 1e-07})
    assert grade("\\boxed{10^{-7}}", gold).correct


def single_backslashes(path: Path) -> None:
    texts = ["\\frac{1}{2}", "\\boxed{3}", "\\text{east}"]
    rows = ",".join(f'{{"problem": "p{n}", "answer": "{text}"}}' for n, text in enumerate(texts))
    loaded = load(write(path / "b.json", f"[{rows}]"))
    assert [p.answers[0] for p in loaded.problems] == ["\\frac{1}{2}", "3", "\\text{east}"] and loaded.notes


def right_and_wrong_apart(path: Path) -> None:
    rows = [
        {"Question": f"Q{n}", "Correct Answer": "yes", **{f"Incorrect Answer {k}": f"no {n + k}" for k in (1, 2, 3)}}
        for n in range(40)
    ]
    problems = load(write(path / "g.json", rows)).problems
    assert {p.answers[0] for p in problems} == set("ABCD")
    assert all(p.options["ABCD".index(p.answers[0])] == "yes" for p in problems)


def no_gold(path: Path) -> None:
    for nothing in (None, float("nan")):
        with pytest.raises(TaskError, match=r"row 2, column answer: (null|empty) answer"):
            golds(path, {"answer": "1"}, {"answer": nothing})


def files_as_they_come(path: Path) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["", "question", "answer"], ["0", "What?", "4.0"]])
    (path / "c.csv").write_bytes(b"\xef\xbb\xbf" + out.getvalue().encode())
    assert load(str(path / "c.csv")).problems[0].answers == ("4.0",)
    chat = {"messages": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "\\boxed{4}"}]}
    assert golds(path, chat, columns="problem=messages,answer=messages") == ["4"]
    assert load(write(path / "s.csv", "question;answer\nWhat?;4\n")).problems[0].answers == ("4",)
    with pytest.raises(TaskError, match="--columns problem=instruction,answer=output"):
        load(write(path / "a.json", [{"instruction": "Do.", "input": "", "output": "4"}]))


def gsm8k(path: Path) -> None:
    assert golds(path, {"answer": "so many\n#### 1,234"}, {"answer": "so few\n#### -3"}) == ["1234", "-3"]


def all_of_one_or_any_of_several(path: Path) -> None:
    assert golds(path, {"final_answer": ["$2$,$3$"]}, {"final_answer": ["$2$", "$3$"]}) == ["$2$,$3$", "$2$ | $3$"]


def options_that_look_like_letters(path: Path) -> None:
    assert golds(path, {"options": ["A", "B", "AB", "O"], "answer": "O"}) == ["D"]


def contradictory_golds(path: Path) -> None:
    rows = [*ROWS, {**ROWS[0], "answer": "384"}, {"problem": "p", "answer": "384"}, {"problem": "p", "answer": "385"}]
    (note,) = training(write(path / "t.json", rows)).load("train").notes
    assert note.startswith("questions whose answers contradict each other (the first is kept): 2; first: ")


def a_merged_closing_tag(path: Path) -> None:
    tokenizer = build("qwen")
    thought = "So 12 = 12 and 19 = 19."
    response = [*encode(tokenizer, thought + CLOSE + "\n\nIt is 19."), tokenizer.eos_token_id]
    parts = split_ids(response, marks_of(tokenizer))
    assert parts.closed and parts.thinking + 1 >= len(encode(tokenizer, thought))  # "." is merged with "</"
    assert parts.answer == len(encode(tokenizer, "It is 19."))


def padding_that_is_eos(path: Path) -> None:
    tokenizer = build("added")
    body = encode(tokenizer, "<think>12</think>19")
    padded = [*body, *[tokenizer.eos_token_id] * 5]
    assert split_ids(padded, marks_of(tokenizer)).response == len(body) + 1


def every_eos_id(path: Path) -> None:
    marks = marks_of(build("added"))
    other = type(marks)(marks.open, marks.close, marks.eos | {300}, marks.decode)
    assert split_ids([*encode(build("added"), "12"), 300, 7], other).ended


def a_thought_opened_by_the_template(path: Path) -> None:
    assert split_text("12 and so on", thinking=True)[1] is None


def golds_of_a_trainer(golds: Any, right: bool) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        if right:
            assert grade("\\boxed{4}", golds).correct
        else:
            with pytest.raises((ConfigError, LcpoError), match="gold answer"):
                grade("\\boxed{4}", golds)

    return check


CHECKS: dict[str, Callable[[Path], None]] = {
    "d01": numeric_labels,
    "d02": numeric_labels_beside_letters,
    "d04": options_in_columns_counted_from_one,
    "d06": a_number_is_a_place,
    "d08": a_prompt_made_of_parts,
    "d10": an_object_is_no_gold,
    "d11": options_that_are_none,
    "d12": a_list_as_text,
    "d13": golds_as_floats,
    "d14": a_small_number,
    "d15": single_backslashes,
    "d16": right_and_wrong_apart,
    "d17": no_gold,
    "d18": files_as_they_come,
    "d19": gsm8k,
    "d20": all_of_one_or_any_of_several,
    "d21": options_that_look_like_letters,
    "d22": contradictory_golds,
    "t10": golds_of_a_trainer("it is 4\n#### 4", right=True),
    "t11": golds_of_a_trainer(None, right=False),
    "t12": golds_of_a_trainer([None], right=False),
    "t13": golds_of_a_trainer(["4", "four"], right=True),
    "t14": a_merged_closing_tag,
    "t16": padding_that_is_eos,
    "t17": every_eos_id,
    "t18": a_thought_opened_by_the_template,
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_kind_of_input_that_was_reported(name: str, tmp_path: Path) -> None:
    CHECKS[name](tmp_path)  # each of these functions makes its own assertions


def test_every_handed_input_about_data_and_lengths_has_a_check_here() -> None:
    if not LIST.is_file():
        pytest.skip("the list of reported inputs is not here")
    assert set(handed()) <= set(CHECKS)
