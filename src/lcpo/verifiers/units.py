"""What stands around a number: units, currencies, numbers in words; and when two units let two numbers be compared."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from lcpo.verifiers.words import CARDINAL, LAST_SIDES, NOT_A_UNIT, PART, SCALE, SIDES, units


@dataclass(frozen=True)
class Unit:
    """What a number counts: (what, power) pairs in order, how much of it, and on which side it lies (words.SIDES).

    summed: the number was summed up from several units, so without its unit it says nothing.
    """

    of: tuple[tuple[str, int], ...] = ()
    size: Fraction = Fraction(1)
    sides: frozenset[int] = frozenset()
    summed: bool = False


NONE = Unit()
_TOKEN = re.compile(r'"([^"]*)"|\^\s*\{?\s*(-?\d)\s*\}?|(/)|(?:\\cdot|\\times|\\?%|[\s.,()-])|(\^\\circ)|([A-Za-z]+)')
_FILLERS = (
    "the a an of in on at is are was were it its each apiece every per total all answer solution respectively only "
    "and exactly approximately about approx roughly verified"
)
_FILLER = frozenset(_FILLERS.split())
_SPEEDS = {"mph": ("mile", "/", "hour"), "kmh": ("km", "/", "hour"), "kph": ("km", "/", "hour"), "mps": ("m", "/", "s")}
_AFTER_DEGREE = {"N": "north", "S": "south", "E": "east", "W": "west", "C": "celsius", "F": "fahrenheit"}
_SQUARE = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_RAISED = {"squared": "^1", "cubed": "^2"}


def unit(phrase: str) -> Unit | None:
    """The unit that a phrase (see normalise.clean) names; None where it says more than a unit or is no phrase."""
    tokens = _tokens(phrase)
    if tokens is None or tokens in (["upward"], ["upwards"]):
        return None
    powers: dict[str, int] = {}
    size, sign, ahead, last, sides = Fraction(1), 1, 1, "", set()
    for place, token in enumerate(tokens):
        following = tokens[place + 1 : place + 2]
        side = SIDES.get(token)
        side = None if following and side in LAST_SIDES else side
        what, much = _known(last if token[0] == "^" else token)
        if token[0] == "^":
            if not last:
                return None
            power = sign * int(token[1:])
            size, powers[what] = size * much**power, powers[what] + power
        elif token == "/":
            sign = -1
        elif side is not None and following != ["of"]:
            sides.add(side)
        elif side is not None or token in NOT_A_UNIT or "'" in token or _counts(token):
            return None
        elif token in _SQUARE:
            ahead = _SQUARE[token]
        elif token not in _FILLER:
            size *= much ** (sign * ahead)
            powers[what] = powers.get(what, 0) + sign * ahead
            last, ahead = token, 1
    return Unit(tuple(sorted((what, n) for what, n in powers.items() if what and n)), size, frozenset(sides))


def _tokens(phrase: str) -> list[str] | None:
    """A phrase as words, "/" for per, and "^1" for one power more; None where it is no phrase."""
    tokens: list[str] = []
    at = 0
    while at < len(phrase):
        match = _TOKEN.match(phrase, at)
        if match is None:
            return None
        at = match.end()
        word, power, slash, degree, letter = match.groups()
        word = "degree" if degree else word or letter
        if power:
            tokens.append(f"^{int(power) - 1}")
        elif slash or (word or "").casefold() == "per":
            tokens.append("/")
        elif word:
            word = "thousand" if word == "k" else word
            after_degree = _AFTER_DEGREE.get(word) if tokens[-1:] == ["degree"] else None
            word = after_degree or word.casefold()
            raised = word in _RAISED and bool(tokens) and tokens[-1] in units()
            tokens += [_RAISED[word]] if raised else _SPEEDS.get(word, (word,))
    later = [*tokens[1:], "^"]  # "in" is a unit where nothing follows that one could be in
    return ["inch" if word == "in" and after[0] == "^" else word for word, after in zip(tokens, later, strict=False)]


def _counts(word: str) -> bool:
    """Whether a word after a number says another number."""
    return any(word.removesuffix("s") in table for table in (PART, SCALE, CARDINAL))


def _known(word: str) -> tuple[str, Fraction]:
    """What a unit measures, and how much of that; a noun that is no unit stands for itself, in the singular."""
    for form in (word, word.removesuffix("s"), word.removesuffix("es")):
        if form in units():
            return units()[form]
    return (word[:-3] + "y" if word.endswith("ies") else word.removesuffix("s")), Fraction(1)


def ratio(gold: Unit, answer: Unit) -> Fraction | None:
    """How many of the gold's unit one of the answer's is; 1 where one of them names none; None where they differ.

    Nouns agree where one side names all that the other does ("dogs" and "brown dogs").
    """
    if gold.sides and gold.sides != answer.sides:
        return None
    wanted, given = dict(gold.of), dict(answer.of)
    if not wanted or not given:
        return None if gold.summed or answer.summed else Fraction(1)
    if wanted == given:
        return answer.size / gold.size
    if {*wanted, *given} == {"length", "unit"}:
        return Fraction(1) if [*wanted.values()] == [*given.values()] else None
    extra = {*gold.of} ^ {*answer.of}
    known = {what for what, _ in units().values()} - {"degree", "celsius", "fahrenheit"}
    nested = {*gold.of} <= {*answer.of} or {*answer.of} <= {*gold.of}
    return Fraction(1) if nested and not any(what in known for what, _ in extra) else None


def spoken(words: Sequence[str]) -> tuple[Fraction, int] | None:
    """(number, how many words say it) at the beginning of a row of words: two hundred and five, two thirds, a half."""
    words = [word.casefold() for word in words]
    total, current, used = Fraction(0), Fraction(0), 0
    for place, word in enumerate(words):
        part = PART.get(word.removesuffix("s"))
        single = not used or total + current == 1
        if part and (single != word.endswith("s")) and (used or words[:1] == ["a"] or part == 2):
            return (total + (current or 1)) / part, place + 1
        if word == "and" and used and words[place + 1 : place + 3] in (["a", "half"], ["one", "half"]):
            return total + current + Fraction(1, 2), place + 3
        if _links(words, place):
            continue
        if word in CARDINAL and (not used or _follows(current, CARDINAL[word])):
            current += CARDINAL[word]
        elif word in SCALE and (used or place == 1):
            current = Fraction(current or 1) * SCALE[word]
            if SCALE[word] != 100:
                total, current = total + current, Fraction(0)
        else:
            break
        used = place + 1
    return (total + current, used) if used else None


def _links(words: Sequence[str], place: int) -> bool:
    """Whether a word only joins two that say a number: a million, hundred and five."""
    later = words[place + 1] if place + 1 < len(words) else ""
    if words[place] == "a":
        return place == 0 and (later in SCALE or later.removesuffix("s") in PART)
    return words[place] == "and" and place > 0 and words[place - 1] in SCALE and later in CARDINAL


def _follows(current: Fraction, value: int) -> bool:
    """Whether a cardinal adds to what was said before it: five after twenty or hundred, not twenty after five."""
    return current == 0 or current % 100 == 0 or (value < 10 and current % 10 == 0)
