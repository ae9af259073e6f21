"""
The same queries on a PostgreSQL server.

The server has no authorizer, so only the guard stands before personal columns there: connect as a role that
may read nothing but the columns of `permissions`.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from reference_app.tools.sql.execution import (
    MAX_ROWS,
    TIME_LIMIT_S,
    Answer,
    TooSlowError,
    UnavailableError,
    gather,
)
from reference_app.tools.sql.guard.permissions import DeniedError

if TYPE_CHECKING:
    import psycopg

CONNECT_S = 5


def is_url(source: object) -> bool:
    """Whether the source is a PostgreSQL server and no file."""
    return isinstance(source, str) and source.startswith(("postgresql://", "postgres://"))


def run_query(url: str, sql: str) -> Answer:
    """
    The rows of one query, in a transaction that cannot write.

    Args:
        url: `postgresql://user@host/database`.
        sql: Must have passed the guard with the dialect `postgres`.

    Raises:
        DeniedError: The server refused it.
        TooSlowError: It ran for two seconds.
        UnavailableError: The server is out of reach, or `psycopg` is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise UnavailableError(
            "A shop on PostgreSQL needs psycopg: `pip install 'pytest-llmops[postgres]'`."
        ) from error
    connection = _connect(url)
    try:
        with closing(connection), connection.cursor("answer") as cursor:
            connection.read_only = True
            connection.execute(f"SET LOCAL statement_timeout = {int(TIME_LIMIT_S * 1000)}")
            # A cursor of the server takes one SELECT and sends no more rows than it is asked for.
            cursor.execute(sql.encode())
            columns = [column.name for column in cursor.description or ()]
            return gather(columns, cursor.fetchmany(MAX_ROWS + 1))
    except psycopg.errors.QueryCanceled as error:
        raise TooSlowError(f"The query was stopped after {TIME_LIMIT_S:g} s.") from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise _explain_line(error) from error
    except psycopg.Error as error:
        words = str(error).strip().partition("\n")[0][:200]
        raise DeniedError(f"The database refused the query: {words}.") from error


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    import psycopg

    try:
        return psycopg.connect(url, connect_timeout=CONNECT_S)
    except psycopg.Error as error:
        raise _explain_line(error) from None  # its words may quote the password


def _explain_line(error: psycopg.Error) -> UnavailableError:
    # The client's own words hold the user and the address.
    code = error.sqlstate or type(error).__name__
    return UnavailableError(f"The shop's database server cannot be reached ({code}).")
