r"""A cleaned answer taken apart: a number with its unit, a list of answers, `name = value`, words, or an expression.

What cannot be read stays what it is: unequal to everything but the same text.
"""

import itertools
import re
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from lcpo.verifiers import units
from lcpo.verifiers.answer import WORD, Answer, in_words, latex_of, quantity, squeezed, value_of
from lcpo.verifiers.brackets import depth_of, encloses, sides, split
from lcpo.verifiers.normalise import GREEK
from lcpo.verifiers.numbers import Number, number
from lcpo.verifiers.words import ABOUT, CARDINAL, DENIED

_WORDS_ALONE = re.compile(r'(?:"[^"]*"|[\s.,()!-])+')
_SAME_WORDS = (
    (re.compile(r"(?:there (?:is|are) )?no (?:(?:real|integer|positive) )*solutions?(?: exists?)?|(?:the )?empty set"),
     r"\emptyset"),
    (re.compile(r"infinit[ey]|infinitely many(?: solutions)?"), r"\infty"),
    (re.compile(r"(?:the )?(?:set of )?(?:all |any )?reals?(?: numbers?)?"), r"\mathbb{R}"),
    (re.compile(r"(?:the )?(?:set of )?all integers"), r"\mathbb{Z}"),
    (re.compile(r"dne|does not exist|doesn't exist"), "dne"),
)  # fmt: skip
_BRACKETS = (("\\{", "\\}"), ("\\langle", "\\rangle"), ("(", ")"), ("(", "]"), ("[", ")"), ("[", "]"))
_LETTER = r"(?:(?:\\[A-Za-z]+|[A-Za-z])'*(?:\s*_\s*(?:\{[^{}]*\}|\w))?)"
_NAME = re.compile(
    rf"(?:{_LETTER}(?:\^\{{-1\}})?(?:\([^()=]*\))?|\({_LETTER}(?:\s*,\s*{_LETTER})+\)|(?:m\s*)?\\angle\s*[A-Z]+"
    r"|\\(?:overline|vec|bar|hat)\{[^{}]*\}|\\frac\{d[^{}]*\}\{d[^{}]*\}|\|[A-Z]{1,2}\||[A-Z]{2,3}|"
    + r'(?:"[^"]*"[\s-]*)+(?:\([^()=]*\))?)'
)
_RELATION = re.compile(r"<|>|\\(?:le|ge|ne|in|notin|equiv|subset|subseteq|to|sim|mid|Rightarrow)(?![A-Za-z])|\\approx")
_CONDITION = re.compile(
    r'[,;]?\s*\(?\s*(?:"for"\s*"(?:all|every|any|each)"(?:\s*"[a-z]+")*(?:\s*[A-Za-z](?:\s*\\in\s*\\mathbb\{[A-Z]\})?)?'
    r'(?:\s*"(?:is|an?|integer|real|number|positive|natural)")*|"for"\s*[A-Za-z]\s*\\in\s*\\mathbb\{[A-Z]\}|"(?:where|with)"[^?]*)\s*\)?$|[,;]\s*\(?[A-Za-z]\s*'
    r"(?:\\in\s*\\mathbb\{[A-Z]\}(?:\s*\^\{?\+\}?)?|\\ne\s*[-\w.]+)\)?$"
)
_ANSWER_IS = re.compile(r'(?i)^(?:"the"\s*)?(?:"(?:final|correct)"\s*)?"answer"\s*(?:"is"\s*:?|:)\s*(?=\S)')
_PAIR = re.compile(r'(\d+)\s*("(?:remainder|rem|r|R|to)"|"out"\s*"of"|[Rr])\s*(\d+)')
_REAL = re.compile(r"^([A-Za-z])\s*\\in\s*\\mathbb\{R\}\s*[,;]\s*(?=\1\s*(?:\\(?:ne|le|ge)(?![A-Za-z])|[<>]))")
_EXCEPT = re.compile(r'^"all"\s*"reals?"\s*(?:"numbers"\s*)?(?:[a-z]\s*)?"except"\s*(?:[a-z]\s*=\s*)?(-?[\d.]+)$')
_COLUMN = re.compile(r"\\begin\{[pb]matrix\}([^&]*)\\end\{[pb]matrix\}")
_TWICE = re.compile(r"([^()]+)\(([^()]+)\)")
_NEGATIVE = re.compile(r'"(?:negative|minus|Negative|Minus)"\s*(?=\d|\\frac|")')
_LABEL = re.compile(r'((?:"[^"]*"[\s-]*)+?)(?:"(?:is|are|equals)"\s*:?|:|=)\s*(?=[^\s"])|[A-Z]\s*:\s*(?=[^:]*=)')


DEEPEST = 20
"""Brackets within brackets of the deepest thing that is taken apart."""


@lru_cache(maxsize=65536)
def read(text: str) -> Answer:
    """A cleaned answer (see normalise.clean), taken apart."""
    plain = number(text)
    if plain is not None:
        return Answer(text, latex_of(plain), plain)
    answer = _read(text) if depth_of(text) <= DEEPEST else Answer(text)
    return replace(answer, text=squeezed(answer.text if answer.words else text))


def _read(text: str) -> Answer:
    text = _tidied(text)
    if not text:
        return Answer(text)
    for reading in (_said_twice, _paired, _negative, _labelled, _of_words, _introduced, _conditional):
        answer = reading(text)
        if answer is not None:
            return answer
    return _approximated(text)


def _tidied(text: str) -> str:
    """A text with bases as indices, and without ordinal endings, how it was rounded, and "the answer is"."""
    text = re.sub(r'_\{"(\w+)"\}', lambda m: f"_{{{CARDINAL.get(m[1].casefold(), m[0])}}}", text)
    text = re.sub(r'\(?\s*(?:"in"\s*)?"base"[\s-]*(\d+)\s*\)?$', r"_{\1}", text)
    text = re.sub(r"(\d)\s*(?:\^\s*\{?)?\s*\"(?:st|nd|rd|th)\"\}?$", r"\1", text)
    text = re.sub(r'\(?\s*(?:"rounded"\s*)?"to"\s*"the"\s*"nearest".*$|\(?\s*"rounded".*$', "", text).strip()
    text = _EXCEPT.sub(r"\\mathbb{R}\\setminus\\{\1\\}", _REAL.sub("", text))
    lead = re.match(r'(?:"[^"]*"[\s:,]*)+(?=[^"\s:,-])', text)
    if lead and {word.casefold() for word in WORD.findall(lead[0])} <= ABOUT:
        text = text[lead.end() :]
    return _ANSWER_IS.sub("", text)


def _said_twice(text: str) -> Answer | None:
    """5 (five): one number in digits and in words."""
    twice = _TWICE.fullmatch(text)
    if twice is None:
        return None
    first, second = (read(part.strip()) for part in twice.groups())
    same = first.number is not None and first.number == second.number and (first.words or second.words)
    return replace(first, text=text) if same else None


def _paired(text: str) -> Answer | None:
    """7 R 2; 3 to 4, a ratio; 3 out of 4, a fraction."""
    pair = _PAIR.fullmatch(text)
    if pair is None:
        return None
    left, joint, right = pair.groups()
    if "of" in joint and int(right):
        value = Number(Fraction(int(left), int(right)))
        return Answer(f"{left}/{right}", latex_of(value), value, words=True)
    if joint.strip('"').casefold() != "to":
        return Answer(f"{left} remainder {right}", words=True)
    return Answer(f"{left}:{right}", kind=":", members=(read(left), read(right)), words=True)


def _negative(text: str) -> Answer | None:
    """Minus a number, in words: "negative" 3."""
    minus = _NEGATIVE.match(text)
    if minus is None:
        return None
    rest = read(text[minus.end() :])
    if rest.number is None or rest.number.value <= 0:
        return Answer(text)
    value = replace(rest.number, value=-rest.number.value)
    return replace(rest, text=f"-{rest.text}", latex=latex_of(value), number=value, words=True)


def _labelled(text: str) -> Answer | None:
    """(C) 12: an option's label before what it says."""
    label = re.match(r'"?\(\s*(?:"([A-Ja-j])"\s*\)"?[\s.:]+(?=\S)|([A-J])\s*\)[\s.:]+(?=[^\s=+*/^-]))', text)
    return replace(_read(text[label.end() :].strip()), label=(label[1] or label[2]).upper()) if label else None


def _introduced(text: str) -> Answer | None:
    """ "Total cost": 12, or "the" "line" "is" y = x."""
    named = _LABEL.match(text)
    if named is None or "'" in named[0] or DENIED & {word.casefold() for word in WORD.findall(named[0])}:
        return None
    return _read(text[named.end() :])


def _conditional(text: str) -> Answer | None:
    """An expression "for" "all" "real" x, or one "where" something holds; a number may only be said for all."""
    condition = _CONDITION.search(text)
    if condition is None or condition.start() == 0:
        return None
    if "\\ne" in condition[0] and _RELATION.search(text[: condition.start()]):
        return None
    kept = _read(text[: condition.start()].strip())
    said = squeezed(condition[0].strip(" ,;()"))
    return replace(kept, condition=said) if kept.number is None or said.startswith("for") else Answer(text)


def _of_words(text: str) -> Answer | None:
    """Words alone, and a percent sign after a number in words."""
    bare = text.removesuffix("%")
    if not _WORDS_ALONE.fullmatch(bare) or not WORD.search(bare):
        return None
    answer = _worded(bare)
    percent = bare != text and answer.number
    return replace(answer, number=replace(percent, percent=True), latex="") if percent else answer


def _worded(text: str) -> Answer:
    """Words alone: a number in words, one of a few phrases with a sign of their own, a list, or just words."""
    words = WORD.findall(text)
    if not re.search(r'[(,]|"(?:third|fourth|fifth|tenth|half)s?"-"', text):
        number_words = in_words(text, words)
        if number_words is not None:
            return replace(number_words, words=True)
    phrase = " ".join(words).casefold()
    for pattern, sign in _SAME_WORDS:
        if pattern.fullmatch(phrase):
            return Answer(sign, sign, words=True)
    if len(words) == 1 and len(phrase) == 1:
        return Answer(phrase.upper(), phrase, words=True)
    kind, parts = split(text)
    if len(parts) > 1 and all(WORD.search(part) for part in parts):
        return Answer(text, kind=kind, members=tuple(read(part) for part in parts), words=True)
    return Answer(text, words=True)


def _approximated(text: str) -> Answer:
    r"""The exact side of 2\sqrt{5} \approx 4.47; the other side where only a name, or nothing, stands before it."""
    sides = [side.strip() for side in re.split(r"\\approx(?![A-Za-z])", text)]
    if len(sides) == 1:
        return _structured(text)
    if not sides[0]:
        return _approximated("\\approx".join(sides[1:]))
    if _NAME.fullmatch(sides[0]):
        return replace(_structured(sides[-1]), name=_named(sides[0]))
    return _structured(sides[0])


def _structured(text: str) -> Answer:
    """A text as an equation, a list, or one thing."""
    whole = quantity(text)
    if whole is not None:
        return whole
    kind, parts = split(text)
    named = re.match(rf"({_NAME.pattern})\s*(?:=|\\in(?![A-Za-z]))\s*", text)
    rest = text[named.end() :] if named else "="
    if named and "=" not in rest and (named[0].rstrip()[-1] == "=" or rest.startswith(("\\{", "(", "["))):
        return replace(_structured(rest), name=_named(named[1]))
    if len(parts) > 1:
        members = _flat(parts)
        return Answer(text, text if all(m.latex for m in members) else "", kind=kind, members=members)
    if "\\begin" not in text and len(sides(text)) > 1:
        return _equation(text)
    if column := _COLUMN.fullmatch(text):
        entries = tuple(read(entry.strip()) for entry in column[1].split("\\\\") if entry.strip())
        return Answer(text, text, kind="()", members=entries if len(entries) > 1 else ())
    for left, right in _BRACKETS:
        if text.startswith(left) and text.endswith(right) and encloses(text, len(left), len(right)):
            return _bracketed(text, left, right)
    return value_of(text)


def _flat(parts: list[str]) -> tuple[Answer, ...]:
    r"""The members of a list, both of 1 \pm 2 for themselves."""
    read_parts = [(part, read(part)) for part in parts]
    several = (m.members if "\\pm" in part and m.kind == "," else (m,) for part, m in read_parts)
    return tuple(itertools.chain.from_iterable(several))


def _bracketed(text: str, left: str, right: str) -> Answer:
    """A set, a tuple, an interval; one value in round brackets is the value."""
    inside = text[len(left) : -len(right)].strip()
    built = re.fullmatch(rf"({_LETTER})\s*(?:\\in\s*\\mathbb\{{R\}}\s*)?(?:\\mid|\||:)\s*(.+)", inside)
    if left == "\\{" and built and _RELATION.search(built[2]):
        return _structured(built[2].strip())
    kind = {"\\{": "{", "\\langle": "("}.get(left, left) + {"\\}": "}", "\\rangle": ")"}.get(right, right)
    _, parts = split(inside, bracketed=True)
    if len(parts) == 1:
        inner = read(inside)
        if kind == "()":
            return inner
        return Answer(text, text if inner.latex else "", kind=kind, members=(inner,))
    members = _flat(parts) if kind == "{}" else tuple(map(read, parts))
    if not all(parts) or not all(m.latex or m.words for m in members):
        return Answer(text)
    latex = text if all(m.latex for m in members) and left != "\\langle" else ""
    return Answer(text, latex, kind=kind, members=members)


def _equation(text: str) -> Answer:
    """name = value (the last of a chain), a calculation with its result, or an equation that algebra has to compare."""
    parts = sides(text)
    if not all(parts):
        return Answer(text) if parts[0] or len(parts) != 2 else _structured(parts[1])
    if _RELATION.search(text):
        return value_of(text)
    if any(WORD.search(side) for side in parts[1:-1]):
        return Answer(text)
    first, last = parts[0], parts[-1]
    value = _structured(last)
    if _NAME.fullmatch(first):
        return replace(value, name=_named(first))
    whole = value_of(text).latex
    if value.number is not None and _is_asked(first, value.number):
        return replace(value, equation=whole if _variables(first) else "")
    if _NAME.fullmatch(last) and (other := _structured(first)).number is not None:
        return replace(other, name=_named(last))
    if len(parts) > 2 or not _variables(text):
        return value
    return Answer(text, equation=whole)


def _variables(text: str) -> set[str]:
    """The letters of a text that stand for something, Greek ones too: not those of commands, nor e, i and pi."""
    greek = set(re.findall(r"\\([a-z]+)(?![A-Za-z])", text)) & {*GREEK} - {"pi"}
    bare = re.sub(r'\\[A-Za-z]+|"[^"]*"', " ", text)
    return greek | (set(re.findall(r"[A-Za-z]", bare)) - {"e", "i"})


def _named(left: str) -> str:
    """The name of a value; words ("Area") name nothing that could be compared."""
    return "" if WORD.search(left) else left.replace(" ", "")


def _is_asked(left: str, value: Number) -> bool:
    """Whether the left side of `left = number` may be what was asked for (a+b, 3+4), and is not to be solved (2x)."""
    letters = set(re.findall(r"(?<![\\A-Za-z])[A-Za-z]", re.sub(r"_\{?\w+\}?", "", left)))
    if WORD.search(left):
        return units.unit(re.sub(r"[\d\W_]+", " ", left)) is not None and not letters
    return not letters or (len(letters) > 1 and value.value != 0) or not re.search(r"\d", left)
