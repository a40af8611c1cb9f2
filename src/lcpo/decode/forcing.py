"""Budget forcing: think up to a limit without being told of it, then answer.

truncate  cuts the thought at the budget and closes it; what servers call a thinking budget (a forced `</think>`), so it
          is the baseline that costs nothing to have. Nothing is ever prolonged.
s1        as its authors do it (arXiv:2501.19393; simplescaling/s1, vllm_causallms.py `_model_generate`): a thought that
          reaches the budget is cut with a line break, the end of thinking, "\\nFinal Answer:"; one that stops before
          goes on after "Wait", up to `waits` times (their NUM_IGNORE, 1 in their example). Their end of thinking is a
          marker of their own chat format; here it is the model's closing tag.
s1_fair   the same without the handicaps: what is inserted where the thought is cut is nothing but the closing tag as
          the model writes it (Qwen3 and R1: on lines of its own). What differs from truncate is "Wait".

All of them answer with the same temperature as every method and all the room that is left below the generation cap.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lcpo.decode.base import Ask, Method, ResponseBuilder, Steps
from lcpo.engines.base import Generation, Request, cut_generation
from lcpo.thinking import CLOSE, OPEN

Ended = Literal["closed", "over", "cut"]
"""How a thought ended: the model closed it; the model ended its response without closing it; the limit cut it."""


@dataclass(frozen=True)
class Truncate(Method):
    """At most B tokens of thought; a thought that ends by itself is left as it is."""

    name: str = "truncate"
    about = "cut the thought at the budget, close it, and let the model answer"
    scope = "thinking"
    needs_prefix = True

    @property
    def at_most(self) -> tuple[int, int]:
        """See Method."""
        return getattr(self, "waits", 0) + 2, 1

    def steps(self, ask: Ask) -> Steps:
        """Decodes one response."""
        return self.forced(ask)

    def forced(self, ask: Ask, waits: int = 0, word: str = "") -> Steps:
        """Thinks for at most the budget, then answers; one that is over without a thought is an answer already."""
        draft = ask.start()
        ended = yield from _think(draft, ask.tokens, waits, word)
        if ended == "over" and not ask.format.opened and OPEN not in draft.written.text and not draft.forced:
            return draft.done()
        if ended != "closed":
            draft.insert(self.closing(draft, ended))
        return (yield from draft.rest())

    def closing(self, draft: ResponseBuilder, ended: Ended) -> str:
        """What closes a thought that the model did not close."""
        return draft.ask.format.close


@dataclass(frozen=True)
class S1Fair(Truncate):
    """Cut with the closing tag, go on with "Wait"."""

    name: str = "s1_fair"
    waits: int = 1
    """How often a thought that stops early is made to go on."""
    word: str = "Wait"
    """What is put in the place of the stop; s1's authors also try "Hmm" and "Alternatively"."""
    about = "budget forcing without handicaps: the model's own closing tag, room for the answer"

    def steps(self, ask: Ask) -> Steps:
        """Decodes one response."""
        return self.forced(ask, self.waits, self.word)


@dataclass(frozen=True)
class S1(S1Fair):
    """The original: "Final Answer:", words that other models were not trained on, where the thought is cut."""

    name: str = "s1"
    about = 'budget forcing, the original: cut with "Final Answer:", go on with "Wait"'

    def closing(self, draft: ResponseBuilder, ended: Ended) -> str:
        """See Truncate.closing."""
        if ended != "cut":
            return CLOSE
        newline = "" if draft.written.text.endswith("\n") else "\n"
        return f"{newline}{CLOSE}\nFinal Answer:"


def _think(
    draft: ResponseBuilder, budget: int, waits: int, word: str
) -> Generator[Sequence[Request], Sequence[Generation], Ended]:
    """Adds a thought of at most `budget` tokens, inserted ones included.

    Where the model stops earlier, the stop (closing tag or EOS) is dropped and `word` is put in its place, up to
    `waits` times; the first token after it is no stop. An opening tag that the model writes is not counted.
    """
    left, least = budget, 0
    opening = 0 if draft.ask.format.opened else len(draft.ask.engine.encode(OPEN).ids or ())
    while True:
        limit = min(left + opening, draft.room)
        (generation,) = yield [draft.request(limit, stop=(CLOSE,), min_tokens=least)]
        if opening and not generation.written.text.startswith(OPEN):
            generation = _shorter(generation, left, draft)
            opening = 0
        stopped = generation.finish != "length"
        draft.take(generation, drop_stop=stopped and (waits > 0 or generation.finish == "end"))
        if not stopped:
            return "cut"
        ids = generation.kept.ids
        left -= (len(ids) if ids is not None else max(0, (generation.tokens or 0) - 1)) - opening  # without the stop
        opening = 0
        if waits == 0:
            return "closed" if generation.finish == "stop" else "over"
        waits, least = waits - 1, 1
        before = draft.inserted
        draft.insert(word)
        left -= draft.inserted - before
        if left <= 0:
            return "cut"


def _shorter(generation: Generation, limit: int, draft: ResponseBuilder) -> Generation:
    """What the generation would have been with a smaller limit."""
    if generation.written.ids is None:
        return generation
    shorter = cut_generation(generation.written.ids, draft.request(limit, stop=(CLOSE,)), draft.ask.engine)
    assert shorter is not None
    return replace(shorter, prompt_tokens=generation.prompt_tokens)
