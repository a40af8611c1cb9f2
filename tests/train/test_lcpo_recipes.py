"""lcpo-exact and lcpo-max, the recipes for any model: TRL takes them, and every stage runs on a random Qwen3."""

import json
from pathlib import Path

import pytest
import torch
import trl

from lcpo.recipes.recipe import read_recipe
from lcpo.train.run import STAGES, train
from lcpo.train.settings import settings

NAMES = ["lcpo-exact", "lcpo-max"]
SHORT = [
    *('task={name="sums", problems=60, filler=1.0}', "budget.law.low=2", "budget.law.high=40", "lora.r=4"),
    *("hindsight.samples=120", "hindsight.steps=2", "hindsight.batch=4", "hindsight.filler=1.0", "group.problems=1"),
    *("trl.max_steps=2", "trl.save_steps=2", "trl.lr_scheduler_kwargs.num_decay_steps=1", "threads=1"),
]
"""A few steps, of budgets that a random model's responses have."""


@pytest.mark.parametrize("name", NAMES)
def test_they_compose_with_trls_configuration(name: str, tmp_path: Path) -> None:
    _, recipe = read_recipe(name, ["trl.use_cpu=true"])
    args = settings(recipe, tmp_path)
    assert isinstance(args, trl.GRPOConfig)
    assert (args.num_generations, args.beta, args.loss_type, args.max_steps) == (16, 0.0, "dapo", 300)
    assert args.max_completion_length == 6144 and args.generation_batch_size == 256
    assert args.steps_per_generation * args.per_device_train_batch_size == 256


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_they_run_from_end_to_end(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, Qwen3ForCausalLM

    from sums_model import configuration, save, tokenizer

    torch.manual_seed(0)
    model = Qwen3ForCausalLM(configuration(layers=4, width=256, heads=4, head=64))
    assert model.num_parameters() > 2_000_000
    save(model, tokenizer(), tmp_path / "base")
    name, recipe = read_recipe(name, [f"model={tmp_path / 'base'}", *SHORT])
    result = train(name, recipe, tmp_path / "run", quiet=True)
    assert result.complete and result.steps == 2
    rounds = result.manifest["stages"]["hindsight"]
    assert len(rounds) == 2 and all(each["used"] > 0 for each in rounds)
    first = result.lines[0]
    assert first["length"] <= 60 and first["reward"] is not None  # cut at 1.5 times the largest budget
    for folder in (STAGES + "/hindsight", "adapter"):
        assert (tmp_path / "run" / folder / "adapter_model.safetensors").is_file()
    config = json.loads((tmp_path / "run/adapter/adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, 128)
    AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model")
