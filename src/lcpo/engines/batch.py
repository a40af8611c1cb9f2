"""The one decoding loop over a model: rows join and leave while it runs.

Every row has its own limit, seed and stops, reads its prompt once with all that share it, and leaves when it is done,
so that a batch costs what is generated and not the longest row times the batch. RL rollouts, hindsight, evaluation and
the server all pass through here, with a live model in training as well as with a loaded one.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from lcpo.engines.base import Request
from lcpo.engines.cache import PromptCache, SlotCache, next_logits
from lcpo.engines.graphs import BURST, StepGraphs
from lcpo.engines.sampling import Sampling, choose, uniforms

READ = {"cpu": 2**13, "cuda": 2**16}
"""Padded prompt tokens that are read in one pass."""
STEP = 64
"""Positions by which slots grow."""
KEEP = 0.85
"""Rows that are done are let go once no more than this share of the batch goes on, or others wait for their place."""


@dataclass
class Row:
    """A request on its way: what stood before it, what ends it, and what it has so far.

    stops: single tokens that end it, EOS among them. texts: stops of several tokens. on_tokens: called with the new
    tokens, or with what went wrong, and whether the row is done. A row that somebody else calls done is cancelled.
    """

    request: Request
    before: tuple[int, ...]
    stops: frozenset[int]
    texts: tuple[str, ...] = ()
    on_tokens: Callable[[list[int] | Exception, bool], None] | None = None
    generated: list[int] = field(default_factory=list)
    done: bool = False

    @property
    def room(self) -> int:
        """Positions that it may need, tokens."""
        return len(self.before) + self.request.max_tokens


class RunningBatch:
    """The rows that run and those that wait. `step` draws tokens for all that run; whoever calls it owns the model.

    model: a causal language model of transformers, in evaluation mode. decode: ids -> text, for stops of several
    tokens. limit: at most so many rows run at once. memory: bytes that keys and values may take. graphs: whether
    steps are CUDA graphs; then a row gets several tokens between two looks of the host.
    """

    def __init__(
        self, model: Any, decode: Callable[[Sequence[int]], str], limit: int, memory: int, graphs: bool = False
    ) -> None:
        self.model, self.decode, self.limit, self.memory = model, decode, limit, memory
        self.graphs = StepGraphs(model) if graphs else None
        self.device: torch.device = model.device
        self.rows: list[Row] = []
        self.waiting: deque[Row] = deque()
        self.cache: SlotCache | None = None
        self.logits = torch.empty(0)
        self.position = np.zeros(0, dtype=np.int64)

    @property
    def busy(self) -> bool:
        """Whether any row runs or waits."""
        return bool(self.rows or self.waiting)

    # ---- joining and leaving ----------------------------------------------------------------------------------------

    def _admit(self) -> None:
        """Lets rows that wait join: all that fit, but beside others not fewer than an eighth of the batch at once."""
        if self.rows and self.limit - len(self.rows) < min(len(self.waiting), max(1, self.limit // 8)):
            return  # before all that wait are looked through
        self.waiting = deque(row for row in self.waiting if not row.done)
        if not self.waiting:
            return
        slots = self._slots()
        free = slots - len(self.rows)
        if free < min(len(self.waiting), max(1, slots // 8)):
            return
        joining = [self.waiting.popleft() for _ in range(min(free, len(self.waiting)))]
        self._make_room(slots, max(row.room for row in (*self.rows, *joining)))
        joining.sort(key=lambda row: len(row.before))
        start = 0
        while start < len(joining):
            end, different = start, set[tuple[int, ...]]()
            while end < len(joining):
                different.add(joining[end].before)
                if end > start and len(different) * len(joining[end].before) > READ[self.device.type]:
                    break
                end += 1
            self._read_prompts(joining[start:end])
            start = end
        self._settings()

    def _slots(self) -> int:
        """Rows that may run side by side, by number and by memory: that grows with rows x length."""
        longest = max(row.room for row in (*self.rows, *self.waiting))
        config = self.model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        token = 2 * config.num_hidden_layers * heads * width * self.model.dtype.itemsize
        fitting = max(1, int(self.memory // (token * _rounded(longest))))
        return max(len(self.rows), min(self.limit, fitting, len(self.rows) + len(self.waiting)))

    def _make_room(self, slots: int, room: int) -> None:
        room = _rounded(room + (BURST if self.graphs else 0))
        if self.cache is None or not self.rows:
            if self.cache is None or self.cache.slots < slots or self.cache.room < room:
                self.cache = SlotCache(slots, room)
        elif self.cache.slots < slots or self.cache.room < room:
            self.cache.grow(max(slots, self.cache.slots), max(room, self.cache.room))

    def _read_prompts(self, joining: list[Row]) -> None:
        """Reads every different prompt once, padded on the right, and deals the results out to the rows."""
        assert self.cache is not None
        different = list(dict.fromkeys(row.before for row in joining))
        place = {before: i for i, before in enumerate(different)}
        lengths = [len(before) for before in different]
        ids = torch.zeros((len(different), max(lengths)), dtype=torch.long)
        for i, before in enumerate(different):
            ids[i, : len(before)] = torch.tensor(before)
        ends = sorted(set(lengths))
        prompts = PromptCache()
        out = self.model(
            input_ids=ids.to(self.device),
            position_ids=torch.arange(max(lengths), device=self.device)[None],
            past_key_values=prompts,
            use_cache=True,
            logits_to_keep=torch.tensor(ends, device=self.device) - 1,
        )
        last = out.logits[torch.arange(len(different)), torch.tensor([ends.index(length) for length in lengths])]
        rows = torch.tensor([place[row.before] for row in joining], device=self.device)
        slots = torch.arange(len(self.rows), len(self.rows) + len(joining), device=self.device)
        self.cache.admit(prompts, rows, slots)
        self.logits = torch.cat([self.logits[: len(self.rows)], last[rows]]) if self.rows else last[rows]
        self.position = np.concatenate([self.position, [len(row.before) for row in joining]]).astype(np.int64)
        self.rows += joining

    def _settings(self) -> None:
        """What the rows want, as arrays."""
        requests = [row.request for row in self.rows]
        self.seeds = np.array([request.seed for request in requests], dtype=np.uint64)
        self.counts = np.array([len(row.generated) for row in self.rows])
        self.offsets = np.array([len(request.prefix.ids or ()) for request in requests])
        self.limits = np.array([request.max_tokens for request in requests])
        self.least = np.array([request.min_tokens for request in requests])
        self.processed = [i for i, request in enumerate(requests) if request.processors]
        self.sampling = Sampling.of(
            np.array([request.temperature for request in requests], dtype=np.float32),
            np.array([request.top_p for request in requests], dtype=np.float32),
            np.array([request.top_k for request in requests], dtype=np.int64),
            np.array([request.min_p for request in requests], dtype=np.float32),
            self.device,
        )
        self.stops = np.full((len(self.rows), max(len(row.stops) for row in self.rows)), -1)
        for i, row in enumerate(self.rows):
            self.stops[i, : len(row.stops)] = sorted(row.stops)

    def _let_go(self, alive: Any) -> Any:
        """Lets all rows but those `alive` go: rows from the end move into the places that become free.

        Returns which row each place holds now.
        """
        assert self.cache is not None
        count = int(alive.sum())
        holes = np.flatnonzero(~alive[:count])
        movers = np.flatnonzero(alive[count:]) + count
        self.cache.move(movers, holes, int(self.position[movers].max(initial=0)))
        order = np.arange(count)
        order[holes] = movers
        self.rows, self.position = [self.rows[i] for i in order], self.position[order]
        if self.rows:
            self._settings()
        return order

    def fail(self, error: Exception) -> None:
        """Ends all rows with an error."""
        for row in self.clear():
            if row.on_tokens is not None:
                row.on_tokens(error, True)

    def clear(self) -> list[Row]:
        """Ends all rows, and says which there were."""
        rows = [*self.rows, *self.waiting]
        self.rows, self.waiting, self.cache = [], deque(), None
        self.position = np.zeros(0, dtype=np.int64)
        for row in rows:
            row.done = True
        return rows

    # ---- decoding ---------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def step(self) -> None:
        """A token (with graphs several) for each row that runs, after those that wait have joined."""
        self._admit()
        if not self.rows:
            return
        if self.graphs and not self.processed and (self.counts >= self.least).all():
            self._burst()
            return
        tokens = self._draw()
        alive = self._record(tokens[:, None].cpu().numpy())
        if not alive.any() or (not alive.all() and (self.waiting or alive.mean() <= KEEP)):
            order = self._let_go(alive)
            tokens, alive = tokens[torch.from_numpy(order).to(self.device)], alive[order]
        if self.rows:
            self.position[~alive] = 0
            self._read(tokens)

    def _burst(self) -> None:
        """Several tokens for each row that runs, by graphs."""
        assert self.graphs is not None and self.cache is not None
        places = (self.offsets + self.counts)[:, None] + np.arange(BURST)
        numbers = uniforms(self.seeds[:, None], places.astype(np.uint64))
        tokens, self.logits = self.graphs.burst(self.cache, self.logits, self.position, numbers, self.sampling)
        self.position = self.position + BURST
        alive = self._record(tokens.cpu().numpy())
        if not alive.any() or (not alive.all() and (self.waiting or alive.mean() <= KEEP)):
            order = self._let_go(alive)
            self.logits, alive = self.logits[torch.from_numpy(order).to(self.device)], alive[order]
        self.position[~alive] = 0

    def _draw(self) -> torch.Tensor:
        """A token for each row, [B]."""
        for i in np.flatnonzero(self.counts < self.least).tolist():
            self.logits[i, self.stops[i][self.stops[i] >= 0]] = -torch.inf
        for i in self.processed:
            for processor in self.rows[i].request.processors:
                self.logits[i] = processor(self.rows[i].generated, self.logits[i])
        numbers = uniforms(self.seeds, (self.offsets + self.counts).astype(np.uint64))
        return choose(self.logits, torch.from_numpy(numbers).to(self.device), self.sampling)

    def _record(self, tokens: Any) -> Any:
        """Gives each row its new tokens, [B, n], up to its end; which rows go on, [B]."""
        room = self.limits - self.counts
        ends = (tokens[:, :, None] == self.stops[:, None, :]).any(-1)
        taken = np.where(ends.any(1), ends.argmax(1) + 1, tokens.shape[1])
        for i, row in enumerate(self.rows):
            if row.done:
                continue
            new = tokens[i, : min(taken[i], room[i])].tolist()
            row.done = bool(ends[i, : len(new)].any() or len(new) == room[i])
            if row.texts:
                new = self._up_to_stop(row, new)
            row.generated += new
            if row.on_tokens is not None:
                row.on_tokens(new, row.done)
        self.counts += tokens.shape[1]
        return np.array([not row.done for row in self.rows])

    def _up_to_stop(self, row: Row, new: list[int]) -> list[int]:
        """The new tokens up to that which completes a stop of several tokens; a window at the end is decoded."""
        window = 4 * max(map(len, row.texts))
        for i in range(1, len(new) + 1):
            tail = self.decode((row.generated + new[:i])[-window:])
            if any(text in tail for text in row.texts):
                row.done = True
                return new[:i]
        return new

    def _read(self, tokens: torch.Tensor) -> None:
        """The model reads a token of each row, [B]; the logits of the next stand in `logits`, [B, V]."""
        assert self.cache is not None
        position = torch.from_numpy(self.position).to(self.device)
        width = int(self.position.max()) + 1
        same = bool((self.position == self.position[0]).all())
        self.cache.place(position, width, int(self.position[0]) if same else None)
        self.logits = next_logits(self.model, self.cache, tokens, position, width)
        self.position = self.position + 1


def _rounded(length: int) -> int:
    return -(-length // STEP) * STEP
