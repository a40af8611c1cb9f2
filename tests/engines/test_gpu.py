"""What only a GPU can show: CUDA graphs give the tokens that single steps give, and a copy follows live weights."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM

from lcpo.engines.base import Request, user
from lcpo.engines.local import LocalEngine
from sums_model import EXACT, tokenizer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

REQUESTS = [
    Request(user(f"Add a{10 + i} b17 c93 d2{i % 10}. Think for {12 + i} tokens."), 150, seed=i) for i in range(64)
]


def engine(dtype: torch.dtype, graphs: bool) -> LocalEngine:
    model = AutoModelForCausalLM.from_pretrained(EXACT, dtype=dtype).to("cuda").eval()
    return LocalEngine(model, tokenizer(), rows=24, graphs=graphs)


@pytest.mark.parametrize("changes", [{}, {"top_p": 0.9}, {"temperature": 0.0}, {"top_k": 5, "min_p": 0.01}])
def test_graphs_give_what_single_steps_give(changes: dict[str, float]) -> None:
    requests = [replace(request, **changes) for request in REQUESTS]
    plain, graphed = (engine(torch.bfloat16, graphs).generate(requests) for graphs in (False, True))
    same = sum(a.written.ids == b.written.ids for a, b in zip(plain, graphed, strict=True))
    assert same >= 0.8 * len(REQUESTS)  # sums of bf16 depend on the shape of a batch
    assert all(generation.finish == "end" for generation in graphed)


def test_a_copy_follows_the_live_weights() -> None:
    live = AutoModelForCausalLM.from_pretrained(EXACT, dtype=torch.float32).to("cuda")
    copied = LocalEngine(live, tokenizer())
    assert copied.model is not live
    before = copied.generate(REQUESTS[:8])
    with torch.no_grad():
        for parameter in live.parameters():
            parameter.mul_(0.5)
    after = copied.generate(REQUESTS[:8])
    assert [a.written.ids for a in before] != [b.written.ids for b in after]
    assert live.training is False or copied.model.training is False
