"""An evaluation of a server, where every request is paid for: answers are written as they come, never asked for twice.

A request that the server cannot answer is told, left out and counted (`requests_failed`); --resume asks for it again.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence

from lcpo.decode import method
from lcpo.errors import ConfigError, EngineError, RequestError
from lcpo.evaluate.plan import Place
from lcpo.evaluate.records import Sample
from lcpo.types import Problem

FIRST = 3
"""Problems that a method is tried with, one after the other, before it counts as one that the server cannot do."""
SHOWN = 5
"""Failed requests that are told one by one."""
CHARACTERS_PER_TOKEN = 3.5
"""Of English prose, roughly."""


def key(of: Sample | Place, problems: Sequence[Problem] = ()) -> tuple[str, str, int | None, str, int]:
    """What tells a sample from all others of its folder. problems: for a place, which has their numbers."""
    if isinstance(of, Sample):
        return of.run, of.method, of.budget, of.problem, of.sample
    return of.cell.model.run, of.cell.method, of.cell.budget, problems[of.problem].id, of.sample


class Asking:
    """Asks a server for places, many at a time.

    answer: asks for one of them, and keeps what comes. known: methods that the server has answered before. failed:
    what was left out, and why. stopped: what ends the whole, once all that is under way has come in.
    """

    def __init__(
        self, places: Sequence[Place], answer: Callable[[Place], Awaitable[None]], known: Collection[str] = ()
    ) -> None:
        self.places, self.answer, self.known = places, answer, known
        self.failed: list[str] = []
        self.stopped: list[EngineError] = []

    async def run(self, parallel: int) -> None:
        """Asks for all, `parallel` at a time; a method that is not known is tried alone first. Raises EngineError."""
        first: dict[str, dict[int, int]] = {}
        for i, place in enumerate(self.places):
            if place.cell.method not in self.known:
                of_method = first.setdefault(place.cell.method, {})
                if len(of_method) < FIRST:
                    of_method.setdefault(place.problem, i)
        tried = await asyncio.gather(*(self._try(name, list(each.values())) for name, each in first.items()))
        asked = {i for each in tried for i in each}
        queue = (place for i, place in enumerate(self.places) if i not in asked)
        await asyncio.gather(*(self._work(queue) for _ in range(parallel)))
        if len(self.failed) > SHOWN:
            print(f"lcpo: left out: {len(self.failed)} requests in all", file=sys.stderr, flush=True)
        if self.stopped:
            raise self.stopped[0]

    async def _try(self, name: str, first: Sequence[int]) -> Sequence[int]:
        """Tries a method, until it works once; the places that were asked for."""
        for count, i in enumerate(first, 1):
            error = await self._ask(self.places[i])
            if error is None:
                return first[:count]
        self.stopped.append(EngineError(f"method {name}: {error}"))
        return first

    async def _work(self, queue: Iterator[Place]) -> None:
        while not self.stopped and (place := next(queue, None)) is not None:
            await self._ask(place)

    async def _ask(self, place: Place) -> RequestError | None:
        """Why the place is left out, None where it is not."""
        try:
            await self.answer(place)
        except RequestError as error:
            budget = f" at budget {place.cell.budget}" if place.cell.budget else ""
            self.failed.append(f"problem {place.problem + 1}, {place.cell.method}{budget}: {error}")
            if len(self.failed) <= SHOWN:
                print(f"lcpo: left out: {self.failed[-1]}", file=sys.stderr, flush=True)
            return error
        except EngineError as error:
            self.stopped.append(error)
        return None


def announce(
    places: Sequence[Place],
    prompts: Iterable[str],
    cap: int,
    price: tuple[float, float] | None = None,
    limit: int | None = None,
    agreed: Callable[[str], bool] = lambda question: False,
) -> None:
    """Says what servers will be asked for, and what it costs at most. Raises ConfigError where that is not agreed to.

    price: of a million tokens that are read, and written. limit: tokens, above which `agreed` is asked. Prompts are
    estimated by their characters; a request that goes on with a beginning reads it too.
    """
    if not places:
        return
    requests = written = read = 0
    for place, prompt in zip(places, prompts, strict=True):
        calls, responses = method(place.cell.method).at_most
        requests += calls
        written += responses * cap
        read += calls * round(len(prompt) / CHARACTERS_PER_TOKEN) + (calls - responses) * cap
    text = f"at most {requests:,} requests, {written:,} tokens of responses, and about {read:,} of prompts"
    if price is not None:
        text += f": at most {(read * price[0] + written * price[1]) / 1e6:,.2f} at the given price"
    print(f"lcpo: will ask for {text}", file=sys.stderr, flush=True)
    if limit is not None and read + written > limit and not agreed(f"That is above {limit:,} tokens. Go on?"):
        raise ConfigError(f"{read + written:,} tokens are above --limit {limit}; raise it, or ask for less")
