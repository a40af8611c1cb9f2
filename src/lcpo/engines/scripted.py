"""An engine that says what a script tells it to: the one double that tests use, and what examples of servers speak
with.

Its tokens are bytes, so that a limit can fall inside a character; tags, EOS and chat markers are one token each.
"""

import re
from collections.abc import AsyncGenerator, Callable, Sequence

from lcpo.engines.base import Delta, Engine, Format, Generation, Request, Segment, cut_generation
from lcpo.errors import EngineError
from lcpo.thinking import CLOSE, OPEN, Marks

EOS = "<|end|>"
SPECIAL = {OPEN: 256, CLOSE: 257, EOS: 258, "<|im_start|>": 259, "<|im_end|>": 260}
_TEXT = {token: text for text, token in SPECIAL.items()}
_PIECES = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")


class ScriptedEngine(Engine):
    """script: request -> the text that would follow it for ever; it ends with EOS, written `<|end|>`, or where it
    stops.

    requests: all that were made, in order. A request's min_tokens is not looked at.
    """

    positional = True

    def __init__(self, script: Callable[[Request], str], opened: bool = False) -> None:
        self.script = script
        self.name = "scripted"
        self.format = Format(opened=opened)
        self.marks: Marks | None = Marks((SPECIAL[OPEN],), (SPECIAL[CLOSE],), frozenset({SPECIAL[EOS]}))
        self.requests: list[Request] = []

    def encode(self, text: str) -> Segment:
        """`text` as bytes and special tokens."""
        ids: list[int] = []
        for piece in _PIECES.split(text):
            ids += [SPECIAL[piece]] if piece in SPECIAL else list(piece.encode("utf-8"))
        return Segment(tuple(ids), text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; a character that is cut is U+FFFD."""
        text, run = "", bytearray()
        for token in [*ids, -1]:
            if 0 <= token < 256:
                run.append(token)
                continue
            text += run.decode("utf-8", "replace") + _TEXT.get(token, "")
            run.clear()
        return text

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """What the script says, cut as each request asks."""
        self.requests += requests
        return [self._say(request) for request in requests]

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        """The same, a token at a time."""
        self.requests.append(request)
        whole = self._say(request)
        said, ids = "", whole.written.ids or ()
        for i, token in enumerate(ids[:-1]):
            text = self.decode(ids[: i + 1]).rstrip("\ufffd")
            text = text if whole.kept.text.startswith(text) else said
            yield Delta((token,), text[len(said) :])
            said = text
        yield Delta(ids[-1:], whole.kept.text[len(said) :], whole)

    def _say(self, request: Request) -> Generation:
        ids = self.encode(self.script(request) + EOS).ids or ()
        before = len(self.encode(request.prompt_text).ids or ()) + len(request.prefix.ids or ())
        generation = cut_generation(ids, request, self, before)
        if generation is None:
            raise EngineError("the script ends without an end")
        return generation
