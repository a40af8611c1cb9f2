"""Sampling rollouts for training: one loop over the model that drops what has finished and stops each row at its cap.

The random numbers of a rollout belong to it (seed, step, row, copy), so that it does not depend on its neighbours, on
the number of processes, or on when a run was resumed. A prompt that several rollouts share is read once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from lcpo.engines.base import sub_seed
from lcpo.engines.cache import preallocated_cache
from lcpo.engines.sampling import uniforms

ROOM = 32
"""Tokens by which the key-value store grows at a time."""
SHRINK = 0.85
"""Rows are dropped from the batch once at most this share of them still runs."""


@dataclass(frozen=True)
class Drawing:
    """How tokens are drawn from logits: as TRL names these settings."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float | None = None

    def warpers(self) -> LogitsProcessorList:
        """What narrows the distribution, beside the temperature."""
        found = LogitsProcessorList()
        if self.top_k:
            found.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1:
            found.append(TopPLogitsWarper(self.top_p))
        if self.min_p:
            found.append(MinPLogitsWarper(self.min_p))
        return found


@dataclass(frozen=True)
class Filler:
    """A thought that may hold nothing but marks: the ids of `<think>`, `</think>` and of the mark.

    answer: tokens that may stand after it, tags and marks not among them, so that the thought cannot move there.
    """

    open: int
    close: int
    mark: int
    answer: int = 8


def rollout_uniforms(seed: int, step: int, rows: Sequence[tuple[int, int]], length: int) -> NDArray[np.float64]:
    """The random numbers of rollouts (row, copy) in [0, 1), [B, length]."""
    seeds = np.array([sub_seed(seed, "rollout", step, row, copy) for row, copy in rows], dtype=np.uint64)
    return uniforms(seeds[:, None], np.arange(length, dtype=np.uint64)[None, :])


@torch.no_grad()
def sample(
    model: Any,
    prompts: Sequence[Sequence[int]],
    caps: Sequence[int],
    numbers: NDArray[np.float64],
    *,
    eos: Sequence[int],
    pad: int,
    drawing: Drawing = Drawing(),
    filler: Filler | None = None,
) -> list[list[int]]:
    """A response per prompt, at most `caps[i]` tokens, EOS included; numbers [B, max(caps)] decide every draw.

    Runs in evaluation mode and restores the model's mode. Where filler is given, the thought may hold marks alone.
    """
    training = model.training
    model.eval()
    try:
        return _loop(_Batch(model, prompts, pad), caps, numbers, eos=eos, drawing=drawing, filler=filler)
    finally:
        model.train(training)


class _Batch:
    """The running rows: their cache, mask and positions; shrinks as rows finish."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], pad: int) -> None:
        self.model, self.device = model, model.device
        unique = list({tuple(prompt): None for prompt in prompts})
        place = {prompt: i for i, prompt in enumerate(unique)}
        width = max(map(len, unique))
        ids = torch.full((len(unique), width), pad)
        mask = torch.zeros((len(unique), width), dtype=torch.bool)
        for i, prompt in enumerate(unique):
            ids[i, width - len(prompt) :] = torch.tensor(prompt)
            mask[i, width - len(prompt) :] = True
        ids, mask = ids.to(self.device), mask.to(self.device)
        self.cache, plain = preallocated_cache(model, ROOM)
        self.direct = plain and getattr(model.config, "_attn_implementation", "") == "sdpa"
        positions = (mask.long().cumsum(1) - 1).clamp(min=0)
        out = model(
            input_ids=ids,
            attention_mask=mask.long(),
            position_ids=positions,
            past_key_values=self.cache,
            logits_to_keep=1,
        )
        index = torch.tensor([place[tuple(prompt)] for prompt in prompts], device=self.device)
        self.cache.batch_select_indices(index)
        self.mask, self.next = mask[index], positions[index, -1] + 1
        self.logits = out.logits[index, -1]

    def advance(self, tokens: torch.Tensor) -> None:
        """Feeds one token to every row."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=1)
        mask = self.mask[:, None, None, :] if self.direct else self.mask.long()
        out = self.model(
            input_ids=tokens[:, None],
            attention_mask=mask,
            position_ids=self.next[:, None],
            past_key_values=self.cache,
        )
        self.logits, self.next = out.logits[:, -1], self.next + 1

    def keep(self, rows: torch.Tensor) -> None:
        """Drops all rows but these."""
        self.cache.batch_select_indices(rows)
        self.mask, self.next = self.mask[rows], self.next[rows]


def _loop(
    batch: _Batch,
    caps: Sequence[int],
    numbers: NDArray[np.float64],
    *,
    eos: Sequence[int],
    drawing: Drawing,
    filler: Filler | None,
) -> list[list[int]]:
    device, total, longest = batch.device, len(caps), max(caps)
    out = torch.zeros((total, longest), dtype=torch.long, device=device)
    lengths = torch.tensor(caps, device=device)
    draws = torch.from_numpy(numbers).to(device=device, dtype=torch.float32)
    ends = torch.tensor(sorted(eos), device=device)
    rows, alive = torch.arange(total, device=device), torch.ones(total, dtype=torch.bool, device=device)
    shut = torch.zeros(total, dtype=torch.long, device=device)  # tokens since the thought closed, closing tag included
    warpers = drawing.warpers()
    for t in range(longest):
        logits = batch.logits.float() / drawing.temperature
        if filler is not None:
            logits = _only_filler(logits, filler, first=t == 0, shut=shut[rows], ends=ends)
        logits = warpers(None, logits)
        tokens = _draw(logits, draws[rows, t])
        out[rows, t] = tokens
        if filler is not None:
            shut[rows] += (shut[rows] > 0) | (tokens == filler.close)
        ended = torch.isin(tokens, ends)
        lengths[rows[ended & alive]] = t + 1
        alive = alive & ~ended & (t + 1 < lengths[rows])
        running = int(alive.sum())
        if running == 0:
            break
        if running <= SHRINK * len(rows):
            kept = alive.nonzero()[:, 0]
            batch.keep(kept)
            rows, alive, tokens = rows[kept], alive[kept], tokens[kept]
        batch.advance(tokens)
    return [ids[:length] for ids, length in zip(out.tolist(), lengths.tolist(), strict=True)]


def _draw(logits: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """A token per row by inverting the distribution function at its number: [B, V], [B] -> [B]."""
    mass = torch.softmax(logits, dim=-1).cumsum(dim=-1)
    wanted = numbers[:, None] * mass[:, -1:]
    return torch.searchsorted(mass, wanted, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)


def _only_filler(
    logits: torch.Tensor, filler: Filler, *, first: bool, shut: torch.Tensor, ends: torch.Tensor
) -> torch.Tensor:
    """Logits that allow marks alone in the thought, an answer without them, and after a full answer its end."""
    thought, answer, end = torch.zeros((3, logits.shape[-1]), dtype=torch.bool, device=logits.device)
    thought[[filler.open] if first else [filler.mark, filler.close]] = True
    answer[:] = True
    answer[[filler.open, filler.mark, filler.close]] = False
    end[ends] = True
    after = torch.where((shut <= filler.answer)[:, None], answer, end)
    allowed = torch.where((shut == 0)[:, None], thought, after)
    return torch.where(allowed, logits, torch.full_like(logits, -torch.inf))
