"""An answer taken apart, and the two ways in which it is written down again: to be compared, and for the algebra."""

import re
from dataclasses import dataclass

from lcpo.verifiers import units
from lcpo.verifiers.numbers import Number
from lcpo.verifiers.units import Unit

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
