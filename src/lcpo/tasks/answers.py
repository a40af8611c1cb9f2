"""Gold answers as data sets write them, turned into the strings that verifiers compare.

`... #### 18` (GSM8K) is 18, `\\boxed{7}` is 7, 142.0 is 142; of a list any one is right.
"""

import re

from lcpo.tasks.cells import Cell, empty, is_conversation, parsed, text

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def answers(cell: Cell, worked: bool = False) -> tuple[str, ...]:
    """The gold answers in a cell, () where it holds none. worked: a whole solution, whose answer is marked in it.

    Raises TaskError for an object, a truth value and all else that is no text, number or list of them.
    """
    inner = parsed(cell)
    value = inner if isinstance(inner, list) and all(isinstance(item, str) for item in inner) else cell.value
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
    """What stands after the last `####`, else in the last box; None where there is neither."""
    if "####" in said:
        return _THOUSANDS.sub("", said.rpartition("####")[2].strip())
    boxes = list(_BOX.finditer(said))
    if not boxes:
        return None
    depth, start = 1, boxes[-1].end()
    for place in range(start, len(said)):
        depth += {"{": 1, "}": -1}.get(said[place], 0)
        if depth == 0:
            return said[start:place].strip()
    return None
