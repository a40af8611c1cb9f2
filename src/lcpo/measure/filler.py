"""Filler: the part of a response that carries nothing. Marks, lines repeated word for word, text after the answer.

A model that is paid for length learns to fill; a length that was reached by filling is not a thought. Spans are found
in the text and then counted in the tokens that wrote it, so text is never tokenised again.

In general text a line is a line, or a sentence within one. In the tiny world it is a step: steps stand between blanks,
and what opens a re-check (`Wait c93`: the word, and the term it starts from) is a short line like `Therefore:`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from lcpo.thinking import CLOSE, OPEN, Thinking

Unit = Literal["auto", "line", "step"]
Span = tuple[int, int]

MARKS = ".…·•*-–—_~=#!?"
"""Signs that mean nothing when they stand alone or in a row."""
RUN = 4
"""This many of the same mark in a row are filler wherever they stand."""
WORDS_OF_A_LINE = 3
"""Shorter lines (`Therefore:`, `\\]`) may come again without being filler, unless they follow themselves at once."""
LONGEST_CHARACTER = 4
"""Bytes, and so tokens at most, of one character."""

_RUNS = re.compile("|".join(f"{re.escape(mark)}{{{RUN},}}" for mark in MARKS))
_ONLY_MARKS = re.compile(f"[{re.escape(MARKS)}\\s]+")
_LINES = re.compile(r"[^\n]*?[.!?](?=\s)|[^\n]+")
_STEPS = re.compile(r"Wait(?:\s+\w\d+(?=\s|Wait|$))?|(?:(?!Wait)\S)+")
_LONG_WORD = re.compile(r"[^\W\d_]{3,}")
_BOX = re.compile(r"\\f?box(?:ed)?\s*\{")
_CLOSING = re.compile(r"[\s$.)\]}*\\]*")


def unit_of(thought: str) -> Literal["line", "step"]:
    """What a line is in this thought: `step` if no word of three letters but `Wait` occurs in it, else `line`."""
    return "line" if _LONG_WORD.search(thought.replace("Wait", " ")) else "step"


def _units(text: str, unit: Literal["line", "step"]) -> Iterator[Span]:
    for match in (_STEPS if unit == "step" else _LINES).finditer(text):
        left = len(match.group()) - len(match.group().lstrip())
        if match.group().strip():
            yield match.start() + left, match.end()


def _repeatable(line: str, unit: Literal["line", "step"]) -> bool:
    """Whether the line says something, so that saying it again says nothing: a step with a number, a line of words."""
    if unit == "step":
        return any(c.isdigit() for c in line) and not line.startswith("Wait")
    return len(re.findall(r"\w+", line)) >= WORDS_OF_A_LINE


def thought_filler(thought: str, unit: Unit = "auto") -> list[Span]:
    """Spans of a thought that are filler: runs of a mark, lines of marks only, lines that stood there before."""
    kind = unit_of(thought) if unit == "auto" else unit
    spans = [match.span() for match in _RUNS.finditer(thought)]
    seen: set[str] = set()
    previous = ""
    for start, end in _units(thought, kind):
        line = " ".join(thought[start:end].split())
        if _ONLY_MARKS.fullmatch(line) or line == previous or (line in seen and _repeatable(line, kind)):
            spans.append((start, end))
        seen.add(line)
        previous = line
    return spans


def answer_filler(answer: str, unit: Unit = "line") -> list[Span]:
    """The span of an answer that stands after the answer: after the last box; where the thought has no words, after the
    first word, or two joined by "and" ("48 and 17").

    A full stop or bracket that ends the sentence of the box is not counted, nor is a box-free answer's prose.
    """
    boxes = list(_BOX.finditer(answer))
    if boxes:
        end = _CLOSING.match(answer, _brace(answer, boxes[-1].end()))
    elif unit == "step":
        end = re.match(r"\s*\S+(?: and \S+)?\s*", answer)
    else:
        return []
    return [(end.end(), len(answer))] if end is not None and end.end() < len(answer) else []


def _brace(text: str, start: int) -> int:
    """Where the brace that was opened just before `start` closes; the end of the text if it never does."""
    depth = 1
    for i in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return i + 1
    return len(text)


def filler_spans(text: str, unit: Unit = "auto", thinking: Thinking = "auto") -> list[Span]:
    """Spans of a whole response that are filler; `thinking` is read as by lcpo.thinking.split_text."""
    before, close, _ = text.partition(CLOSE)
    if thinking is False or (not close and thinking == "auto" and OPEN not in text):
        start, stop, after = 0, 0, 0
    else:
        start = before.index(OPEN) + len(OPEN) if OPEN in before else 0
        stop, after = len(before), len(before) + len(close)
    kind = (unit_of(text[start:stop] or text) if unit == "auto" else unit) if text else "line"
    spans = [(a + start, b + start) for a, b in thought_filler(text[start:stop], kind)]
    spans += [(a + after, b + after) for a, b in answer_filler(text[after:], kind)]
    return _merged(spans)


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def filler_tokens(pieces: Sequence[str], unit: Unit = "auto", thinking: Thinking = "auto") -> int:
    """How many tokens of a response are filler. pieces: the text of each token, which joined are the response (no EOS).

    Where only the text is known, pass its words as pieces and scale.
    """
    return tokens_within(pieces, filler_spans("".join(pieces), unit, thinking))


def tokens_within(pieces: Sequence[str], spans: Sequence[Span]) -> int:
    """How many tokens, given as their texts, stand in spans [start, end) of the joined text: ascending, apart.

    A token of blanks only does if it stands in one; of another one its blanks at either end do not matter.
    """
    count, at, current = 0, 0, 0
    for piece in pieces:
        start, end = at + len(piece) - len(piece.lstrip()), at + len(piece.rstrip())
        if start >= end:
            start, end = at, at + len(piece)
        while current < len(spans) and spans[current][1] < end:
            current += 1
        count += current < len(spans) and spans[current][0] <= start < end <= spans[current][1]
        at += len(piece)
    return count


def token_texts(ids: Sequence[int], decode: Callable[[Sequence[int]], str], known: dict[int, str]) -> list[str]:
    """The text that each token adds, so that joined they are the text of all; a cut character belongs to its last
    token.

    known: texts of tokens that stand for themselves, remembered.
    """
    texts: list[str] = []
    start = 0
    for i, token in enumerate(ids):
        if start == i and token in known:
            texts.append(known[token])
            start = i + 1
            continue
        text = decode(ids[start : i + 1])
        if text.endswith("\ufffd") and i + 1 < len(ids) and i - start < LONGEST_CHARACTER - 1:
            texts.append("")
            continue
        if start == i and "\ufffd" not in text:
            known[token] = text
        texts.append(text)
        start = i + 1
    return texts
