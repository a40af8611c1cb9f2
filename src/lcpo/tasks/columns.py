"""Which column of a table holds what: named by the user, or recognised by the usual names.

Roles: problem, answer, options (a list, or several columns as A|B|C|D), wrong (wrong options beside the right answer's
text, as in GPQA), passage (stands before the problem), size (a difficulty to report by).
`answer=label@1` also says how answers name options, see lcpo.tasks.choices.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from lcpo.errors import ConfigError, TaskError, unknown
from lcpo.tasks.cells import Cell, empty, field
from lcpo.tasks.choices import Rule
from lcpo.tasks.reading import Row, Table

NAMES: Mapping[str, tuple[str, ...]] = {
    "problem": ("problem", "question", "prompt", "query", "input", "question_stem", "messages"),
    "answer": (
        *("answer", "final_answer", "label", "gold", "target", "answers", "ground_truth", "reward_model.ground_truth"),
        *("correct answer", "correct_answer", "answerkey", "expected_answer", "solution"),
    ),
    "options": ("options", "choices"),
    "wrong": (),
    "passage": ("passage", "context", "article"),
    "size": ("difficulty", "level", "size"),
}
"""The usual names of each role, the likeliest first; upper and lower case are the same; a.b: field b of objects."""

_HINTS = ("answer", "result", "solution", "gold", "target", "truth", "label", "correct", "key", "output", "response")
"""What the name of a column of answers may hold, the likeliest first; for proposals only."""
_OPTION = re.compile(r"(?:(option|choice)[ _]?([a-z]|\d)|(answer|op|)[ _]?([a-z]))", re.IGNORECASE)
_WRONG = re.compile(r"incorrect[ _]answer[ _]?\d+", re.IGNORECASE)


def parse(text: str | None) -> dict[str, str]:
    """{"problem": "question", "answer": "label"} from "problem=question,answer=label". Raises ConfigError."""
    mapping: dict[str, str] = {}
    for part in (text or "").split(","):
        role, equals, column = part.partition("=")
        if part.strip() and not (equals and role.strip() and column.strip()):
            raise ConfigError(
                f"columns '{text}': '{part}' is not role=column, for example problem=question,answer=label"
            )
        if part.strip():
            mapping[role.strip()] = column.strip()
    check_roles(mapping)
    return mapping


def check_roles(mapping: Mapping[str, str]) -> None:
    """Raises ConfigError for a role that does not exist."""
    for role in mapping:
        if role not in NAMES:
            raise unknown("column role", role, NAMES)


def header(given: Mapping[str, str]) -> tuple[str, ...]:
    """Names (lower case), any of which makes a CSV's first line its header: the usual ones and those given."""
    named = [part.strip().lower() for text in _without_rule(given).values() for part in text.split("|")]
    usual = [name for names in NAMES.values() for name in names]
    return (*usual, *(name for name in named if not name.isdecimal()))


def rule(given: Mapping[str, str]) -> Rule | None:
    """How answers name options, where that is given with the column (`answer=label@1`); None: to be found out."""
    _, at, how = given.get("answer", "").rpartition("@")
    return cast(Rule, how) if at and how in get_args(Rule) else None


def _without_rule(given: Mapping[str, str]) -> dict[str, str]:
    return {**given, "answer": given["answer"].rpartition("@")[0]} if rule(given) else dict(given)


def resolve(
    table: Table, given: Mapping[str, str], needed: Sequence[str] = ("problem", "answer")
) -> dict[str, tuple[str, ...]]:
    """{role: its columns in the table}, as given, the rest recognised; those in `needed` must be there.

    Raises TaskError where a column is missing: it names those that exist, and proposes which to take.
    """
    check_roles(given)
    roles = {
        role: tuple(_named(table, role, part.strip()) for part in text.split("|"))
        for role, text in _without_rule(given).items()
    }
    if table.headless:
        roles = {**_by_place(table), **roles}
    for role, names in NAMES.items():
        found = [column for name in names for column in _called(table, name)]
        if role == "problem":
            found = [column for column in found if any(not empty(_value(row, column)) for row in table.rows)]
        if role not in roles and found:
            # the first in which any row holds something: AGIEval has an `answer` that is null throughout
            filled = (c for c in found if any(not empty(_value(row, c)) for row in table.rows))
            roles[role] = (next(filled, found[0]),)
    if "options" not in roles and (several := _option_columns(table)):
        roles["options"] = several
    wrong = tuple(column for column in table.columns if _WRONG.fullmatch(column.strip()))
    if wrong and "wrong" not in roles and "options" not in roles:
        roles["wrong"] = wrong
    missing = [role for role in needed if role not in roles]
    if missing:
        raise TaskError(
            f"{table.source} has no column for the {' and the '.join(missing)}; it has {_listed(table)}. "
            f"Name {'it' if len(missing) == 1 else 'them'}: {_proposal(table, roles)}"
        )
    return roles


def _option_columns(table: Table) -> tuple[str, ...]:
    """Columns that hold an option each: A, B, C ..., option_a, option_b ..., choice1 ..., answerA, answerB ..."""
    groups: dict[str, dict[str, str]] = {}
    for column in table.columns:
        if match := _OPTION.fullmatch(column.strip()):
            prefix, name = (match[1], match[2]) if match[1] else (match[3], match[4])
            groups.setdefault(prefix.lower(), {})[name.lower()] = column
    for prefix, columns in groups.items():
        names = "".join(sorted(columns))
        if len(names) >= (2 if prefix else 3) and any(
            row.startswith(names) for row in ("abcdefghij", "0123456789", "123456789")
        ):
            return tuple(columns[name] for name in names)
    return ()


def value(row: Row, columns: Sequence[str]) -> Cell:
    """The first of `columns` that holds something in a row; a.b: field b of the object in column a."""
    cells = [Cell(_value(row, column), f"{row.where}, column {column}") for column in columns]
    return next((cell for cell in cells if not empty(cell.value)), cells[0] if cells else Cell(None, row.where))


def _value(row: Row, column: str) -> Any:
    if column in row.values:
        return row.values[column]
    first, *path = column.split(".")
    return field(row.values.get(first), path) if path else None


def _called(table: Table, name: str) -> list[str]:
    """The columns of a usual name; of `a.b` where a column `a` holds objects that have a field `b`."""
    first, _, path = name.partition(".")
    columns = [column for column in table.columns if column.strip().lower() == first]
    nested = [f"{column}.{path}" for column in columns] if path else columns
    return [column for column in nested if not path or any(_value(row, column) is not None for row in table.rows)]


def _named(table: Table, role: str, column: str) -> str:
    if column in table.columns:
        return column
    if column.isdecimal() and int(column) < len(table.columns):
        return table.columns[int(column)]
    first, _, path = column.partition(".")
    if path and first in table.columns and any(_value(row, column) is not None for row in table.rows):
        return column
    near = difflib.get_close_matches(column, table.columns, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise TaskError(f"{table.source} has no column '{column}' ({role}).{hint} It has {_listed(table)}.")


def _listed(table: Table) -> str:
    count = len(table.columns)
    return f"{count} columns without names, 0 to {count - 1}" if table.headless else ", ".join(table.columns)


def _by_place(table: Table) -> dict[str, tuple[str, ...]]:
    """Roles in a CSV without a header: question, answer; or question, options ..., letter, as MMLU's files have it."""
    last = len(table.columns) - 1
    letters = all(re.fullmatch(r"\s*[A-Z]\s*", row.values[str(last)]) for row in table.rows)
    if last >= 3 and letters:
        return {"problem": ("0",), "options": table.columns[1:last], "answer": (str(last),)}
    return {"problem": ("0",), "answer": ("1",)} if last == 1 else {}


def _proposal(table: Table, roles: Mapping[str, tuple[str, ...]]) -> str:
    """What `propose` says, as it is written on a command line and in a recipe."""
    named = propose(table, roles)
    option = ",".join(f"{role}={column}" for role, column in named.items())
    recipe = ", ".join(f'{role} = "{column}"' for role, column in named.items())
    return f"--columns {option} (in a recipe: columns = {{ {recipe} }})"


def propose(table: Table, roles: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Which columns look like the problem (the longest texts) and the answer (by name, else the last).

    roles: those that are known. A column whose name cannot be written is named by its number.
    """
    taken = {column for columns in roles.values() for column in columns}
    free = [column for column in table.columns if column not in taken]
    chosen = {role: roles[role][0] for role in ("problem", "answer") if role in roles}
    size = {c: sum(len(v) for row in table.rows if isinstance(v := row.values.get(c), str)) for c in free}
    if "problem" not in chosen and free:
        chosen["problem"] = max(free, key=lambda column: size[column])
        free.remove(chosen["problem"])
    if "answer" not in chosen and free:
        hinted = [column for hint in _HINTS for column in free if hint in column.lower()]
        chosen["answer"] = (hinted or free[::-1])[0]
    chosen.setdefault("answer", "COLUMN")
    return {
        role: str(table.columns.index(c)) if c in table.columns and (not c or re.search("[,=|@]", c)) else c
        for role, c in sorted(chosen.items(), reverse=True)
    }
