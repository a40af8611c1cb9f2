"""Words by list, per 1,000 tokens, and lists of one's own."""

import pytest
from by_hand import sample

from lcpo.errors import ConfigError
from lcpo.evaluate.behaviour import WORDS, check, occurrences
from lcpo.evaluate.results import results


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Wait, maybe I made a mistake.", {"self-correction": 2, "exploration": 1, "context": 0, "conclusion": 0}),
        ("Let me double-check: therefore, the answer is 4.", {"self-correction": 1, "conclusion": 2}),
        ("That’s wrong. Alternatively, WHAT\n IF x = 2?", {"self-correction": 1, "exploration": 2}),
        ("waiter, firsthand, thusly", {"self-correction": 0, "context": 0, "conclusion": 0}),
        ("b65 c58Wait d83", {"self-correction": 1}),
        ("", {"self-correction": 0}),
    ],
)
def test_words_are_whole_and_phrases_count_once(text: str, found: dict[str, int]) -> None:
    counted = occurrences(text)
    assert {name: counted[name] for name in found} == found


def test_rates_are_per_thousand_tokens() -> None:
    texts = (("Wait. Wait.", 100), ("Therefore 4.", 300), ("Wait", None))
    found = results([sample(text=text, tokens=n, sample=i) for i, (text, n) in enumerate(texts)], {}, resamples=5)
    (line,) = found["behaviour"]
    rates = line["per_1000_tokens"]
    assert (rates["self-correction"], rates["conclusion"], line["samples"]) == (5, 2.5, 2)


def test_no_tokens_give_no_rate() -> None:
    (line,) = results([sample(text="Wait", tokens=0)], {}, resamples=5)["behaviour"]
    assert line["per_1000_tokens"]["self-correction"] is None


def test_lists_of_ones_own() -> None:
    lines = results([sample(text="<think>aha aha</think>1", tokens=10)], {}, words={"insight": ["aha"]}, resamples=5)
    (line,) = lines["behaviour"]
    assert line["per_1000_tokens"] == {"insight": 200}
    assert line["thinking_share"] == pytest.approx(5 / 7)


@pytest.mark.parametrize("words", [{"a": "wait"}, {"a": []}, {"a": [""]}, {"a": [1]}])
def test_lists_that_are_none_are_refused(words: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="word list 'a'"):
        check(words)  # type: ignore[arg-type]


def test_default_lists_share_no_phrase() -> None:
    phrases = [phrase for several in WORDS.values() for phrase in several]
    assert len(phrases) == len(set(phrases))
