"""Small data files for the tests of this folder."""

import json
from pathlib import Path

ROWS = [{"problem": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(40)]


def write(path: Path, content: object) -> str:
    """A data file; anything but text is written as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
