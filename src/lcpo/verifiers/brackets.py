"""Brackets that belong together, and the members of a list at its outermost commas."""

import itertools
import re

_JOINT = re.compile(r'\s*,?\s*(?:"(and|or|And|Or)"|\\(land|lor)(?![A-Za-z]))\s*')
_THREE_DIGITS = re.compile(r"\d{3}(?!\d)")


def closing(text: str, start: int) -> int:
    """The place of the bracket that closes the one at `start`, -1 where none does; escaped braces do not count."""
    opener = text[start]
    closer = {"{": "}", "(": ")", "[": "]"}[opener]
    depth, i = 0, start
    while i < len(text):
        if text[i] == "\\" and i + 1 < len(text) and not text[i + 1].isalpha():
            i += 2
            continue
        depth += (text[i] == opener) - (text[i] == closer)
        if depth == 0:
            return i
        i += 1
    return -1


def split(text: str, bracketed: bool = False) -> tuple[str, list[str]]:
    """A text cut at its outermost commas, semicolons, "and" and "or"; one part where its brackets do not close.

    Outside brackets a comma before exactly three digits belongs to a number.
    """
    depth, parts, start, kind, i = 0, [], 0, ",", 0
    while i < len(text):
        char = text[i]
        if char == "\\" and text[i + 1 : i + 2] in tuple("{}[]()"):
            depth += (text[i + 1] == "{") - (text[i + 1] == "}")
            i += 2
            continue
        if text.startswith(("\\begin", "\\langle"), i) or text.startswith(("\\end", "\\rangle"), i):
            depth += 1 if text.startswith(("\\begin", "\\langle"), i) else -1
        depth += (char in "([{") - (char in ")]}")
        if depth < 0:
            return "", [text]
        match = _JOINT.match(text, i) if depth == 0 else None
        thousands = not bracketed and _THREE_DIGITS.match(text, i + 1) and text[i - 1 : i].isdigit()
        if match:
            kind = "or" if (match[1] or match[2] or "").casefold() in ("or", "lor") else "and"
            parts.append(text[start:i].strip())
            i = start = match.end()
            continue
        if char in ",;" and depth == 0 and not thousands:
            parts.append(text[start:i].strip())
            start = i + 1
        i += 1
    parts.append(text[start:].strip())
    if depth or len(parts) == 1:
        return "", [text]
    return kind, [part for part in parts if part] if kind != "," else parts


def _depths(text: str) -> list[int]:
    """How many brackets, whatever they are, are open after each character."""
    return list(itertools.accumulate((char in "([{") - (char in ")]}") for char in text))


def encloses(text: str, left: int, right: int) -> bool:
    r"""Whether the first and the last bracket of a text belong together: not in (1,2) \cup (3,4)."""
    depths = _depths(re.sub(r"\\[{}]", lambda m: m[0][1], text[left : len(text) - right]))
    return min(depths, default=0) >= 0 and depths[-1:] in ([], [0])


def sides(text: str) -> list[str]:
    """A text cut at its outermost equals signs; not at those of <=, != or inside brackets."""
    parts, start = [], 0
    for i, depth in enumerate(_depths(text)):
        if text[i] == "=" and depth == 0 and (i == 0 or text[i - 1] not in "<>!\\"):
            parts.append(text[start:i].strip())
            start = i + 1
    return [*parts, text[start:].strip()]


def depth_of(text: str) -> int:
    """How deep the brackets of a text are nested, whatever they are."""
    return max(_depths(text), default=0)
