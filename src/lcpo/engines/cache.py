"""A key-value cache that grows in place: writing a token copies nothing but that token."""

from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]
    """A DynamicLayer whose storage has room to spare; keys and values are views of its used part, [B, H, T, D]."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.length = 0

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Appends [B, H, t, D] keys and values; returns all so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._store = (self._roomy(key_states), self._roomy(value_states))
        end = self.length + key_states.shape[-2]
        if end > self._store[0].shape[-2]:
            self._store = (self._roomy(self._store[0]), self._roomy(self._store[1]))
        self._store[0][:, :, self.length : end] = key_states
        self._store[1][:, :, self.length : end] = value_states
        return self._use(end)

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keeps (or repeats) rows of the batch."""
        self._store = (self._roomy(self.keys, indices), self._roomy(self.values, indices))
        self._use(self.length)

    def _use(self, length: int) -> Any:
        self.length = length
        self.keys, self.values = self._store[0][:, :, :length], self._store[1][:, :, :length]
        return self.keys, self.values

    def _roomy(self, states: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        used, count = self.length, len(states) if rows is None else len(rows)
        total = max(states.shape[-2], used) + self.room
        roomy = states.new_empty((count, states.shape[1], total, states.shape[3]))
        roomy[:, :, :used] = states[:, :, :used] if rows is None else states[rows, :, :used]
        return roomy


def preallocated_cache(model: Any, room: int) -> tuple[Any, bool]:
    """(a cache for `model`, whether every layer of it is a plain one that grows in place)."""
    cache = DynamicCache(config=model.config)
    plain = bool(cache.layers) and all(type(layer) is DynamicLayer for layer in cache.layers)
    if plain:
        cache.layers = [PreallocatedLayer(room) for _ in cache.layers]
    return cache, plain
