"""A generation cut into the micro-batches of its updates, with as little padding as can be."""

from typing import Any

import torch

PROMPT = ("prompt_ids", "prompt_mask")
PER_TOKEN = (
    "completion_ids",
    "completion_mask",
    "tool_mask",
    "advantages",
    "old_per_token_logps",
    "ref_per_token_logps",
    "sampling_per_token_logps",
    "importance_sampling_ratio",
)
"""Tensors of TRL's output with a column per token of the response (some of them only at times)."""


def micro_batches(output: dict[str, Any], updates: int, each: int, shuffle: bool = False) -> list[dict[str, Any]]:
    """`updates` x `each` micro-batches of TRL's generation output, in the order in which they are used.

    Rollouts are dealt to updates at random, and within an update sorted by length, prompt by prompt, so that each
    micro-batch is padded to its own longest row only and holds all rollouts of a prompt. Losses that average within a
    micro-batch keep a random order (shuffle). TRL has checked that the rollouts divide.
    """
    rows = len(output["completion_ids"])
    order = torch.randperm(rows)
    key = by_length(output)
    result = []
    for part in order.chunk(updates):
        if not shuffle:
            part = part[torch.argsort(key[part], stable=True)]
        result += [part_of(output, chosen) for chosen in part.chunk(each)]
    return result


def by_length(output: dict[str, Any]) -> torch.Tensor:
    """A key per rollout that sorts by length and keeps rollouts of one prompt together, [B]."""
    length = output["completion_mask"].sum(dim=1).tolist()
    prompts = [row.tobytes() for row in output["prompt_ids"].cpu().numpy()]
    longest: dict[bytes, int] = {}
    for prompt, tokens in zip(prompts, length, strict=True):
        longest[prompt] = max(tokens, longest.get(prompt, 0))
    ranks = {prompt: i for i, prompt in enumerate(sorted(longest, key=lambda prompt: (longest[prompt], prompt)))}
    return torch.tensor([ranks[prompt] for prompt in prompts])


def part_of(output: dict[str, Any], chosen: torch.Tensor) -> dict[str, Any]:
    """The rows `chosen` of a batch without columns that hold only padding: left of prompts, right of responses."""
    rows, width = output["completion_ids"].shape
    prompt, response = (int(output[f"{name}_mask"][chosen].sum(dim=1).max()) for name in ("prompt", "completion"))
    result = {}
    for name, value in output.items():
        if isinstance(value, torch.Tensor) and value.ndim and len(value) == rows:
            value = value[chosen]
        if name in PROMPT:
            value = value[:, value.shape[1] - prompt :]
        elif name in PER_TOKEN and value.ndim == 2 and value.shape[1] == width:
            value = value[:, :response]
        result[name] = value
    return result
