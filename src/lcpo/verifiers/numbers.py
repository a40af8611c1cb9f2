r"""Numbers as answers write them, read as exact fractions; never evaluates a power beyond a few thousand digits.

Read are: 12, -1,234.5, 1 000 000, 3/4, \frac34, 1\frac{1}{2}, 10\%, 4.5\times 10^{33}, 4.5e33, 0.\overline{3}, 0.333...
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

_LONGEST = 1000
"""Characters of the longest thing read as a number: Python refuses to read integers of more than 4300 digits."""
_LARGEST = 4000
"""Decimal digits of the largest power of ten that is written out."""


@dataclass(frozen=True)
class Number:
    """A rational number as it was written: with how many decimal places (None: exact), with a percent sign."""

    value: Fraction
    places: int | None = None
    percent: bool = False


_INT = r"(?:\d{1,3}(?:,\d{3})+|(?=[\d,]*,0)\d{1,2}(?:,\d{2})+,\d{3}|\d{1,3}(?:\ \d{3})+|\d{1,3}(?:'\d{3})+|\d+)"
_DECIMAL = rf"(?:{_INT})?\.\d+|{_INT}\.?|\d{{1,3}}(?:\.\d{{3}}){{2,}}(?:,\d+)?|\d{{1,3}}(?:\.\d{{3}})+,\d+"
_POWER = r"10\s*\^\s*(?:\{\s*([+-]?\s*\d+)\s*\}|([+-]?\d+))"
_SIGNED = re.compile(r"([+-]?)\s*(.*?)\s*(%?)", re.DOTALL)
Magnitude = tuple[Fraction, int | None] | None
"""(value, decimal places or None) of what stands after a sign; None where it is no number."""


@lru_cache(maxsize=65536)
def number(text: str) -> Number | None:
    """A cleaned text (see normalise.clean) without unit as a number; None for anything else."""
    signed = _SIGNED.fullmatch(text) if len(text) <= _LONGEST else None
    if signed is None:
        return None
    sign, body, percent = signed.groups()
    for form, magnitude in _FORMS:
        if match := form.fullmatch(body):
            read = magnitude(*match.groups())
            return Number(-read[0] if sign == "-" else read[0], read[1], bool(percent)) if read else None
    return None


def _digits(text: str) -> str:
    """An integer without its separators."""
    return re.sub(r"[ ,']", "", text)


def _decimal(text: str) -> tuple[Fraction, int | None]:
    """A decimal with either kind of separators; an integer has no places."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", text) and (text.count(".") > 1 or "," in text):
        text = text.replace(".", "").replace(",", ".")
    whole, point, places = _digits(text).partition(".")
    value = Fraction(f"{whole or 0}.{places or 0}")
    return value, len(places) if point and places else None


def _scaled(mantissa: str, *exponents: str | None) -> Magnitude:
    """mantissa * 10^exponent (the one that is there), None where that is too long to write."""
    exponent = int(next(filter(None, exponents)).replace(" ", ""))
    if abs(exponent) > _LARGEST:
        return None
    value, places = _decimal(mantissa)
    places = max(0, (places or 0) - exponent) if places is not None else None
    power = Fraction(10**exponent) if exponent >= 0 else Fraction(1, 10**-exponent)
    return value * power, places


def _fraction(whole: str | None, top: str, low: str) -> Magnitude:
    """A fraction, or a mixed number."""
    if int(_digits(low)) == 0:
        return None
    value = Fraction(int(_digits(top)), int(_digits(low)))
    if whole is None:
        return value, None
    return (int(_digits(whole)) + value, None) if 0 <= value < 1 else None


def _repeating(whole: str | None, start: str, *cycles: str | None) -> Magnitude:
    """whole.start(cycle), exactly."""
    cycle, shift = next(filter(None, cycles)), 10 ** len(start)
    part = (int(start or 0) + Fraction(int(cycle), 10 ** len(cycle) - 1)) * Fraction(1, shift)
    return int(_digits(whole or "0")) + part, None


def _continued(text: str) -> Magnitude:
    """0.1666... as 1/6, where the last digits repeat (a single one three times); else six digits or more."""
    whole, _, places = text.partition(".")
    for size in range(1, len(places) // 2 + 1):
        cycle = places[-size:]
        if places.endswith(cycle * (3 if size == 1 else 2)) or (size == 1 and places == cycle * 2):
            return _repeating(whole, places[:-size], cycle)
    return _decimal(text) if len(places) >= 6 else None


_FORMS: tuple[tuple[re.Pattern[str], Callable[..., Magnitude]], ...] = tuple(
    (re.compile(form, re.ASCII), magnitude)
    for form, magnitude in (
        (rf"({_INT})?\.(\d*)(?:\\(?:overline|bar|dot)\s*\{{(\d+)\}}|\((\d+)\))", _repeating),
        (rf"((?:{_INT})?\.\d+)\s*(?:\\[lc]?dots|\.{{2,}})", _continued),
        (rf"({_DECIMAL})\s*(?:\\times|\\cdot|\*)\s*{_POWER}", _scaled),
        (rf"(){_POWER}", lambda _, *exponents: _scaled("1", *exponents)),
        (rf"({_DECIMAL})[eE]([+-]?\d+)", _scaled),
        (rf"(?:({_INT})\s*)?\\frac\s*\{{\s*([+-]?\s*{_INT})\s*\}}\s*\{{\s*([+-]?\s*{_INT})\s*\}}", _fraction),
        (rf"(?:({_INT})\ )?({_INT})\s*/\s*({_INT})", _fraction),
        (rf"({_DECIMAL})", _decimal),
    )
)


def equal(gold: Number, answer: Number) -> bool:
    """Whether two numbers are one: exactly, or as a rounded decimal of a fraction (see `rounds`).

    A percent sign on one side alone may be dropped or read as hundredths: 10% is 10 and 0.1.
    """
    if gold.percent != answer.percent:
        plain, signed = (answer, gold) if gold.percent else (gold, answer)
        return any(_same(plain, Number(signed.value / part, signed.places)) for part in (1, 100))
    return _same(gold, answer)


def _same(gold: Number, answer: Number) -> bool:
    if gold.value == answer.value:
        return True
    exact, decimal = (gold, answer) if answer.places is not None else (answer, gold)
    if decimal.places is None:
        return _float_of(gold.value, answer.value)
    if exact.places is not None or exact.value.denominator == 1:
        return _float_of(exact.value, decimal.value) and abs(exact.value) > 10**15
    return rounds(decimal, exact.value)


def _float_of(one: Fraction, other: Fraction) -> bool:
    """Whether one of two integers beyond sixteen digits is written as a float has it: 4.5e33 printed in full."""
    longest = max((one, other), key=lambda value: len(str(value.numerator).rstrip("0")))
    short = other if longest is one else one
    digits = len(str(abs(short.numerator)).rstrip("0"))
    if {one.denominator, other.denominator} != {1} or abs(one) < 10**17 or digits > 16:
        return False
    return abs(one) < 10**300 and float(one) == float(other) and int(float(short)) == longest


def rounds(decimal: Number, value: Fraction) -> bool:
    """Whether a decimal is a value rounded or cut off: six significant digits, or six places from 0.01 on, all right.

    The last digit may be one off; digits beyond the twelfth are not looked at.
    """
    size, off = abs(value), abs(value - decimal.value)
    if decimal.places is None:
        return off == 0
    enough = max(size / 1_000_000, Fraction(1, 2_000_000) if size >= Fraction(1, 100) else Fraction(0))
    return off <= enough and off <= max(Fraction(1, 10**decimal.places), size / 10**12)
