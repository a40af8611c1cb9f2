"""lcpo's sampler: it draws from the model's distribution, stops where it must, and no rollout knows its neighbours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lcpo.train.sampler import Drawing, Filler, rollout_uniforms, sample


@pytest.fixture(scope="module")
def model(small_model: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(small_model, dtype="float32")


PROMPTS = [[5, 6, 7], [5, 6, 7], [9, 10, 11, 12, 13], [40]]
ROWS = [(0, 0), (0, 1), (1, 0), (2, 0)]


def draw(model: Any, chosen: Sequence[int], caps: Sequence[int], **rest: Any) -> list[list[int]]:
    numbers = rollout_uniforms(3, 1, [ROWS[i] for i in chosen], max(caps))
    prompts = [PROMPTS[i] for i in chosen]
    return sample(model, prompts, caps, numbers, **{"eos": [2], "pad": 0} | rest)


def test_a_rollout_does_not_know_its_neighbours(model: Any) -> None:
    together = draw(model, [0, 1, 2, 3], [20] * 4)
    for i in range(4):
        assert draw(model, [i], [20]) == [together[i]]
    assert draw(model, [3, 1, 0, 2], [20] * 4) == [together[3], together[1], together[0], together[2]]
    assert together[0] != together[1]


def test_caps_and_eos_end_a_rollout(model: Any) -> None:
    whole = draw(model, [0, 1, 2, 3], [20] * 4)
    cut = draw(model, [0, 1, 2, 3], [1, 5, 20, 7])
    assert cut == [one[:cap] for one, cap in zip(whole, [1, 5, 20, 7], strict=True)]
    ends = [whole[0][4], whole[1][2]]
    early = draw(model, [0, 1, 2, 3], [20] * 4, eos=ends)
    for one, full in zip(early, whole, strict=True):
        places = [i for i, token in enumerate(full) if token in ends]
        assert one == (full[: places[0] + 1] if places else full)


def test_it_follows_the_models_distribution(model: Any) -> None:
    numbers = rollout_uniforms(0, 0, [(0, copy) for copy in range(4000)], 1)
    drawn = sample(model, [PROMPTS[2]] * 4000, [1] * 4000, numbers, eos=[2], pad=0, drawing=Drawing(temperature=0.2))
    counts = np.bincount([one[0] for one in drawn], minlength=model.config.vocab_size) / 4000
    with torch.no_grad():
        logits = model(torch.tensor([PROMPTS[2]])).logits[0, -1]
    expected = torch.softmax(logits / 0.2, -1).numpy()
    assert np.abs(counts - expected).sum() < 0.3
    top = sample(model, [PROMPTS[2]] * 50, [1] * 50, numbers[:50], eos=[2], pad=0, drawing=Drawing(top_k=1))
    assert {one[0] for one in top} == {int(logits.argmax())}


def test_greedy_continuation_is_generates_own(model: Any) -> None:
    numbers = rollout_uniforms(0, 0, ROWS, 15)
    drawn = sample(model, PROMPTS, [15] * 4, numbers, eos=[2], pad=0, drawing=Drawing(top_k=1))
    for prompt, one in zip(PROMPTS, drawn, strict=True):
        ids = torch.tensor([prompt])
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=15, eos_token_id=2,
            pad_token_id=0, temperature=None, top_p=None, top_k=None,
        )  # fmt: skip
        assert out[0, len(prompt) :].tolist() == one


def test_a_filler_thought_holds_marks_alone(model: Any) -> None:
    filler = Filler(open=20, close=21, mark=22)
    drawn = draw(model, [0, 1, 2, 3], [200] * 4, filler=filler)
    for one in drawn:
        assert one[0] == 20
        close = one.index(21) if 21 in one else len(one)
        assert set(one[1:close]) <= {22}
        assert len(one) <= close + 1 + filler.answer + 1
        assert not {20, 21, 22} & set(one[close + 1 :])
    assert any(one[-1] == 2 and len(one) == one.index(21) + filler.answer + 2 for one in drawn), "an answer was ended"


def test_the_mode_of_the_model_is_restored(model: Any) -> None:
    model.train()
    draw(model, [0], [2])
    assert model.training
    model.eval()
    draw(model, [0], [2])
    assert not model.training
