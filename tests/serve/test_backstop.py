"""The wall: counts from ids, one closing tag, an answer, and never more than the budget."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from served import QUESTION, tiny

from lcpo.engines.base import Delta, Engine, Request, Segment, user
from lcpo.engines.scripted import ScriptedEngine
from lcpo.serve.backstop import Backstop, Splitter
from lcpo.serve.calls import Asked, Call, Mode, Outcome, Piece
from lcpo.thinking import split_ids
from lcpo.types import Scope
from sums_model import EXACT


def respond(engine: Engine, request: Request, wall: int | None, opened: bool = False) -> tuple[list[Piece], Outcome]:
    async def collect() -> list[Piece | Outcome]:
        return [item async for item in Backstop(engine, request, wall, opened=opened).run()]

    *pieces, outcome = asyncio.run(collect())
    assert isinstance(outcome, Outcome)
    return [piece for piece in pieces if isinstance(piece, Piece)], outcome


class Lumps(ScriptedEngine):
    """Gives out several tokens at once."""

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        waiting = Delta((), "")
        async for delta in super().stream(request):
            assert waiting.ids is not None and delta.ids is not None
            waiting = Delta(waiting.ids + delta.ids, waiting.text + delta.text, delta.generation)
            if len(waiting.ids) >= 4 or delta.generation is not None:
                yield waiting
                waiting = Delta((), "")


def texts(pieces: list[Piece]) -> tuple[str, str]:
    return "".join(piece.thought for piece in pieces), "".join(piece.answer for piece in pieces)


def says(thought: str, answer: str = "42") -> Callable[[Request], str]:
    """A thought in its tags; once it is closed, the answer."""

    def script(request: Request) -> str:
        return answer if "</think>" in request.prefix.text else f"<think>{thought}</think>{answer}"

    return script


@pytest.mark.parametrize(
    ("wall", "thought", "finish", "forced"),
    [(None, "abcdef", "natural", 0), (6, "abcdef", "natural", 0), (5, "abcde", "budget", 1), (1, "a", "budget", 1)],
)
def test_a_thought_is_cut_at_the_wall_and_not_one_token_before(
    wall: int | None, thought: str, finish: str, forced: int
) -> None:
    pieces, outcome = respond(ScriptedEngine(says("abcdef")), Request(user("?"), 50, 1), wall)
    assert texts(pieces) == (thought, "42")
    assert (outcome.reasoning_tokens, outcome.thinking_finish, outcome.forced) == (len(thought), finish, forced)
    assert outcome.tokens == len(thought) + 2 + 2 + 1  # two tags, the answer, EOS
    assert outcome.prompt_tokens == 1


@pytest.mark.parametrize("limit", [50, 8, 6])
@pytest.mark.parametrize("wall", range(9))
def test_tokens_that_come_together_are_cut_where_single_ones_are(wall: int, limit: int) -> None:
    for thought in ("abcdef", "ab<|end|>", "aé€"):
        single = respond(ScriptedEngine(says(thought)), Request(user("?"), limit, 1), wall)
        lumps = respond(Lumps(says(thought)), Request(user("?"), limit, 1), wall)
        assert (texts(lumps[0]), lumps[1]) == (texts(single[0]), single[1])
        for pieces, outcome in (single, lumps):
            assert sum(len(piece.ids) for piece in pieces) == outcome.tokens
            assert outcome.reasoning_tokens is not None and outcome.reasoning_tokens <= wall


def test_a_budget_of_nothing_writes_an_empty_thought() -> None:
    pieces, outcome = respond(ScriptedEngine(says("abcdef")), Request(user("?"), 50, 1), 0)
    assert texts(pieces) == ("", "42")
    assert (outcome.reasoning_tokens, outcome.thinking_finish, outcome.forced) == (0, "budget", 2)


def test_a_template_that_opens_the_thought() -> None:
    def script(request: Request) -> str:
        return "42" if "</think>" in request.prefix.text else "abcdef</think>42"

    for wall, thought in ((0, ""), (3, "abc"), (6, "abcdef")):
        pieces, outcome = respond(ScriptedEngine(script, opened=True), Request(user("?"), 50, 1), wall, opened=True)
        assert (*texts(pieces), outcome.reasoning_tokens) == (thought, "42", len(thought))


def test_a_character_that_the_wall_cuts_is_left_out_of_the_text_and_counted() -> None:
    pieces, outcome = respond(ScriptedEngine(says("aé€")), Request(user("?"), 50, 1), 4)
    assert texts(pieces) == ("aé", "42")
    assert outcome.reasoning_tokens == 4


def test_a_response_that_ends_inside_its_thought_is_closed_and_answered() -> None:
    def script(request: Request) -> str:
        return "42" if "</think>" in request.prefix.text else "<think>ab<|end|>"

    pieces, outcome = respond(ScriptedEngine(script), Request(user("?"), 50, 1), 10)
    assert texts(pieces) == ("ab", "42")
    assert (outcome.thinking_finish, outcome.forced, outcome.tokens) == ("natural", 1, 7)
    pieces, outcome = respond(ScriptedEngine(script), Request(user("?"), 50, 1), None)
    assert (texts(pieces), outcome.finish) == (("ab", ""), "stop")


def test_no_second_tag_reaches_the_answer_after_a_forced_close() -> None:
    engine = ScriptedEngine(says("abcdef", "more</think>42<think>"))
    pieces, _ = respond(engine, Request(user("?"), 50, 1), 2)
    assert texts(pieces) == ("ab", "more42")


def test_an_answer_without_a_thought_is_an_answer() -> None:
    pieces, outcome = respond(ScriptedEngine(lambda request: "just 42"), Request(user("?"), 50, 1), 2)
    assert texts(pieces) == ("", "just 42")
    assert (outcome.reasoning_tokens, outcome.thinking_finish, outcome.forced) == (0, None, 0)


def test_a_thought_that_was_begun_counts_what_it_has() -> None:
    engine = ScriptedEngine(lambda request: "42" if "</think>" in request.prefix.text else "cdef</think>42")
    pieces, outcome = respond(engine, Request(user("?"), 50, 1, prefix=engine.encode("<think>ab")), 4)
    assert texts(pieces) == ("cd", "42")
    assert (outcome.reasoning_tokens, outcome.forced) == (2, 1)


@given(st.text("<think/> ab", max_size=30), st.integers(1, 5), st.booleans())
def test_a_splitter_says_the_same_whatever_the_pieces(text: str, size: int, opened: bool) -> None:
    def split(pieces: list[str]) -> tuple[str, str]:
        splitter = Splitter(opened)
        parts = [splitter.feed(piece) for piece in pieces] + [splitter.end()]
        return "".join(part[0] for part in parts), "".join(part[1] for part in parts)

    assert split([text[i : i + size] for i in range(0, len(text), size)]) == split([text])


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["thinking", "response"])
@pytest.mark.parametrize("mode", ["wall", "both"])
def test_tiny_keeps_every_budget(mode: Mode, scope: Scope) -> None:
    marks = tiny().engine.marks
    assert marks is not None

    async def ask(budget: int) -> tuple[list[Piece], Outcome]:
        call = Call(EXACT.name, Asked(budget, "lcpo.budget", scope, mode), budget, tuple(QUESTION))
        *pieces, outcome = [item async for item in tiny().run(call, tiny().plan(call))]
        assert isinstance(outcome, Outcome)
        return [piece for piece in pieces if isinstance(piece, Piece)], outcome

    async def every() -> list[tuple[list[Piece], Outcome]]:
        return await asyncio.gather(*map(ask, range(101)))

    for budget, (pieces, outcome) in enumerate(asyncio.run(every())):
        parts = split_ids([token for piece in pieces for token in piece.ids], marks)
        assert (outcome.tokens, outcome.reasoning_tokens) == (parts.response, parts.thinking)
        assert parts.thinking <= budget
        assert scope == "thinking" or budget == 0 or parts.response <= budget
        thought, answer = texts(pieces)
        assert "think>" not in thought + answer
        if scope == "thinking" or budget not in (1, 2):  # the tags alone take two
            assert parts.closed and answer.strip()


def test_a_wall_that_is_not_reached_changes_nothing() -> None:
    engine = tiny().engine
    prompt = user(QUESTION[0]["content"] + " Think for 40 tokens.")
    free = respond(engine, Request(prompt, 90, 5), None)[1]
    walled = respond(engine, Request(prompt, 90, 5), 80)[1]
    assert free == walled
    assert isinstance(engine.encode("x"), Segment)
