"""Sampling that depends on (seed, position) alone: a hash gives the uniform number, the inverse distribution the
token.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


def uniforms(seeds: NDArray[np.uint64], positions: NDArray[np.uint64]) -> NDArray[np.float64]:
    """One uniform number in [0, 1) for each (seed, position); splitmix64 twice (Steele et al. 2014,
    doi:10.1145/2660193.2660195).
    """
    with np.errstate(over="ignore"):
        mixed = _mix(seeds * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x632BE59BD9B4E019))
        mixed = _mix(mixed + (positions + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn, a value for each row: tensors [B], None where no row needs it.

    temperature: None where every row is greedy; 0 is greedy. top_k: 0 keeps all. greedy: which rows are, None if none.
    """

    temperature: torch.Tensor | None
    top_p: torch.Tensor | None = None
    top_k: torch.Tensor | None = None
    min_p: torch.Tensor | None = None
    greedy: torch.Tensor | None = None

    @classmethod
    def of(
        cls,
        temperature: NDArray[np.float32],
        top_p: NDArray[np.float32],
        top_k: NDArray[np.int64],
        min_p: NDArray[np.float32],
        device: torch.device,
    ) -> "Sampling":
        """What rows with these settings, [B] each, need."""

        def column(values: NDArray[np.generic], used: bool) -> torch.Tensor | None:
            return torch.from_numpy(values).to(device) if used else None

        greedy = temperature <= 0
        if greedy.all():
            return cls(None)
        return cls(
            torch.from_numpy(np.where(greedy, 1.0, temperature).astype(np.float32)).to(device),
            column(top_p, bool((top_p < 1).any())),
            column(top_k, bool((top_k > 0).any())),
            column(min_p, bool((min_p > 0).any())),
            column(greedy, bool(greedy.any())),
        )


def choose(logits: torch.Tensor, uniform: torch.Tensor, how: Sampling) -> torch.Tensor:
    """One token for each row, by inverting the distribution function at its number: [B, V], [B] -> ids [B].

    In this order: temperature; top_k keeps the k most likely tokens; top_p the smallest set of most likely ones whose
    probability reaches it; min_p those at least so likely, relative to the most likely one.
    """
    if how.temperature is None:
        return logits.argmax(-1)
    probabilities = torch.softmax(logits.float() / how.temperature[:, None], -1)
    if how.top_p is not None or how.top_k is not None:
        ordered, where = probabilities.sort(-1, descending=True)
        if how.top_k is not None:
            rank = torch.arange(ordered.shape[-1], device=ordered.device)
            ordered = ordered.masked_fill((rank >= how.top_k[:, None]) & (how.top_k[:, None] > 0), 0.0)
        if how.top_p is not None:
            before = ordered.cumsum(-1) - ordered
            ordered = ordered.masked_fill(before >= how.top_p[:, None] * ordered.sum(-1, keepdim=True), 0.0)
        probabilities = torch.zeros_like(probabilities).scatter_(-1, where, ordered)
    if how.min_p is not None:
        least = how.min_p[:, None] * probabilities.amax(-1, keepdim=True)
        probabilities = probabilities.masked_fill(probabilities < least, 0.0)
    cumulative = probabilities.double().cumsum(-1)
    point = uniform[:, None] * cumulative[:, -1:]
    chosen = torch.searchsorted(cumulative, point, right=True)[:, 0].clamp_(max=logits.shape[-1] - 1)
    return chosen if how.greedy is None else torch.where(how.greedy, logits.argmax(-1), chosen)
