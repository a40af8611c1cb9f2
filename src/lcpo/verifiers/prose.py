r"""What a text without a box says its answer is: the words after "answer is", the last formula, the last number.

The whole of it is taken, up to the end of the sentence, so that a part of an answer is never graded as the answer.
"""

import re

from lcpo.verifiers.normalise import clean
from lcpo.verifiers.reading import read
from lcpo.verifiers.words import units

_LABEL = re.compile(
    r"(?:\b(?:answers?|solutions?|results?|roots?|values?|antwort|réponse)\b|答案)[^\n.:=?!]{0,60}?"
    r"(?:\bis\b|\bare\b|\bequals?\b|\bwould be\b|\bwill be\b|\bmust be\b|\best\b|\bist\b|是|[:：]|=)[\s*_]*",
    re.IGNORECASE,
)
_STATED = re.compile(r"(?:\b(?:answer|antwort|réponse)\b|答案)", re.IGNORECASE)
_LEAD = re.compile(
    r"^(?:[\s*_>#:]|(?:therefore|thus|so|hence|simply|just|indeed|final answer|answer)\b[\s,:]*)+", re.IGNORECASE
)
_END = re.compile(
    r"(?<![\d\s\\])(?<!\bsq)(?<!\bcu)(?<!\b[ap]\.m)(?<!\b[ap])[.!](?=\s|$)|(?<=\d)[.!](?=\s*$|\s+[A-Z(*])|\n\s*\n|\n(?=[A-Z*#])|(?<=[\w$)}])[?]"
    r"|[,;]?\s+(?:because|since|which|as required|I hope|so that)\b"
)
_TAGS = re.compile(r"</?(?:answer|final_answer|solution)>|<\|[^|<>]*\|>", re.IGNORECASE)
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<!\\)\$((?:\\\$|[^$\n])+?)(?<!\\)\$", re.DOTALL)
_QUANTITY = re.compile(
    r"(?:[$€£¥]\s?)?[-+−]?(?:\d[\d,. ]*\d|\.?\d)"
    r"(?:\s*(?:[-+*/^×·÷=:−]|\\times|\\cdot)\s*[\w\\√{}().]+|[√π^]\S*|\s?%)*|[-−]?\d*√\S+|\\(?:frac|sqrt)\S+"
)
_JOINT = re.compile(r"\s*(?:,|,?\s*and|,?\s*or)\s*")
_DOUBT = re.compile(
    r"(?:\b(?:not|no|than|most|least|between|under|over|up to|exceeds?|below|above|minus|plus|times|or|and|to|except"
    r"|without|neither|nor)|[<>≤≥≠±/^*+-])\s*$",
    re.IGNORECASE,
)


def stated(text: str) -> str:
    """The answer of a text without a box, as it is written; empty where nothing in it reads as one."""
    text = _TAGS.sub(" ", text).strip()
    if not text:
        return ""
    bare = re.sub(r"\\[A-Za-z]+\s*(?:\{[A-Za-z ]*\})?", "", text)
    if len(text) <= 200 and not re.search(r"[A-Za-z]{2}|[:?!]|\n|(?<!\\)\$.*[^$]$", bare):
        return text  # a short line without a sentence in it
    labels = list(_LABEL.finditer(text))
    named = [match for match in labels if _STATED.search(match[0])]
    for match in (named or labels)[-1:]:
        clause = _clause(text[match.end() :])
        if clause:
            return clause
    if len(text) <= 100 and "\n" not in text and _is_answer(text):
        return text
    return _last_formula(text) or _last_quantity(text) or (text if len(text.split()) < 4 else "")


def _is_answer(text: str) -> bool:
    """Whether all of a text reads as mathematics: x = 2 or x = 3."""
    answer = read(clean(text))
    return bool(answer.latex or answer.number or (answer.members and all(part.latex for part in answer.members)))


def _clause(text: str) -> str:
    """The beginning of a text up to the end of its sentence, without what only leads to the answer."""
    text = _LEAD.sub("", text)
    formula = _FORMULA.match(text)
    end = _END.search(text, formula.end() if formula else 0)
    return (text[: end.start()] if end else text).strip().strip("*_").strip()


def _last_formula(text: str) -> str:
    """The last formula of a text, with those before it that a comma, "and" or "or" joins to it."""
    matches = list(_FORMULA.finditer(text))
    if not matches:
        return ""
    start = end = len(matches) - 1
    while start > 0 and _JOINT.fullmatch(text, matches[start - 1].end(), matches[start].start()):
        start -= 1
    if start == end and _DOUBT.search(text[max(0, matches[end].start() - 20) : matches[end].start()]):
        return ""
    return ", ".join(next(group for group in match.groups() if group is not None) for match in matches[start : end + 1])


def _last_quantity(text: str) -> str:
    """The last number of a text with what belongs to it; empty where what stands before it makes it another."""
    matches = list(_QUANTITY.finditer(text))
    if not matches:
        return ""
    last = matches[-1]
    for earlier in matches[-2:-1]:
        between = text[earlier.end() : last.start()].strip(" ,")
        if between.casefold().removesuffix(" and").removesuffix("s") in units():
            return text[earlier.start() :].rstrip(".")
        if _JOINT.fullmatch(text, earlier.end(), last.start()):
            return f"{earlier[0]}, {last[0]}"
    if _DOUBT.search(text[max(0, last.start() - 20) : last.start()]):
        return ""
    end = _END.search(text, last.end())
    rest = text[last.end() : end.start() if end else len(text)]
    number = last[0].split("=")[-1].strip()
    return f"{number} {rest.strip()}".strip() if len(rest) < 60 and not re.search(r"\d", rest) else number
