"""Decoding steps as CUDA graphs: several tokens for every row without a word to the host.

A step is some thousand small kernels whose launches take longer than their work. A graph holds them all for one number
of rows and one width; both are rounded up, so that few graphs serve all batches.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lcpo.engines.cache import SlotCache, next_logits
from lcpo.engines.sampling import Sampling, choose

BURST = 8
"""Tokens that a row gets between two looks of the host."""
COLUMNS = ("temperature", "top_p", "top_k", "min_p", "greedy")


def bucket(count: int, least: int = 1) -> int:
    """`count` rounded up to one of four sizes for each power of two: at most a quarter is in vain."""
    step = max(least, 1 << max(0, count.bit_length() - 3))
    return -(-count // step) * step


class StepGraphs:
    """The graphs of one model on one cache; a new cache begins anew."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.cache: SlotCache | None = None

    def _reset(self, cache: SlotCache, logits: torch.Tensor) -> None:
        slots, device = cache.slots, logits.device
        self.cache, self.states = cache, cache.states
        self.graphs: dict[tuple[Any, ...], torch.cuda.CUDAGraph] = {}
        self.pool = torch.cuda.graph_pool_handle()
        self.logits = torch.zeros((slots, logits.shape[1]), dtype=logits.dtype, device=device)
        self.position = torch.zeros(slots, dtype=torch.long, device=device)
        self.uniform = torch.zeros(slots, dtype=torch.double, device=device)
        self.tokens = torch.zeros(slots, dtype=torch.long, device=device)
        types = (torch.float, torch.float, torch.long, torch.float, torch.bool)
        self.columns = {
            name: torch.ones(slots, dtype=dtype, device=device) for name, dtype in zip(COLUMNS, types, strict=True)
        }

    def burst(
        self,
        cache: SlotCache,
        logits: torch.Tensor,
        position: NDArray[np.int64],
        numbers: NDArray[np.float64],
        sampling: Sampling,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """n tokens for each of B rows: logits [B, V], position [B], numbers [B, n] -> (ids [B, n], logits [B, V])."""
        if self.cache is not cache or self.states is not cache.states:
            self._reset(cache, logits)
        count, steps = numbers.shape
        rows = min(bucket(count), cache.slots)
        width = min(bucket(int(position.max()) + steps, 64), cache.room)
        self.logits[:count] = logits
        self.position[:rows] = torch.from_numpy(np.concatenate([position, np.zeros(rows - count, np.int64)])).to(
            self.position.device, non_blocking=True
        )
        used = []
        for name in COLUMNS:
            column = getattr(sampling, name)
            if column is not None:
                self.columns[name][:count] = column
                used.append(name)
        graph = self._graph(rows, width, tuple(used))
        uniform = torch.from_numpy(numbers.T.copy()).to(self.uniform.device, non_blocking=True)
        tokens = torch.empty((count, steps), dtype=torch.long, device=self.tokens.device)
        for i in range(steps):
            self.uniform[:count] = uniform[i]
            graph.replay()
            tokens[:, i] = self.tokens[:count]
        return tokens, self.logits[:count]

    def _graph(self, rows: int, width: int, used: tuple[str, ...]) -> torch.cuda.CUDAGraph:
        key = (rows, width, used)
        if key not in self.graphs:
            saved = self.position.clone(), self.logits.clone()
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._step(rows, width, used)
            torch.cuda.current_stream().wait_stream(side)
            self.position.copy_(saved[0])
            self.logits.copy_(saved[1])
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"):
                self._step(rows, width, used)
            self.graphs[key] = graph
        return self.graphs[key]

    def _step(self, rows: int, width: int, used: tuple[str, ...]) -> None:
        """What a graph holds: draw a token for each row, read it."""
        assert self.cache is not None
        columns = {name: self.columns[name][:rows] for name in used}
        columns.setdefault("temperature", None)  # type: ignore[arg-type]
        tokens = choose(self.logits[:rows], self.uniform[:rows], Sampling(**columns))
        position = self.position[:rows]
        self.cache.place(position, width)
        logits = next_logits(self.model, self.cache, tokens, position, width)
        self.tokens[:rows] = tokens
        self.logits[:rows] = logits
        position += 1
