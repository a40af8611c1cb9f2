"""Where the thought ends: in token ids and in text, decided here and nowhere else.

A response is  [<think>] thought </think> answer [EOS].  The opening tag may stand in the prompt instead (many chat
templates put it there); then the response starts inside the thought. Only the first closing tag counts.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

OPEN = "<think>"
CLOSE = "</think>"

Thinking = Literal["auto"] | bool
Decode = Callable[[Sequence[int]], str]

_BEFORE = ("", "x", ".", " ", "\n")
_AFTER = ("", "x", " ", "\n", "\n\n", "\n\n\n", ">", ".")
"""What may stand beside a tag; a tag that is a token of its own is the same id between any two of them."""

_HEAD = 16
"""Tokens in which an opening tag is looked for first; more are read only where they are white space."""


@dataclass(frozen=True)
class Marks:
    """How one tokenizer writes the tags, and the ids that end a response (eos).

    open, close: the id of a tag that is one token of its own (an added token): then its id is looked for, and nothing
    is decoded. () where the tag is ordinary text, whose tokens may be merged with what stands beside it (`>` with the
    line breaks after it): then `decode` gives the text of ids, special tokens included, and the text decides. It also
    decides where a model spells out a tag that it has as a token and never writes that token. Without `decode`, open
    and close are looked for as they are, several ids as well.
    """

    open: tuple[int, ...]
    close: tuple[int, ...]
    eos: frozenset[int]
    decode: Decode | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, encode: Callable[[str], list[int]], eos: Collection[int], decode: Decode) -> "Marks":
        """The marks of a tokenizer: its `encode` (no special tokens added), EOS ids, and `decode` (none left out)."""
        return cls(_own(encode, OPEN), _own(encode, CLOSE), frozenset(eos), decode)


def _own(encode: Callable[[str], list[int]], tag: str) -> tuple[int, ...]:
    """The id of a tag that is one token whatever stands beside it, () of one that is not."""
    ids = encode(tag)
    if len(ids) == 1 and all(encode(before + tag + after).count(ids[0]) == 1 for before in _BEFORE for after in _AFTER):
        return (ids[0],)
    return ()


def eos_ids(*given: int | Iterable[int] | None) -> frozenset[int]:
    """All ids that end a response: the tokenizer's and the generation config's, each an id, several, or None."""
    several = [[one] if isinstance(one, int) else one for one in given if one is not None]
    return frozenset(int(token) for ids in several for token in ids)


@dataclass(frozen=True)
class Parts:
    """A response cut in tokens: thought (tags not counted), answer (EOS not counted), and all that was generated.

    closed: the closing tag is there. ended: an EOS is there. response: everything up to and with the first EOS. start:
    what stands before the thought, the opening tag and white space.
    """

    thinking: int
    answer: int
    response: int
    closed: bool
    ended: bool
    start: int = field(default=0, compare=False)


def split_ids(ids: Sequence[int], marks: Marks) -> Parts:
    """The parts of a response given as token ids, in tokens; what follows the first EOS (padding) is not counted.

    A token that holds any character of a tag belongs to the tag, also where it is merged with text beside it (`>` and
    two line breaks in one token): it is neither thought nor answer. An opening tag counts as one where only white space
    stands before it. Without a closing tag everything before EOS is thought, whether `<think>` opened it, the template
    did, or nothing: then there is no answer in tokens.
    """
    end = next((i for i, token in enumerate(ids) if token in marks.eos), None)
    body = list(ids if end is None else ids[:end])
    response = len(body) + (end is not None)
    start = _opening(body, marks)
    close = _find(body, marks.close, start) or (_spelled(body, CLOSE, marks.decode) if marks.decode else None)
    if close is None:
        return Parts(len(body) - start, 0, response, False, end is not None, start)
    return Parts(max(0, close[0] - start), len(body) - close[1], response, True, end is not None, start)


def _opening(body: list[int], marks: Marks) -> int:
    """How many tokens an opening tag takes at the start of a response, white space before it included; 0: none."""
    if marks.decode is None:
        return len(marks.open) if marks.open and tuple(body[: len(marks.open)]) == marks.open else 0
    size = _HEAD
    while len(head := marks.decode(body[:size]).lstrip()) < len(OPEN) and size < len(body):
        size *= 2
    span = _spelled(body[:size], OPEN, marks.decode) if head.startswith(OPEN) else None
    return span[1] if span else 0


def _find(ids: list[int], wanted: tuple[int, ...], start: int) -> tuple[int, int] | None:
    """(first, after) of the first place at or after `start` where `wanted` stands, None if nowhere."""
    if not wanted:
        return None
    for i in range(start, len(ids) - len(wanted) + 1):
        if ids[i] == wanted[0] and tuple(ids[i : i + len(wanted)]) == wanted:
            return i, i + len(wanted)
    return None


def _spelled(body: list[int], tag: str, decode: Decode) -> tuple[int, int] | None:
    """(first, after) of the tokens that hold the first `tag` of the text, None where the text has none.

    Halves the part in which the tag's last character falls; a tag has no more tokens than characters, so each look
    decodes that part alone, and all of them together about as many tokens as there are.
    """
    if tag not in decode(body):
        return None
    low, high = 0, len(body)
    while high - low > 1:
        middle = (low + high) // 2
        if tag in decode(body[max(0, low - len(tag)) : middle]):
            high = middle
        else:
            low = middle
    first = high - 1
    while first > 0 and tag not in decode(body[first:high]):
        first -= 1
    return first, high


def split_text(text: str, thinking: Thinking = "auto") -> tuple[str, str | None]:
    """(thought, answer) of a response given as text; the answer is None where the thought never ends.

    auto: with `</think>`, the answer is what follows the first one; `<think>` without it: no answer; neither: the whole
    text is the answer. True: the template opened the thought, so an unclosed text has no answer. False: all is answer.
    The thought begins after an opening tag that only white space stands before, else where the text begins.
    """
    if thinking is False:
        return "", text
    before, close, after = text.partition(CLOSE)
    opened = before.lstrip()
    thought = opened.removeprefix(OPEN) if opened.startswith(OPEN) else before
    if close:
        return thought, after
    if thinking is True or OPEN in text:
        return thought, None
    return "", text
