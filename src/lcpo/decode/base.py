"""How a budget is imposed when decoding. A method is a generator: it yields requests and is sent what came of them.

So a method is written for one sample, as one reads it, and the runner drives thousands of them side by side.

Every method counts every token after the original prompt that it caused, generated or inserted, over all its calls.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import ClassVar

from lcpo.engines.base import EMPTY, Engine, Finish, Format, Generation, Request, Segment, user
from lcpo.thinking import Thinking
from lcpo.types import Budget, Problem, Scope

Steps = Generator[Sequence[Request], Sequence[Generation], "Response"]


@dataclass(frozen=True)
class Ask:
    """One sample that is wanted, and what a method may know about who answers.

    budget: None where none is asked for. cap: limit of generated and inserted tokens of one response. engine: who
    answers. extract finds the answer in a response (None: there is none).
    """

    problem: Problem
    budget: Budget | None
    wording: str
    seed: int
    temperature: float
    top_p: float
    cap: int
    engine: Engine
    extract: Callable[[str], str | None]

    @property
    def format(self) -> Format:
        """How the model writes its thought."""
        return self.engine.format

    def encode(self, text: str) -> Segment:
        """Text that can be inserted."""
        return self.engine.encode(text)

    @property
    def tokens(self) -> int:
        """The budget in tokens; only for methods that are asked with one."""
        assert self.budget is not None and self.budget.tokens is not None
        return self.budget.tokens


@dataclass(frozen=True)
class Response:
    """What a method made of a sample.

    prompt: the user's message as sent. response: all that stands after it, inserted parts included. tokens: see above,
    None where a server reports none. forced: the method inserted something. thinking: how to read the response
    (lcpo.thinking). graded: the text to grade, where it is not the response. reasoning: tokens of thought by the
    server's count. from_ids: tokens were counted from ids. others: further responses whose tokens count too.
    """

    prompt: str
    response: Segment
    tokens: int | None
    finish: Finish
    forced: bool
    calls: int
    thinking: Thinking = "auto"
    graded: str | None = None
    reasoning: int | None = None
    from_ids: bool = True
    others: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Method(ABC):
    """What every method is: a frozen config that is itself the decoding.

    name: as in results, options included. about: a line for `lcpo methods`. budgeted: it is run at every budget, else
    once. scope: what its budget limits. prompts: a budget in that scope stands in its prompts, so that the wording must
    limit the same. told: the row's own budget stands in the prompt, in whichever scope, and not a share of it.
    needs_prefix: it makes the model go on with a given beginning; needs_ids: it works on token ids.
    """

    name: str
    about: ClassVar[str]
    budgeted: ClassVar[bool] = True
    scope: ClassVar[Scope] = "response"
    prompts: ClassVar[bool] = False
    budget_in_prompt: ClassVar[bool] = False
    needs_prefix: ClassVar[bool] = False
    needs_ids: ClassVar[bool] = False

    @abstractmethod
    def steps(self, ask: Ask) -> Steps:
        """Decodes one sample."""


@dataclass
class ResponseBuilder:
    """A response in the making: what stands there, and what it has cost so far.

    calls are added by `take`, inserted text by `insert`. room: tokens left below the cap, as far as counted. _unseen:
    something was inserted whose ids are not known. _prompts: of each call the tokens before it, those it generated, and
    those of them that no longer stand before the next.
    """

    ask: Ask
    prompt: str
    written: Segment = EMPTY
    generated: int = 0
    inserted: int = 0
    counted: bool = True
    forced: bool = False
    calls: int = 0
    finish: Finish = "end"
    reasoning: int | None = None
    raw: bool = False
    _unseen: bool = False
    _prompts: list[tuple[int | None, int | None, int]] = field(default_factory=list)

    @property
    def room(self) -> int:
        """Tokens left below the cap; at least 1, so that a request can always be made."""
        return max(1, self.ask.cap - self.generated - self.inserted)

    def request(
        self,
        max_tokens: int,
        stop: tuple[str, ...] = (),
        *,
        stop_ids: tuple[int, ...] = (),
        min_tokens: int = 0,
        temperature: float | None = None,
    ) -> Request:
        """A request to go on from here, with this sample's seed and sampling."""
        ask = self.ask
        return Request(
            prompt=Segment(None, self.prompt) if self.raw else user(self.prompt),
            max_tokens=max_tokens,
            seed=ask.seed,
            temperature=ask.temperature if temperature is None else temperature,
            top_p=ask.top_p,
            prefix=self.written,
            stop=stop,
            stop_ids=stop_ids,
            min_tokens=min(min_tokens, max_tokens),
        )

    def take(self, generation: Generation, drop_stop: bool = False) -> None:
        """Adds what was generated; without the stop sequence and EOS if they are dropped (they are paid all the
        same).
        """
        part = generation.kept if drop_stop else generation.written
        self.written = self.written + part
        self.calls += 1
        self.finish = generation.finish
        self.reasoning = generation.reasoning_tokens
        dropped = int(generation.finish == "end" or (drop_stop and generation.finish == "stop"))
        self._prompts.append((generation.prompt_tokens, generation.tokens, dropped))
        if generation.tokens is None:
            self.counted = False
        else:
            self.generated += generation.tokens

    def insert(self, part: str | Segment) -> None:
        """Adds text, or ids with their text, that the model did not write."""
        if not part:
            return
        part = self.ask.encode(part) if isinstance(part, str) else part
        self.written = self.written + part
        self.forced = True
        if part.ids is not None:
            self.inserted += len(part.ids)
            return
        self._unseen = True
        self.counted = self.counted and bool(self.calls)

    def done(self, thinking: Thinking = "auto", graded: str | None = None, *, planned_end: bool = False) -> Response:
        """The sample, its tokens counted. planned_end: the last limit was the method's own and not the cap."""
        opened = True if thinking == "auto" and self.ask.format.opened else thinking
        from_ids = self.written.ids is not None
        return Response(
            prompt=self.prompt,
            response=self.written,
            tokens=self._reported(),
            finish="end" if planned_end else self.finish,
            forced=self.forced,
            calls=self.calls,
            thinking=opened,
            graded=graded,
            reasoning=self.reasoning if self.calls == 1 else None,
            from_ids=from_ids,
        )

    def _reported(self) -> int | None:
        """Tokens of the whole response: generated, and inserted where ids are known.

        Where they are not (a server without a tokenizer), what was inserted between calls is seen in the growth of the
        server's prompts, from which a dropped stop or EOS is missing. It is taken for one token that the server has
        counted: a stop of k tokens leaves k - 1 out, and a server that counts no stop is credited one too many.
        """
        if not self.counted or not self._prompts:
            return None
        total = self.generated + self.inserted
        for (before, made, dropped), (after, _, _) in pairwise(self._prompts if self._unseen else ()):
            if before is None or after is None:
                return None
            total += max(0, after - before - (made or 0) + dropped)
        return total


def with_budget(ask: Ask, tokens: int) -> Ask:
    """The same sample with another number of tokens."""
    assert ask.budget is not None
    return replace(ask, budget=replace(ask.budget, tokens=tokens))


def together(tasks: Sequence[Steps]) -> Generator[Sequence[Request], Sequence[Generation], list[Response]]:
    """Several decodings side by side as one: all their open requests are yielded together, round by round."""
    done: dict[int, Response] = {}
    waiting: dict[int, Sequence[Request]] = {i: next(task) for i, task in enumerate(tasks)}
    while waiting:
        answers = iter((yield [request for requests in waiting.values() for request in requests]))
        further: dict[int, Sequence[Request]] = {}
        for i, requests in waiting.items():
            try:
                further[i] = tasks[i].send([next(answers) for _ in requests])
            except StopIteration as stop:
                done[i] = stop.value
        waiting = further
    return [done[i] for i in range(len(tasks))]
