"""A limit on the whole response: never more tokens, one closing tag, and an answer wherever it has room."""

import functools
from typing import Any

import pytest

from lcpo.engines.base import Request, user
from lcpo.engines.limit import ResponseLimit, Tags
from lcpo.errors import EngineError
from lcpo.thinking import split_ids
from real_tokenizers import build
from sums_model import EXACT

torch = pytest.importorskip("torch", reason="models need the extra 'train'")

OPEN, CLOSE, EOS = 1, 2, 3
TAGS = Tags(OPEN, CLOSE, (8, CLOSE, 9), EOS)
"""A closing of three tokens: line break, tag, line break."""


def respond(limit: ResponseLimit, said: list[int], prompt: tuple[int, ...] = ()) -> list[int]:
    """A model that wants to say these tokens, whatever was forced before."""
    ids: list[int] = []
    while len(ids) < 100 and (not ids or ids[-1] != EOS):
        logits = torch.zeros(20)
        logits[said[len(ids)] if len(ids) < len(said) else EOS] = 5.0
        ids.append(int(limit(prompt, ids, logits).argmax()))
    return ids


THOUGHT = [OPEN, *[7] * 60]


@pytest.mark.parametrize("budget", range(2, 40))
def test_no_response_is_longer_than_its_budget(budget: int) -> None:
    limit = ResponseLimit(budget, TAGS)
    for said in (THOUGHT, [7] * 60, [OPEN, 7, CLOSE, *[5] * 60], [OPEN, CLOSE, 5, CLOSE, 5]):
        for prompt in ((), (4, OPEN, 4), (4, OPEN, CLOSE, 4)):
            ids = respond(limit, said, prompt)
            assert len(ids) <= budget and ids[-1] == EOS
            assert ids.count(CLOSE) <= 1


@pytest.mark.parametrize("budget", [10, 24, 80])
def test_an_open_thought_is_closed_where_the_answer_just_has_room(budget: int) -> None:
    reserve = max(4, budget // 8)
    ids = respond(ResponseLimit(budget, TAGS), [OPEN, *[7] * 90])
    start = budget - reserve - 3
    assert ids[start : start + 3] == [8, CLOSE, 9] and len(ids) == budget
    assert ids[:start] == [OPEN, *[7] * (start - 1)]
    opened = respond(ResponseLimit(budget, TAGS), [7] * 90, (OPEN,))
    assert opened[start : start + 3] == [8, CLOSE, 9]


def test_a_thought_that_ends_in_time_is_left_alone() -> None:
    said = [OPEN, 7, 7, CLOSE, 5, 6, EOS]
    assert respond(ResponseLimit(24, TAGS), said) == said
    assert respond(ResponseLimit(24, TAGS), [5, 6, EOS]) == [5, 6, EOS]
    assert respond(ResponseLimit(12, TAGS), [OPEN, 7, 7, 7, CLOSE, 5, 6, EOS]) == [OPEN, 7, 7, 7, CLOSE, 5, 6, EOS]


def test_the_tags_are_read_from_the_tokenizer() -> None:
    added = build("added")
    tags = Tags.of(added)
    assert added.decode([tags.open, tags.close, tags.eos]) == "<think></think><|end|>"
    assert added.decode(tags.closing) == "</think>"
    with pytest.raises(EngineError, match="here they are not"):
        Tags.of(build("qwen"))


def test_a_real_model_keeps_to_it() -> None:
    from lcpo.engines.local import LocalEngine

    engine = LocalEngine.load(str(EXACT))
    tags = Tags.of(engine.tokenizer)

    def asked(budget: int, seed: int) -> Request:
        limit: Any = functools.partial(ResponseLimit(budget, tags), ())
        prompt = user("Add b48 c17 d93 e25. Think for 60 tokens.")
        return Request(prompt, 200, seed, processors=(limit,))

    wanted = [(budget, seed) for budget in (2, 6, 8, 16, 30, 100) for seed in range(4)]
    for (budget, _), made in zip(wanted, engine.generate([asked(*each) for each in wanted]), strict=True):
        assert engine.marks is not None and made.written.ids is not None
        parts = split_ids(made.written.ids, engine.marks)
        assert parts.response <= budget and parts.ended
        assert made.written.ids.count(tags.close) == (budget > 2)
        assert parts.answer > 0 or budget == 2
