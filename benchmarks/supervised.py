"""Supervised steps, as [supervised] and [hindsight] make them: seconds a step of 64 rows, random weights.

    python benchmarks/supervised.py                     135M and 1.5B on the first GPU, bf16 over fp32 weights
    python benchmarks/supervised.py --lora --checkpointing
    python benchmarks/supervised.py --cpu               the shipped tiny model, to see that it runs

Rows are 40 tokens of prompt and 20-240 of response, about 10,000 tokens a step.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from engine import SHAPES
from lcpo.engines.models import SHIPPED
from lcpo.recipes.recipe import SupervisedSteps
from lcpo.train.supervised import Row, default_micro_tokens, optimizer_of, step

ROWS, STEPS = 64, 10


def model_of(name: str, lora: bool) -> Any:
    """Random weights of a shape on the GPU, or the shipped tiny model; with an adapter of rank 32 if wanted."""
    if name == "tiny":
        model = AutoModelForCausalLM.from_pretrained(SHIPPED["tiny"], dtype="float32")
    else:
        shape = SHAPES[name]
        config = LlamaConfig(
            vocab_size=shape.vocabulary, hidden_size=shape.width, intermediate_size=shape.feed, head_dim=shape.head,
            num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.key_heads,
            tie_word_embeddings=True,
        )  # fmt: skip
        with torch.device("cuda"):
            model = LlamaForCausalLM(config)
    if lora:
        from peft import LoraConfig, get_peft_model

        model = model.to(torch.bfloat16 if name != "tiny" else torch.float32)
        model = get_peft_model(model, LoraConfig(r=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    return model.train()


def measure(name: str, lora: bool, checkpointing: bool) -> dict[str, Any]:
    """Seconds a step and tokens a second, after three steps that warm up."""
    model, rng = model_of(name, lora), np.random.default_rng(0)
    gpu, vocabulary = model.device.type == "cuda", model.config.vocab_size
    if checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    optimizer, tokens = optimizer_of(model, SupervisedSteps(batch=ROWS, lr=1e-4)), default_micro_tokens(model)
    begun, seen = 0.0, 0
    for number in range(STEPS + 3):
        rows = []
        for length in rng.integers(20, 240, ROWS).tolist():
            ids = rng.integers(vocabulary, size=40 + length).tolist()
            rows.append(Row(ids[:40], ids[40:], [True] * length))
        if number == 3:
            begun, seen = time.perf_counter(), 0
        step(model, optimizer, rows, pad=0, tokens=tokens, bf16=gpu)
        seen += sum(map(len, rows))
    seconds = (time.perf_counter() - begun) / STEPS
    found = {"shape": name, "lora": lora, "checkpointing": checkpointing, "micro_tokens": tokens}
    found |= {"seconds_per_step": round(seconds, 4), "tokens_per_second": round(seen / STEPS / seconds)}
    if gpu:
        found |= {"card": torch.cuda.get_device_name(), "gib": round(torch.cuda.max_memory_allocated() / 2**30, 1)}
    return found


def main() -> None:
    """Prints a JSON line for each shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    names = ["tiny"] if asked.cpu else list(SHAPES)
    lines = [json.dumps(measure(name, asked.lora, asked.checkpointing)) for name in names]
    print("\n".join(lines))
    if asked.out:
        asked.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
