"""Cases in a table: CSV, JSON lines or parquet beside the golden file, or records of a program."""

from __future__ import annotations

import csv
import json
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from pytest_llmops.documents.document import read_document, read_text
from pytest_llmops.documents.values import Mistake, Row, Table, plain
from pytest_llmops.errors import CaseTableError, MissingExtraError, hint
from pytest_llmops.golden.files import MAX_BYTES, describe_wrong_path, find_missing_path
from pytest_llmops.printable import excerpt, with_article

KINDS = ("csv", "jsonl", "parquet")
"""Keys of `cases` that name a table, each the format that it is read in."""

_FIELDS = ("id", "input", "reference", "relevant", "tags", "group", "description")
_LISTS = ("relevant", "tags")
_DELIMITERS = ",;\t"
_ID_DIGITS = 12

NO_CASE = -1
"""The position, in the place of a mistake, of a row that is no case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTable:
    """
    The cases of a table, as a golden file would have them.

    Attributes:
        rows: A mapping a case, each key with the line of its row.
        mistakes: In the table; those of its values are found as in a golden file.
        sha256: Of its content.
        path: From the project's root.
    """

    rows: Row
    mistakes: list[Mistake] = field(default_factory=list)
    sha256: str = ""
    path: str = ""


def open_table(written: Table, golden: str, root: Path, *, past: bool = False) -> CaseTable:
    """
    Read the table that a golden file names.

    Args:
        written: Its `cases`; what the schema refuses in it is skipped.
        golden: The path of the golden file from the root, in whose folder the path of the table starts.
        past: The file is of another revision: where the table is missing, there are no cases.

    Raises:
        CaseTableError: No table or several are named, or the table cannot be read.
        MissingExtraError: pyarrow is not installed.
    """
    named = [kind for kind in KINDS if kind in written]
    if len(named) != 1:
        raise CaseTableError(f"cases must name one table: {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    kind, columns = named[0], written.get("columns", {})
    if not isinstance(written[kind], str) or not isinstance(columns, dict):
        return CaseTable(rows=Row())
    path = posixpath.normpath(posixpath.join(posixpath.dirname(golden), written[kind]))
    if not golden.startswith("..") and describe_wrong_path(path, None):
        raise CaseTableError(f"{excerpt(written[kind])} leads out of the project")
    if not past and (missing := find_missing_path(path, root)):
        raise CaseTableError(f"{excerpt(written[kind])}: {missing}")
    if past and not (root / path).is_file():
        return CaseTable(rows=Row(), path=path)
    try:
        wanted = {key: columns[key] for key in _FIELDS if isinstance(columns.get(key), str)}
        table = read_table(kind, root / path, wanted)
    except CaseTableError as error:
        raise CaseTableError(f"{excerpt(written[kind])}: {error}") from None
    mistakes = [
        mistake if mistake.place else replace(mistake, place=("cases", NO_CASE)) for mistake in table.mistakes
    ]
    return replace(table, mistakes=mistakes, path=path)


def read_table(kind: str, path: Path, columns: Mapping[str, str]) -> CaseTable:
    """
    Read the cases of a table.

    Args:
        kind: One of `KINDS`.
        columns: Key of a case to the name of its column. A key that is left out has the column with its
            name, if the table has one.

    Raises:
        CaseTableError: The table has no such column, cannot be read, or is too large.
        MissingExtraError: pyarrow is not installed.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CaseTableError(f"cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise CaseTableError(f"larger than {MAX_BYTES // 2**20} MiB; split it into several files")
    records, mistakes = _READERS[kind](raw)
    if not records and not mistakes:
        raise CaseTableError("has no row; every row is a case")
    table = make_cases(records, columns)
    return CaseTable(rows=table.rows, mistakes=[*mistakes, *table.mistakes], sha256=sha256(raw).hexdigest())


def make_cases(records: Sequence[tuple[int, Mapping[str, Any]]], columns: Mapping[str, str]) -> CaseTable:
    """
    Make cases of records.

    Args:
        records: Each with its line, or its number from 1.
        columns: As for `read_table`.

    Raises:
        CaseTableError: No record has a column that `columns` names.
    """
    known = dict.fromkeys(name for _, record in records for name in record)
    for key, name in columns.items():
        if records and name not in known:
            near = f"{hint(name, known)} Columns: {_listed(known)}"
            raise CaseTableError(f"there is no column {excerpt(name)} for {key}.{near}")
    if records and "input" not in {*columns, *known}:
        what = "there is no column 'input'; name the one of the question: columns: {input: …}"
        raise CaseTableError(f"{what}. Columns: {_listed(known)}")
    rows = Row()
    mistakes: list[Mistake] = []
    first: dict[str | None, int] = {}
    for line, record in records:
        case, wrong = _read_row(record, columns, line)
        mistakes += [Mistake(line=line, message=text, place=("cases", len(rows), key)) for key, text in wrong]
        digest = digest_of_input(case["input"]) if "input" in case else None
        is_twin = digest in first
        if is_twin:
            message = f"the input is that of row {first[digest]}; a question is one case"
            mistakes.append(Mistake(line=line, message=message, place=("cases", len(rows), "input")))
        elif digest:
            first[digest] = line
        if "id" not in case:
            case["id"] = f"row-{line}" if is_twin or digest is None else digest  # the mistake is another one
            case.lines["id"] = line
        rows.append(case)
        rows.lines.append(line)
    return CaseTable(rows=rows, mistakes=mistakes)


def _read_row(
    record: Mapping[str, Any], columns: Mapping[str, str], line: int
) -> tuple[Table, list[tuple[str, str]]]:
    """Return the case of a row, and its keys whose values no JSON has, each with the problem."""
    case, wrong = Table(), []
    for key in _FIELDS:
        value = _read_value(key, record.get(columns.get(key, key)))
        try:
            value = value if isinstance(value, str) else json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            wrong.append((key, f"{key} is no JSON value: {error}"))
            value = str(value)
        if value is not None:
            case[key], case.lines[key] = value, line
    return case, wrong


def list_records(records: Any) -> list[Any]:
    """
    Return the rows of a data frame, a data set or any other iterable of mappings.

    Raises:
        CaseTableError: There is no row, or one is no mapping.
    """
    if callable(rows := getattr(records, "to_dicts", None)):  # polars
        records = rows()
    elif hasattr(records, "columns") and callable(rows := getattr(records, "to_dict", None)):  # pandas
        records = rows("records")
    if isinstance(records, Mapping):  # a dict of columns, or of the splits of a data set
        raise CaseTableError(f"records must be rows, not a mapping of {_listed(records)}: choose one")
    if isinstance(records, str | bytes) or not isinstance(records, Iterable):
        raise CaseTableError(f"records must be an iterable of mappings, not {type(records).__name__}")
    listed = list(records)
    if not listed:
        raise CaseTableError("there is no record; every record is a case")
    for at, record in enumerate(listed, 1):
        if not isinstance(record, Mapping):
            raise CaseTableError(f"record {at} must be a mapping, not {with_article(type(record).__name__)}")
    return listed


def _read_csv(raw: bytes) -> tuple[list[tuple[int, Mapping[str, Any]]], list[Mistake]]:
    text, mistakes = read_text(raw)
    if text is None:
        return [], mistakes
    first = text.partition("\n")[0]
    reader = csv.reader(StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=first.count), strict=True)
    records: list[tuple[int, Mapping[str, Any]]] = []
    header: list[str] = []
    line = 1
    try:
        for cells in reader:
            if not header:
                header = [name.strip() for name in cells]
                if twice := next((name for at, name in enumerate(header) if name in header[:at]), None):
                    return [], [Mistake(line=line, message=f"the column {excerpt(twice)} is there twice")]
            elif cells and len(cells) != len(header):
                message = f"the row has {len(cells)} cells, and the header {len(header)}"
                mistakes.append(Mistake(line=line, message=message))
            elif any(cell.strip() for cell in cells):
                records.append((line, dict(zip(header, cells, strict=True))))
            line = reader.line_num + 1
    except csv.Error as error:
        mistakes.append(Mistake(line=line, message=f"no CSV from here on: {error}"))
    return records, mistakes


def _read_json_lines(raw: bytes) -> tuple[list[tuple[int, Mapping[str, Any]]], list[Mistake]]:
    document, mistakes = read_document(raw, ".jsonl")
    records: list[tuple[int, Mapping[str, Any]]] = []
    if document is not None:
        rows = document["cases"]
        for line, record in zip(rows.lines, rows, strict=True):
            if isinstance(record, dict):
                records.append((line, plain(record)))
            else:
                mistakes.append(Mistake(line=line, message="a row must be a mapping of column to value"))
    return records, mistakes


def _read_parquet(raw: bytes) -> tuple[list[tuple[int, Mapping[str, Any]]], list[Mistake]]:
    try:
        from pyarrow import ArrowException, parquet
    except ModuleNotFoundError:
        raise MissingExtraError("a table of cases in parquet", "parquet") from None
    try:
        rows = parquet.read_table(BytesIO(raw)).to_pylist()
    except (ArrowException, OSError, ValueError) as error:
        raise CaseTableError(f"is no parquet file: {error}") from None
    return list(enumerate(rows, 1)), []


_READERS: Mapping[str, Callable[[bytes], tuple[list[tuple[int, Mapping[str, Any]]], list[Mistake]]]] = {
    "csv": _read_csv,
    "jsonl": _read_json_lines,
    "parquet": _read_parquet,
}


def _read_value(key: str, value: Any) -> Any:
    """Return the value of a cell; None for an empty one."""
    for method in ("tolist", "item"):  # of an array, and of one number in it
        if hasattr(value, method) and not isinstance(value, str | list | dict):
            value = getattr(value, method)()
    if value is None or value != value:  # noqa: PLR0124 - NaN, with which data frames fill empty cells
        return None
    if isinstance(value, str) and not value.strip():
        return None
    if key in _LISTS and isinstance(value, str):
        return _split(value)
    if key == "id" and type(value) is int:
        return str(value)
    return value


def _split(text: str) -> Any:
    """Return the items of a cell: a JSON list, or texts between semicolons."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text  # which the schema refuses
    return [part.strip() for part in text.split(";") if part.strip()]


def digest_of_input(question: Any) -> str:
    """Return the id of a case that has none: digits of the SHA-256 of its input."""
    written = question if isinstance(question, str) else json.dumps(question, sort_keys=True, default=str)
    return sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_DIGITS]


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(excerpt(str(name)) for name in names)
