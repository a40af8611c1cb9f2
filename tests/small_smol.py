"""A small stand-in for smollm2, random adapters, and whether they are merged as they should be."""

from pathlib import Path
from typing import Any

import torch

from sums_model import configuration, save, tokenizer


def small_base(folder: Path, seed: int = 0) -> None:
    """A random model of two layers, in bf16, with the two tags."""
    from transformers import Qwen3ForCausalLM

    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(configuration(layers=2, width=32, heads=2, head=16))
    save(model.to(torch.bfloat16), tokenizer(), folder)


def adapt(below: Path, folder: Path, seed: int, spread: float = 0.1) -> None:
    """Writes a random adapter that is no identity, in bf16; spread: of its second matrices."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(below, dtype=torch.bfloat16),
        LoraConfig(r=2, lora_alpha=4, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.add_(spread * torch.randn_like(parameter))
    model.save_pretrained(folder)


def logits(folder: Path, ids: list[int], adapter: Path | None = None) -> Any:
    """Float32 logits of a folder's model, with an adapter that is not merged."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    with torch.no_grad():
        return model.eval()(torch.tensor([ids])).logits


def assert_merged(folder: Path, below: Path, adapter: Path, ids: list[int]) -> None:
    """A folder answers as the base with the adapter does, but for the rounding of its weights to bf16."""
    merged, apart, bare = logits(folder, ids), logits(below, ids, adapter), logits(below, ids)
    effect = float((apart - bare).norm())
    assert effect > 0
    assert float((merged - apart).norm()) < 0.1 * effect
