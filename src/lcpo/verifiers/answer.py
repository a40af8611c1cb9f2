"""An answer taken apart, how it is written down again (to be compared, and for the algebra), and answers of one value.

One value is a number or an expression, with the words and units around it.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from lcpo.verifiers import units
from lcpo.verifiers.numbers import Number, number
from lcpo.verifiers.units import Unit
from lcpo.verifiers.words import ABOUT, SCALE

WORD = re.compile(r'"([^"]*)"')
Kind = str
"""How members stand together: ",", "and", "or" (bare), "{}", "()", "(]", "[)", "[]", ":" (a ratio), "" (one value)."""


@dataclass(frozen=True)
class Answer:
    """text: what is compared letter by letter. latex: what algebra may read, "" where nothing may.

    name: x of x=5. equation: the whole of an equation that has no name on its left. condition: what was said beside it
    ("for all real x"). label: C of "(C) 12".
    """

    text: str
    latex: str = ""
    number: Number | None = None
    unit: Unit = units.NONE
    kind: Kind = ""
    members: tuple["Answer", ...] = ()
    name: str = ""
    equation: str = ""
    condition: str = ""
    label: str = ""
    words: bool = False


def squeezed(text: str) -> str:
    """A text without the spaces that part nothing; words without quotes and case."""
    text = WORD.sub(lambda m: f" {m[1].casefold()} ", text)
    text = re.sub(r"(?<![A-Za-z0-9,]) +| +(?![A-Za-z0-9])|(?<=,) +(?!\d{3}(?!\d))", "", text.strip())
    return re.sub(r"^(?:the|an?) (?=\w{2})", "", text)


def latex_of(value: Number) -> str:
    """A number as algebra reads it."""
    fraction, sign = value.value / 100 if value.percent else value.value, "-" if value.value < 0 else ""
    top, low = abs(fraction.numerator), fraction.denominator
    if value.places and not value.percent:
        digits = str(top * 10**value.places // low).rjust(value.places + 1, "0")
        return f"{sign}{digits[: -value.places]}.{digits[-value.places :]}"
    return f"{sign}{top}" if low == 1 else f"{sign}\\frac{{{top}}}{{{low}}}"


_QUANTITY = re.compile(r"""([\d.,/ ]*\d)\s*("[^"]*"|[hdgms](?![A-Za-z]))\s*(?:(?:,|"and")\s*)*""")
_TEXT_ALONE = re.compile(r"\\(?:equiv|angle|triangle|parallel|perp|cong|sim|widehat|arc)(?![A-Za-z])")
_UNIT_LETTER = re.compile(r"(?<=[\d}])\s*(?:m\s*/\s*s|(?<=[\d}\s])m|(?<=\s)[sghLJNWVAK])(?:\s*\^\s*\{?[23]\}?)?$")


def quantity(text: str) -> Answer | None:
    """A number with what stands around it, also over several units: 3 hours 20 minutes."""
    if not ('"' in text or "^\\circ" in text or _UNIT_LETTER.search(text)):
        return None
    value = value_of(text)
    return value if value.number is not None else _compound(text)


def _compound(text: str) -> Answer | None:
    """Two or more quantities of one kind, each smaller than the one before, as their sum; else None."""
    parts = _QUANTITY.findall(text)
    if len(parts) < 2 or _QUANTITY.sub("", text).strip():
        return None
    total, sizes, kinds = Fraction(0), [], set()
    for digits, word in parts:
        value, unit = number(digits.strip()), units.unit('"inch"' if word == '"in"' else word)
        if value is None or unit is None or len(unit.of) != 1:
            return None
        total += value.value * unit.size
        sizes.append(unit.size)
        kinds.add(unit.of)
    if len(kinds) > 1 or sizes != sorted(set(sizes), reverse=True):
        return None
    return Answer(text, "", Number(total), Unit(kinds.pop(), summed=True))


def value_of(text: str) -> Answer:
    """One value: words before it, the number or expression, its unit."""
    body, unit = text, units.NONE
    while lead := re.match(r'"([^"]*)"(?:[\s:=]|-(?="))*', body):
        word = lead[1].casefold()
        money = units.unit(f'"{word}"')
        if word not in ABOUT and not (money and money.of and money.of[0][0] in _MONEY):
            break
        unit = money if money and word not in ABOUT else unit
        body = body[lead.end() :].strip()
    if body.startswith('"'):
        only_words = re.fullmatch(r'(?:"[^"]*"[\s-]*)+', body)
        return in_words(text, WORD.findall(body) if only_words else []) or Answer(text)
    if re.match(r"[+-]?\s*\"dollars\"", body):
        body = re.sub(r'"dollars"\s*', "", body, count=1)
    body, ending = _ending(body)
    if ending is None:
        return Answer(text)
    scaled = _scale(ending)
    if scaled is not None:
        value = number(body)
        if value is None:
            return Answer(text)
        total, tail = Number(value.value * scaled[0]), units.unit(scaled[1])
        return Answer(text) if tail is None else Answer(text, latex_of(total), total, _joined(unit, tail))
    tail = units.unit(ending)
    return Answer(text) if tail is None else _valued(text, body, _joined(unit, tail))


_MONEY = frozenset({"dollar", "euro", "rupee", "yen", "weight", "won", "gbp"})


def _joined(before: Unit, after: Unit) -> Unit:
    """The unit of a number with words on both sides."""
    return after if after.of or not before.of else replace(before, sides=after.sides)


def in_words(text: str, words: list[str]) -> Answer | None:
    """Words that say a number, then its unit: "twenty" "cents"."""
    said = units.spoken(words)
    tail = units.unit(" ".join(f'"{word}"' for word in words[said[1] :])) if said else None
    return Answer(text, latex_of(Number(said[0])), Number(said[0]), tail) if said and tail is not None else None


def _ending(body: str) -> tuple[str, str | None]:
    """(what is counted, the words and unit signs after it); None where words stand inside."""
    quote = body.find('"')
    head, tail = (body, "") if quote < 0 else (body[:quote], body[quote:])
    if head[-1:].isdigit() and tail == '"K"':
        return body, None
    if '"' in tail and re.search(r"(?<![\^{-])\d", re.sub(r"\^\s*\{?-?\d\}?", "", tail)):
        return body, None
    head = head.rstrip()
    if head.endswith("(") and tail.rstrip().endswith(")"):
        head, tail = head[:-1].rstrip(), tail.rstrip()[:-1]
    if head.endswith("\\cdot"):
        head = head[:-5].rstrip()
    letters = _UNIT_LETTER.search(head) if not tail else None
    if letters:
        head, tail = head[: letters.start()], letters[0]
    degree = re.search(r"\^\\circ\s*([CFKNSEW])?$", head)
    if degree and not re.search(r"\\(?:sin|cos|tan|cot|sec|csc)", head):
        head, tail = head[: degree.start()].rstrip(), f"^\\circ {degree[1] or ''} {tail}"
    return head.strip(), tail.strip()


def _scale(ending: str) -> tuple[Fraction, str] | None:
    """(factor, rest) of words that scale the number before them: million, hundred thousand, dozen."""
    factor, rest = Fraction(1), ending
    while (match := re.match(r'[\s-]*"([^"]*)"\s*', rest)) and match[1].casefold().removesuffix("s") in SCALE:
        factor *= SCALE[match[1].casefold().removesuffix("s")]
        rest = rest[match.end() :]
    return (factor, rest) if factor != 1 else None


def _valued(text: str, body: str, unit: Unit) -> Answer:
    """A number or an expression, with the unit that was named."""
    value = number(body)
    if value is not None:
        return Answer(text, latex_of(value), value, unit)
    ratio = re.fullmatch(r"(\d+)((?:\s*:\s*\d+)+)", body)
    if ratio:
        members = tuple(Answer(part.strip(), number=number(part.strip())) for part in body.split(":"))
        return Answer(text, "", kind=":", members=members, unit=unit)
    if body.count("\\pm") == 1 and not unit.sides:
        both = [body.replace("\\pm", sign, 1).replace("\\mp", other) for sign, other in ("+-", "-+")]
        plain = [re.sub(r"^\s*\+\s*", "", value) for value in both]
        signed = tuple(_valued(squeezed(value), value, units.NONE) for value in plain)
        return Answer(text, body, kind=",", members=signed, unit=unit)
    body = re.sub(r"(?<=[\w})])\s*\^\\circ", "", body) if not re.search(r"\\(?:sin|cos|tan)", body) else body
    if body.endswith("%"):
        body = body[:-1].rstrip()
    if not body or '"' in body or "'" in body or "?" in body or _TEXT_ALONE.search(body) or re.search(r"\d\s+\d", body):
        return Answer(text)
    if re.fullmatch(r"[A-Z]{2,}|[a-z]{3,}", body):
        return Answer(body.casefold(), words=True)
    return Answer(text, re.sub(r"(?<![\d._^{])(\d+)\s*(\\frac\{\d+\}\{\d+\})", r"(\1+\2)", body), unit=unit)
