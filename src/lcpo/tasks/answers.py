"""Gold answers as data sets write them, turned into the strings that verifiers compare.

`... #### 18` (GSM8K) is 18, `\\boxed{7}` is 7, 142.0 is 142; of a list any one is right, of several
boxes beside each other all are (`1, 2`).
"""

import re

from lcpo.tasks.cells import Cell, empty, is_conversation, parsed, text
from lcpo.verifiers.box import NoAnswer, boxes

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def answers(cell: Cell, worked: bool = False) -> tuple[str, ...]:
    """The gold answers in a cell, () where it holds none. worked: a whole solution, whose answer is marked in it.

    Raises TaskError for an object, a truth value and all else that is no text, number or list of them.
    """
    inner = parsed(cell)
    texts = isinstance(inner, list) and bool(inner) and all(isinstance(item, str) for item in inner)
    value = inner if texts else cell.value
    if empty(value):
        return ()
    if isinstance(value, (list, tuple)) and not is_conversation(value):
        return tuple(dict.fromkeys(gold for item in value for gold in answers(cell.of(item), worked)))
    said = text(cell.of(value), "assistant")
    found = marked(said)
    if found is None:
        found = "" if worked else said
    return (found,) if found else ()


def marked(said: str) -> str | None:
    """What stands after the last `####`, else in the last box or boxes; None where there is neither."""
    if "####" in said:
        return _THOUSANDS.sub("", said.rpartition("####")[2].strip())
    try:
        found = boxes(said, "prefer")
    except NoAnswer:
        return None
    return ", ".join(found) if found else None
