r"""Mathematics, in four steps: one way of writing, the same text, the same numbers, and math-verify for what is left.

What cannot be read is never left out: it makes an answer unequal to everything but the same text.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from lcpo.types import Grade
from lcpo.verifiers import numbers, units
from lcpo.verifiers.answer import Answer
from lcpo.verifiers.box import Box, NoAnswer, boxes
from lcpo.verifiers.normalise import clean
from lcpo.verifiers.numbers import Number
from lcpo.verifiers.pool import Form, Job
from lcpo.verifiers.prose import stated
from lcpo.verifiers.reading import read

_BASED = re.compile(r"([0-9A-Z]+)_\s*\{?\s*(\d+)\s*\}?")
LONGEST = 200
"""Characters of the longest answer that is looked into (or twice the longest gold's, where that is more)."""
TAIL = 1000
"""Characters at the end of a text in which an answer without a box is looked for."""


def check(text: str, golds: tuple[str, ...], box: Box, deadline: float) -> Grade | Job:
    r"""The grade of what follows the thought, or the question to the algebra that will decide it.

    The last box is the answer, or the boxes that follow each other at the end. Without one: `prefer` takes what the
    text says last, within its last TAIL characters; `require` takes the last box alone. Raises NoAnswer.
    """
    boxed = boxes(text, box)
    answer = ", ".join(boxed) if boxed else stated(text[-TAIL:])
    if not answer.strip():
        raise NoAnswer("empty" if boxed else "nothing in the text reads as one")
    if len(boxed) > 1 and all(len(part) <= LONGEST for part in boxed):
        given = [read(clean(part)) for part in boxed]
        if any(all(equal(gold, part) for part in given) for gold in cleaned(golds)):
            return Grade(True, boxed[-1], "the same in every box")
    return _settle(answer.strip(), golds, deadline)


@lru_cache(maxsize=65536)
def _settle(answer: str, golds: tuple[str, ...], deadline: float) -> Grade | Job:
    """The grade of an answer that stands alone, or the job where that takes algebra."""
    longest = max(LONGEST, 2 * max(map(len, golds)))
    if len(answer) > longest:
        return Grade(False, answer[:LONGEST], f"longer than {longest} characters")
    text = clean(answer)
    if not text:
        raise NoAnswer("empty")
    given, unsure = read(text), []
    for gold in cleaned(golds):
        same = equal(gold, given)
        if same:
            return Grade(True, answer, "the same text" if gold.text == given.text else "the same value")
        if same is None:
            unsure.append(forms(gold, given))
    if not unsure:
        return Grade(False, answer, "another answer" if given.latex or given.words else "not read as mathematics")
    return Job(tuple(unsure), answer, deadline)


@lru_cache(maxsize=16384)
def cleaned(golds: tuple[str, ...]) -> tuple[Answer, ...]:
    """Golds as they are compared."""
    return tuple(read(clean(bare(gold))) for gold in golds)


def bare(gold: str) -> str:
    """A gold without what data sets put around it: a box, a worked solution that ends in `####`, a list of one."""
    gold = gold.rpartition("####")[2].strip() or gold
    try:
        boxed = boxes(gold, "prefer") if "\\boxed" in gold or "\\fbox" in gold else []
    except NoAnswer:
        return gold
    gold = ", ".join(boxed) or gold
    if gold[:2] in ("['", '["') and gold[-2:] in ("']", '"]') and gold.count(gold[1]) == 2:
        gold = gold[2:-2]
    return gold


def unreadable(gold: str) -> str | None:
    """Why a gold cannot be graded against but by its own text; None where it can."""
    try:
        boxes(gold, "prefer")
    except NoAnswer:
        return f"the gold {gold!r} opens a box that never closes; mend it or drop the problem"
    text = bare(gold)
    if not clean(text):
        return f"the gold {gold!r} is empty; drop the problem"
    escaped = re.sub(r"\\\\|\\[{}$]", "", text)
    odd_dollars = escaped.count("$") % 2 and not re.search(r"\$\s*[\d.]", escaped)
    if escaped.count("{") != escaped.count("}") or odd_dollars:
        return f"the gold {gold!r} has braces or dollar signs without their partner; only the same text would be right"
    return None


def equal(gold: Answer, answer: Answer) -> bool | None:
    """Whether two answers are one, None where that takes algebra."""
    if gold.text == answer.text or (gold.label and answer.text.strip("()").upper() == gold.label):
        return True
    if any(a and b and a != b for a, b in ((gold.label, answer.label), (gold.condition, answer.condition))):
        return False
    numeral = _numerals(gold.text, answer.text)
    if numeral is not None:
        return numeral
    return _equations(gold, answer) if _as_equations(gold, answer) else _values(gold, answer)


def _numerals(gold: str, answer: str) -> bool | None:
    """Whether two numerals of a named base are one; the base may be left out, and 42 is not 52 in base 8."""
    wanted, given = _BASED.fullmatch(gold), _BASED.fullmatch(answer)
    if wanted:
        return (
            (wanted.groups() == given.groups() if given else wanted[1] == answer) if given or answer.isdigit() else None
        )
    if given and gold.isdigit() and 2 <= int(given[2]) <= 36:
        try:
            return int(given[1], int(given[2])) == int(gold)
        except ValueError:
            return False
    return False if given and gold[:1].isdigit() else None


def _as_equations(gold: Answer, answer: Answer) -> bool:
    """Whether two answers are compared as equations and not by the values on their right; x and x_1 are one name."""
    if gold.equation or (gold.name and answer.equation):
        return True
    return bool(gold.name and answer.name) and gold.name.split("_")[0] != answer.name.split("_")[0]


def _equations(gold: Answer, answer: Answer) -> bool | None:
    """x=5 is not y=5, nor 2x=10; y=2x+1 may be y-2x=1."""
    if (gold.number is not None and not gold.equation) or gold.kind or answer.kind:
        return False
    return None if (gold.equation or gold.latex) and (answer.equation or (answer.name and answer.latex)) else False


def _values(gold: Answer, answer: Answer) -> bool | None:
    """Whether two values are one."""
    ratio = units.ratio(gold.unit, answer.unit)
    if ratio is None:
        return False
    wanted, given = _number(gold), _number(answer)
    if wanted is not None and given is not None:
        if _clock(gold):
            return [member.text for member in gold.members] == [member.text for member in answer.members]
        other_unit = (gold if given.percent else answer).unit.of if wanted.percent != given.percent else ()
        scaled = given if ratio == 1 else replace(given, value=given.value * ratio, places=None)
        return not other_unit and numbers.equal(wanted, scaled)
    if gold.kind != answer.kind:
        gold, answer = _sole(gold), _sole(answer)
    if ":" in (gold.kind, answer.kind):
        return gold.kind == answer.kind and _proportional(gold, answer)
    if gold.members and answer.members:
        return _lists(gold, answer)
    if answer.kind == "or" and not gold.members and all(equal(gold, member) for member in answer.members):
        return True  # one value in several writings: 1/2 or 0.5
    several = (wanted and answer.kind) or (given and gold.kind and gold.kind != "{}")
    return None if gold.latex and answer.latex and ratio == 1 and not several else False


def _number(answer: Answer) -> Number | None:
    """The number that an answer is; a ratio of two as their quotient, one member in braces as that member."""
    if answer.kind == ":" and len(answer.members) == 2 and not answer.words:
        top, low = (member.number for member in answer.members)
        return Number(top.value / low.value) if top and low and low.value else None
    return _sole(answer).number


def _sole(answer: Answer) -> Answer:
    """The member of a set of one, any other answer as it is."""
    return answer.members[0] if answer.kind == "{}" and len(answer.members) == 1 else answer


def _clock(answer: Answer) -> bool:
    """Whether an answer may be a time of day, which no other time equals: 9:30."""
    if answer.kind != ":" or len(answer.members) != 2:
        return False
    hour, minute = (member.text for member in answer.members)
    return len(hour) <= 2 and len(minute) == 2 and int(hour) <= 24 and int(minute) < 60


def _proportional(gold: Answer, answer: Answer) -> bool:
    """Whether two ratios of several parts are one."""
    wanted, given = ([m.number.value for m in ratio.members if m.number] for ratio in (gold, answer))
    if len(wanted) != len(given) or not all(wanted) or not all(given):
        return False
    return all(w * given[0] == g * wanted[0] for w, g in zip(wanted, given, strict=True))


_BARE = ("", ",", "and", "or", "{}")


def _lists(gold: Answer, answer: Answer) -> bool | None:
    """Two lists: in order within brackets, in any order in braces or without any."""
    wanted, given = list(gold.members), list(answer.members)
    if _ordered(gold, answer) is None:
        return False
    if gold.kind != answer.kind and _distinct_names(wanted) != _distinct_names(given):
        wanted, given = _by_name(wanted), _by_name(given)
    once = "{}" in (gold.kind, answer.kind)
    if len(wanted) != len(given) and not once:
        return False
    if _ordered(gold, answer):
        if len(wanted) != len(given):
            return False
        verdicts = [equal(w, g) for w, g in zip(wanted, given, strict=True)]
        return False if False in verdicts else None if None in verdicts else True
    table = [[equal(w, g) for g in given] for w in wanted]
    if any(True not in row and None not in row for row in (*table, *zip(*table, strict=True))):
        return False
    if any(same is None for row in table for same in row):
        return None
    return once or _matched(table)


def _ordered(gold: Answer, answer: Answer) -> bool | None:
    """Whether the order counts; None where the brackets say that the two are different things."""
    if gold.words or answer.words:
        return gold.kind == answer.kind == ","
    if gold.kind in _BARE:
        if gold.kind != "{}" and _distinct_names(gold.members) and not any(m.name for m in answer.members):
            return True
        list_like = answer.kind in (*_BARE, "()") or (answer.kind == "[]" and len(answer.members) > 2)
        return False if list_like else None
    if gold.kind == answer.kind or (gold.kind == "()" and answer.kind in _BARE and answer.kind != "{}"):
        return True
    return True if gold.kind == "[]" and len(gold.members) > 2 and answer.kind == "," else None


def _distinct_names(members: Sequence[Answer]) -> bool:
    """Whether every member has a name of its own: x=1, y=2."""
    names = {member.name.split("_")[0] for member in members}
    return "" not in names and len(names) == len(members) > 1


def _by_name(members: list[Answer]) -> list[Answer]:
    """Members in the order of their names, where they have any."""
    return sorted(members, key=lambda member: member.name) if _distinct_names(members) else members


def _matched(table: list[list[bool | None]]) -> bool:
    """Whether every member of the one list can be given its own equal of the other."""
    partner: dict[int, int] = {}

    def placed(row: int, tried: set[int]) -> bool:
        for column, same in enumerate(table[row]):
            if same and column not in tried:
                tried.add(column)
                if column not in partner or placed(partner[column], tried):
                    partner[column] = row
                    return True
        return False

    return all(placed(row, set()) for row in range(len(table)))


def forms(gold: Answer, answer: Answer) -> tuple[Form, Form]:
    """Two answers as the algebra gets them: values, or whole equations where their names differ."""
    if _as_equations(gold, answer):
        return _equation(gold), _equation(answer)
    return _form(gold), _form(answer)


def _form(answer: Answer) -> Form:
    return answer.latex, answer.kind, tuple(_form(member) for member in answer.members)


def _equation(answer: Answer) -> Form:
    return answer.equation or f"{answer.name}={answer.latex}", "", ()
