"""Keys and values of the rows that are running: each row has a slot of its own, so that rows join and leave without a
copy of the others.

A row's tokens stand at positions 0, 1, 2 ... of its slot, whatever its neighbours hold. Attention is ours as well,
since in decoding every row attends to a length of its own, and heads that share keys must not copy them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.cache_utils import Cache

from lcpo.errors import EngineError

ATTENTION = "lcpo_slots"
"""The name under which transformers knows our attention while a model generates."""


class PromptCache(Cache):  # type: ignore[misc]
    """Keeps the keys and values of prompts as they are read, [B, H, T, D] a layer."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.states: list[tuple[torch.Tensor, torch.Tensor]] = []

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        """Keeps a layer's states and returns them."""
        self.states.append((key_states, value_states))
        return key_states, value_states

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        """Tokens before those that are read: none."""
        return 0


class SlotCache(Cache):  # type: ignore[misc]
    """Keys and values of `slots` rows of up to `room` tokens, [S, C, H, D] a layer.

    Before a token is read, `place` says where it goes: `position` [B] within the first B slots, of which the first
    `width` positions are attended to.
    """

    def __init__(self, slots: int, room: int) -> None:
        super().__init__(layers=[])
        self.slots, self.room = slots, room
        self.states: list[tuple[torch.Tensor, torch.Tensor]] = []

    def admit(self, prompts: PromptCache, rows: torch.Tensor, slots: torch.Tensor) -> None:
        """Copies what row `rows[i]` of `prompts` holds into slot `slots[i]`."""
        for layer, states in enumerate(prompts.states):
            if layer == len(self.states):
                # zeros, since what is never written is multiplied by a probability of 0 and must not be NaN
                key, value = (x.new_zeros((self.slots, self.room, x.shape[1], x.shape[3])) for x in states)
                self.states.append((key, value))
            for store, given in zip(self.states[layer], states, strict=True):
                store[slots, : given.shape[2]] = given.transpose(1, 2)[rows]

    def move(self, sources: NDArray[np.int64], targets: NDArray[np.int64], width: int) -> None:
        """Copies the first `width` positions of some slots to others."""
        if len(sources) == 0:
            return
        at, to = (torch.from_numpy(places).to(self.states[0][0].device) for places in (sources, targets))
        for states in self.states:
            for store in states:
                store[to, :width] = store[at, :width]

    def grow(self, slots: int, room: int) -> None:
        """Makes room for more rows or longer ones; what is there stays."""
        for layer, states in enumerate(self.states):
            key, value = (store.new_zeros((slots, room, *store.shape[2:])) for store in states)
            key[: self.slots, : self.room], value[: self.slots, : self.room] = states
            self.states[layer] = (key, value)
        self.slots, self.room = slots, room

    def place(self, position: torch.Tensor, width: int, column: int | None = None) -> None:
        """Where the next token of each row goes; column: the position, where it is the same for all rows."""
        self.rows, self.width, self.column = len(position), width, column
        self.flat = torch.arange(self.rows, device=position.device) * self.room + position

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any) -> Any:
        """Writes [B, H, 1, D] keys and values to their places; returns all that is attended to, [B, H, width, D]."""
        used = []
        for store, given in zip(self.states[layer_idx], (key_states, value_states), strict=True):
            if self.column is not None:
                store[: self.rows, self.column] = given[:, :, 0]
            else:
                store.flatten(0, 1).index_copy_(0, self.flat, given[:, :, 0])
            used.append(store[: self.rows, : self.width].transpose(1, 2))
        return used[0], used[1]

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        """Not known here: positions are given with the tokens."""
        return 0


def next_logits(model: Any, cache: SlotCache, tokens: torch.Tensor, position: torch.Tensor, width: int) -> torch.Tensor:
    """The model reads a token of each row, [B], where `cache.place` has said; the logits of the next, [B, V]."""
    logits: torch.Tensor = model(
        input_ids=tokens[:, None],
        position_ids=position[:, None],
        attention_mask=mask_of(position, width, model.dtype),
        past_key_values=cache,
        use_cache=True,
    ).logits
    return logits[:, -1]


def mask_of(position: torch.Tensor, width: int, dtype: torch.dtype) -> torch.Tensor:
    """What each row may attend to, [B, 1, 1, width]: 0 up to its own position, -inf beyond."""
    beyond = torch.arange(width, device=position.device) > position[:, None]
    mask = torch.zeros((len(position), width), dtype=dtype, device=position.device)
    return mask.masked_fill_(beyond, -torch.inf)[:, None, None, :]


def attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **other: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of prompts (no mask: causal) and of single tokens (the mask of `mask_of`); [B, T, heads, D].

    In decoding the queries that share a key are rows of one matrix, so that no key is copied. Raises EngineError for
    what only some models do.
    """
    for name in ("softcap", "s_aux"):
        if other.get(name) is not None:
            raise EngineError(f"this model's attention has {name}, which lcpo's engine does not know; use vLLM")
    batch, heads, tokens, width = query.shape
    if attention_mask is None:
        mask = None
        if sliding_window is not None and tokens > sliding_window:
            place = torch.arange(tokens, device=query.device)
            behind = place[:, None] - place[None, :]
            mask = (behind >= 0) & (behind < sliding_window)
        out = scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, scale=scaling, enable_gqa=heads != key.shape[1]
        )
    else:
        if sliding_window is not None and attention_mask.shape[-1] > sliding_window:
            allowed = (attention_mask == 0).sum(-1, keepdim=True)
            column = torch.arange(attention_mask.shape[-1], device=query.device)
            attention_mask = attention_mask.masked_fill(column < allowed - sliding_window, -torch.inf)
        together = query.reshape(batch, key.shape[1], -1, width)
        out = scaled_dot_product_attention(together, key, value, attn_mask=attention_mask, scale=scaling)
        out = out.reshape(batch, heads, 1, width)
    return out.transpose(1, 2).contiguous(), None


@contextmanager
def slot_attention(model: Any) -> Iterator[None]:
    """While it lasts, the model attends with `attention`. Raises EngineError for a model that cannot."""
    if not getattr(model, "_supports_attention_backend", False):
        raise EngineError(f"{type(model).__name__} brings its own attention, which lcpo's engine cannot run; use vLLM")
    AttentionInterface.register(ATTENTION, attention)
    before = model.config._attn_implementation
    model.config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        model.config._attn_implementation = before
