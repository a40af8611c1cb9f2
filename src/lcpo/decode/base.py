"""How a budget is imposed when decoding. A method is a generator: it yields requests and is sent what came of them.

So a method is written for one response, as one reads it, and thousands of them run side by side. It knows a
conversation, a budget and an engine, so that a chat message and a problem of a benchmark are the same to it.

Every method counts every token after the original prompt that it caused, generated or inserted, over all its calls.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import ClassVar

from lcpo.budgets.prompting import add_budget
from lcpo.engines.base import EMPTY, Conversation, Engine, Finish, Format, Generation, Request, Segment
from lcpo.errors import ConfigError
from lcpo.thinking import Thinking, split_text
from lcpo.types import NO_BUDGET, Budget, Scope

Steps = Generator[Sequence[Request], Sequence[Generation], "Response"]
Votes = Callable[[Sequence["Response"]], Sequence[Hashable | None]]
"""Responses -> what each of them votes for, None for a response without an answer."""


def same_text(responses: Sequence["Response"]) -> list[str | None]:
    """Votes by the text after the thought; a thought that is not closed has no vote."""
    answers = (split_text(response.response.text, response.thinking)[1] for response in responses)
    return [(answer or "").strip() or None for answer in answers]


@dataclass(frozen=True)
class Ask:
    """One response that is wanted.

    conversation: its last message of a user gets the budget sentence, in `wording` (lcpo.budgets.TEMPLATES), where the
    method says the budget. budget: None where none is asked for. cap: limit of generated and inserted tokens of a
    response. votes: what responses vote for, where a method holds a vote.
    """

    conversation: Conversation
    budget: Budget | None
    engine: Engine
    seed: int
    cap: int
    wording: str = "l1"
    temperature: float = 1.0
    top_p: float = 1.0
    votes: Votes = same_text

    @property
    def format(self) -> Format:
        """How the model writes its thought."""
        return self.engine.format

    @property
    def tokens(self) -> int:
        """The budget in tokens; only for methods that are asked with one."""
        assert self.budget is not None and self.budget.tokens is not None
        return self.budget.tokens

    def start(self, budget: Budget | None = None) -> "ResponseBuilder":
        """A response of which nothing stands yet; `budget` stands in its prompt. Raises ConfigError if it cannot."""
        turns = list(self.conversation)
        last = max((i for i, turn in enumerate(turns) if turn.role == "user"), default=None)
        if last is None:
            raise ConfigError("a conversation needs a message of the user; give one")
        content = add_budget(turns[last].content, budget or NO_BUDGET, self.wording)
        turns[last] = replace(turns[last], content=content)
        return ResponseBuilder(self, tuple(turns))


@dataclass(frozen=True)
class Response:
    """What a method made of an Ask.

    prompt: what was asked, as text. response: all that stands after it, inserted parts included. tokens: see above,
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
    limit the same. budget_in_prompt: the row's own budget stands in the prompt, in whichever scope, and not a share of
    it. needs_prefix: it makes the model go on with a given beginning; needs_ids: it works on token ids.
    """

    name: str
    about: ClassVar[str]
    budgeted: ClassVar[bool] = True
    scope: ClassVar[Scope] = "response"
    prompts: ClassVar[bool] = False
    budget_in_prompt: ClassVar[bool] = False
    needs_prefix: ClassVar[bool] = False
    needs_ids: ClassVar[bool] = False

    @property
    def at_most(self) -> tuple[int, int]:
        """(requests, responses of up to the cap) that one response takes at most."""
        return 1, 1

    @abstractmethod
    def steps(self, ask: Ask) -> Steps:
        """Decodes one response."""


@dataclass
class ResponseBuilder:
    """A response in the making: what stands there, and what it has cost so far.

    calls are added by `take`, inserted text by `insert`. room: tokens left below the cap, as far as counted. _unseen:
    something was inserted whose ids are not known. _prompts: of each call the tokens before it, those it generated, and
    those of them that no longer stand before the next.
    """

    ask: Ask
    prompt: Conversation | Segment
    written: Segment = EMPTY
    generated: int = 0
    inserted: int = 0
    counted: bool = True
    forced: bool = False
    calls: int = 0
    finish: Finish = "end"
    reasoning: int | None = None
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
        """A request to go on from here, with the seed and sampling that were asked for."""
        return Request(
            prompt=self.prompt,
            max_tokens=max_tokens,
            seed=self.ask.seed,
            temperature=self.ask.temperature if temperature is None else temperature,
            top_p=self.ask.top_p,
            prefix=self.written,
            stop=stop,
            stop_ids=stop_ids,
            min_tokens=min(min_tokens, max_tokens),
        )

    def take(self, generation: Generation, drop_stop: bool = False) -> None:
        """Adds what was generated; without the stop sequence and EOS if they are dropped (they are paid all the
        same).
        """
        self.written += generation.kept if drop_stop else generation.written
        self.calls += 1
        self.finish = generation.finish
        self.reasoning = generation.reasoning_tokens
        dropped = int(generation.finish == "end" or (drop_stop and generation.finish == "stop"))
        self._prompts.append((generation.prompt_tokens, generation.tokens, dropped))
        self.counted = self.counted and generation.tokens is not None
        self.generated += generation.tokens or 0

    def insert(self, part: str | Segment) -> None:
        """Adds text, or ids with their text, that the model did not write."""
        if not part:
            return
        part = self.ask.engine.encode(part) if isinstance(part, str) else part
        self.written += part
        self.forced = True
        if part.ids is not None:
            self.inserted += len(part.ids)
            return
        self._unseen = True
        self.counted = self.counted and bool(self.calls)

    def rest(self) -> Steps:
        """Adds all that the model writes from here, up to the cap; the response is then done."""
        (generation,) = yield [self.request(self.room)]
        self.take(generation)
        return self.done()

    def done(self, thinking: Thinking = "auto", graded: str | None = None, *, planned_end: bool = False) -> Response:
        """The response, its tokens counted. planned_end: the last limit was the method's own and not the cap.

        Where nobody knows whether the prompt opened the thought, a response that was cut counts as one.
        """
        opened = self.ask.format.opened
        if opened is None:
            opened = self.finish == "length" and not planned_end
        return Response(
            prompt=self.request(1).prompt_text,
            response=self.written,
            tokens=self._reported(),
            finish="end" if planned_end else self.finish,
            forced=self.forced,
            calls=self.calls,
            thinking=True if thinking == "auto" and opened else thinking,
            graded=graded,
            reasoning=self.reasoning if self.calls == 1 else None,
            from_ids=self.written.ids is not None,
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


def together(tasks: Sequence[Steps]) -> Generator[Sequence[Request], Sequence[Generation], list[Response]]:
    """Several methods side by side as one: all their open requests are yielded together, round by round."""
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


def run_methods(engine: Engine, tasks: Sequence[Steps]) -> list[Response]:
    """The responses of methods that run side by side on one engine. Raises EngineError."""
    rounds = together(tasks)
    try:
        requests = next(rounds)
        while True:
            requests = rounds.send(engine.generate(requests))
    except StopIteration as stop:
        responses: list[Response] = stop.value
        return responses


async def run_method(engine: Engine, steps: Steps, on_text: Callable[[str], None] | None = None) -> Response:
    """The response of one method, from an event loop; cancelling the task cancels its requests. Raises EngineError.

    on_text: called with the response's text as it comes, inserted parts included; not where a method has several
    requests open at once. A limit that is met only once a generation is over may leave a token too many sent.
    """
    sent = ""

    def send(text: str) -> None:
        nonlocal sent
        common = len(sent)
        while not text.startswith(sent[:common]):
            common -= 1
        sent, new = text, text[common:]
        if on_text is not None and new:
            on_text(new)

    try:
        requests = next(steps)
        while True:
            if len(requests) == 1 and on_text is not None:
                send(requests[0].prefix.text)
                generations = [await _streamed(engine, requests[0], send)]
            else:
                generations = await asyncio.gather(*map(engine.complete, requests))
            requests = steps.send(generations)
    except StopIteration as stop:
        response: Response = stop.value
        send(response.response.text)
        return response


async def _streamed(engine: Engine, request: Request, send: Callable[[str], None]) -> Generation:
    """What comes of a request; `send` is called with prefix and text so far."""
    text = request.prefix.text
    async for delta in engine.stream(request):
        text += delta.text
        send(text)
        if delta.generation is not None:
            return delta.generation
    raise AssertionError("a stream ends with a generation")
