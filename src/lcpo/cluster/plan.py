"""What a run takes before it is started: tokens, memory of a card, and a range of hours, with what they rest on.

Hours come from a roofline with wide margins; MEASURED is all that it was ever held against. For the machine at
hand `benchmarks/gpu.py` measures a step.
"""

import importlib.util
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lcpo.cluster.settings import expand, generations
from lcpo.engines.models import resolve
from lcpo.errors import ConfigError, unknown
from lcpo.recipes.recipe import Recipe
from lcpo.recipes.sizes import MICRO_TOKENS

ROLLOUT, UPDATE, STEP, OVERHEAD = (0.25, 0.05), (0.4, 0.15), (0.005, 0.03), (1.05, 1.4)
"""At best and at worst: share of the bandwidth that a generation uses over its whole length (stragglers leave its end
thin), share of the arithmetic that passes reach, seconds of a decoding step however small the model, and the factor for
the rest (hand-over of weights, grading, checkpoints)."""
USED = {"exact": 1.0, "max": 0.6, "none": 1.0}
"""Share of its budget that a row uses in the mean; L1-Max used 62, 67, 48 and 58 % (arXiv:2503.04697, figures)."""
TRAINED = {True: 6, False: 8}
"""Operations per parameter and token of a supervised step with recomputation: of an adapter, of all weights."""
PROMPT, CHUNK = 200, 2048
"""Tokens of a prompt, and tokens whose logits are computed at once."""
CACHE = 0.4
"""Share of a card that keys and values of our own loop may take (lcpo.engines.local)."""
MEASURED = "L1-Exact, 700 generations of 2,048 rollouts of a 1.5B model, took 48 h on 8xH100 (cmu-l3/l1#17)"


GPUS: Mapping[str, tuple[float, float, float]] = {
    "H200": (141, 989, 4800),
    "H100": (80, 989, 3350),
    "A100": (80, 312, 2039),
    "A100-40": (40, 312, 1555),
    "L40S": (48, 362, 864),
    "L4": (24, 121, 300),
    "4090": (24, 165, 1008),
}
"""Memory (GB), dense bf16 arithmetic (TFLOP/s) and memory bandwidth (GB/s) of a card, from its data sheet."""


class Shape(NamedTuple):
    """What of a model decides its cost: layers; widths of hidden state, queries, keys, feed-forward; vocabulary."""

    layers: int
    width: int
    queries: int
    keys: int
    feed: int
    vocabulary: int
    tied: bool = False

    @property
    def matrix(self) -> float:
        """Parameters that a token is multiplied with: attention, gated feed-forward and the output layer."""
        layer = self.width * (2 * self.queries + 2 * self.keys + 3 * self.feed)
        return self.layers * layer + self.width * self.vocabulary

    @property
    def parameters(self) -> float:
        """All parameters: the input embedding is one more matrix unless it is the output layer's."""
        return self.matrix + (0 if self.tied else self.width * self.vocabulary)


SHAPES: Mapping[str, Shape] = {
    "0.5B": Shape(24, 896, 896, 128, 4864, 151_936, tied=True),
    "0.6B": Shape(28, 1024, 2048, 1024, 3072, 151_936, tied=True),
    "1.5B": Shape(28, 1536, 1536, 256, 8960, 151_936),
    "1.7B": Shape(28, 2048, 2048, 1024, 6144, 151_936, tied=True),
    "4B": Shape(36, 2560, 4096, 1024, 9728, 151_936, tied=True),
    "7B": Shape(28, 3584, 3584, 512, 18_944, 152_064),
    "8B": Shape(36, 4096, 4096, 1024, 12_288, 151_936),
    "32B": Shape(64, 5120, 5120, 1024, 27_648, 152_064),
}
"""Shapes by size, of the Qwen2.5 and Qwen3 families and the R1 distillations of them, for models that are not here."""


def shape_of(model: str, size: str | None = None) -> tuple[Shape, str]:
    """The shape of a model and where it was read: --size, its config.json (of a hub id, if it was loaded here before),
    or the size in its name.

    Raises ConfigError where none of them says it.
    """
    if size is not None:
        if size not in SHAPES:
            raise unknown("model size", size, SHAPES)
        return SHAPES[size], f"--size {size}"
    source = resolve(model)
    path = _cached(source.path) if source.kind == "hub" else Path(source.path) / "config.json"
    if path is not None:
        config = json.loads(path.read_text(encoding="utf-8"))
        return _from_config(config.get("text_config", config), model), f"config.json of {model}"
    named = re.findall(r"(?<![\d.])(\d+(?:\.\d+)?)[bB](?![a-zA-Z0-9])", model)
    if not named:
        raise ConfigError(f"the name of model '{model}' does not say its size; give --size ({', '.join(SHAPES)})")
    nearest = min(SHAPES, key=lambda name: abs(math.log(float(name[:-1]) / float(named[-1]))))
    return SHAPES[nearest], f"its name, as {nearest}"


def _cached(hub_id: str) -> Path | None:
    """The config.json of a model that was loaded from the hub before; nothing is asked of the network."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(hub_id, "config.json")
    return Path(path) if isinstance(path, str) else None


def _from_config(config: Mapping[str, Any], model: str) -> Shape:
    names = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size")
    missing = [name for name in names if name not in config]
    if missing or any("expert" in key for key in config):
        why = f"does not say '{missing[0]}'" if missing else "is a mixture of experts, which is not planned for"
        raise ConfigError(f"config.json of '{model}' {why}; give --size ({', '.join(SHAPES)})")
    layers, width, heads, feed, vocabulary = (int(config[name]) for name in names)
    head = int(config.get("head_dim") or width // heads)
    keys = head * int(config.get("num_key_value_heads") or heads)
    return Shape(layers, width, head * heads, keys, feed, vocabulary, bool(config.get("tie_word_embeddings", True)))


def parse_gpus(given: str) -> tuple[str, int]:
    """Card and count of "8xH100", or of "4x8xH100" for four nodes of eight. Raises ConfigError."""
    *counts, name = given.strip().upper().split("X")
    if len(counts) > 2 or not all(count.isdecimal() and int(count) for count in counts):
        raise ConfigError(f"--gpus {given!r} is not COUNTxCARD, for example 8xH100, or 2x8xH100 for two nodes")
    if name not in GPUS:
        raise unknown("GPU", name, GPUS)
    return name, math.prod(map(int, counts))


def plan(recipe: Recipe, gpus: str, size: str | None = None) -> dict[str, Any]:
    """Tokens, memory and hours of a recipe on `gpus`. size: a key of SHAPES in place of what the model itself says.

    Raises ConfigError for an unknown card, or where nothing says the model's size.
    """
    name, cards = parse_gpus(gpus)
    room, tflops, bandwidth = GPUS[name]
    shape, source = shape_of(recipe.model, size)
    given = expand(recipe.verl).get("data", {}).get("max_response_length")
    cap = int(given or recipe.trl.get("max_completion_length", 512))
    drawn = sum(recipe.budget.law.quantile((i + 0.5) / 512) for i in range(512)) / 512
    kinds = recipe.budget.kinds
    length = min(drawn * sum(USED[kind] * n for kind, n in kinds.items()) / sum(kinds.values()), float(cap))
    steps, rollouts = generations(recipe), recipe.group.rollouts
    card = (room, tflops, bandwidth)
    generate, update = seconds(recipe, shape, card, rollouts / cards, length, cap)
    before = stages(recipe, shape, card, cards, drawn)
    hours = [
        ((g + u) * steps + b) * more / 3600 for g, u, b, more in zip(generate, update, before, OVERHEAD, strict=True)
    ]
    per_card = memory(recipe, shape, room, cards, cap)
    return {
        "gpus": gpus,
        "memory_of_card": room,
        "model": {"name": recipe.model, "read_from": source, "parameters": shape.parameters},
        "generations": steps,
        "rollouts_per_generation": rollouts,
        "tokens_per_generation": rollouts * length,
        "tokens_at_most": rollouts * cap,
        "tokens_total": rollouts * length * steps,
        "memory_gb": per_card,
        "fits": sum(per_card.values()) < 0.95 * room,
        "seconds_before": before,
        "seconds_generate": generate,
        "seconds_update": update,
        "hours": hours,
        "gpu_hours": [value * cards for value in hours],
        "measured": MEASURED,
    }


def seconds(
    recipe: Recipe, shape: Shape, card: tuple[float, float, float], rows: float, length: float, cap: int
) -> tuple[list[float], list[float]]:
    """Seconds of a generation of `rows` rollouts on a card and of its update, each at best and at worst.

    A decoding step reads the weights and each running rollout's keys and values; in our own loop rollouts wait where
    those have no room. The update is a forward pass each for the old logprobs and the reference's, and eight operations
    per parameter with recomputation, attention included.
    """
    room, flops, bandwidth = card[0] * 1e9, card[1] * 1e12, card[2] * 1e9
    steps, kept = min(cap, 1.5 * length), 4 * shape.layers * shape.keys
    if not (recipe.verl or recipe.trl.get("use_vllm")):
        steps = max(steps, rows * length / max(1.0, CACHE * room // (kept * (cap + PROMPT))))
    read = 2 * shape.matrix * steps + rows * kept * length**2 / 2
    ideal = max(read / bandwidth, 2 * shape.matrix * rows * length / flops)
    passes = int(recipe.trl.get("num_iterations", 1)) * 8 + 2 + (2 if recipe.trl.get("beta") else 0)
    generate = [max(ideal / share, steps * least) for share, least in zip(ROLLOUT, STEP, strict=True)]
    return generate, [_work(shape, rows, length, passes) / flops / share for share in UPDATE]


def _work(shape: Shape, rows: float, length: float, passes: float) -> float:
    """Operations of `passes` per parameter on rows of a prompt and `length` tokens, attention included."""
    tokens = length + PROMPT
    return rows * tokens * passes * (shape.matrix + 2 * shape.layers * shape.width * tokens)


def stages(
    recipe: Recipe, shape: Shape, card: tuple[float, float, float], cards: int, length: float
) -> tuple[float, float]:
    """Seconds of [supervised] and [hindsight] at best and at worst, samples and rows `length` tokens long."""
    low = high = rows = 0.0
    for table in (recipe.supervised, recipe.hindsight):
        rows += table.batch * (table.steps or 0) if table is not None else 0
    if (table := recipe.hindsight) is not None:
        rows += (table.rounds - 1) * (table.later_steps or table.steps) * table.batch
        cap = table.cap or int(recipe.trl["max_completion_length"])
        low, high = seconds(recipe, shape, card, table.samples / cards, length, cap)[0]
        low, high = low * table.rounds, high * table.rounds
    work = _work(shape, rows / cards, length, TRAINED[recipe.lora is not None]) / (card[1] * 1e12)
    return low + work / UPDATE[0], high + work / UPDATE[1]


def memory(recipe: Recipe, shape: Shape, room: float, cards: int, cap: int) -> dict[str, float]:
    """GB on each card of `room` GB at the peak of the update, parameters sharded over all cards (FSDP), except with
    stages before RL, which need them whole.

    With gradient checkpointing one hidden state per layer is kept, and one layer's inner values; logits are computed in
    chunks. Weights below an adapter are bf16. Our own loop generates from a copy; vLLM holds its share unless it
    sleeps.
    """
    n, rank, trl = shape.parameters, int((recipe.lora or {"r": 0}).get("r", 8)), recipe.trl
    staged = recipe.supervised is not None or recipe.hindsight is not None
    parts, ours = 1 if staged else cards, not (recipe.verl or trl.get("use_vllm"))
    linear = 2 * (shape.width + shape.queries) + 2 * (shape.width + shape.keys) + 3 * (shape.width + shape.feed)
    trained = rank * shape.layers * linear if rank else n
    weights = 2 * n + 4 * trained if rank else 4 * n
    reference = 0 if rank or not trl.get("beta") else 2 if recipe.verl else 4
    rows = recipe.group.micro_batch or (None if recipe.verl else max(1, MICRO_TOKENS // cap))
    inner = shape.layers * shape.width + 4 * shape.feed + 8 * shape.width
    states = 2 * (rows * (cap + PROMPT) if rows else MICRO_TOKENS / 2) * inner
    chunk = max(CHUNK, min(MICRO_TOKENS, room * 1e9 / 50 / shape.vocabulary)) if staged else CHUNK
    awake = trl.get("use_vllm") and not recipe.verl and not trl.get("vllm_enable_sleep_mode")
    return {
        "weights, the reference's too": (weights + reference * n) / parts / 1e9,
        "gradients and Adam (fp32)": 12 * trained / parts / 1e9,
        "copy that generates (bf16)": 2 * n / 1e9 if ours else 0.0,
        "one layer gathered, activations, logits": (4 * n / shape.layers + states + 8 * chunk * shape.vocabulary) / 1e9,
        "vLLM": float(trl.get("vllm_gpu_memory_utilization", 0.3)) * room if awake else 0.0,
    }


def text(planned: Mapping[str, Any]) -> str:
    """The plan for people: a table, and under it what was measured and what is assumed."""
    model, n, total = planned["model"], planned["model"]["parameters"], sum(planned["memory_gb"].values())
    size = f"{n / 1e9:.2f} B" if n >= 1e8 else f"{n / 1e6:.2f} M"
    tokens = f"{planned['tokens_per_generation']:,.0f}   at most {planned['tokens_at_most']:,}"
    per_card = "\n".join(f"  {name:<40}{value:.1f} GB" for name, value in planned["memory_gb"].items())
    return f"""\
{model["name"]} on {planned["gpus"]}: {size} parameters, from {model["read_from"]}

generations                               {planned["generations"]:,}
rollouts per generation                   {planned["rollouts_per_generation"]:,}
tokens per generation                     {tokens}
tokens in all                             {planned["tokens_total"]:,.0f}
stages before RL                          {_range([one / 3600 for one in planned["seconds_before"]])} h
generate, per generation                  {_range(planned["seconds_generate"])} s
update, per generation                    {_range(planned["seconds_update"])} s
the run                                   {_range(planned["hours"])} h   ({_range(planned["gpu_hours"])} GPU hours)
memory of a card, of {planned["memory_of_card"]:.0f} GB
{per_card}
  in all                                  {total:.1f} GB   {"fits" if planned["fits"] else "DOES NOT FIT"}

Measured, once, by others: {planned["measured"]}. It lies in the range that it gets here.
Assumed, never measured: memory, and seconds and hours from generation at {ROLLOUT[1]:.0%}-{ROLLOUT[0]:.0%} of the
bandwidth, passes at {UPDATE[1]:.0%}-{UPDATE[0]:.0%} of the arithmetic, and responses as long as the budgets drawn (max
rows: 0.6 of them; early in a run they are longer). Keys and values of lcpo's own loop take {CACHE:.0%} of the card,
beside what is listed, and rollouts wait where they have no room."""


def _range(pair: Any) -> str:
    return " - ".join(f"{value:{'.0f' if pair[0] >= 10 else '.2g'}}" for value in pair)
