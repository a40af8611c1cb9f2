"""Multiple choice: the options of a cell with the labels that the data gives them, and which of them is right.

A label of the data's own ({"text": [...], "label": ["1", "2"]}) says it. Else an answer is a letter, an option's own
text, or a place; where that is open, the whole column decides: one rule for all its rows, or a question back.
"""

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lcpo.budgets.prompting import LETTERS
from lcpo.errors import TaskError
from lcpo.tasks.cells import Cell, empty, is_number, marked, number, parsed, text

Rule = Literal["label", "letter", "text", "0", "1"]
"""How answers name options: by the data's label, by letter, by their own text, by place counted from 0 or from 1."""

_LETTER = re.compile(r"(?:option|choice)?\s*\(?\s*([A-Z])\s*(?:[).:]\s*(.*))?", re.IGNORECASE | re.DOTALL)
_PLACE = re.compile(r"(\d+)(?:\.0+)?")
_TEXTS = ("text", "content", "value", "option", "answer")
_LABELS = ("label", "labels", "key", "id", "letter", "name")


@dataclass(frozen=True)
class Choices:
    """Options in order; labels: the data's own, or none; places: where each stood, empty options counted, from 0."""

    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    places: tuple[int, ...] = ()


def choices(cell: Cell) -> Choices:
    """The options in a cell, without letters of their own ("(A) ..."); empty ones are left out.

    A list of texts, of {"text", "label"}, {"A": ..., "B": ...}, or {"text": [...], "label": [...]}, also as text.
    Raises TaskError for anything else, and where fewer than two options are left.
    """
    if empty(cell.value):
        return Choices()
    value = parsed(cell) if isinstance(cell.value, str) else cell.value
    labels, items = _labelled(value)
    if items is None or len(labels) not in (0, len(items)):
        raise cell.refused(f"a list of 2 to {len(LETTERS)} options")
    texts = [text(cell.of(item)) for item in items]
    own = [re.match(rf"\(?{letter}[).:]\s*", said) for letter, said in zip(LETTERS, texts, strict=False)]
    if all(match or not said for match, said in zip(own, texts, strict=False)):
        texts = [said[match.end() :] if match else said for match, said in zip(own, texts, strict=False)]
    kept = [place for place, said in enumerate(texts) if said]
    if not kept:
        return Choices()
    if not 2 <= len(kept) <= len(LETTERS):
        raise TaskError(f"{cell.where}: {len(kept)} options are there; wanted are 2 to {len(LETTERS)}")
    named = tuple(text(cell.of(labels[place])) for place in kept) if labels else ()
    if len(set(named)) < len(named):
        raise TaskError(f"{cell.where}: two options have the same label ({', '.join(named)})")
    return Choices(tuple(texts[place] for place in kept), named, tuple(kept))


def _labelled(value: Any) -> tuple[Sequence[Any], Sequence[Any] | None]:
    """(labels, options) of a value, no labels where it has none; (..., None) where it holds no options."""
    if isinstance(value, Mapping):
        texts = next((value[name] for name in (*_TEXTS, "texts") if isinstance(value.get(name), (list, tuple))), None)
        if texts is not None:
            return next((value[name] for name in _LABELS if isinstance(value.get(name), (list, tuple))), ()), texts
        keys = list(value)
        if all(re.fullmatch(r"[A-Za-z]|\d+", str(key)) for key in keys):
            keys.sort(key=lambda key: (len(str(key)), str(key)))
        return keys, [value[key] for key in keys]
    if not isinstance(value, (list, tuple)):
        return (), None
    if value and all(isinstance(item, Mapping) for item in value):
        said = next((name for name in _TEXTS if all(name in item for item in value)), None)
        label = next((name for name in _LABELS if all(name in item for item in value)), None)
        labels = [item[label] for item in value] if label else ()
        return (labels, [item[said] for item in value]) if said else ((), None)
    return (), value


def letters(column: Sequence[tuple[Cell, Choices]], rule: Rule | None = None, name: str = "COLUMN") -> list[str | None]:
    """The letter of the right option in every row of a column, None where its cell is empty.

    rule: how answers name options; None finds out from the whole column. Raises TaskError where an answer is none of
    the options, or where the column leaves open which is meant (name: the column's, for the message).
    """
    read = [_readings(cell, options) for cell, options in column]
    for (cell, options), found in zip(column, read, strict=True):
        if found is not None and (not found or (rule is not None and rule not in found)):
            raise _none_of(cell, options, rule)
    rows = {place: found for place, found in enumerate(read) if found is not None}
    by_label = rule is None and all("label" in rows[place] for place in rows if column[place][1].labels)
    rest = [place for place in rows if not (by_label and column[place][1].labels)]
    usable = [rule] if rule else [one for one in get_args(Rule) if all(one in rows[place] for place in rest)]
    if usable:
        chosen = dict.fromkeys(rest, _preferred(usable, [column[place][0] for place in rest]))
    else:  # no rule fits the whole column: every row by itself
        chosen = {place: _preferred(list(rows[place]), [column[place][0]]) for place in rest}
    right: list[str | None] = [None] * len(column)
    for place, found in rows.items():
        meant = {one: found[one] for one in chosen.get(place, ["label"])}
        if len(set(meant.values())) > 1:
            raise _open(column[place][0], meant, name)
        right[place] = LETTERS[next(iter(meant.values()))]
    return right


def _preferred(usable: Sequence[Rule], cells: Sequence[Cell]) -> Sequence[Rule]:
    """The rules that answers may be read by, of those that fit them all; if they differ, it is open what is meant.

    Numbers count from 0 where that fits; a text that is a label, a letter or an option's own is no place.
    """
    if "0" in usable and all(is_number(_single(cell)) for cell in cells):
        return ["0"]
    return [rule for rule in usable if rule not in ("0", "1")] or usable


def _single(cell: Cell) -> Any:
    """The value of a cell, or of the one thing in its list."""
    value = cell.value
    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    return value


def _readings(cell: Cell, options: Choices) -> dict[Rule, int] | None:
    """{rule: the option that the cell names by it} of all rules that fit; None: the cell is empty."""
    value = _single(cell)
    if empty(value):
        return None
    said = number(value) if is_number(value) else _answered(cell.of(value))
    found: dict[Rule, int] = {}
    labels = [label.strip("().: ").casefold() for label in options.labels]
    if (bare := said.strip("().: ").casefold()) in labels:
        found["label"] = labels.index(bare)
    letter = None if is_number(value) else _LETTER.fullmatch(said)
    if letter and (place := LETTERS.index(letter[1].upper())) in options.places:
        at = options.places.index(place)
        if not letter[2] or letter[2].strip() == options.texts[at]:
            found["letter"] = at
    if said in options.texts:
        found["text"] = options.texts.index(said)
    if counted := _PLACE.fullmatch(said):
        for first in (0, 1):
            if int(counted[1]) - first in options.places:
                found["0" if first == 0 else "1"] = options.places.index(int(counted[1]) - first)
    return found


def _answered(cell: Cell) -> str:
    if isinstance(cell.value, (list, tuple)):
        raise cell.refused("one right option")
    said = text(cell, "assistant")
    boxed = marked(said)
    return said if boxed is None else boxed


def _none_of(cell: Cell, options: Choices, rule: Rule | None) -> TaskError:
    count = len(options.texts)
    last = LETTERS[count - 1]
    allowed = ", ".join(options.labels) if options.labels else f"A-{last}, 0-{count - 1}"
    by = f" read by {rule}" if rule else ""
    return TaskError(f"{cell.where}: answer {_single(cell)!r}{by} is none of its {count} options ({allowed})")


def _open(cell: Cell, meant: Mapping[Rule, int], name: str) -> TaskError:
    meanings = ", ".join(f"{LETTERS[place]} ({name}@{rule})" for rule, place in meant.items())
    return TaskError(
        f"{cell.where}: answer {_single(cell)!r} may mean {meanings}; say how answers name options, for example "
        f"--columns answer={name}@{list(meant)[-1]} (@0 and @1: places counted from there)"
    )


def mixed(right: str, wrong: Sequence[Cell], seed: int) -> tuple[str, tuple[str, ...]]:
    """(letter of the right one, options) with right and wrong answers in an order drawn from (seed, the texts)."""
    texts = [right, *filter(None, (text(cell) for cell in wrong))]
    key = hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()
    order = sorted(range(len(texts)), key=lambda place: texts[place])
    random.Random(f"{seed}-{key}").shuffle(order)
    return LETTERS[order.index(0)], tuple(texts[place] for place in order)
