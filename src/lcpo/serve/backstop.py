"""The wall behind the trained budget: a thought that reaches it is closed, and the answer is always given its room.

The response is read as it comes. Where the thought has used its tokens and the next token does not close it, the stream
is cancelled, the thought is cut there, the closing tag is put in, and the model goes on with the answer: engines draw
by (seed, position), so that a thought which ends in time is the one that would have come without a wall. Just before
the wall the closing tag gains weight (a soft landing), where the engine lets logits be changed.
"""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from lcpo.engines.base import EMPTY, Engine, Generation, Request, Segment
from lcpo.serve.calls import Outcome, Piece, Stream, ThinkingFinish
from lcpo.thinking import CLOSE, OPEN, split_ids

SOFT, GAIN = 10, 6.0
"""The last tenth of a thought in which closing gains weight, and how much at its end, in nats."""


class Splitter:
    """Cuts text that comes in pieces at the tags: thought before the closing tag, answer after it.

    where: `start` before it is known whether a thought opens. held: text that may be the beginning of a tag. strict:
    tags in the answer are left out of it.
    """

    def __init__(self, opened: bool) -> None:
        self.where = "thought" if opened else "start"
        self.held = ""
        self.strict = False

    def feed(self, text: str) -> tuple[str, str]:
        """(thought, answer) that this text adds."""
        text, self.held = self.held + text, ""
        if self.where == "start":
            begun = text.lstrip()
            if begun.startswith(OPEN):
                self.where, text = "thought", begun[len(OPEN) :]
            elif OPEN.startswith(begun):
                self.held = text
                return "", ""
            else:
                self.where = "answer"
        if self.where == "answer":
            return "", self._answer(text)
        thought, tag, after = text.partition(CLOSE)
        if tag:
            self.where = "answer"
            return thought, self._answer(after)
        thought, self.held = _hold(thought, CLOSE)
        return thought, ""

    def _answer(self, text: str) -> str:
        if not self.strict:
            return text
        text = text.replace(OPEN, "").replace(CLOSE, "")
        text, self.held = _hold(text, CLOSE)
        if not self.held:
            text, self.held = _hold(text, OPEN)
        return text

    def end(self) -> tuple[str, str]:
        """What was held back and is no tag after all."""
        held, self.held = self.held, ""
        return (held, "") if self.where == "thought" else ("", held)


def _hold(text: str, tag: str) -> tuple[str, str]:
    """(text, its end where that may be the beginning of a tag)."""
    size = next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:n])), 0)
    return text[: len(text) - size], text[len(text) - size :]


@dataclass
class SoftLanding:
    """A logits processor: closing gains weight over the last tokens before the wall."""

    close: int
    before: int
    wall: int
    closed: bool = False

    def __call__(self, ids: Sequence[int], logits: Any) -> Any:
        """ids so far, logits [V] -> logits [V]."""
        zone = max(1, self.wall // SOFT)
        used = len(ids) + self.before
        if self.closed or used <= self.wall - zone:
            return logits
        self.closed = self.close in ids
        if not self.closed:
            logits[self.close] += GAIN * min(1.0, (used - self.wall + zone) / zone)
        return logits


@dataclass(frozen=True)
class NoTags:
    """A logits processor: an answer holds none of these tokens."""

    ids: tuple[int, ...]

    def __call__(self, ids: Sequence[int], logits: Any) -> Any:
        """ids so far, logits [V] -> logits [V]."""
        logits[list(self.ids)] = float("-inf")
        return logits


class Backstop:
    """One response of an engine with ids, kept to a wall (None: only read).

    request: its limit is that of the whole response, inserted tokens included. opened: the prompt opens the thought.
    prompt_tokens: where it is known beforehand. soft: land before the wall.
    """

    def __init__(
        self,
        engine: Engine,
        request: Request,
        wall: int | None,
        *,
        opened: bool = False,
        prompt_tokens: int | None = None,
        soft: bool = True,
    ) -> None:
        assert engine.marks is not None and request.prefix.ids is not None
        self.engine, self.marks, self.request, self.soft = engine, engine.marks, request, soft
        self.opened, self.prompt_tokens = opened, prompt_tokens
        self.wall = wall if request.max_tokens > len(engine.encode(engine.format.empty).ids or ()) else None
        self.before = list(request.prefix.ids)
        self.ids: list[int] = []
        self.given = self.forced = 0
        self.settled = False
        self.shown = ""
        self.closed_by: ThinkingFinish = "natural"
        self.splitter = Splitter(opened)
        self.splitter.feed(request.prefix.text)

    async def run(self) -> Stream:
        """The pieces of the response, then its outcome. Raises EngineError."""
        generation: Generation | None = None
        if self.wall == 0 and self.splitter.where != "answer":
            self.closed_by = "budget"
            yield self._close()
        else:
            async with aclosing(self.engine.stream(self._first())) as stream:
                async for delta in stream:
                    self.ids += delta.ids or ()
                    thought, answer = self.splitter.feed(delta.text)
                    cut = self._cut(delta.generation)
                    if cut is not None:
                        yield cut
                        break
                    generation = delta.generation
                    if generation is not None:
                        rest = self.splitter.end()
                        thought, answer = thought + rest[0], answer + rest[1]
                    self.shown += thought
                    yield Piece(thought, answer, self._new())
        if generation is None and len(self.ids) < self.request.max_tokens:
            async with aclosing(self.engine.stream(self._second())) as stream:
                async for delta in stream:
                    self.ids += delta.ids or ()
                    _, answer = self.splitter.feed(delta.text)
                    generation = delta.generation
                    yield Piece("", answer + (self.splitter.end()[1] if generation else ""), self._new())
        yield self._outcome(generation)

    def _first(self) -> Request:
        close = self.marks.close
        if self.wall is None or not self.soft or len(close) != 1 or self.splitter.where == "answer":
            return self.request
        before = split_ids(self.before, self.marks).thinking - (0 if self.opened or self.before else 1)
        return replace(self.request, processors=(SoftLanding(close[0], before, self.wall),))

    def _cut(self, generation: Generation | None) -> Piece | None:
        """Closes the thought if it has passed the wall, or if the model ended the response within it."""
        if self.wall is None or self.settled:
            return None
        answers = self.splitter.where == "answer"
        ended = generation is not None and generation.finish == "end" and self.splitter.where == "thought"
        whole = self.before + self.ids
        if not (answers or ended) and len(whole) < self.wall:
            return None
        parts = split_ids(whole, self.marks)
        over = parts.thinking > self.wall
        if answers:
            self.settled = not (parts.closed and over)
            if self.settled:
                return None
        elif not ended and (not over or (generation is None and self.splitter.held.strip())):
            return None
        if over:
            seen = len(self.before) + max(0, self.given - len(CLOSE))
            after = range(seen, len(whole) + 1)
            first = next(n for n in after if split_ids(whole[:n], self.marks).thinking > self.wall)
            del self.ids[first - 1 - len(self.before) :]
            self.closed_by = "budget"
        elif parts.ended:
            self.ids.pop()
        return self._close()

    def _close(self) -> Piece:
        """Puts the closing tag in; what of the thought was not shown yet is shown."""
        text = self.engine.decode(self.before + self.ids).rstrip("\ufffd")
        thought = Splitter(self.opened)
        shown = thought.feed(text)[0] + thought.end()[0]
        before = Splitter(self.opened)
        shown = shown[len(before.feed(self.request.prefix.text)[0] + before.end()[0]) + len(self.shown) :]
        style = self.engine.format
        closing = self.engine.encode(style.empty if self.splitter.where == "start" else style.close)
        assert closing.ids is not None
        self.ids += closing.ids
        self.forced += len(closing.ids)
        self.splitter.where, self.splitter.held, self.splitter.strict = "answer", "", True
        return Piece(shown, "", self._new())

    def _new(self) -> tuple[int, ...]:
        """The ids that no piece has held so far."""
        ids, self.given = tuple(self.ids[self.given :]), len(self.ids)
        return ids

    def _second(self) -> Request:
        """The answer: at least one token, no further tag."""
        written = Segment(tuple(self.ids), self.engine.decode(self.ids)) if self.ids else EMPTY
        tags = (*self.marks.open, *self.marks.close) if len(self.marks.close) == 1 else ()
        return replace(
            self.request,
            prefix=self.request.prefix + written,
            max_tokens=self.request.max_tokens - len(self.ids),
            min_tokens=max(1, self.request.min_tokens - len(self.ids)),
            processors=(NoTags(tags),) if tags else (),
        )

    def _outcome(self, last: Generation | None) -> Outcome:
        before, after = split_ids(self.before, self.marks), split_ids(self.before + self.ids, self.marks)
        opened = self.opened or after.closed or self.splitter.where == "thought"
        thinking = after.thinking - before.thinking if opened else 0
        finish = "length" if last is None or last.finish == "length" else "stop"
        ended: ThinkingFinish | None = self.closed_by if opened and not before.closed else None
        if ended and not after.closed and finish == "length":
            ended = "length"
        prompt = self.prompt_tokens
        if prompt is None and last is not None and last.prompt_tokens is not None:
            prompt = last.prompt_tokens - len(self.ids) + (last.tokens or 0)
        stop = last.written.text[len(last.kept.text) :] if last is not None and last.finish == "stop" else None
        return Outcome(finish, ended, prompt, len(self.ids), thinking, self.forced, stop)
