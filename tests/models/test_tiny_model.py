"""The tiny reasoner's tokenizer and size."""

import itertools

import pytest

from lcpo.budgets import render
from lcpo.tasks.search import LABELS
from lcpo.types import Budget

model = pytest.importorskip("lcpo.models.tiny.model", reason="models need the extra 'train'")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def fast() -> object:
    return model.tokenizer()


def test_every_pair_and_label_is_one_token(fast) -> None:  # type: ignore[no-untyped-def]
    words = [*LABELS, *("".join(pair) for pair in itertools.combinations(LABELS, 2))]
    assert all(len(fast(f" {word}")["input_ids"]) == 1 for word in words)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [(" ab265", 4), (" ab265!", 5), (" ab=265", 5), (" ab:048+217=265", 13), ("Wait", 1), ("</think> ab", 2)],
)
def test_tokens_of_a_thought(fast, text: str, tokens: int) -> None:  # type: ignore[no-untyped-def]
    assert len(fast(text)["input_ids"]) == tokens


@pytest.mark.parametrize("text", ["Ünïcode, 10 % and\n\ttabs", " two  blanks ", "<think> ab265!</think> ab"])
def test_no_text_is_lost(fast, text: str) -> None:  # type: ignore[no-untyped-def]
    assert fast.decode(fast(text)["input_ids"]) == text


def test_a_budget_is_told_in_digits(fast) -> None:  # type: ignore[no-untyped-def]
    assert fast.tokenize(render(Budget("exact", 24)).strip())[2:] == ["Ġ", "2", "4", "Ġtokens", "."]


def test_the_model_has_under_a_million_parameters() -> None:
    from transformers import AutoModelForCausalLM

    tiny = AutoModelForCausalLM.from_config(model.configuration())
    assert sum(parameter.numel() for parameter in tiny.parameters()) < 1_000_000
