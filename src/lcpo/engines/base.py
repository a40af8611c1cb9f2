"""One protocol for everything that generates: a request is a conversation, what stands after it already, and a limit.

Where an engine knows token ids it works on ids alone: what was generated or inserted is never tokenised again, so a
thought cut inside a multi-byte character goes on exactly where it was cut. Servers that give only text work on text.

Seeds: everything random about a continuation follows from (seed, tokens after the prompt so far). With an engine that
honours this to the letter (`positional`), a generation with a smaller limit is a prefix of the one with a larger
limit, and a continuation of one's own prefix is the rest of the same generation, whatever else is in the batch.
"""

import asyncio
import hashlib
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from lcpo.thinking import CLOSE, OPEN, Marks

T = TypeVar("T")
Finish = Literal["end", "stop", "length"]
"""end: the model ended its response; stop: a stop sequence appeared; length: the limit was reached."""
LogitsProcessor = Callable[[Sequence[int], Any], Any]
"""(ids generated so far, logits [V]) -> logits [V]."""


@dataclass(frozen=True)
class Segment:
    """A stretch of tokens: its text, and its ids where the engine knows them."""

    ids: tuple[int, ...] | None
    text: str

    def __add__(self, other: "Segment") -> "Segment":
        ids = None if self.ids is None or other.ids is None else self.ids + other.ids
        return Segment(ids, self.text + other.text)


EMPTY = Segment((), "")


@dataclass(frozen=True)
class Message:
    """A turn of a conversation. role: system, user or assistant."""

    role: str
    content: str


Conversation = tuple[Message, ...]


def user(text: str) -> Conversation:
    """A conversation that is one message of a user."""
    return (Message("user", text),)


@dataclass(frozen=True)
class Request:
    """One continuation that is wanted.

    prompt: a conversation that the chat template renders, or a segment that the model reads as it is (its ids where
    known, else its text). prefix: what stands after the prompt already. max_tokens: the limit of this continuation,
    tokens. temperature 0 is greedy; top_k 0, top_p 1 and min_p 0 leave the distribution as it is. stop: texts that end
    the continuation; stop_ids: single tokens that do. min_tokens: so many tokens are neither EOS nor a stop (a tag
    that is one token). processors: change the logits before a token is drawn, where the model runs in this process.
    """

    prompt: Conversation | Segment
    max_tokens: int
    seed: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    prefix: Segment = EMPTY
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    min_tokens: int = 0
    processors: tuple[LogitsProcessor, ...] = ()

    @property
    def prompt_text(self) -> str:
        """The prompt as text: the contents of a conversation, a blank line between them, or the raw text."""
        if isinstance(self.prompt, Segment):
            return self.prompt.text
        return "\n\n".join(message.content for message in self.prompt)


@dataclass(frozen=True)
class Generation:
    """What came of a request.

    written: all that was generated, a stop sequence included; ids hold the EOS, text does not. kept: the same without
    the stop sequence and EOS. tokens: how many were generated; prompt_tokens: how many stood before them, prefix
    included; reasoning_tokens: how many of them a server counts as reasoning. All counts None where nobody reports
    them.
    """

    written: Segment
    kept: Segment
    finish: Finish
    tokens: int | None
    prompt_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True)
class Format:
    """How a model writes its thought: the opening, the closing, and whether the chat template opens it in the prompt
    (None: nobody knows, as with a server).

    Qwen3 and R1 models put the tags on lines of their own: open "<think>\\n", close "\\n</think>\\n\\n".
    """

    open: str = OPEN
    close: str = CLOSE
    opened: bool | None = False

    @property
    def empty(self) -> str:
        """What stands in the place of a thought that is left out."""
        return self.close if self.opened else self.open + self.close


ON_LINES = Format(OPEN + "\n", "\n" + CLOSE + "\n\n")


@dataclass(frozen=True)
class Delta:
    """What a stream has new: tokens, and the text that is certain by now (no cut character, no half of a stop).

    The ids of all deltas are `generation.written.ids`, their texts joined `generation.kept.text`. generation: the
    whole, on the last delta alone.
    """

    ids: tuple[int, ...] | None
    text: str
    generation: Generation | None = None


class Engine(ABC):
    """What every engine offers.

    marks: ids of the tags and EOS, None where ids are unknown. positional: seeds are honoured to the letter (see
    above). parallel: requests that are open at once, where each is paid for by itself; None: they are run in batches.
    left_out: parameters of requests that are not heeded.
    """

    name: str
    format: Format
    marks: Marks | None
    positional: ClassVar[bool] = False
    parallel: int | None = None
    left_out: Collection[str] = ()

    @abstractmethod
    def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        """The continuation as it comes; closing the generator cancels the request. Raises EngineError."""

    def room(self, request: Request) -> int | None:
        """How many tokens fit into the model's context after a request's prompt; None where that is not known."""
        return None

    async def complete(self, request: Request) -> Generation:
        """The whole continuation. Raises EngineError."""
        async for delta in self.stream(request):
            if delta.generation is not None:
                return delta.generation
        raise AssertionError("a stream ends with a generation")

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """The continuations, in the order of the requests. Raises EngineError, the first one that there is."""

        async def every() -> list[Generation]:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self.complete(request)) for request in requests]
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None
            finally:
                await self.aclose()
            return [task.result() for task in tasks]

        return run_async(every())

    async def aclose(self) -> None:  # noqa: B027  # most engines hold nothing
        """Lets go of what belongs to the running event loop."""

    @abstractmethod
    def encode(self, text: str) -> Segment:
        """`text` as something that can be inserted into a response, with ids where the engine knows them."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, tags and special tokens included; only for engines that know ids."""


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns, from code that is not asynchronous, whether or not an event loop runs around it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def cut_generation(
    ids: Sequence[int], request: Request, engine: Engine, prompt_tokens: int | None = None
) -> Generation | None:
    """The generation that `request` makes of a stream of ids: up to its limit, a stop or EOS, whichever comes first.

    None where the stream ends before any of them.
    """
    assert engine.marks is not None
    within = tuple(ids[: request.max_tokens])
    end = next((i for i, token in enumerate(within) if token in engine.marks.eos or token in request.stop_ids), None)
    if end is not None:
        within = within[: end + 1]
    stop = _stop(within, request, engine)
    if stop is not None:
        upto, before = stop
        finish: Finish = "stop"
        written, kept = within[:upto], within[:before]
        if written[-1] in engine.marks.eos:
            finish = "end"
    elif end is not None:
        finish = "end" if within[-1] in engine.marks.eos else "stop"
        written, kept = within, within[:-1]
    elif len(within) == request.max_tokens:
        finish = "length"
        written = kept = within
    else:
        return None
    text = engine.decode(kept)
    whole = text if written == kept or finish == "end" else engine.decode(written)
    return Generation(Segment(written, whole), Segment(kept, text), finish, len(written), prompt_tokens)


def _stop(ids: tuple[int, ...], request: Request, engine: Engine) -> tuple[int, int] | None:
    """(tokens up to and with the first stop text, tokens before it); None where there is none."""
    places = []
    for text in request.stop:
        known = engine.encode(text).ids or ()
        if len(known) == 1:
            if known[0] in ids:
                at = ids.index(known[0])
                places.append((at + 1, at))
        elif text in (whole := engine.decode(ids)):
            start = whole.index(text)
            upto = bisect_left(range(len(ids)), True, key=lambda n: text in engine.decode(ids[:n]))
            before = next(n for n in range(upto, -1, -1) if len(engine.decode(ids[:n])) <= start)
            places.append((upto, before))
    return min(places, default=None)


def sub_seed(seed: int, *parts: int | str) -> int:
    """A seed below 2**48 that follows from another one and from what it is for."""
    text = "\0".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")
