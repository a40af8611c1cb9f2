"""Generation with vLLM on a GPU. Composed from its documented interface (0.10 and later), not run here.

Works on token ids in and out. Seeds are vLLM's own, one for each request: a continuation gets a seed of its own, so
that it does not repeat the random numbers of the text before it, and samples are comparable in law, not one by one.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

from lcpo.engines.base import Delta, Engine, Generation, Request, Segment, cut_generation, sub_seed
from lcpo.engines.formats import format_of, prompt_ids
from lcpo.errors import EngineError
from lcpo.thinking import Marks, eos_ids


class VllmEngine(Engine):
    """An in-process vLLM model. engine: a `vllm.LLM`; batching, paging and memory are its business."""

    def __init__(self, engine: Any, name: str = "model") -> None:
        self.engine, self.name = engine, name
        self.tokenizer = engine.get_tokenizer()
        given = engine.get_default_sampling_params().stop_token_ids or []
        self.marks: Marks | None = Marks.of(self._ids, eos_ids(self.tokenizer.eos_token_id, given), self.decode)
        self.format = format_of(self.tokenizer)

    @classmethod
    def load(cls, path: str | Path, name: str | None = None, **settings: Any) -> "VllmEngine":
        """From a folder or hub id; settings go to vllm.LLM (tensor_parallel_size, max_model_len ...).

        Raises EngineError without vLLM, or where the model cannot be loaded.
        """
        try:
            from vllm import LLM
        except ImportError:
            raise EngineError("vllm is not installed; it needs a GPU: pip install vllm") from None
        try:
            return cls(LLM(model=str(path), **settings), name or str(path))
        except (OSError, ValueError, RuntimeError) as error:
            raise EngineError(f"vLLM cannot load {path}: {str(error).splitlines()[0]}") from None

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def encode(self, text: str) -> Segment:
        """`text` with its ids, no special tokens added."""
        return Segment(tuple(self._ids(text)), text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, tags and special tokens included."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=False)
        return text

    def prompt_ids(self, request: Request) -> list[int]:
        """What the model reads: the rendered conversation (or the raw prompt), then the prefix's ids."""
        return [*prompt_ids(self.tokenizer, request.prompt), *(request.prefix.ids or ())]

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        """The whole continuation at once: an offline vLLM does not stream."""
        (generation,) = await asyncio.to_thread(self.generate, [request])
        yield Delta(generation.written.ids, generation.kept.text, generation)

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """The continuations, in the order of the requests."""
        from vllm import SamplingParams

        if not requests:
            return []
        assert self.marks is not None
        prompts = [{"prompt_token_ids": self.prompt_ids(request)} for request in requests]
        parameters = [
            SamplingParams(
                max_tokens=request.max_tokens,
                min_tokens=request.min_tokens,
                temperature=request.temperature,
                top_p=request.top_p,
                top_k=request.top_k or -1,
                min_p=request.min_p,
                seed=sub_seed(request.seed, *(request.prefix.ids or ())) % 2**31,
                stop=list(request.stop) or None,
                stop_token_ids=[*request.stop_ids, *sorted(self.marks.eos)],
                include_stop_str_in_output=True,
                skip_special_tokens=False,
            )
            for request in requests
        ]
        outputs = self.engine.generate(prompts, parameters, use_tqdm=False)
        found = []
        for request, prompt, output in zip(requests, prompts, outputs, strict=True):
            ids = list(output.outputs[0].token_ids)
            generation = cut_generation(ids, request, self, len(prompt["prompt_token_ids"]))
            if generation is None:
                raise EngineError(f"vLLM ended a response of {len(ids)} tokens for no reason that lcpo knows")
            found.append(generation)
        return found
