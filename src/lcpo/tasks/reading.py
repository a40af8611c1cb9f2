"""Rows from a source: a file, a folder, a member or folder of a zip, or a data set on the hub at a pinned revision.

math.json  questions.jsonl  questions.csv  questions.tsv  train.parquet  folder/
mmlu.zip::data/test              every data file in that folder of the zip
hub:owner/name@REVISION::CONFIG/SPLIT    CONFIG/ may be left out; a local folder as owner/name needs no REVISION
"""

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from lcpo.errors import MissingExtra, TaskError
from lcpo.tasks.escapes import mend_json, mended

_NUMBER = re.compile(r"\s*[-+]?[$€£]?\d[\d,.]*\s*%?\s*")
_NO_NAME = re.compile(r"\S+(?:\s+\S+){4}|\d\s*[-+*/^]|\$.*\$|[\\=^]")
"""What stands in no column's name: five words, arithmetic, LaTeX."""

SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".parquet")
"""File types that are read."""


@dataclass(frozen=True)
class Row:
    """One record: {column: value}, and where it stands, for messages ("math.json row 7")."""

    values: dict[str, Any]
    where: str


@dataclass(frozen=True)
class Table:
    """The rows of a source in order, its columns, and the sha256 of its bytes; headless: a CSV without a header.

    notes: what was mended while reading, a line each.
    """

    source: str
    columns: tuple[str, ...]
    rows: list[Row]
    sha256: str
    headless: bool = False
    notes: tuple[str, ...] = ()


def read(source: str, header: Sequence[str]) -> Table:
    """The rows of `source`. header: names (lower case), any one of which in a CSV's first line makes it a header.

    Raises TaskError where it is missing, malformed (with the line) or empty; MissingExtra where a reader is missing.
    """
    if source.startswith("hub:"):
        return _read_hub(source)
    path, separator, member = source.partition("::")
    if not Path(path).exists():
        hint = "; a data set on the hub is written hub:owner/name@REVISION::SPLIT" if path.count("/") == 1 else ""
        raise TaskError(f"no such file: {path}{hint}")
    if zipfile.is_zipfile(path) and Path(path).suffix.lower() == ".zip":
        parts = _zip_parts(path, member)
    elif separator:
        raise TaskError(f"{path} is not a zip, so '::{member}' means nothing; leave it out")
    else:
        parts = _file_parts(Path(path))
    return _join(source, [_parse(name, content, header) for name, content in parts])


def beside(source: str, folder: Path) -> str:
    """A source with `folder` before it where its relative path is not here but there; any other source as it is."""
    path, separator, member = source.partition("::")
    if source.startswith("hub:") or Path(path).exists() or not (folder / path).exists():
        return source
    return f"{folder / path}{separator}{member}"


def _join(source: str, tables: list[Table]) -> Table:
    rows = [row for table in tables for row in table.rows]
    if not rows:
        raise TaskError(f"{source} holds no rows")
    columns = tuple(dict.fromkeys(name for table in tables for name in table.columns))
    hashes = [table.sha256 for table in tables]
    digest = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    notes = tuple(note for table in tables for note in table.notes)
    return Table(source, columns, rows, digest, all(table.headless for table in tables), notes)


def _file_parts(path: Path) -> list[tuple[str, bytes]]:
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise TaskError(f"{path} holds no data files; read are {', '.join(SUFFIXES)}")
    try:
        return [(file.name if path.is_dir() else str(file), file.read_bytes()) for file in files]
    except OSError as error:
        raise TaskError(f"cannot read {error.filename}: {error.strerror}") from None


def _zip_parts(path: str, member: str) -> list[tuple[str, bytes]]:
    """The data files of a zip under `member` (a file or folder in it), sorted by name."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(n for n in archive.namelist() if PurePosixPath(n).suffix.lower() in SUFFIXES)
            folder = member.rstrip("/")
            chosen = [n for n in names if not folder or n == folder or n.startswith(f"{folder}/")]
            folders = sorted({str(PurePosixPath(n).parent) for n in (chosen or names)})
            if not chosen or len(folders) > 1:
                what = f"{path} holds nothing at '{member}'" if not chosen else f"{path} holds several folders of data"
                raise TaskError(f"{what}; name one: {', '.join(f'{path}::{f}' for f in folders) or 'it has no data'}")
            return [
                (f"{path}::{name}" if name == folder else PurePosixPath(name).name, archive.read(name))
                for name in chosen
            ]
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        raise TaskError(f"cannot read {path}: {error}") from None


def _parse(name: str, content: bytes, header: Sequence[str]) -> Table:
    digest = hashlib.sha256(content).hexdigest()
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".parquet":
        return _from_records(name, _parquet(name, content), digest)
    if suffix not in SUFFIXES:
        raise TaskError(f"{name}: file type '{suffix}' is not read; allowed are {', '.join(SUFFIXES)}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise TaskError(f"{name} line {line} is not UTF-8 (byte {error.start}); save the file as UTF-8") from None
    if suffix in (".csv", ".tsv"):
        return _from_csv(name, text, "\t" if suffix == ".tsv" else _delimiter(text, header), header, digest)
    if suffix == ".jsonl":
        return _from_lines(name, text, digest)
    return _from_json(name, text, digest)


def _from_json(name: str, text: str, digest: str) -> Table:
    """A JSON file: an array of objects, or an object that holds one, or columns; or JSON lines under a wrong name."""
    try:
        whole, places = mend_json(text)
        value = json.loads(whole)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            return _from_lines(name, text, digest)
        raise TaskError(f"{name} line {error.lineno} is not JSON: {error.msg}") from None
    except RecursionError:
        raise TaskError(f"{name} is not a table: its JSON is nested too deeply") from None
    except ValueError as error:
        raise TaskError(f"{name}: {error}") from None
    if isinstance(value, dict):
        value = _records(value)
    if not isinstance(value, list):
        raise TaskError(f"{name} is not a table: it holds a {type(value).__name__}, wanted is an array of objects")
    table = _from_records(name, value, digest)
    return _noted(table, [f"{name} line {text.count(chr(10), 0, place) + 1}" for place in places[:1]], len(places))


def _records(value: dict[str, Any]) -> list[Any]:
    """The records in an object: its one array, or a record for each row of its columns, or itself.

    Columns are arrays of the same length, or pandas' objects with the same keys ({"answer": {"0": ...}}).
    """
    arrays = [v for v in value.values() if isinstance(v, list)]
    if len(arrays) == 1:
        return arrays[0]
    columns = list(value.values())
    if len(columns) > 1 and all(isinstance(v, dict) and v and v.keys() == columns[0].keys() for v in columns):
        return [{name: value[name][key] for name in value} for key in columns[0]]
    whole = all(isinstance(v, list) and len(v) == len(columns[0]) for v in columns)
    if len(columns) > 1 and whole and not all(isinstance(item, dict) for column in columns for item in column):
        return [dict(zip(value, items, strict=True)) for items in zip(*columns, strict=True)]
    return [value]


def _from_lines(name: str, text: str, digest: str) -> Table:
    rows, broken = [], []
    for number, line in enumerate(text.split("\n"), start=1):  # never splitlines: JSON strings may hold U+2028
        if not line.strip():
            continue
        where = f"{name} line {number}"
        try:
            whole, places = mend_json(line)
            value = json.loads(whole)
        except (ValueError, RecursionError) as error:
            raise TaskError(f"{where} is not JSON: {error}") from None
        broken += [where] * len(places)
        rows.append(Row(_object(value, where), where))
    return _noted(_table(name, rows, digest), broken, len(broken))


def _noted(table: Table, first: Sequence[str], count: int) -> Table:
    """The table with a note on texts in which backslashes were mended, and where the first of them stands."""
    if not count:
        return table
    what = "one text was" if count == 1 else f"{count} texts were"
    note = f"{first[0]}: LaTeX with a single backslash, which JSON reads otherwise; {what} mended (write \\\\ for \\)"
    return replace(table, notes=(*table.notes, note))


def _from_records(name: str, records: Sequence[Any], digest: str) -> Table:
    """Rows of records; control characters in them that begin a LaTeX command are mended."""
    rows, broken = [], []
    for number, value in enumerate(records, start=1):
        where = f"{name} row {number}"
        values = _object(value, where)
        whole = mended(values)
        if whole != values:
            broken.append(where)
        rows.append(Row(whole, where))
    return _noted(_table(name, rows, digest), broken, len(broken))


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TaskError(f"{where} is a {type(value).__name__}, wanted is an object with named fields")
    return value


def _table(name: str, rows: list[Row], digest: str) -> Table:
    return Table(name, tuple(dict.fromkeys(key for row in rows for key in row.values)), rows, digest)


def _from_csv(name: str, text: str, delimiter: str, header: Sequence[str], digest: str) -> Table:
    """A CSV with a header, or with columns named 0, 1, 2 ... where its first line is a row like the others."""
    lines = list(_csv_lines(name, text, delimiter))
    if not lines:
        return Table(name, (), [], digest)
    first = [cell.strip() for cell in lines[0][1]]
    known = any(cell.lower() in header for cell in first)
    headed = known or _is_header(first, [cells for _, cells in lines[1:]])
    twice = next((one for one in first if one and first.count(one) > 1), None)
    if headed and twice:
        raise TaskError(f"{name} line 1: two columns are called '{twice}'; rename one of them")
    columns = tuple(first) if headed else tuple(str(i) for i in range(len(first)))
    rows = []
    for number, cells in lines[1:] if headed else lines:
        where = f"{name} line {number}"
        if len(cells) != len(columns):
            raise TaskError(
                f"{where} has {len(cells)} fields, wanted are {len(columns)}; quote fields that hold a comma"
            )
        rows.append(Row(mended(dict(zip(columns, cells, strict=True))), where))
    taken = f"{name} line 1 ({', '.join(first)}) was taken for the names of columns; if it is a row, put names above it"
    return Table(name, columns, rows, digest, not headed, () if known or not headed else (taken,))


def _delimiter(text: str, header: Sequence[str]) -> str:
    """A comma, unless another sign is what makes known names of the first line (Excel writes semicolons)."""
    first = text.partition("\n")[0]

    def names(sign: str) -> int:
        return sum(cell.strip(' \r"').lower() in header for cell in first.split(sign))

    return max(",;\t|", key=names)


def _is_header(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether a first line without a known name is a header all the same; where that is open, it is one.

    A header's cells differ, have at most four words and hold no arithmetic. No cell is a number or ends like a
    sentence, unless all that stands below some name is a number; but 0, 1, 2 ... are pandas' names. A last column of
    letters all the way is MMLU's, which has none.
    """
    if not rest or len(set(first)) < len(first):
        return False
    if first == [str(i) for i in range(len(first))]:
        return True
    if any(_NO_NAME.search(name) for name in first):
        return False
    if len(first) >= 4 and all(re.fullmatch(r"\s*[A-Z]\s*", cells[-1]) for cells in (first, *rest)):
        return False
    below = [[cells[i] for cells in rest if i < len(cells)] for i in range(len(first))]
    names = [not _NUMBER.fullmatch(name) for name in first]
    if any(name and all(map(_NUMBER.fullmatch, column)) for name, column in zip(names, below, strict=True)):
        return True
    return all(names) and not any(re.search(r"\S\s.*[?.]\s*$", name) for name in first)


def _csv_lines(name: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line at which it starts, cells) of every line that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = 1
    try:
        for cells in reader:
            if cells:
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise TaskError(f"{name} line {start} is malformed: {error}") from None


def _parquet(name: str, content: bytes) -> list[Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow (it reads Parquet)", "train") from None
    try:
        rows: list[Any] = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise TaskError(f"{name} is not Parquet: {str(error).splitlines()[0]}") from None
    return rows


def _read_hub(source: str) -> Table:
    """A hub data set through `datasets`; gated ones take the token of `hf auth login` or HF_TOKEN."""
    target, _, place = source.removeprefix("hub:").partition("::")
    name, _, revision = target.partition("@")
    config, _, split = place.rpartition("/")
    local = Path(name).exists()
    if not split or not (revision or local):
        given = "a split" if not split else "a revision (a commit, so that the data cannot change under a result)"
        raise TaskError(f"'{source}' lacks {given}; write hub:owner/name@REVISION::SPLIT or ...::CONFIG/SPLIT")
    try:
        import datasets
        import httpx
    except ImportError:
        raise MissingExtra("datasets (it reads the hub)", "train") from None
    try:
        data = datasets.load_dataset(name, config or None, split=split, revision=None if local else revision)
    except (OSError, ValueError, datasets.exceptions.DatasetsError, httpx.HTTPError) as error:
        raise TaskError(_hub_trouble(source, error)) from None
    records = data.to_list()
    digest = hashlib.sha256(json.dumps(records, sort_keys=True, default=str).encode()).hexdigest()
    return _join(source, [_from_records(source, records, digest)])


def _hub_trouble(source: str, error: Exception) -> str:
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    gated = "gated" in str(error).lower() or "authenticat" in str(error).lower()
    todo = "ask for access on its page and log in (hf auth login)" if gated else "check its name, revision and split"
    return f"cannot read {source}: {said}; {todo}, or give a file you have with --data"
