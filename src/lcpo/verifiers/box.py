r"""Where the answer stands in a text: in its last `\boxed{}` (or `\fbox{}`), or in several that follow each other.

arXiv:2503.04697's code grades the last box of what follows the thought; `require` does just that.
"""

import re
from typing import Literal

from lcpo.verifiers.brackets import closing

Box = Literal["prefer", "require"]
UNCLOSED = "the last box is not closed"

_OPENERS = ("\\boxed", "\\fbox", "\\framebox", "<|begin_of_box|>")
_BETWEEN = re.compile(
    r"(?:[\s,;$*_]|\\[,;:!()\[\]]|\\q?quad|\\text\s*\{\s*,?\s*(?:and|or)\s*\}|\b(?:and|or)\b"
    r"|(?<![A-Za-z])[A-Za-z](?:_\{?\w+\}?)?\s*=)*"
)
_GAP = 60
"""Characters between two boxes that follow each other, at most."""
_PARTS = 50
"""Boxes of one answer, at most."""


class NoAnswer(ValueError):
    """A text holds no answer, and why. A last box that never closes is one reason: then nothing else is taken."""


def boxes(text: str, box: Box) -> list[str]:
    r"""The contents of the boxes that are the answer, stripped; raises NoAnswer (without a box: only if required).

    `prefer`: the last box and those before it with nothing but commas, "and" or `y =` between; the same box again
    counts once, and a box that is empty or only mentioned ("put it in \boxed{}") does not count beside another.
    `require`: the last box alone. `\boxed 5` holds what stands before the next space. Linear in the length of the text.
    """
    placed = _box_before(text, len(text))
    if placed is None and box == "require":
        raise NoAnswer("no box")
    if placed is None or box == "require":
        return [placed[2]] if placed else []
    last, skipped = placed, 0
    while not placed[2] and skipped < _PARTS and (earlier := _box_before(text, placed[0])):
        placed, skipped = earlier, skipped + 1
    if not placed[2]:
        return [""] if text[last[0] : last[1]].endswith("}") else []
    parts = [placed[2]]
    while len(parts) < _PARTS and (earlier := _box_before(text, placed[0], gap=_GAP)):
        if earlier[1] > placed[0] or not _BETWEEN.fullmatch(text[earlier[1] : placed[0]]):
            break
        placed = earlier
        if placed[2] and placed[2] not in parts:
            parts.insert(0, placed[2])
    return parts


def _box_before(text: str, end: int, gap: int | None = None) -> tuple[int, int, str] | None:
    """(start, end, content) of the last box that begins before `end`; gap: and ends at most so far before it.

    The content is empty where the box is, or where the command is only mentioned. Raises NoAnswer.
    """
    start, opener = max((text.rfind(opener, 0, end), opener) for opener in _OPENERS)
    if start < 0 or (gap is not None and end - start > 2000):
        return None
    at = start + len(opener)
    if opener.startswith("<"):
        close = text.find("<|end_of_box|>", at)
        if close < 0:
            raise NoAnswer(UNCLOSED)
        return start, close + len("<|end_of_box|>"), text[at:close].strip()
    while at < len(text) and text[at] in " \t\n":
        at += 1
    if text[at : at + 1] != "{":
        if at == len(text) and gap is None and end == len(text) and text.rstrip().endswith(opener):
            return start, at, ""
        return start, *_bare(text, at)
    close = closing(text, at) if gap is None else closing(text[at:end], 0) + at
    if close < at:
        if gap is not None:
            return None
        raise NoAnswer(UNCLOSED)
    return start, close + 1, text[at + 1 : close].strip()


def _bare(text: str, at: int) -> tuple[int, str]:
    """(end, content) of a box without braces, up to the next space, dollar sign or command; a word is no content."""
    end = at + 1
    while end < len(text) and text[end] not in " \t\n$\\":
        end += 1
    content = text[at:end].strip().rstrip(".")
    return end, "" if len(content) > 1 and content.isalpha() else content
