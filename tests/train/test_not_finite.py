"""A gradient that is not finite: one update is left out, several in a row end the run."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lcpo.errors import EngineError
from lcpo.measure.progress import Progress
from lcpo.recipes.recipe import Recipe
from lcpo.train.policy import without_cudnn_attention
from lcpo.train.recorder import SkipNonFinite
from lcpo.train.run import train
from lcpo.train.trainer import LcpoTrainer

Make = Callable[..., Recipe]


def poisoned(*updates: int) -> type[LcpoTrainer]:
    """A trainer whose gradients are NaN in these updates, though the loss is finite."""

    class Poisoned(LcpoTrainer):
        def training_step(self, model: Any, *args: Any, **kwargs: Any) -> Any:
            loss = super().training_step(model, *args, **kwargs)
            if self.state.global_step + 1 in updates:
                next(weight for weight in model.parameters() if weight.grad is not None).grad[0] = torch.nan
            return loss

    return Poisoned


def test_such_an_update_is_left_out(recipe: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train("test", recipe(trl={"save_total_limit": 3}), run, trainer=poisoned(2)).complete
    told = [json.loads(line)["grad_norm"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [norm is None for norm in told] == [False, True, False]
    assert "the gradient of update 2 is not finite; that update is left out" in capsys.readouterr().err
    weights = load_file(run / "model" / "model.safetensors")
    assert all(torch.isfinite(weight).all() for weight in weights.values())
    before, after = (load_file(run / f"checkpoint-{step}" / "model.safetensors") for step in (1, 2))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_several_in_a_row_end_the_run(recipe: Make, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"3 updates up to 3 are not finite; lower trl\.learning_rate"):
        train("test", recipe(), tmp_path / "run", quiet=True, trainer=poisoned(1, 2, 3))


def test_attention_is_left_to_other_kernels_than_cudnns(recipe: Make, tmp_path: Path) -> None:
    torch.backends.cuda.enable_cudnn_sdp(True)
    train("test", recipe(trl={"max_steps": 1}), tmp_path / "run", quiet=True)
    assert not torch.backends.cuda.cudnn_sdp_enabled()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_and_those_have_finite_gradients() -> None:
    """Where every score is far below zero, with a mask, and 64 tokens left of a tile of 128."""
    without_cudnn_attention()
    length, width = 704, 64
    q, k, v = (torch.randn(1, 1, length, width, device="cuda", dtype=torch.bfloat16) * 0.1 for _ in range(3))
    q[..., 0], k[..., 0] = 1.0, -120 * width**0.5
    q.requires_grad_()
    mask = torch.ones(length, length, dtype=torch.bool, device="cuda").tril()[None, None]
    torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).sum().backward()
    assert q.grad is not None and torch.isfinite(q.grad).all()


def test_with_a_loss_scaler_that_is_its_own_affair() -> None:
    model = torch.nn.Linear(2, 1)
    gradient = model.weight.grad = torch.full((1, 2), torch.inf)
    skip = SkipNonFinite(Progress(["train"], quiet=True))
    for _ in range(5):
        skip.on_pre_optimizer_step(SimpleNamespace(fp16=True), SimpleNamespace(global_step=0), None, model)
    assert model.weight.grad is gradient
