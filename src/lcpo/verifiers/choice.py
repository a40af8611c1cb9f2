r"""Multiple choice: one label, of any number of options (E counts), or an option's own text.

The code of arXiv:2503.04697 knows A to D only and scans the whole response; here the last box of the answer decides,
and without one (or where it holds no option) the last label that is named as the answer.
"""

import re
from functools import lru_cache

from lcpo.types import Grade
from lcpo.verifiers import math
from lcpo.verifiers.box import Box, NoAnswer, boxes
from lcpo.verifiers.normalise import clean
from lcpo.verifiers.prose import stated
from lcpo.verifiers.reading import read

_LABEL = re.compile(
    r"(?:the\s+)?(?:(?:final|correct|best)\s+)?(?:(?:answer|option|choice|letter)\s*(?:is\s*)?[:=]?\s*)*"
    r"[(\[]?\s*([A-Za-z]|\d{1,2})\s*(?:$|[)\]]|[.:](?!\d)|,(?!\s*(?:[A-Za-z]|\d+)\s*(?:,|and\b|or\b|$))|\s+[-–—]\s)",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"\b(?P<what>answer|option|choice)\W{0,6}(?:(?:is|are|would be|must be|seems to be)\b)?\W{0,4}"
    r"(?:(?:option|choice|letter)\b)?\W{0,4}\b(?P<label>[A-Z]|\d{1,2})\b(?!['’.]?\w)",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"\W{0,4}(?:is|are|was|would be|cannot be|can't be|isn't|looks|seems|fails)?\s*"
    r"(?:not\b|wrong|incorrect|false|invalid|impossible|ruled out|fails|too\b|out\b)",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"(?:\bnot|n't|(?:any|every)thing but|\ball but|\bthan|\bover|\bneither|\bnor|\bexcept)\W{0,3}(?:the\s+)?$",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"[AI] (?!(?:because|since|as|and|for|given|not|by|due|which|with|is|over|or|but)\b)[a-z]")
_MARKED = re.compile(r"\(([A-Z])\)|(?<![^\s*])([A-Z])[).:](?=\s|\*|$)")
_ALONE = re.compile(r"(?<![A-Za-z'’])(?![AI] [a-z])([A-Z])(?![A-Za-z'’])")
_WRAP = re.compile(
    r"\\(?:text(?:bf|rm|it|sf)?|mathbf|mathrm|mathcal|mathsf|mbox|bf|rm|,|;|quad|boxed|left|right)(?![A-Za-z])\s*"
)
TAIL = 2000
"""Characters at the end of a text in which a label without a box is looked for."""


def check(text: str, golds: tuple[str, ...], box: Box, deadline: float) -> Grade:
    """The grade of what follows the thought; golds are labels, option texts, or both (any of them is right).

    A label is held against the gold labels, anything else against the golds as texts. Raises NoAnswer.
    """
    boxed = boxes(text, box)
    answer: str | None = ", ".join(boxed)
    if not boxed or (box == "prefer" and not _is_option(", ".join(boxed), golds)):
        after = text[text.rfind(boxed[-1]) + len(boxed[-1]) :] if boxed else text
        answer = _named(after[-TAIL:], golds) or answer or _found(text[-TAIL:], golds)
    if not answer:
        raise NoAnswer("no letter")
    labels = _labels(golds)
    if any(_same_text(gold, answer) for gold in golds if gold not in labels):
        return Grade(True, answer[:200], "the same option")
    given = label(answer)
    if given is not None and labels:
        right = given in labels.values()
        return Grade(right, answer[:200], "the same letter" if right else "another letter")
    return Grade(False, answer[:200], "another option")


def _labels(golds: tuple[str, ...]) -> dict[str, str]:
    """gold -> label, of the golds that are labels: letters, or short numbers where no gold is a letter."""
    bare = {gold: _plain(gold).strip("().:[] ").upper() for gold in golds}
    letters = {gold: text for gold, text in bare.items() if len(text) == 1 and text.isalpha()}
    return letters or {gold: text for gold, text in bare.items() if re.fullmatch(r"\d{1,2}", text)}


def _is_option(answer: str, golds: tuple[str, ...]) -> bool:
    """Whether an answer is a label in capitals or in brackets, or a gold option's text; a formula is neither."""
    given = label(answer)
    numeric = all(text.isdigit() for text in _labels(golds).values())
    if given is not None and (given.isdigit() == numeric) and (given in _plain(answer) or "(" in answer):
        return True
    return any(_same_text(gold, answer) for gold in golds)


def label(answer: str) -> str | None:
    r"""The label that an answer is or begins with, as a capital: C, (C), \text{(C)}, Option C, C: why; or None."""
    match = _LABEL.match(_plain(answer))
    return match[1].upper() if match else None


@lru_cache(maxsize=4096)
def _same_text(option: str, answer: str) -> bool:
    """Whether an answer is an option's text, or the same value."""
    if len(option) > 1000 or len(answer) > 1000:
        return option.strip() == answer.strip()
    wanted, given = " ".join(_plain(option).split()), " ".join(_plain(answer).split())
    if wanted.casefold().rstrip(".") == given.casefold().rstrip("."):
        return bool(wanted)
    return len(_plain(option)) > 1 and bool(math.equal(read(clean(option)), read(clean(answer))))


def _plain(answer: str) -> str:
    """An answer without LaTeX's text commands, braces, dollars and stars around it."""
    return _WRAP.sub(" ", answer[:1000]).replace("{", "").replace("}", "").replace("$", "").strip("*_ \n\"'<>")


def _named(text: str, golds: tuple[str, ...]) -> str | None:
    """The last label that a text names as its answer, else as its option or choice, and does not refuse."""
    numeric = all(name.isdigit() for name in _labels(golds).values())
    named = [
        match
        for match in _NAMED.finditer(text)
        if not _REFUSED.match(text, match.end())
        and not _NEGATED.search(text[: match.start()])
        and (match["label"].isupper() or match["what"].casefold() == "answer" or match["label"].isdigit())
        and match["label"].isdigit() == numeric
        and not _ARTICLE.match(text, match.start("label"))
    ]
    answers = [match for match in named if match["what"].casefold() == "answer"]
    return (answers or named)[-1]["label"].upper() if named else None


def _found(text: str, golds: tuple[str, ...]) -> str | None:
    """The answer of a text that names none: the text itself if short, an option's text, the last label on its own."""
    alone = text.strip()
    if (label(alone) and len(alone) < 200) or any(_same_text(gold, alone) for gold in golds):
        return alone
    said = stated(text)
    if any(_same_text(gold, said) for gold in golds if gold not in _labels(golds)):
        return said
    for pattern in (_MARKED, _ALONE):
        matches = [match for match in pattern.finditer(text) if not _NEGATED.search(text[: match.start()])]
        if matches:
            return next(group for group in matches[-1].groups() if group).upper()
    return None
