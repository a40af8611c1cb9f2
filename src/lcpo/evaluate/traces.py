"""One trace for many: methods and budgets that start from the same response share it, and pay for it once.

With an engine whose seeds are positional (lcpo.engines.base) a generation with a smaller limit, an extra stop
sequence, or a longer prefix of the same response is a part of what was generated already. So a sweep generates each
response once, to the largest limit asked for, and cuts the rest out of it; what every sample holds and counts is as if
it had been run alone.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from lcpo.engines.base import Conversation, Delta, Engine, Generation, Request, Segment, cut_generation
from lcpo.thinking import Marks


class Key(NamedTuple):
    """What generations must share to be parts of one another."""

    prompt: Conversation | Segment
    seed: int
    temperature: float
    top_p: float
    least: int
    """Tokens after the prompt before which the response may not end."""


@dataclass(frozen=True)
class Trace:
    """Ids after a prompt; those from `start` on were generated."""

    ids: tuple[int, ...]
    start: int


class CachingEngine(Engine):
    """An engine in front of another one that never generates the same thing twice.

    generated: tokens that were really generated; asked: tokens that the requests would have cost one by one. Lives as
    long as a batch. Engines without positional seeds, and requests with single stop tokens, are passed on.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name, self.format = engine.name, engine.format
        self.marks: Marks | None = engine.marks
        self.sharing = engine.positional and engine.marks is not None
        self.generated = 0
        self.asked = 0
        self._traces: dict[Key, list[Trace]] = {}

    def encode(self, text: str) -> Segment:
        """As the engine does."""
        return self.engine.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """As the engine does."""
        return self.engine.decode(ids)

    def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        """As the engine does: what is streamed is not shared."""
        return self.engine.stream(request)

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """The continuations, in the order of the requests."""
        found: dict[int, Generation] = {}
        alone = [i for i, request in enumerate(requests) if not self.sharing or request.stop_ids]
        for i, generation in zip(alone, self._pay([requests[i] for i in alone]), strict=True):
            found[i] = generation
        waiting = [i for i in range(len(requests)) if i not in found]
        while waiting:
            for i in waiting:
                served = self._serve(requests[i])
                if served is not None:
                    found[i] = served
            waiting = [i for i in waiting if i not in found]
            self._extend([requests[i] for i in waiting])
        results = [found[i] for i in range(len(requests))]
        self.asked += sum(generation.tokens or 0 for generation in results)
        return results

    def _pay(self, requests: Sequence[Request]) -> list[Generation]:
        generations = self.engine.generate(requests) if requests else []
        self.generated += sum(generation.tokens or 0 for generation in generations)
        return generations

    def _extend(self, requests: Sequence[Request]) -> None:
        """Generates what the requests lack: for those that go on from the same place once, to the largest limit."""
        groups: dict[tuple[Key, tuple[int, ...], int], Request] = {}
        for request in requests:
            key, prefix = _key(request), _prefix(request)
            trace = self._longest(key, prefix)
            ids, start = (trace.ids, trace.start) if trace is not None else (prefix, len(prefix))
            need = len(prefix) + request.max_tokens - len(ids)
            other = groups.get((key, ids, start))
            if other is None:
                prefix_now = Segment(ids, "")
                least = max(0, request.min_tokens - len(ids) + len(prefix))
                groups[key, ids, start] = replace(request, prefix=prefix_now, max_tokens=need, min_tokens=least)
            else:
                stop = tuple(text for text in other.stop if text in request.stop)
                groups[key, ids, start] = replace(other, max_tokens=max(other.max_tokens, need), stop=stop)
        generations = self._pay(list(groups.values()))
        for (key, ids, start), generation in zip(groups, generations, strict=True):
            assert generation.written.ids is not None
            longer = Trace(ids + generation.written.ids, start)
            kept = [one for one in self._traces.get(key, []) if not (one.ids == ids and one.start == start)]
            self._traces[key] = [*kept, longer]

    def _longest(self, key: Key, prefix: tuple[int, ...]) -> Trace | None:
        """The longest trace that goes on from the prefix."""
        fitting = [
            one
            for one in self._traces.get(key, [])
            if one.start <= len(prefix) <= len(one.ids) and one.ids[: len(prefix)] == prefix
        ]
        return max(fitting, key=lambda one: len(one.ids), default=None)

    def _serve(self, request: Request) -> Generation | None:
        """The request's generation cut out of a trace, None if there is none that reaches far enough."""
        prefix = _prefix(request)
        trace = self._longest(_key(request), prefix)
        if trace is None:
            return None
        return cut_generation(trace.ids[len(prefix) :], request, self.engine)


def _key(request: Request) -> Key:
    least = len(_prefix(request)) + request.min_tokens if request.min_tokens else 0
    return Key(request.prompt, request.seed, request.temperature, request.top_p, least)


def _prefix(request: Request) -> tuple[int, ...]:
    assert request.prefix.ids is not None
    return request.prefix.ids
