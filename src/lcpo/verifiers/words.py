"""The words that may stand around a number: which ones say a number, which name a unit, which change what is meant.

A noun after a number is a unit whatever it is ("12 tapirs"), so what is listed are the words that make it something
else: negations, comparisons, hedges, operations, conditions, numbers and fractions in words.
"""

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_PARTS = "third fourth fifth sixth seventh eighth ninth tenth"
CARDINAL = {word: i for i, word in enumerate(_SMALL.split())} | {w: 10 * i for i, w in enumerate(_TENS.split(), 2)}
SCALE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
SCALE |= {"lakh": 10**5, "crore": 10**7, "dozen": 12}
PART = {"half": 2, "halve": 2, "quarter": 4, "hundredth": 100, "thousandth": 1000} | {
    w: i for i, w in enumerate(_PARTS.split(), 3)
}

_MORE = (
    # negations and hedges
    "not no non never nor neither none nothing except excluding without but unlike wrong incorrect false invalid "
    "impossible undefined unknown infinite infinitely maybe perhaps possibly probably unsure unless "
    # comparisons and ranges
    "more less fewer least most greater larger smaller bigger higher lower above below under over beyond than minimum "
    "maximum almost nearly up down through between until from to onwards onward within inclusive exclusive "
    # alternatives and second quantities
    "and or plus minus times multiplied divided by out with remainder rem mod modulo another instead versus vs also "
    # operations
    "squared cubed factorial root double doubled triple tripled halved twice thrice quadruple fold reciprocal inverse "
    "negative opposite power base log "
    # conditions
    "if when whenever where for since because as while given provided assuming "
    # numbers and their like
    "couple few several some many any score scores gross quarter quarters before after ago r"
)
NOT_A_UNIT = frozenset(_MORE.split()) | {*CARDINAL, *SCALE, *PART}
"""Words after a number that make it another quantity, or leave open which."""

_SIDES = """
am midnight
pm noon
n north northern northward northwards
s south southern southward southwards
e east eastern eastward eastwards
w west western westward westwards
left
right
clockwise
counterclockwise anticlockwise
upward upwards
downward downwards
ahead fast
behind slow late
gain profit increase rise growth credit surplus
loss decrease drop fall decline debt debit deficit
bc bce
ad ce
"""
SIDES = {word: place for place, line in enumerate(_SIDES.split("\n")) for word in line.split()}
"""Words that say on which side of something a number lies -> which side; what the gold names must be named."""
LAST_SIDES = frozenset(SIDES[word] for word in ("left", "right", "fast", "slow", "fall", "drop", "rise"))
"""Sides with words that mean something else before a noun: right triangles."""

_ABOUT = (
    "about approximately approx roughly around circa exactly precisely is are was equals equal it the a an of so thus "
    "hence therefore final answer result value total sum correct verified rounded solution just only "
    "then we get have point points coordinates interval set vector matrix line equation solutions answers number"
)
ABOUT = frozenset(_ABOUT.split())
"""Words before a number, or in brackets after it, that leave it what it is."""

_DENIED = "not no never neither nor except excluding than without but if unless least most false wrong incorrect half"
DENIED = frozenset(_DENIED.split())
"""Words that make of "... is 5" something else than a label before a 5."""

_UNITS = """
meter m metre meters metres = length 1
kilometer km kilometre kms = length 1000
centimeter cm centimetre cms = length 1/100
millimeter mm millimetre = length 1/1000
inch in inche = length 127/5000
foot ft feet = length 381/1250
yard yd yds = length 1143/1250
mile mi = length 201168/125
second s sec secs = time 1
minute min mins = time 60
hour h hr hrs = time 3600
day = time 86400
week wk wks = time 604800
month = month 1
year yr yrs = month 12
gram g gm = mass 1
kilogram kg kilo kgs = mass 1000
milligram mg = mass 1/1000
tonne = mass 1000000
ounce oz = weight 1
pound lb lbs = weight 16
liter l litre ltr = volume 1
milliliter ml millilitre = volume 1/1000
gallon gal = gallon 1
quart qt = gallon 1/4
pint pt = gallon 1/8
dollar usd buck = dollar 1
cent ¢ = dollar 1/100
euro eur = euro 1
rupee rs inr = rupee 1
yen jpy = yen 1
watt = watt 1
newton = newton 1
joule = joule 1
volt = volt 1
ampere amp = ampere 1
kelvin = kelvin 1
degree deg = degree 1
radian rad = radian 1
celsius centigrade = celsius 1
fahrenheit = fahrenheit 1
"""


@lru_cache(maxsize=1)
def units() -> Mapping[str, tuple[str, Fraction]]:
    """Name of a unit -> (what it measures, how many of that)."""
    table = {}
    for line in _UNITS.strip().splitlines():
        names, size = line.split(" = ")
        dimension, factor = size.split()
        table.update(dict.fromkeys(names.split(), (dimension, Fraction(factor))))
    return table
