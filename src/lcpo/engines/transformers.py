"""Generation with Hugging Face transformers, in batches, on CPU or GPU.

Own sampling loop instead of `model.generate`: every row has its own limit, seed and stops; rows that are done leave the
batch, so that it costs what is generated and not the longest row times the batch; equal prompts are read once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lcpo.engines.base import Generation, Request, Segment, cut_generation
from lcpo.engines.cache import preallocated_cache
from lcpo.engines.formats import format_of
from lcpo.engines.sampling import choose, uniforms
from lcpo.errors import EngineError
from lcpo.thinking import Marks, eos_ids

ROWS_TINY, ROWS = 256, 16
"""Rows in a batch by default: for models below 20 M parameters, and for others on CPU."""
AREA = 2**27
"""Rows times the square of their longest length, tokens: a batch holds no more."""
ROOM = 64
"""Tokens by which a key-value store grows at a time."""
KEEP = 0.75
"""A batch is made smaller when no more than this share of its rows goes on."""


@dataclass
class _Row:
    """A request on its way through a batch."""

    index: int
    request: Request
    before: list[int]
    stops: tuple[int, ...]
    texts: tuple[str, ...]
    made: list[int] = field(default_factory=list)


class TransformersEngine:
    """A model and tokenizer in Hugging Face format.

    rows: requests decoded side by side; None chooses by the size of the model. The chat template of the tokenizer is
    used as it is; a template that opens `<think>` in the prompt is noticed.
    """

    positional = True

    def __init__(self, model: Any, tokenizer: Any, name: str = "model", rows: int | None = None) -> None:
        self.model, self.tokenizer, self.name = model.eval(), tokenizer, name
        size = sum(parameter.numel() for parameter in model.parameters())
        self.rows = rows or (ROWS_TINY if size < 20_000_000 else ROWS if model.device.type == "cpu" else 4 * ROWS)
        self.pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        ends = eos_ids(tokenizer.eos_token_id, model.generation_config.eos_token_id)
        self.marks: Marks | None = Marks.of(self._ids, ends, self.decode)
        self.format = format_of(tokenizer)
        self._rendered: dict[str, list[int]] = {}

    @classmethod
    def load(cls, path: str | Path, name: str | None = None, rows: int | None = None) -> "TransformersEngine":
        """From a folder or hub id. fp32 on CPU (one thread for tiny models), bf16 on a GPU. Raises EngineError."""
        import transformers
        from transformers import AutoModelForCausalLM, AutoTokenizer

        transformers.utils.logging.disable_progress_bar()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if device == "cuda" else torch.float32
        try:
            tokenizer = AutoTokenizer.from_pretrained(path)
            model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype).to(device)
        except (OSError, ValueError, KeyError) as error:
            raise EngineError(f"cannot load a model from {path}: {str(error).splitlines()[0]}") from None
        if not tokenizer.chat_template:
            raise EngineError(f"{path} has no chat template; add a chat_template.jinja to its folder")
        if device == "cpu" and sum(parameter.numel() for parameter in model.parameters()) < 50_000_000:
            torch.set_num_threads(1)
        return cls(model, tokenizer, name or str(path), rows)

    def prefixes(self) -> bool:
        """A request may carry a prefix."""
        return True

    def encode(self, text: str) -> Segment:
        """`text` with its ids, no special tokens added."""
        return Segment(tuple(self._ids(text)), text)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, tags and special tokens included."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def prompt_ids(self, request: Request) -> list[int]:
        """What the model reads before the response: the user's message in the chat template, or the raw prompt."""
        if request.raw:
            return self._ids(request.prompt)
        if request.prompt not in self._rendered:
            if len(self._rendered) > 20_000:
                self._rendered.clear()
            message = [{"role": "user", "content": request.prompt}]
            text = self.tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
            self._rendered[request.prompt] = self._ids(text)
        return self._rendered[request.prompt]

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """The continuations, in the order of the requests. Raises EngineError where one does not fit the context."""
        rows = [self._row(index, request) for index, request in enumerate(requests)]
        rows.sort(key=lambda row: (len(row.before), row.index))
        start = 0
        while start < len(rows):
            end = start + self._fit(rows[start : start + self.rows])
            with torch.inference_mode():
                self._decode(rows[start:end])
            start = end
        rows.sort(key=lambda row: row.index)
        return [self._generation(row) for row in rows]

    def _fit(self, rows: list[_Row]) -> int:
        """How many of the rows, shortest first, go into one batch: attention takes memory by the square of the
        length.
        """
        lengths = [len(row.before) + row.request.max_tokens for row in rows]
        fitting = (n for n in range(len(rows), 1, -1) if n * max(lengths[:n]) ** 2 <= AREA)
        return next(fitting, 1)

    def _row(self, index: int, request: Request) -> _Row:
        if request.prefix.ids is None or request.max_tokens < 1:
            raise EngineError("a request needs a limit of at least 1 token, and a prefix with ids")
        before = [*self.prompt_ids(request), *request.prefix.ids]
        room = getattr(self.model.config, "max_position_embeddings", None)
        if room and len(before) + request.max_tokens > room:
            raise EngineError(
                f"{self.name} has a context of {room} tokens; a prompt of {len(before)} and a limit of"
                f" {request.max_tokens} do not fit: lower the generation cap"
            )
        known = {text: self._ids(text) for text in request.stop}
        single = tuple(ids[0] for ids in known.values() if len(ids) == 1)
        texts = tuple(text for text, ids in known.items() if len(ids) != 1)
        return _Row(index, request, before, (*single, *request.stop_ids), texts)

    def _decode(self, rows: list[_Row]) -> None:
        """Decodes rows to their ends, in place."""
        batch = _Batch(self, rows)
        while batch.rows:
            batch.step()

    def _generation(self, row: _Row) -> Generation:
        generation = cut_generation(row.made, row.request, self, len(row.before))
        assert generation is not None
        return generation


class _Batch:
    """Rows decoded side by side; step() adds a token to each and lets finished ones go."""

    def __init__(self, engine: TransformersEngine, rows: list[_Row]) -> None:
        self.engine, self.rows, self.device = engine, rows, engine.model.device
        assert engine.marks is not None
        self.ends = engine.marks.eos
        self.cache, self.plain = preallocated_cache(engine.model, ROOM)
        self.fast = self.plain and getattr(engine.model.config, "_attn_implementation", "") == "sdpa"
        self._columns()
        self._prefill()

    def _columns(self) -> None:
        """The settings of the rows as arrays."""
        requests = [row.request for row in self.rows]
        self.seeds = np.array([request.seed for request in requests], dtype=np.uint64)
        self.temperature = self._tensor([request.temperature for request in requests])
        self.top_p = self._tensor([request.top_p for request in requests])
        self.limits = np.array([request.max_tokens for request in requests])
        self.least = np.array([request.min_tokens for request in requests])
        self.counts = np.array([len(row.made) for row in self.rows])
        self.offsets = np.array([len(request.prefix.ids or ()) for request in requests])
        width = max(len(row.stops) for row in self.rows) if self.rows else 0
        self.stops = np.full((len(self.rows), width + len(self.ends)), -1)
        self.watched = np.array([bool(row.texts) for row in self.rows])
        self.alive = np.ones(len(self.rows), dtype=bool)
        for i, row in enumerate(self.rows):
            self.stops[i, : len(row.stops)] = row.stops
            self.stops[i, width:] = sorted(self.ends)

    def _tensor(self, values: Any) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.device)

    def _prefill(self) -> None:
        """Reads every different prompt once, left-padded to the longest, and deals the results out to the rows."""
        different: dict[tuple[int, ...], int] = {}
        where = [different.setdefault(tuple(row.before), len(different)) for row in self.rows]
        longest = max(len(ids) for ids in different)
        ids = torch.full((len(different), longest), self.engine.pad)
        mask = torch.zeros((len(different), longest), dtype=torch.int64)
        for one, i in different.items():
            ids[i, longest - len(one) :] = torch.tensor(one)
            mask[i, longest - len(one) :] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        out = self.engine.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp_(min=0),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        rows = torch.tensor(where, device=self.device)
        self.cache.batch_select_indices(rows)
        self.logits, self.mask = out.logits[:, -1][rows], mask[rows]
        self.positions = self.mask.sum(-1)

    def step(self) -> None:
        """Samples a token for each row, drops the rows that are done, and reads the tokens of the others."""
        numbers = uniforms(self.seeds, (self.offsets + self.counts).astype(np.uint64))
        uniform = torch.tensor(numbers, device=self.device)
        for i in np.flatnonzero(self.counts < self.least):
            self.logits[i, self.stops[i][self.stops[i] >= 0]] = -torch.inf
        tokens = choose(self.logits, uniform, self.temperature, self.top_p)
        chosen = tokens.cpu().numpy()
        self.counts += 1
        for i in np.flatnonzero(self.alive):
            self.rows[i].made.append(int(chosen[i]))
        done = self.alive & ((self.counts >= self.limits) | (chosen[:, None] == self.stops).any(1))
        for i in np.flatnonzero(self.alive & self.watched & ~done):
            tail = self.engine.decode(self.rows[i].made)
            done[i] = any(text in tail for text in self.rows[i].texts)
        self.alive &= ~done
        if not self.alive.any() or self.alive.mean() <= KEEP:
            tokens = self._keep(np.flatnonzero(self.alive), tokens)
        if self.rows:
            self._read(tokens)

    def _keep(self, alive: Any, tokens: torch.Tensor) -> torch.Tensor:
        """Lets all but the rows `alive` go."""
        self.rows = [self.rows[i] for i in alive]
        if not self.rows:
            return tokens
        self._columns()
        rows = torch.tensor(alive, device=self.device)
        self.cache.batch_select_indices(rows)
        self.mask, self.positions = self.mask[rows], self.positions[rows]
        return tokens[rows]

    def _read(self, tokens: torch.Tensor) -> None:
        ones = torch.ones((len(self.rows), 1), dtype=self.mask.dtype, device=self.device)
        self.mask = torch.cat([self.mask, ones], 1)
        out = self.engine.model(
            input_ids=tokens[:, None],
            attention_mask=self.mask[:, None, None, :].bool() if self.fast else self.mask,
            position_ids=self.positions[:, None],
            past_key_values=self.cache,
            use_cache=True,
        )
        self.positions = self.positions + 1
        self.logits = out.logits[:, -1]
