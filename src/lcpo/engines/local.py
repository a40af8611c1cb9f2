"""A model in this process: generation with Hugging Face transformers, on CPU or GPU, through the one decoding loop."""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from lcpo.engines.base import Delta, Engine, Generation, Request, Segment, cut_generation
from lcpo.engines.batch import Row, RunningBatch
from lcpo.engines.cache import slot_attention
from lcpo.engines.copies import GenerationCopy, fast_bf16, is_large, wants_copy
from lcpo.engines.formats import TextStream, format_of, ids_of, prompt_ids
from lcpo.errors import EngineError
from lcpo.thinking import Marks, eos_ids

ROWS_TINY, ROWS, ROWS_GPU = 256, 16, 1024
"""Rows that run side by side by default: models below 20 M parameters on a CPU, others on a CPU, and on a GPU."""
MEMORY_CPU, MEMORY_GPU = 4 * 2**30, 0.4
"""What keys and values may take: bytes on a CPU, a share of the memory on a GPU."""
IDLE = 60.0
"""Seconds without work after which the thread that runs streams ends."""
News = tuple[asyncio.AbstractEventLoop, "asyncio.Queue[Any]", Any]


class LocalEngine(Engine):
    """A model and tokenizer in Hugging Face format; several callers and streams share one running batch.

    rows: requests decoded side by side; None chooses by size and device. The chat template of the tokenizer is used as
    it is; a template that opens `<think>` in the prompt is noticed. A model in training is put in evaluation mode while
    it generates; where it is fp32 on a GPU, or has an adapter, a merged bf16 copy generates, made anew for each call.
    graphs: whether steps are CUDA graphs; None: on a GPU.
    """

    positional = True
    interval = 0.0
    """Seconds over which the tokens of streams are gathered; a server gathers them, since each delivery costs time."""

    def __init__(
        self, model: Any, tokenizer: Any, name: str = "model", rows: int | None = None, graphs: bool | None = None
    ) -> None:
        self.copy = GenerationCopy(model) if wants_copy(model) else None
        self.model = model = self.copy.model if self.copy else model
        self.tokenizer, self.name = tokenizer, name
        cpu = model.device.type == "cpu"
        tiny = sum(parameter.numel() for parameter in model.parameters()) < 20_000_000
        rows = rows or (ROWS_GPU if not cpu else ROWS_TINY if tiny else ROWS)
        total = 0 if cpu else torch.cuda.get_device_properties(model.device).total_memory
        memory = MEMORY_CPU if cpu else int(MEMORY_GPU * total)
        self.batch = RunningBatch(model, self.decode, rows, memory, not cpu if graphs is None else graphs)
        self.eos = eos_ids(tokenizer.eos_token_id, model.generation_config.eos_token_id)
        self.marks: Marks | None = Marks.of(lambda text: ids_of(tokenizer, text), self.eos, self.decode)
        self.format = format_of(tokenizer)
        self.context: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self._render = lru_cache(20_000)(lambda prompt: tuple(prompt_ids(tokenizer, prompt)))
        self._turn = threading.Lock()
        self._wake = threading.Condition()
        self._worker: threading.Thread | None = None
        self._news: list[News] = []
        self._delivered = 0.0

    @classmethod
    def load(cls, path: str | Path, name: str | None = None, rows: int | None = None) -> "LocalEngine":
        """From a folder or hub id. bf16 on a GPU; on a CPU fp32, or bf16 where the weights and the CPU's arithmetic
        are. Models below 50 M parameters run in fp32 on one thread of a CPU. Raises EngineError.
        """
        import transformers
        from transformers import AutoModelForCausalLM, AutoTokenizer

        transformers.utils.logging.disable_progress_bar()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            tokenizer = AutoTokenizer.from_pretrained(path)
            model = AutoModelForCausalLM.from_pretrained(path, dtype="bfloat16" if device == "cuda" else "auto")
        except (OSError, ValueError, KeyError) as error:
            raise EngineError(f"cannot load a model from {path}: {str(error).splitlines()[0]}") from None
        if not tokenizer.chat_template:
            raise EngineError(f"{path} has no chat template; add a chat_template.jinja to its folder")
        large = is_large(model)
        if device == "cpu" and not large:
            torch.set_num_threads(1)
        if device == "cpu" and not (large and model.dtype == torch.bfloat16 and fast_bf16()):
            model = model.float()
        model = model.to(device)
        return cls(model.eval(), tokenizer, name or str(path), rows)

    def encode(self, text: str) -> Segment:
        """`text` with its ids, no special tokens added."""
        return Segment(tuple(ids_of(self.tokenizer, text)), text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, tags and special tokens included."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def prompt_ids(self, request: Request) -> tuple[int, ...]:
        """What the model reads before the response, without the request's prefix."""
        return self._render(request.prompt)

    def room(self, request: Request) -> int | None:
        """See Engine.room."""
        return None if self.context is None else self.context - len(self.prompt_ids(request))

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """The continuations, in the order of the requests. Raises EngineError where one does not fit the context."""
        rows = [self._row(request) for request in requests]
        rows_by_length = sorted(rows, key=lambda row: len(row.before))
        if self.copy:
            self.copy.refresh()
        if self._worker is None:
            with self._turn, self._evaluating():
                self.batch.waiting.extend(rows_by_length)
                try:
                    while self.batch.busy:
                        self.batch.step()
                finally:
                    if self.batch.busy:  # interrupted: the next call begins anew
                        self.batch.clear()
        else:
            self._wait_for(rows_by_length)
        return [self._generation(row) for row in rows]

    def _wait_for(self, rows: Sequence[Row]) -> None:
        """Has the worker run the rows beside its streams."""
        results: queue.SimpleQueue[list[int] | Exception] = queue.SimpleQueue()
        for row in rows:
            row.on_tokens = lambda new, done: results.put(new) if done else None
        self._submit(rows)
        for _ in rows:
            result = results.get()
            if isinstance(result, Exception):
                raise result

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        """The continuation as it comes; closing the generator cancels it. Raises EngineError."""
        loop, news = asyncio.get_running_loop(), asyncio.Queue[Any]()
        row = self._row(request)
        row.on_tokens = lambda new, done: self._news.append((loop, news, (new, done)))
        text = TextStream(self.decode, request.stop)
        self._submit([row])
        try:
            while True:
                new, done = await news.get()
                while not (done or news.empty()):
                    more, done = news.get_nowait()
                    new = more if isinstance(more, Exception) else [*new, *more]
                if isinstance(new, Exception):
                    raise new
                if done:
                    generation = self._generation(row)
                    yield Delta(tuple(new), generation.kept.text[len(text.sent) :], generation)
                    return
                yield Delta(tuple(new), text.feed(new))
        finally:
            row.done = True

    def _row(self, request: Request) -> Row:
        """Raises EngineError for a request that cannot be served."""
        if request.prefix.ids is None or request.max_tokens < 1:
            raise EngineError("a request needs a limit of at least 1 token, and a prefix with ids")
        before = (*self.prompt_ids(request), *request.prefix.ids)
        if not before:
            raise EngineError("the prompt is empty; give at least one token")
        context = self.context
        if context and len(before) + request.max_tokens > context:
            raise EngineError(
                f"{self.name} has a context of {context} tokens; a prompt of {len(before)} and a limit of"
                f" {request.max_tokens} do not fit: give a generation cap (--cap) of at most {context - len(before)}"
            )
        known = {text: ids_of(self.tokenizer, text) for text in request.stop}
        single = {ids[0] for ids in known.values() if len(ids) == 1}
        texts = tuple(text for text, ids in known.items() if len(ids) != 1)
        return Row(request, before, self.eos | single | set(request.stop_ids), texts)

    def _generation(self, row: Row) -> Generation:
        generation = cut_generation(row.generated, row.request, self, len(row.before))
        assert generation is not None
        return generation

    # ---- streams ----------------------------------------------------------------------------------------------------

    def _submit(self, rows: Sequence[Row]) -> None:
        """Puts rows into the batch, and sees to it that somebody runs it."""
        with self._turn:
            self.batch.waiting.extend(rows)
        with self._wake:
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, daemon=True, name=f"lcpo {self.name}")
                self._worker.start()
            self._wake.notify()

    def _work(self) -> None:
        """Runs the batch for the streams; ends where nothing was wanted for a while."""
        while True:
            with self._wake:
                if not self._wake.wait_for(lambda: self.batch.busy, timeout=IDLE):
                    self._worker = None
                    return
            with self._turn, self._evaluating():
                try:
                    self.batch.step()
                except Exception as error:  # whoever waits must hear of it, whatever it was
                    self.batch.fail(error)
            self._deliver()

    def _deliver(self) -> None:
        """Hands new tokens to the event loops of those who wait, one call for each loop, once in `interval`."""
        now = time.monotonic()
        if now < self._delivered + self.interval and not any(done for _, _, (_, done) in self._news):
            return
        self._delivered = now
        news, self._news = self._news, []
        for loop in {loop for loop, _, _ in news}:
            mine = [(inbox, item) for other, inbox, item in news if other is loop]
            if not loop.is_closed():
                loop.call_soon_threadsafe(_put, mine)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """The model in evaluation mode and with the loop's attention; afterwards as it was."""
        training = self.model.training
        if training:
            self.model.eval()
        try:
            with slot_attention(self.model):
                yield
        finally:
            if training:
                self.model.train()


def _put(news: Sequence[tuple["asyncio.Queue[Any]", Any]]) -> None:
    for inbox, item in news:
        inbox.put_nowait(item)
