"""One generation for many: methods and budgets that start from the same response share it, and pay for it once.

With an engine whose seeds are positional (lcpo.engines.base) a generation with a smaller limit, an extra stop
sequence, or a longer prefix of the same response is a part of what was generated already. So a sweep generates each
response once, to the largest limit asked for, and cuts the rest out of it; what every sample holds and counts is as if
it had been run alone.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import NamedTuple

from lcpo.engines.base import EMPTY, Delta, Engine, Generation, Request, Segment, cut_generation


class Trace(NamedTuple):
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
        self.name, self.format, self.marks = engine.name, engine.format, engine.marks
        self.sharing = engine.positional and engine.marks is not None
        self.generated = 0
        self.asked = 0
        self._traces: dict[Request, list[Trace]] = {}

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
        alone = [i for i, request in enumerate(requests) if not self.sharing or request.stop_ids]
        results = dict(zip(alone, self._pay([requests[i] for i in alone]), strict=True))
        while missing := [i for i in range(len(requests)) if i not in results]:
            cuts = {i: self._cut(requests[i]) for i in missing}
            results |= {i: generation for i, generation in cuts.items() if generation is not None}
            self._extend([requests[i] for i in missing if i not in results])
        self.asked += sum(generation.tokens or 0 for generation in results.values())
        return [results[i] for i in range(len(requests))]

    def _pay(self, requests: Sequence[Request]) -> list[Generation]:
        generations = self.engine.generate(requests) if requests else []
        self.generated += sum(generation.tokens or 0 for generation in generations)
        return generations

    def _extend(self, requests: Sequence[Request]) -> None:
        """Generates what the requests lack: for those that go on from the same place once, to the largest limit."""
        groups: dict[tuple[Request, Trace], Request] = {}
        for request in requests:
            shared, prefix = _shared(request), request.prefix.ids or ()
            trace = self._longest(shared, prefix) or Trace(prefix, len(prefix))
            ahead = len(trace.ids) - len(prefix)
            limit, stop = request.max_tokens - ahead, request.stop
            other = groups.get((shared, trace))
            if other is not None:
                limit, stop = max(limit, other.max_tokens), tuple(text for text in other.stop if text in stop)
            least = max(0, request.min_tokens - ahead)
            standing = Segment(trace.ids, self.engine.decode(trace.ids))
            groups[shared, trace] = replace(request, prefix=standing, max_tokens=limit, stop=stop, min_tokens=least)
        for (shared, trace), generation in zip(groups, self._pay(list(groups.values())), strict=True):
            traces = self._traces.setdefault(shared, [])
            if trace in traces:
                traces.remove(trace)
            traces.append(Trace(trace.ids + (generation.written.ids or ()), trace.start))

    def _longest(self, shared: Request, prefix: tuple[int, ...]) -> Trace | None:
        """The longest trace that goes on from the prefix."""
        fitting = (
            trace
            for trace in self._traces.get(shared, [])
            if trace.start <= len(prefix) <= len(trace.ids) and trace.ids[: len(prefix)] == prefix
        )
        return max(fitting, key=lambda trace: len(trace.ids), default=None)

    def _cut(self, request: Request) -> Generation | None:
        """The request's generation cut out of a trace, None if there is none that reaches far enough."""
        prefix = request.prefix.ids or ()
        trace = self._longest(_shared(request), prefix)
        return None if trace is None else cut_generation(trace.ids[len(prefix) :], request, self.engine)


def _shared(request: Request) -> Request:
    """What generations must have in common to be parts of one another: all but where they begin and end.

    min_tokens becomes the tokens after the prompt before which the response may not end.
    """
    least = len(request.prefix.ids or ()) + request.min_tokens if request.min_tokens else 0
    return replace(request, prefix=EMPTY, max_tokens=0, stop=(), min_tokens=least)
