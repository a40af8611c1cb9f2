"""The control of a thought of marks, and the settings of the loop that training uses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lcpo.engines.base import LogitsProcessor, Request, Segment
from lcpo.engines.local import LocalEngine
from lcpo.train.sampler import FillerThought


@pytest.fixture(scope="module")
def engine(small_model: Path) -> Any:
    return LocalEngine.load(small_model)


PROMPTS = [(5, 6, 7), (5, 6, 7), (9, 10, 11, 12, 13), (40,)]


def draw(engine: LocalEngine, cap: int, *processors: LogitsProcessor) -> list[list[int]]:
    requests = [Request(Segment(ids, ""), cap, seed=i, processors=processors) for i, ids in enumerate(PROMPTS)]
    return [list(generation.written.ids or ()) for generation in engine.generate(requests)]


def test_it_follows_the_models_distribution(engine: LocalEngine) -> None:
    requests = [Request(Segment(PROMPTS[2], ""), 1, seed=i, temperature=0.2) for i in range(4000)]
    drawn = [(generation.written.ids or (0,))[0] for generation in engine.generate(requests)]
    counts = np.bincount(drawn, minlength=engine.model.config.vocab_size) / 4000
    with torch.no_grad():
        logits = engine.model(torch.tensor([PROMPTS[2]])).logits[0, -1]
    assert np.abs(counts - torch.softmax(logits / 0.2, -1).numpy()).sum() < 0.3
    top = engine.generate([Request(Segment(PROMPTS[2], ""), 1, seed=i, top_k=1) for i in range(50)])
    assert {(generation.written.ids or (0,))[0] for generation in top} == {int(logits.argmax())}


def test_a_filler_thought_holds_marks_alone(engine: LocalEngine) -> None:
    filler = FillerThought(open=20, close=21, mark=22, eos=engine.eos)
    drawn = draw(engine, 200, filler)
    for ids in drawn:
        assert ids[0] == 20
        close = ids.index(21) if 21 in ids else len(ids)
        assert set(ids[1:close]) <= {22}
        assert len(ids) <= close + 1 + filler.answer + 1
        assert not {20, 21, 22} & set(ids[close + 1 :])
    assert any(ids[-1] in engine.eos and len(ids) == ids.index(21) + filler.answer + 2 for ids in drawn)


def test_the_mode_of_the_model_is_restored(engine: LocalEngine) -> None:
    engine.model.train()
    draw(engine, 2)
    assert engine.model.training
    assert engine.model.config._attn_implementation == "sdpa"
    engine.model.eval()
    draw(engine, 2)
    assert not engine.model.training
