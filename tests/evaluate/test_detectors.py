"""Each detector fires on a made-up case and stays silent on a clean one."""

from typing import Any

import pytest
from by_hand import sample

from lcpo.evaluate.detectors import Thresholds, detect, repetition, thought_of
from lcpo.evaluate.records import Sample
from lcpo.evaluate.results import results

CLEAN = "We add the parts one by one: three and four give seven, and nine more make sixteen, which we check backwards."


def text(thought: str, answer: str = "16") -> str:
    return f"<think>{thought}</think>{answer}"


def evaluation(**changes: Any) -> list[Sample]:
    """A clean dial over four budgets, changed."""
    return [
        sample(
            **{
                "budget": budget, "problem": f"p{p}", "sample": i, "tokens": budget, "thinking_tokens": budget - 5,
                "answer_tokens": 2, "filler_tokens": 0, "text": text(CLEAN), **changes,
            }
        )
        for budget in (32, 64, 128, 256) for p in range(3) for i in range(2)
    ]  # fmt: skip


def fired(samples: list[Sample]) -> set[str]:
    return {line["detector"] for line in results(samples, {}, resamples=5)["detectors"] if line["fired"]}


def test_a_clean_dial_fires_nothing_and_was_looked_at() -> None:
    lines = results(evaluation(), {}, resamples=5)["detectors"]
    assert {line["detector"] for line in lines} == {"answer_reasoning", "padding", "no_thought", "collapse"}
    assert not any(line["fired"] for line in lines)


def test_reasoning_moved_into_the_answer() -> None:
    assert fired(evaluation(thinking_tokens=3, answer_tokens=300)) == {"answer_reasoning"}


def test_a_short_answer_without_much_thought_is_no_moved_reasoning() -> None:
    assert fired(evaluation(thinking_tokens=3, answer_tokens=10)) == set()


def test_padding_by_repeated_words() -> None:
    assert fired(evaluation(text=text("let me think about it again " * 20))) == {"padding"}


def test_padding_by_marks() -> None:
    assert fired(evaluation(text=text("." * 60), filler_tokens=30)) == {"padding"}


def test_padding_by_filler_that_is_no_repetition() -> None:
    (line,) = [one for one in results(evaluation(filler_tokens=20), {}, resamples=5)["detectors"]
               if one["detector"] == "padding" and one["budget"] == 32]  # fmt: skip
    assert line["fired"] and line["value"] == 20 / 32 and "carry nothing" in line["message"]


def test_collapse_to_one_length() -> None:
    assert fired(evaluation(tokens=77)) == {"collapse"}


def test_budgets_close_together_cannot_show_a_collapse() -> None:
    samples = [sample(budget=b, tokens=77, text=text(CLEAN)) for b in (60, 70, 80)]
    assert fired(samples) == set()


def test_answers_without_thoughts() -> None:
    assert fired(evaluation(thinking_tokens=0)) == {"no_thought"}


def test_a_method_without_thoughts_is_not_accused() -> None:
    samples = evaluation(method="direct", thinking_tokens=0, answer_tokens=200, text="The answer is \\boxed{16}.")
    assert fired(samples) == set()


def test_what_is_not_known_is_not_looked_at() -> None:
    unknown = evaluation(tokens=None, thinking_tokens=None, answer_tokens=None, filler_tokens=None)
    lines = results(unknown, {}, resamples=5)["detectors"]
    assert {line["detector"] for line in lines} == {"padding"}


def test_thresholds_can_be_set() -> None:
    assert detect([]) == []
    assert Thresholds(growth=0.5).growth == 0.5


@pytest.mark.parametrize(
    ("words", "share"),
    [("a b c d", 0.0), ("a b c", 0.0), ("a a a a a", 0.5), ("one two three four one two three four", 0.2), ("", 0.0)],
)
def test_repetition_is_the_share_of_four_grams_seen_before(words: str, share: float) -> None:
    assert repetition(words) == pytest.approx(share)


@pytest.mark.parametrize(
    ("changes", "thought"),
    [
        ({"text": "<think>abc</think>1"}, "abc"),
        ({"text": "abc</think>1", "prompt": "... <think>\n"}, "abc"),
        ({"text": "abc", "prompt": "... <think>\n", "no_answer": True}, "abc"),
        ({"text": "abc", "no_answer": True, "thinking_tokens": 3}, "abc"),
        ({"text": "abc", "no_answer": False, "thinking_tokens": 0}, ""),
    ],
)
def test_the_thought_of_a_sample(changes: dict[str, Any], thought: str) -> None:
    assert thought_of(sample(**changes)) == thought
