"""Budget forcing in two halves, shared by truncate, s1 and s1_fair: think up to a limit, then answer."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Literal

from lcpo.decode.base import Response, ResponseBuilder
from lcpo.engines.base import Generation, Request, cut_generation
from lcpo.thinking import CLOSE, OPEN

Ended = Literal["closed", "over", "cut"]
"""How a thought ended: the model closed it; the model ended its response without closing it; the limit cut it."""


def think(
    draft: ResponseBuilder, budget: int, waits: int, word: str = ""
) -> Generator[Sequence[Request], Sequence[Generation], Ended]:
    """Adds a thought of at most `budget` tokens, inserted ones included.

    Where the model stops earlier, the stop (closing tag or EOS) is dropped and `word` is put in its place, up to
    `waits` times; the first token after it is no stop. An opening tag that the model writes is not counted.
    """
    left, least = budget, 0
    opening = 0 if draft.ask.format.opened else len(draft.ask.encode(OPEN).ids or ())
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
        left -= _count(generation) - opening
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


def _count(generation: Generation) -> int:
    """Tokens of a piece of thought, the stop not counted."""
    if generation.kept.ids is not None:
        return len(generation.kept.ids)
    return max(0, (generation.tokens or 0) - 1)


def answer(
    draft: ResponseBuilder, ended: Ended, closing: str
) -> Generator[Sequence[Request], Sequence[Generation], Response]:
    """Closes a thought that is not closed, and adds the answer: all the room that is left below the cap.

    A response that is over without ever having opened a thought is an answer already.
    """
    if ended == "over" and not draft.ask.format.opened and OPEN not in draft.written.text and not draft.forced:
        return draft.done()
    if ended != "closed":
        draft.insert(closing)
    (generation,) = yield [draft.request(draft.room)]
    draft.take(generation)
    return draft.done()
