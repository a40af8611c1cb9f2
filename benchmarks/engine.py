"""Our decoding loop against `model.generate` on the same requests in one run, with lengths that differ.

    python benchmarks/engine.py                     CPU: the shipped tiny-exact, lengths 12-96 as asked
    python benchmarks/engine.py --gpu               a GPU: random weights of 135M and 1.5B shapes, bf16
    python benchmarks/engine.py --gpu --profile     the kernels of some decoding steps as well
    python benchmarks/engine.py --gpu --eager       the loop without CUDA graphs as well

Only tokens that a request wanted count, for both; `generate` decodes every row to the longest. On a CPU the rate is
per CPU second, the best of three alternating runs. On a GPU it is per second, and the share of the bandwidth compares
reading all weights and the keys and values of the running rows once per step with the card's data sheet.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lcpo.engines.base import Request, Segment, user
from lcpo.engines.local import LocalEngine
from lcpo.engines.models import SHIPPED

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


SHAPES = {
    "135M": Shape(30, 576, 9, 3, 64, 1536, 49_152, (1, 8, 32, 256, 768)),
    "1.5B": Shape(28, 1536, 12, 2, 128, 8960, 151_936, (1, 8, 64)),
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
        texts = [f"Add a{10 + i % 90} b17 c93 d25. Think for {b} tokens." for i, b in enumerate(budgets)]
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


def on_gpu(name: str, shape: Shape, tokenizer: Any, rows: Sequence[int], asked: Any) -> list[dict[str, Any]]:
    """Random weights, prompts of 48-80 tokens, 16-256 tokens wanted."""
    model = model_of(shape)
    bandwidth = next((v for k, v in BANDWIDTH.items() if k in torch.cuda.get_device_name()), None)
    weights = sum(parameter.numel() for parameter in model.parameters()) * 2
    table = []
    for graphs in (False, True) if asked.eager else (True,):
        engine = LocalEngine(model, tokenizer, graphs=graphs)
        engine.eos = frozenset()
        for count in rows or shape.rows:
            rng = np.random.default_rng(count)
            wanted = np.exp(rng.uniform(np.log(16), np.log(256), count)).astype(int)
            prompts = [tuple(rng.integers(10, 1000, rng.integers(48, 80)).tolist()) for _ in range(count)]
            requests = [
                Request(Segment(prompt, ""), int(cap), seed=i)
                for i, (prompt, cap) in enumerate(zip(prompts, wanted, strict=True))
            ]

            def ours(requests: Any = requests, engine: Any = engine) -> int:
                tokens = sum(len(row.written.ids or ()) for row in engine.generate(requests))
                torch.cuda.synchronize()
                return tokens

            def theirs(prompts: Any = prompts, wanted: Any = wanted) -> int:
                generate(model, None, prompts, int(wanted.max()))
                torch.cuda.synchronize()
                return int(wanted.sum())

            first = best(ours, time.perf_counter, 1)
            rate = best(ours, time.perf_counter, 2)
            line: dict[str, Any] = {"shape": name, "rows": count, "graphs": graphs, "lcpo": rate, "first": first}
            steps = int(wanted.max())
            seconds = wanted.sum() / rate
            line |= {"ms_per_step": 1000 * seconds / steps, "tokens": int(wanted.sum()), "steps": steps}
            held = sum(2 * 2 * shape.layers * shape.key_heads * shape.head * (64 + w / 2) * w for w in wanted)
            line["bandwidth_share"] = (weights * steps + held) / seconds / bandwidth if bandwidth else None
            if graphs:
                best(theirs, time.perf_counter, 1)
                line["generate"] = best(theirs, time.perf_counter, 1)
                line["ratio"] = rate / line["generate"]
            table.append(line)
            print(json.dumps(line), flush=True)
            if asked.profile and count == (rows or shape.rows)[-1]:
                few = [replace(request, max_tokens=min(16, request.max_tokens)) for request in requests]
                engine.generate(few)
                print(kernels(lambda few=few, engine=engine: len(engine.generate(few))), flush=True)
        del engine
        torch.cuda.empty_cache()
    return table


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
    if asked.gpu:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(SHIPPED["tiny-exact"])
        names = asked.shape or list(SHAPES)
        table = [line for name in names for line in on_gpu(name, SHAPES[name], tokenizer, asked.rows, asked)]
    else:
        table = on_cpu(asked.rows or [1, 8, 32, 256], asked.runs)
    card = torch.cuda.get_device_name() if asked.gpu else "cpu"
    if asked.out:
        asked.out.write_text(json.dumps({"machine": card, "torch": torch.__version__, "rows": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
