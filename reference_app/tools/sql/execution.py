"""The second and third lock: SQLite refuses to write or to read more, and stops what takes too much."""

from __future__ import annotations

import json
import math
import re
import sqlite3
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.errors import AppError
from reference_app.tools.sql.guard.permissions import FUNCTIONS, READABLE, DeniedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

TIME_LIMIT_S = 2.0
MAX_ROWS = 200
MAX_BYTES = 64 * 1024
LOCK_S = 1.0
STEPS = 1000  # of SQLite's machine between two looks at the clock
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 20_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 60,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 5,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 20_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 10,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 100,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
# Three things of which SQLite does not tell its authorizer: EXPLAIN, and the columns in which USING and
# NATURAL compare tables. The guard has written them away; a query that comes without it is searched for them.
_QUERY = re.compile(r"\s*(select|with)\b", re.ASCII | re.IGNORECASE)
_HIDDEN = re.compile(r"\b(using|natural)\b", re.ASCII | re.IGNORECASE)
_TEXT = re.compile(
    r"--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]", re.DOTALL
)
Value = str | int | float | None


class TooSlowError(AppError):
    """The query was stopped at its time limit."""


class UnavailableError(AppError):
    """The database is missing, locked, damaged or out of reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    What a query returned.

    Attributes:
        truncated: Rows beyond 200, or beyond 64 KiB as JSON, were left out.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    truncated: bool


def run_query(path: Path, sql: str, named: Collection[str] = ()) -> Answer:
    """
    The rows of one query on an SQLite file, which it cannot change.

    Args:
        path: The database.
        sql: Should have passed the guard; is safe even if it has not.
        named: Names that its `WITH` gives to results.

    Raises:
        DeniedError: SQLite refused it, or it is no query.
        TooSlowError: It ran for two seconds.
        UnavailableError: The database cannot be read.
    """
    with open_read_only(path) as connection:
        restrict(connection, named)
        return fetch(connection, sql)


@contextmanager
def open_read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can neither write nor attach a file, with small limits."""
    try:
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=LOCK_S, isolation_level=None
        )
    except sqlite3.Error as error:
        raise UnavailableError(f"The shop's database {path.name} cannot be opened: {error}.") from error
    with closing(database) as connection:
        for limit, value in LIMITS.items():
            connection.setlimit(limit, value)
        yield connection


def restrict(connection: sqlite3.Connection, named: Collection[str] = ()) -> None:
    """Let the connection compile nothing but SELECTs of readable columns and listed functions."""
    countable = {*READABLE, *named}

    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if action == sqlite3.SQLITE_SELECT:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in FUNCTIONS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            table, column = (first or "").lower(), (second or "").lower()
            # A table of which no column is read, as in count(*), is asked for with an empty column.
            if column in READABLE.get(table, {}) or (not column and table in countable):
                return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    connection.set_authorizer(authorize)


def fetch(connection: sqlite3.Connection, sql: str) -> Answer:
    """Run a query for at most two seconds; raises as `run_query` does."""
    if not _QUERY.match(sql) or _HIDDEN.search(_TEXT.sub(" ", sql)):
        raise DeniedError("The statement is no query, or joins by USING or NATURAL.")
    end = time.monotonic() + TIME_LIMIT_S
    connection.set_progress_handler(lambda: int(time.monotonic() > end), STEPS)
    try:
        with closing(connection.execute(sql)) as cursor:
            if cursor.description is None:
                raise DeniedError("The statement is no query.")
            return gather([column[0] for column in cursor.description], cursor)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise TooSlowError(f"The query was stopped after {TIME_LIMIT_S:g} s.") from error
        if error.sqlite_errorcode in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY):
            raise DeniedError(f"The database refused the query: {error}.") from error
        raise UnavailableError(f"The shop's database cannot be read: {error}.") from error
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise UnavailableError(f"The shop's database cannot be read: {error}.") from error
        raise DeniedError(f"The database refused the query: {error}.") from error
    except (sqlite3.Warning, ValueError, OverflowError) as error:
        raise DeniedError(f"The database refused the query: {error}.") from error


def gather(columns: Iterable[str], rows: Iterable[tuple[object, ...]]) -> Answer:
    """Rows up to the caps, as JSON can hold them."""
    kept: list[tuple[Value, ...]] = []
    size, truncated = 0, False
    for row in rows:
        values = tuple(_as_value(value) for value in row)
        size += len(json.dumps(values).encode())
        if len(kept) == MAX_ROWS or size > MAX_BYTES:
            truncated = True
            break
        kept.append(values)
    return Answer(columns=tuple(columns), rows=tuple(kept), truncated=truncated)


def _as_value(value: object) -> Value:
    from decimal import Decimal

    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, int | float | str):
        return value
    raise DeniedError(f"The query returns a value of type {type(value).__name__}, which is not allowed.")
