"""What a cell says. Data sets keep text in more than strings: numbers, lists, conversations, parts, objects.

A cell is read by its meaning or refused in one line that names file, row and column; no value is ever turned into the
way Python happens to print it. Gold answers are read as data sets write them: `... #### 18` (GSM8K) is 18,
`\\boxed{7}` is 7, 142.0 is 142; of a list any one is right, of several boxes beside each other all are (`1, 2`).
"""

import ast
import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lcpo.errors import TaskError
from lcpo.tasks.escapes import mended
from lcpo.verifiers.box import NoAnswer, boxes

_ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "model": "assistant"}
"""Who speaks in a conversation, as OpenAI's and ShareGPT's files name them."""
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NO_COMMAS = re.compile(r"'\s+'|\"\s+\"")


@dataclass(frozen=True)
class Cell:
    """A value and where it stands, for messages ("math.json row 7, column answer")."""

    value: Any
    where: str

    def refused(self, wanted: str) -> TaskError:
        """The error for a cell that cannot be read."""
        return TaskError(f"{self.where}: {described(self.value)}; wanted is {wanted}")

    def of(self, value: Any) -> "Cell":
        """A value that this cell holds, at the same place."""
        return Cell(value, self.where)


def described(value: Any) -> str:
    """What a value is, in words and without its content where that is long."""
    if isinstance(value, Mapping):
        keys = [" ".join(str(key).split()) for key in value]
        return f"an object with {', '.join(keys[:8]) + ' ...' * (len(keys) > 8) or 'nothing in it'}"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return f"the text {value[:60]!r}"
    return f"a {type(value).__name__}"


def empty(value: Any) -> bool:
    """Whether a cell holds nothing: null, not a number, blank text, an empty list."""
    if isinstance(value, (float, Decimal)):
        return not math.isfinite(value)
    return value is None or (isinstance(value, str) and not value.strip()) or (value in ([], ()))


def is_number(value: Any) -> bool:
    """Whether a value is a number; a truth value is none."""
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def number(value: float | Decimal) -> str:
    """A number as people write it: 142.0 is 142, 1e-07 is 0.0000001."""
    if isinstance(value, int) or value == 0:
        return str(int(value))
    text = format(Decimal(repr(value)) if isinstance(value, float) else value, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def parsed(cell: Cell) -> Any:
    """The list or object that stands in a cell as text (CSV has no other way), None where there is none.

    JSON, or what Python prints. Raises TaskError for NumPy's print of a list of texts, which has no commas.
    """
    said = cell.value.strip() if isinstance(cell.value, str) else ""
    if said[:1] + said[-1:] not in ("[]", "{}"):
        return None
    value = _evaluated(said)
    if isinstance(value, list) and "," not in said and _NO_COMMAS.search(said):
        raise cell.refused("a list with commas between its parts")
    return mended(value) if isinstance(value, (list, dict)) else None


def _evaluated(said: str) -> Any:
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\\s" in a text is a backslash, and no reason for Python to speak
            return ast.literal_eval(said)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def text(cell: Cell, speaker: str = "user") -> str:
    """The text in a cell, "" where it holds none: of a conversation, the last message of `speaker`.

    Text, a number, a message, parts of one ({"type": "text", "text": ...}), or a list that holds one text. Raises
    TaskError for anything else.
    """
    value = cell.value
    if empty(value):
        return ""
    if isinstance(value, str):
        inner = parsed(cell)
        return text(cell.of(inner), speaker) if is_conversation(inner) or _is_parts(inner) else value.strip()
    if is_number(value):
        return number(value)
    if isinstance(value, Mapping):
        return _part(cell, speaker)
    if is_conversation(value):
        said = [message for message in value if _speaker(message) == speaker]
        return text(cell.of(said[-1].get("content", said[-1].get("value")))) if said else ""
    if isinstance(value, (list, tuple)) and (len(value) == 1 or _is_parts(value)):
        return "\n".join(filter(None, (text(cell.of(part), speaker) for part in value)))
    raise cell.refused("text, a number, or a conversation")


def is_conversation(value: Any) -> bool:
    """Whether a value is a list of messages, each with a speaker and a content."""
    return isinstance(value, (list, tuple)) and bool(value) and all(_speaker(message) for message in value)


def _speaker(message: Any) -> str:
    who = (message.get("role") or message.get("from")) if isinstance(message, Mapping) else None
    return _ROLES.get(who, who) if isinstance(who, str) else ""


def _is_parts(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(part, str) or (isinstance(part, Mapping) and "type" in part) for part in value)
        and any(isinstance(part, Mapping) for part in value)
    )


def _part(cell: Cell, speaker: str) -> str:
    """The text of one message, or of one part of a message."""
    value = cell.value
    if _speaker(value):
        return text(cell.of([value]), speaker)
    if isinstance(value.get("text"), str) and value.get("type", "text") in ("text", "input_text", "output_text"):
        return str(value["text"]).strip()
    if isinstance(value.get("type"), str):
        raise TaskError(f"{cell.where}: a part of type {value['type']!r}; only text is read")
    name = cell.where.rpartition("column ")[2] or "COLUMN"
    near = next((key for key in ("ground_truth", "answer", "value", "text", "content") if key in value), "FIELD")
    raise cell.refused(f"one of its fields; name it {name}.{near}")


def field(value: Any, path: Sequence[str]) -> Any:
    """The value under `path` in nested objects (text that holds an object is one too), None where there is none."""
    for name in path:
        inner = parsed(Cell(value, "")) if isinstance(value, str) else value
        value = inner.get(name) if isinstance(inner, Mapping) else None
    return value


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
