"""Our decoding loop against `model.generate` on the same requests in one run, with lengths that differ.

    python benchmarks/engine.py                     CPU: the shipped tiny-exact, lengths 12-96 as asked
    python benchmarks/engine.py --gpu               a GPU: random weights of 135M and 1.5B shapes, bf16
    python benchmarks/engine.py --gpu --profile     the kernels of some decoding steps as well
    python benchmarks/engine.py --gpu --eager       the loop without CUDA graphs

Only tokens that a request wanted count, for both; `generate` decodes every row to the longest. On a CPU the rate is
per CPU second, the best of three alternating runs. On a GPU it is per second, and the share of the bandwidth compares
reading all weights and the keys and values of the running rows once per step with the card's data sheet.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lcpo.engines.base import Request, Segment, user
from lcpo.engines.local import LocalEngine
from lcpo.engines.models import SHIPPED
from lcpo.tasks import task

BANDWIDTH = {"H200": 4.8e12, "H100": 3.35e12, "A100": 2.0e12}
"""Bytes per second by data sheet."""


@dataclass(frozen=True)
class Shape:
    """A Llama-architecture model."""

    layers: int
    width: int
    heads: int
    key_heads: int
    head: int
    feed: int
    vocabulary: int
    rows: tuple[int, ...]
    even: int


SHAPES = {
    "135M": Shape(30, 576, 9, 3, 64, 1536, 49_152, (1, 8, 32, 256, 768), 256),
    "1.5B": Shape(28, 1536, 12, 2, 128, 8960, 151_936, (1, 8, 64), 512),
}


def generate(model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], longest: int) -> list[list[int]]:
    """transformers' own loop on a left-padded batch, sampling."""
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    settings = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": longest}
    out = model.generate(ids, attention_mask=mask, pad_token_id=0, **settings)
    return [row.tolist() for row in out[:, width:]]


def best(work: Callable[[], int], clock: Callable[[], float], runs: int) -> float:
    """The best rate of some runs, tokens per second of the clock."""
    rates = []
    for _ in range(runs):
        begun = clock()
        tokens = work()
        rates.append(tokens / (clock() - begun))
    return max(rates)


def on_cpu(rows: Sequence[int], runs: int) -> list[dict[str, Any]]:
    """tiny-exact, asked for 12-96 tokens."""
    engine = LocalEngine.load(SHIPPED["tiny-exact"])
    eos = engine.eos
    table = []
    for count in rows:
        budgets = np.linspace(12, 96, count).round().astype(int) if count > 1 else np.array([60])
        problems = task("search").problems("validation", count)
        texts = [f"{problem.question} Think for {b} tokens." for problem, b in zip(problems, budgets, strict=True)]
        prompts = [engine.prompt_ids(Request(user(text), 192, seed=0)) for text in texts]

        def ours(prompts: Any = prompts) -> int:
            requests = [Request(Segment(ids, ""), 192, seed=i) for i, ids in enumerate(prompts)]
            return sum(generation.tokens or 0 for generation in engine.generate(requests))

        def theirs(prompts: Any = prompts) -> int:
            torch.manual_seed(0)
            ends = [[i for i, t in enumerate(r) if t in eos] for r in generate(engine.model, None, prompts, 192)]
            return sum(end[0] + 1 if end else 192 for end in ends)

        rates = [0.0, 0.0]
        for _ in range(runs):
            for which, work in enumerate((theirs, ours)):
                rates[which] = max(rates[which], best(work, time.process_time, max(1, 16 // count)))
        table.append({"rows": count, "generate": rates[0], "lcpo": rates[1], "ratio": rates[1] / rates[0]})
        print(json.dumps(table[-1]), flush=True)
    return table


def model_of(shape: Shape) -> Any:
    """A random model of a shape in bf16 on the GPU."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        head_dim=shape.head,
        tie_word_embeddings=True,
        max_position_embeddings=8192,
    )
    config.eos_token_id = None
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).to(torch.bfloat16).eval()
    model.generation_config.eos_token_id = None
    return model


def on_gpu(name: str, tokenizer: Any, rows: Sequence[int], asked: Any) -> Iterator[dict[str, Any]]:
    """Random weights, prompts of 48-80 tokens; 16-256 tokens wanted (mixed), or as many for all (even)."""
    shape, model = SHAPES[name], model_of(SHAPES[name])
    engine = LocalEngine(model, tokenizer, graphs=not asked.eager)
    engine.eos = frozenset()
    for count in rows or shape.rows:
        for lengths in ("even", "mixed"):
            rng = np.random.default_rng(count)
            wanted = np.exp(rng.uniform(np.log(16), np.log(256), count)).astype(int)
            wanted = np.full(count, shape.even) if lengths == "even" else wanted
            prompts = [tuple(rng.integers(10, 1000, rng.integers(48, 80)).tolist()) for _ in range(count)]
            requests = [
                Request(Segment(prompt, ""), int(cap), seed=i)
                for i, (prompt, cap) in enumerate(zip(prompts, wanted, strict=True))
            ]
            first, rate = (tokens_per_second(engine, requests) for _ in range(2))
            line = {"shape": name, "rows": count, "lengths": lengths, "graphs": not asked.eager, "first": first}
            line |= {"lcpo": rate, **shares(shape, model, wanted, rate)}
            if lengths == "mixed":
                line["generate"] = generated_per_second(model, prompts, wanted)
                line["ratio"] = rate / line["generate"]
            yield line
            if asked.profile and lengths == "even" and count == (rows or shape.rows)[-1]:
                few = [replace(request, max_tokens=16) for request in requests]
                engine.generate(few)
                print(kernels(lambda few=few: len(engine.generate(few))), flush=True)


def tokens_per_second(engine: LocalEngine, requests: Sequence[Request]) -> float:
    """The rate of our loop."""
    begun = time.perf_counter()
    tokens = sum(len(generation.written.ids or ()) for generation in engine.generate(requests))
    torch.cuda.synchronize()
    return tokens / (time.perf_counter() - begun)


def generated_per_second(model: Any, prompts: Sequence[Sequence[int]], wanted: Any) -> float:
    """The rate of transformers' loop, which decodes all rows to the longest; only what was wanted counts."""
    generate(model, None, prompts, 4)
    torch.cuda.synchronize()
    begun = time.perf_counter()
    generate(model, None, prompts, int(wanted.max()))
    torch.cuda.synchronize()
    return float(wanted.sum() / (time.perf_counter() - begun))


def shares(shape: Shape, model: Any, wanted: Any, rate: float) -> dict[str, Any]:
    """Milliseconds per decoding step, and the share of the card's bandwidth."""
    bandwidth = next((v for k, v in BANDWIDTH.items() if k in torch.cuda.get_device_name()), None)
    steps, seconds = int(wanted.max()), float(wanted.sum() / rate)
    weights = sum(parameter.numel() for parameter in model.parameters()) * 2 * steps
    held = sum(2 * 2 * shape.layers * shape.key_heads * shape.head * (64 + w / 2) * w for w in wanted)
    return {
        "ms_per_step": 1000 * seconds / steps,
        "bandwidth_share": float(weights + held) / seconds / bandwidth if bandwidth else None,
    }


def kernels(work: Callable[[], int]) -> str:
    """The kernels that take longest."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    with profiler(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        work()
    rows = sorted(seen.key_averages(), key=lambda event: -event.self_device_time_total)[:24]
    return "\n".join(f"{e.self_device_time_total / 1000:9.2f} ms {e.count:7d} x {e.key[:90]}" for e in rows)


def main() -> None:
    """Measures and prints a line of JSON for each number of rows; all of them with --out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--shape", action="append", choices=list(SHAPES))
    parser.add_argument("--rows", type=lambda text: [int(n) for n in text.split(",")], default=[])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    table = []
    if asked.gpu:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(SHIPPED["tiny-exact"])
        for name in asked.shape or list(SHAPES):
            for line in on_gpu(name, tokenizer, asked.rows, asked):
                print(json.dumps(line), flush=True)
                table.append(line)
    else:
        table = on_cpu(asked.rows or [1, 8, 32, 256], asked.runs)
    card = torch.cuda.get_device_name() if asked.gpu else "cpu"
    if asked.out:
        asked.out.write_text(json.dumps({"machine": card, "torch": torch.__version__, "rows": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
