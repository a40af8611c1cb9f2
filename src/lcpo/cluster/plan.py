"""What a run takes before it is started: memory, tokens per step, and a range of hours, each with its assumptions.

Hours come from a roofline, corrected by the one published run: L1-Exact, 700 generations of 128 x 16 rollouts on eight
H100, took 48 hours (cmu-l3/l1#17). Nothing here was measured on a GPU by us.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lcpo.cluster.settings import expand, generations
from lcpo.errors import ConfigError, unknown
from lcpo.recipes.recipe import Recipe


@dataclass(frozen=True)
class Gpu:
    """Memory (GB), dense bf16 arithmetic (TFLOP/s) and memory bandwidth (GB/s) of one card, from its data sheet."""

    memory: float
    tflops: float
    bandwidth: float


GPUS: Mapping[str, Gpu] = {
    "H200": Gpu(141, 989, 4800),
    "H100": Gpu(80, 989, 3350),
    "A100": Gpu(80, 312, 2039),
    "A100-40": Gpu(40, 312, 1555),
    "L40S": Gpu(48, 362, 864),
    "L4": Gpu(24, 121, 300),
    "4090": Gpu(24, 165, 1008),
}


@dataclass(frozen=True)
class Shape:
    """What of a model decides its cost: layers, width, key-value width, feed-forward width, vocabulary, tied output."""

    layers: int
    width: int
    kv: int
    feed: int
    vocabulary: int
    tied: bool = False

    @property
    def matrix(self) -> float:
        """Parameters that a token is multiplied with: attention, gated feed-forward and the output layer."""
        attention = 2 * self.width**2 + 2 * self.width * self.kv
        return self.layers * (attention + 3 * self.width * self.feed) + self.width * self.vocabulary

    @property
    def parameters(self) -> float:
        """All parameters: the input embedding is one more matrix unless it is the output layer's."""
        return self.matrix + (0 if self.tied else self.width * self.vocabulary)


SHAPES: Mapping[str, Shape] = {
    "0.5B": Shape(24, 896, 128, 4864, 151_936, tied=True),
    "1.5B": Shape(28, 1536, 256, 8960, 151_936),
    "7B": Shape(28, 3584, 512, 18_944, 152_064),
    "8B": Shape(36, 4096, 1024, 12_288, 151_936),
    "32B": Shape(64, 5120, 1024, 27_648, 152_064),
}
"""Shapes by size, as the Qwen2.5 and Qwen3 families and the R1 distillations of them have it; read off the name."""

ROLLOUT = (0.05, 0.25)
"""Share of the memory bandwidth that a generation uses over its whole length: stragglers leave the end of it thin."""
UPDATE = (0.15, 0.4)
"""Share of the arithmetic that forward and backward passes reach."""
OVERHEAD = (1.05, 1.4)
"""Factor for what is neither: weight hand-over, grading, checkpoints, waking and sleeping of engines."""
CALIBRATION = ("L1-Exact on 8xH100", 700 * 128 * 16, 48.0)
"""The one published point: its name, its rollouts, its hours."""


@dataclass(frozen=True)
class Machine:
    """`count` cards of a kind on `nodes` nodes."""

    name: str
    gpu: Gpu
    count: int
    nodes: int

    @classmethod
    def parse(cls, given: str) -> "Machine":
        """ "8xH100", or "4x8xH100" for four nodes of eight. Raises ConfigError."""
        match = re.fullmatch(r"(?:(?:(\d+)x)?(\d+)x)?([A-Za-z0-9-]+)", given.strip())
        if match is None:
            raise ConfigError(f"--gpus {given!r} is not COUNTxCARD, for example 8xH100, or 2x8xH100 for two nodes")
        nodes, each, name = int(match[1] or 1), int(match[2] or 1), match[3].upper()
        if name not in GPUS:
            raise unknown("GPU", name, GPUS)
        if nodes < 1 or each < 1:
            raise ConfigError(f"--gpus {given!r} names no card; give at least 1x{name}")
        return cls(given, GPUS[name], nodes * each, nodes)


def plan(recipe: Recipe, gpus: str, size: str | None = None) -> dict[str, Any]:
    """Memory, tokens and hours of a recipe on `gpus`. size: a key of SHAPES; None reads it off the model's name.

    Raises ConfigError for an unknown card, or where the model's size is not in its name.
    """
    machine = Machine.parse(gpus)
    size = size or size_of(recipe.model)
    if size not in SHAPES:
        raise unknown("model size", size, SHAPES)
    shape = SHAPES[size]
    steps = generations(recipe)
    length = mean_length(recipe)
    rollouts = recipe.group.rollouts
    rollout = _rollout_seconds(recipe, shape, machine, length)
    update = _update_seconds(recipe, shape, machine, length)
    low, high = ((r + u) * o * steps / 3600 for r, u, o in zip(rollout, update, OVERHEAD, strict=True))
    per_gpu = memory(recipe, shape, machine)
    return {
        "gpus": machine.name,
        "model": {"name": recipe.model, "size": size, "parameters": shape.parameters},
        "generations": steps,
        "rollouts_per_generation": rollouts,
        "tokens_per_generation": rollouts * length,
        "tokens_at_most": rollouts * cap(recipe),
        "tokens_total": rollouts * length * steps,
        "memory_gb": per_gpu,
        "fits": sum(per_gpu.values()) < machine.gpu.memory * 0.95,
        "seconds_generate": list(rollout),
        "seconds_update": list(update),
        "hours": [low, high],
        "gpu_hours": [low * machine.count, high * machine.count],
        "calibration": calibration(recipe, size, machine, rollouts * steps),
        "grows": grows(recipe, shape, machine),
    }


def size_of(model: str) -> str:
    """The size in a model's name ("...-1.5B-..."). Raises ConfigError where there is none."""
    found = re.findall(r"(?<![\d.])(\d+(?:\.\d+)?)[bB](?![a-zA-Z0-9])", model)
    if not found:
        raise ConfigError(f"the name of model '{model}' does not say its size; give --size ({', '.join(SHAPES)})")
    return min(SHAPES, key=lambda name: abs(math.log(float(name[:-1]) / float(found[-1]))))


def cap(recipe: Recipe) -> int:
    """The longest response, tokens."""
    given = expand(recipe.verl).get("data", {}).get("max_response_length")
    return int(given or recipe.trl.get("max_completion_length", 512))


def mean_length(recipe: Recipe) -> float:
    """The mean response while training, tokens: the mean budget for exact rows, 0.6 of it for max rows, or the cap.

    0.6 is what L1-Max used of its budgets (arXiv:2503.04697, figures: 62, 67, 48 and 58 %). Early in a run lengths do
    not follow the budgets yet; at the paper's settings they begin near 3,000.
    """
    draws = [recipe.budget.law.quantile((i + 0.5) / 512) for i in range(512)]
    share = {"exact": 1.0, "max": 0.6, "none": 1.0}
    weights = recipe.budget.kinds
    factor = sum(share[kind] * weight for kind, weight in weights.items()) / sum(weights.values())
    return min(sum(draws) / len(draws) * factor, float(cap(recipe)))


def _rollout_seconds(recipe: Recipe, shape: Shape, machine: Machine, length: float) -> tuple[float, float]:
    """Seconds of a generation: a decoding step reads the weights and each running rollout's keys and values."""
    each = recipe.group.rollouts / machine.count
    per_token_kv = 2 * 2 * shape.layers * shape.kv
    weights = 2 * shape.matrix
    read = weights * min(cap(recipe), 1.5 * length) + each * per_token_kv * length**2 / 2
    seconds = read / (machine.gpu.bandwidth * 1e9)
    arithmetic = 2 * shape.matrix * each * length / (machine.gpu.tflops * 1e12)
    ideal = max(seconds, arithmetic)
    return ideal / ROLLOUT[1], ideal / ROLLOUT[0]


def _update_seconds(recipe: Recipe, shape: Shape, machine: Machine, length: float) -> tuple[float, float]:
    """Seconds of the updates: 2 passes' worth forward for old and reference logprobs, 8 per parameter for the training
    pass with recomputation, and the attention over the sequence."""
    tokens = recipe.group.rollouts * (length + 200)
    passes = int(recipe.trl.get("num_iterations", 1)) * 8 + 2 + (2 if recipe.trl.get("beta") else 0)
    attention = 2 * shape.layers * shape.width * (length + 200)
    flops = tokens * passes * (shape.matrix + attention)
    ideal = flops / (machine.gpu.tflops * 1e12 * machine.count)
    return ideal / UPDATE[1], ideal / UPDATE[0]


def memory(recipe: Recipe, shape: Shape, machine: Machine) -> dict[str, float]:
    """GB on each card at the peak of the update, parameters sharded over all cards (FSDP)."""
    n, cards = shape.parameters, machine.count
    lora = recipe.lora is not None
    trained = n if not lora else 4 * int(recipe.lora.get("r", 8)) * shape.layers * (shape.width + shape.feed)  # type: ignore[union-attr]
    result = {
        "weights (fp32)": 4 * n / cards,
        "gradients and Adam (fp32)": 12 * trained / cards,
        "reference": 0.0 if lora or not recipe.trl.get("beta") else (2 if recipe.verl else 4) * n / cards,
        "gathered layer, activations": 2 * n / shape.layers * 2 + _activations(recipe, shape),
        "logits of a forward pass (fp32, twice)": 8 * _tokens_at_once(recipe) * shape.vocabulary,
        "vLLM": _vllm_share(recipe) * machine.gpu.memory * 1e9,
    }
    return {name: value / 1e9 for name, value in result.items()}


def _tokens_at_once(recipe: Recipe) -> float:
    """Tokens in one forward pass whose logits are alive together; verl computes them in chunks of 2,048 tokens."""
    if recipe.group.micro_batch is None:
        return 2048.0
    return float(recipe.group.micro_batch * cap(recipe))


def _activations(recipe: Recipe, shape: Shape) -> float:
    """Bytes: one hidden state per layer kept in bf16, and one layer's inner values, with gradient checkpointing."""
    actor = expand(recipe.verl).get("actor_rollout_ref", {}).get("actor", {})
    tokens = (
        float(actor.get("ppo_max_token_len_per_gpu", 16_384))
        if recipe.group.micro_batch is None
        else float(recipe.group.micro_batch * (cap(recipe) + 200))
    )
    return tokens * 2 * (shape.layers * shape.width + 4 * shape.feed + 8 * shape.width)


def _vllm_share(recipe: Recipe) -> float:
    """Share of a card that vLLM holds during the update: none where it sleeps (verl, or TRL's sleep mode)."""
    if recipe.verl or not recipe.trl.get("use_vllm") or recipe.trl.get("vllm_enable_sleep_mode"):
        return 0.0
    return float(recipe.trl.get("vllm_gpu_memory_utilization", 0.3))


def calibration(recipe: Recipe, size: str, machine: Machine, rollouts: int) -> dict[str, Any]:
    """The published run scaled to this one by rollouts alone, null unless model, card and cap are those of it."""
    name, published, hours = CALIBRATION
    same = size == "1.5B" and machine.gpu is GPUS["H100"] and cap(recipe) <= 4500
    scaled = hours * rollouts / published * 8 / machine.count
    return {"point": name, "hours_published": hours, "hours_scaled": scaled if same else None}


def grows(recipe: Recipe, shape: Shape, machine: Machine) -> dict[str, list[float]]:
    """The factor on a generation's time when one thing doubles: [low estimate, high estimate]."""
    length = mean_length(recipe)
    base = [
        r + u
        for r, u in zip(
            _rollout_seconds(recipe, shape, machine, length),
            _update_seconds(recipe, shape, machine, length),
            strict=True,
        )
    ]

    def factor(changed: Recipe, shape: Shape, machine: Machine, length: float) -> list[float]:
        rollout = _rollout_seconds(changed, shape, machine, length)
        update = _update_seconds(changed, shape, machine, length)
        return [round((r + u) / b, 2) for r, u, b in zip(rollout, update, base, strict=True)]

    doubled = recipe.model_copy(update={"group": recipe.group.model_copy(update={"size": 2 * recipe.group.size})})
    longer = recipe.model_copy(update={"trl": recipe.trl | {"max_completion_length": 2 * cap(recipe)}, "verl": {}})
    deeper = Shape(2 * shape.layers, shape.width, shape.kv, shape.feed, shape.vocabulary, shape.tied)
    more = Machine(machine.name, machine.gpu, 2 * machine.count, machine.nodes)
    return {
        "budgets": factor(longer, shape, machine, 2 * length),
        "group": factor(doubled, shape, machine, length),
        "layers": factor(recipe, deeper, machine, length),
        "cards": factor(recipe, shape, more, length),
    }


def text(found: Mapping[str, Any]) -> str:
    """The plan for people: a table, and under it what it rests on."""
    model, memory_gb = found["model"], found["memory_gb"]
    card = Machine.parse(found["gpus"]).gpu.memory
    lines = [
        f"{model['name']} ({model['parameters'] / 1e9:.2f} B parameters) on {found['gpus']}, {found['generations']:,} "
        "generations",
        "",
        f"rollouts per generation    {found['rollouts_per_generation']:>14,}",
        f"tokens per generation      {found['tokens_per_generation']:>14,.0f}   at most {found['tokens_at_most']:,}",
        f"tokens in all              {found['tokens_total']:>14,.0f}",
        f"generate, per generation   {_range(found['seconds_generate']):>14} s",
        f"update, per generation     {_range(found['seconds_update']):>14} s",
        f"the run                    {_range(found['hours']):>14} h   ({_range(found['gpu_hours'])} GPU hours)",
        "",
        f"memory of a card, GB ({card:.0f} there are)",
        *(f"  {name:<42}{value:>8.1f}" for name, value in memory_gb.items()),
        f"  {'in all':<42}{sum(memory_gb.values()):>8.1f}   {'fits' if found['fits'] else 'DOES NOT FIT'}",
        "",
        "time of a generation when this doubles: "
        + ", ".join(f"{name} x{low:g}-{high:g}" for name, (low, high) in found["grows"].items()),
        "",
        *assumptions(found),
    ]
    return "\n".join(lines)


def assumptions(found: Mapping[str, Any]) -> list[str]:
    """What the figures rest on, a line each."""
    point = found["calibration"]
    scaled = "" if point["hours_scaled"] is None else f"; scaled by rollouts to this run: {point['hours_scaled']:.0f} h"
    return [
        "Assumed, not measured:",
        f"- generation reads weights and key-value store at {ROLLOUT[0]:.0%}-{ROLLOUT[1]:.0%} of the bandwidth, with "
        "stragglers",
        f"- forward and backward passes reach {UPDATE[0]:.0%}-{UPDATE[1]:.0%} of the arithmetic, with recomputation",
        "- responses are as long as the budgets drawn (max rows: 0.6 of them); early in a run they are longer",
        "- nodes are joined fast enough that sharding over them costs nothing",
        f"- the one published point: {point['point']} took {point['hours_published']:.0f} h{scaled}",
    ]


def _range(pair: Any) -> str:
    low, high = pair
    form = ".0f" if low >= 10 else ".2g"
    return f"{low:{form}} - {high:{form}}"
