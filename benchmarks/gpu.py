"""LCPO steps with TRL on a GPU at the shapes of real models, random weights: tokens/s, memory, shares of the limits.

    python benchmarks/gpu.py                          0.5B and 1.5B on the first GPU
    python benchmarks/gpu.py --shape 1.5B --vllm      with vLLM in the same process instead of lcpo's sampler
    python benchmarks/gpu.py --shape tiny --cap 32    on a CPU, to see that it runs

Random weights end a response almost never, so every rollout is as long as its cap: the worst case, and the same work
for everyone. The share of the bandwidth compares reading all weights and each rollout's keys and values once per
decoding step with the card's data sheet; the share of the arithmetic counts 6 operations per weight and token of the
update (8 where activations are recomputed). Needs this package with the extra `train`; vLLM only with --vllm.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lcpo.budgets import BudgetSampler
from lcpo.cluster.plan import GPUS, SHAPES, Shape

TINY = Shape(2, 64, 64, 64, 192, 1024, tied=True)


def model_of(shape: Shape, vocabulary: int, device: str) -> Any:
    """A random Qwen3-architecture model of a shape, fp32 weights."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    head = 128 if shape.width >= 1024 else 64 if shape.width > 64 else 32
    config = Qwen3Config(
        vocab_size=max(shape.vocabulary, vocabulary),
        hidden_size=shape.width,
        intermediate_size=shape.feed,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.queries // head,
        num_key_value_heads=max(1, shape.keys // head),
        head_dim=head,
        max_position_embeddings=16_384,
        tie_word_embeddings=shape.tied,
    )
    torch.manual_seed(0)
    with torch.device(device):
        return Qwen3ForCausalLM(config)


def trainer_of(model: Any, tokenizer: Any, asked: argparse.Namespace, out: str, gpu: bool) -> Any:
    """An LcpoTrainer on made-up problems, budgets up to the cap."""
    import datasets
    from trl import GRPOConfig

    from lcpo.train.trainer import LcpoTrainer, Options

    rows = asked.problems * (asked.steps + 1)
    data = {
        "prompt": [[{"role": "user", "content": f"What is {i} plus {i + 1}?"}] for i in range(rows)],
        "answers": [[str(2 * i + 1)] for i in range(rows)],
        "row": list(range(rows)),
    }
    rollouts = asked.problems * asked.group
    args = GRPOConfig(
        output_dir=out,
        use_cpu=not gpu,
        bf16=gpu,
        gradient_checkpointing=gpu,
        per_device_train_batch_size=asked.micro_batch,
        gradient_accumulation_steps=rollouts // asked.micro_batch,
        steps_per_generation=rollouts // asked.micro_batch,
        num_generations=asked.group,
        max_completion_length=asked.cap,
        max_steps=asked.steps + 1,
        learning_rate=1e-6,
        beta=0.0,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_vllm=asked.vllm,
        vllm_mode="colocate",
        vllm_enable_sleep_mode=asked.vllm,
    )
    law = {"law": "uniform", "low": max(1, asked.cap // 8), "high": asked.cap}
    return LcpoTrainer(
        model,
        objective="l1_exact_released",
        budget=BudgetSampler.read({"law": law}, "benchmark"),
        verifier="exact",
        options=Options(),
        processing_class=tokenizer,
        args=args,
        train_dataset=datasets.Dataset.from_dict(data),
    )


def measure(name: str, shape: Shape, asked: argparse.Namespace) -> dict[str, Any]:
    """One shape: the seconds and tokens of `steps` steps after a first one that warms up."""
    import torch
    from transformers import AutoTokenizer, PrinterCallback, TrainerCallback

    from lcpo.engines.models import SHIPPED

    gpu = torch.cuda.is_available() and name != "tiny"
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED["tiny"], padding_side="left")
    model = model_of(shape, len(tokenizer), "cuda" if gpu else "cpu")
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    with tempfile.TemporaryDirectory() as out:
        trainer = trainer_of(model, tokenizer, asked, out, gpu)
        marks: list[tuple[float, dict[str, float], int]] = []

        class Clock(TrainerCallback):  # type: ignore[misc]
            def on_step_end(self, *_: Any, **__: Any) -> None:
                if gpu:
                    torch.cuda.synchronize()
                marks.append((time.perf_counter(), dict(trainer.seconds), trainer.tokens))

        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Clock())
        trainer.train()
    (start, before, first), (end, after, last) = marks[0], marks[-1]
    spent = {key: after[key] - before[key] for key in after}
    return report(name, shape, asked, gpu, (end - start, spent, last - first))


def report(
    name: str, shape: Shape, asked: argparse.Namespace, gpu: bool, took: tuple[float, dict[str, float], int]
) -> dict[str, Any]:
    """Rates, memory and shares of a card's limits; nulls on a CPU."""
    import torch

    seconds, spent, tokens = took
    card = torch.cuda.get_device_name() if gpu else "cpu"
    limits = next((GPUS[key] for key in sorted(GPUS, key=len, reverse=True) if key in card.upper()), None)
    _, tflops, bandwidth = limits or (None, None, None)
    rollouts, mean = asked.problems * asked.group, tokens / (asked.steps * asked.problems * asked.group)
    width = 2 if gpu else 4
    read = asked.steps * (
        width * shape.matrix * asked.cap + rollouts * 2 * width * shape.layers * shape.keys * mean**2 / 2
    )
    passes = 8 if gpu else 6
    return {
        "shape": name,
        "parameters": shape.parameters,
        "card": card,
        "generator": "vllm" if asked.vllm else "lcpo",
        "rollouts": rollouts,
        "mean_tokens": mean,
        "seconds_per_step": seconds / asked.steps,
        "generate_tokens_per_second": tokens / max(spent["generate"], 1e-9),
        "update_tokens_per_second": tokens / max(spent["update"], 1e-9),
        "memory_gb": torch.cuda.max_memory_allocated() / 1e9 if gpu else None,
        "bandwidth_share": read / spent["generate"] / (bandwidth * 1e9) if bandwidth else None,
        "arithmetic_share": passes * shape.matrix * tokens / spent["update"] / (tflops * 1e12) if tflops else None,
    }


def main() -> None:
    """Measures and prints; JSON with --out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", action="append", choices=["tiny", *SHAPES], help="default: 0.5B and 1.5B")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--problems", type=int, default=4)
    parser.add_argument("--group", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, default=4)
    parser.add_argument("--cap", type=int, default=1024)
    parser.add_argument("--vllm", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    import torch

    shapes = asked.shape or ["0.5B", "1.5B"]
    if shapes != ["tiny"] and not torch.cuda.is_available():
        sys.exit("no GPU is visible; --shape tiny --cap 32 runs on a CPU")
    found = []
    for name in shapes:
        found.append(measure(name, TINY if name == "tiny" else SHAPES[name], asked))
        print(json.dumps(found[-1]), flush=True)
    if asked.out:
        asked.out.write_text(json.dumps({"torch": torch.__version__, "rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
