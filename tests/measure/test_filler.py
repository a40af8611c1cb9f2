"""What counts as filler: in prose, in the tiny world's steps, and in tokens."""

import pytest

from lcpo.measure.filler import answer_filler, filler_spans, filler_tokens, thought_filler, unit_of


def cut(text: str, spans: list[tuple[int, int]]) -> list[str]:
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("thought", "filler"),
    [
        ("We add 3 and 4.\nThat is 7.", []),
        ("We add 3 and 4.\nWe add 3 and 4.\nThat is 7.", ["We add 3 and 4."]),
        ("Let x be 3. Then y is 4. Let x be 3. So 7.", ["Let x be 3."]),
        ("Then:\n\\[ x \\]\nThen:\n\\[ y \\]\nThen:\n\\[ z \\]", []),
        ("Hmm\nHmm\nHmm", ["Hmm", "Hmm"]),
        ("So ......... 7", ["........."]),
        ("First\n---\nSecond\n***", ["---", "***"]),
        ("Is it 3? No. Is it 4? Yes.", []),
        ("\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}", []),
        ("", []),
    ],
)
def test_filler_in_prose(thought: str, filler: list[str]) -> None:
    assert cut(thought, thought_filler(thought, "line")) == filler


@pytest.mark.parametrize(
    ("thought", "filler"),
    [
        (" b65 c58 d83", []),
        (" b65 c58 b65", ["b65"]),
        (" b+44=65 c+93=58\nWait d25 c18", []),
        ("\nWait b65\nWait c58", []),
        (" b65 . . c58", [".", "."]),
        (" b65 c58Wait c93 b58\nWait c93 a58", []),
        (" b65 c58Wait c93 c58Wait c93 b58", ["c58"]),
        ("Wait c93Wait c93 Wait c93", ["Wait c93", "Wait c93"]),
        (" Wait Wait Wait b65", ["Wait"]),
        (" c58 d83Waitc58 d83", ["c58", "d83"]),
    ],
)
def test_filler_in_steps(thought: str, filler: list[str]) -> None:
    assert unit_of(thought) == "step"
    assert cut(thought, thought_filler(thought)) == filler


def test_marks_alone_are_all_filler() -> None:
    assert filler_tokens(["<think>", *"." * 50, "</think>", "4", "2"]) == 50


@pytest.mark.parametrize(
    ("answer", "filler"),
    [
        ("The answer is \\boxed{12}.", []),
        ("So $\\boxed{\\frac{1}{2}}$.\n\n", []),
        ("\\boxed{12}. Let me explain again why this holds.", ["Let me explain again why this holds."]),
        ("First \\boxed{1}, no: \\boxed{2}", []),
        ("We get twelve, as asked.", []),
        ("\\boxed{12", []),
    ],
)
def test_filler_after_a_box(answer: str, filler: list[str]) -> None:
    assert cut(answer, answer_filler(answer)) == filler


def test_in_the_tiny_world_the_answer_is_its_first_word() -> None:
    assert cut("42 c58 d11", answer_filler("42 c58 d11", "step")) == ["c58 d11"]
    assert answer_filler("42", "step") == answer_filler("", "step") == answer_filler("48 and 17", "step") == []


def test_whole_responses() -> None:
    text = "<think> b65 b65 c58</think>58 c11"
    assert cut(text, filler_spans(text)) == ["b65", "c11"]
    assert filler_spans("The answer is \\boxed{3}.") == []
    assert filler_spans("") == []


def test_tokens_count_as_filler_where_all_of_them_is() -> None:
    assert filler_tokens(["<think>", " b", "6", "5", " b", "6", "5", "</think>", "5", "8"]) == 3
    assert filler_tokens(["<think>", " b", "65", " b65 c", "58", "</think>", "58"]) == 0  # one token, partly filler
    assert filler_tokens([]) == 0


def test_a_thought_that_the_prompt_opened() -> None:
    assert filler_tokens([" b", "65", " b", "65", "</think>", "58"]) == 2
    assert filler_tokens([" b", "65", " b", "65"], thinking=True) == 2
