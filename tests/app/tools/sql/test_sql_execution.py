from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing, suppress

import pytest

from reference_app.errors import AppError
from reference_app.tools.sql import execution
from reference_app.tools.sql.execution import (
    MAX_BYTES,
    MAX_ROWS,
    TooSlowError,
    UnavailableError,
    fetch,
    open_read_only,
    restrict,
    run_query,
)
from reference_app.tools.sql.guard.permissions import DeniedError
from tests.app.tools.sql.data import GROUPS, HOSTILE

# What SQLite itself refuses; the rest is refused by the guard for order's sake and gives nothing away.
REFUSED = [
    sql
    for group in ("writes", "stacked", "settings", "files_and_code", "schema", "personal", "bombs")
    for sql in GROUPS[group]
]


@pytest.fixture(autouse=True)
def short_time(monkeypatch):
    monkeypatch.setattr(execution, "TIME_LIMIT_S", 0.05)


@pytest.mark.parametrize("sql", REFUSED, ids=repr)
def test_without_the_guard_the_database_refuses(sql, sql_shop):
    with pytest.raises((DeniedError, TooSlowError)):
        run_query(sql_shop, sql)


def test_without_the_guard_nothing_is_changed_and_no_secret_read(sql_shop, secrets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = hashlib.sha256(sql_shop.read_bytes()).digest()

    for sql in HOSTILE:
        try:
            answer = run_query(sql_shop, sql)
        except AppError:
            continue
        assert not secrets & {value for row in answer.rows for value in row}, sql

    assert hashlib.sha256(sql_shop.read_bytes()).digest() == before
    assert list(tmp_path.iterdir()) == []
    assert [path.name for path in sql_shop.parent.iterdir()] == [sql_shop.name]


@pytest.mark.parametrize("sql", [*GROUPS["writes"], *GROUPS["settings"]], ids=repr)
def test_read_only_mode_alone_changes_nothing(sql, sql_shop, tmp_path, monkeypatch):
    """The second lock without its authorizer: no byte of the file changes, and no other file appears."""
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / "copy.sqlite"
    shutil.copy(sql_shop, copy)

    with open_read_only(copy) as connection, suppress(sqlite3.Error, sqlite3.Warning):
        connection.execute(sql).fetchall()

    assert copy.read_bytes() == sql_shop.read_bytes()
    assert list(tmp_path.iterdir()) == [copy]


@pytest.mark.parametrize("sql", GROUPS["writes"], ids=repr)
def test_the_authorizer_alone_refuses_to_write(sql, sql_shop, tmp_path):
    """The second lock on a connection that could write."""
    copy = tmp_path / "copy.sqlite"
    shutil.copy(sql_shop, copy)

    with closing(sqlite3.connect(copy)) as connection:
        restrict(connection)
        with pytest.raises(sqlite3.Error):
            connection.execute(sql).fetchall()

    assert copy.read_bytes() == sql_shop.read_bytes()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM orders a, orders b, orders c",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    ],
)
def test_the_clock_alone_stops_a_query_without_end(sql, sql_shop):
    """The third lock on a connection without any other."""
    with closing(sqlite3.connect(sql_shop)) as connection, pytest.raises(TooSlowError):
        fetch(connection, sql)


def test_rows_and_bytes_are_capped(sql_shop):
    rows = run_query(sql_shop, "SELECT order_id FROM orders")
    wide = run_query(sql_shop, "SELECT order_id, 'LONG' FROM orders".replace("LONG", "a" * 2000))

    assert (len(rows.rows), rows.truncated) == (MAX_ROWS, True)
    assert wide.truncated
    assert len(json.dumps(wide.rows)) <= MAX_BYTES + 2 * len(wide.rows)
    assert not run_query(sql_shop, "SELECT order_id FROM orders LIMIT 200").truncated


@pytest.mark.parametrize(
    "sql",
    [
        "WITH g(name) AS (SELECT 'Imke Vandersteen') SELECT 1 FROM g JOIN customers USING (name)",
        "WITH g(name) AS (SELECT 'Imke Vandersteen') SELECT 1 FROM customers NATURAL JOIN g",
        "SELECT 1 FROM products JOIN customers /*'*/ USING /*'*/ (name)",
        "SELECT 1 AS \"it's\" FROM products JOIN customers USING (name) WHERE products.name <> 'a'",
    ],
)
def test_joins_of_which_sqlite_does_not_tell_are_refused(sql, sql_shop):
    with pytest.raises(DeniedError):
        run_query(sql_shop, sql)


def test_words_of_hidden_joins_in_text_are_no_joins(sql_shop):
    assert run_query(sql_shop, "SELECT 'using natural ' || city FROM stores").rows


def test_a_value_that_json_cannot_hold_is_none(sql_shop):
    assert run_query(sql_shop, "SELECT 9e999 AS n, -9e999 AS m").rows == ((None, None),)


def test_a_missing_a_locked_and_a_broken_database_are_unavailable(sql_shop, tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "LOCK_S", 0.01)
    locked, broken = tmp_path / "locked.sqlite", tmp_path / "broken.sqlite"
    shutil.copy(sql_shop, locked)
    broken.write_bytes(b"no database at all" * 100)

    with closing(sqlite3.connect(locked, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        for path in (tmp_path / "missing.sqlite", locked, broken):
            with pytest.raises(UnavailableError):
                run_query(path, "SELECT city FROM stores")
    assert not (tmp_path / "missing.sqlite").exists()


def test_a_path_that_looks_like_a_query_opens_that_file_alone(sql_shop, tmp_path):
    """`?mode=rwc` in a name is part of the name."""
    odd = tmp_path / "a?mode=rwc&x=#.sqlite"
    shutil.copy(sql_shop, odd)

    assert run_query(odd, "SELECT count(*) FROM stores").rows == ((8,),)
    with pytest.raises(UnavailableError):
        run_query(tmp_path / "b?mode=rwc", "SELECT city FROM stores")
    assert list(tmp_path.iterdir()) == [odd]
