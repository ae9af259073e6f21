"""Each lock before the database: the guard of SQL, the copy without personal data, SQLite's own limits."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
import yaml

from reference_app.tools.sql import execution
from reference_app.tools.sql.execution import TABLES, DeniedError, copy_tables, restrict, run_query

HERE = Path(__file__).parent
GROUPS = yaml.safe_load((HERE / "hostile.yaml").read_text(encoding="utf-8"))
HOSTILE = [sql for texts in GROUPS.values() for sql in texts]
BENIGN = yaml.safe_load((HERE / "benign.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("sql", HOSTILE, ids=repr)
def test_hostile_sql_is_denied(sql, sql_shop, capfd):
    with pytest.raises(DeniedError):
        run_query(sql_shop, sql)
    assert capfd.readouterr().err == ""  # the parser would log the query


def test_without_the_guard_nothing_is_changed_and_no_secret_is_there(
    sql_shop, secrets, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execution, "TIME_LIMIT_S", 0.2)
    before = hashlib.sha256(sql_shop.read_bytes()).digest()
    for sql in HOSTILE:
        with closing(sqlite3.connect(":memory:", uri=True, isolation_level=None)) as database:
            copy_tables(database, sql_shop, None)
            restrict(database)
            try:
                rows = database.execute(sql).fetchmany(1000)
            except (sqlite3.Error, sqlite3.Warning, ValueError):
                continue
            assert not secrets & {value for row in rows for value in row}, sql

    assert hashlib.sha256(sql_shop.read_bytes()).digest() == before
    assert list(tmp_path.iterdir()) == []


def test_the_copy_has_nothing_personal(sql_shop, secrets):
    with closing(sqlite3.connect(":memory:", uri=True, isolation_level=None)) as database:
        copy_tables(database, sql_shop, None)
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        text = "\n".join(database.iterdump())

    assert tables == list(TABLES)
    assert "Skerry 2 tent" in text
    assert not [secret for secret in secrets if secret in text]


@pytest.mark.parametrize("sql", [*GROUPS["writes"], *GROUPS["settings"]], ids=repr)
def test_sqlite_alone_changes_nothing(sql, sql_shop):
    with closing(sqlite3.connect(":memory:", uri=True, isolation_level=None)) as database:
        copy_tables(database, sql_shop, None)
        before = list(database.iterdump())
        restrict(database)
        with suppress(sqlite3.Error, sqlite3.Warning):
            database.execute(sql).fetchall()
        database.set_authorizer(None)

        assert list(database.iterdump()) == before


@pytest.mark.parametrize("sql", BENIGN)
def test_benign_sql_gives_what_plain_sqlite_gives(sql, sql_shop):
    with closing(sqlite3.connect(":memory:", uri=True, isolation_level=None)) as database:
        copy_tables(database, sql_shop, None)
        rows = [list(row) for row in database.execute(sql)]

    assert rows
    found = run_query(sql_shop, sql).rows
    assert [
        [value if isinstance(value, str) else pytest.approx(value, abs=1e-4) for value in row]
        for row in rows[:20]
    ] == found


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT name FROM product", "unlisted table. The tables are products, stock,"),
        ("SELECT cuont(*) FROM orders", "a function that is not allowed"),
        ("SELECT email FROM customers", "an unlisted table"),
        ("DELETE FROM orders", "is no SELECT"),
        ("SELECT 1; SELECT 2", "is not one statement"),
        ("SELECT name\0 FROM products", "a zero character"),
        ("SELECT date('now')", "write the day instead of 'now'"),
        ("SELECT julianday()", "write the day instead of 'now'"),
        ("SELECT sum(quantity) FROM order_items, orders WHERE ordered LIKE '2025%'", "A join needs ON"),
        ("SELECT " + "- " * 400 + "1 AS n", "nested too deeply"),
        ("SELECT name FROM", "is no SQL that can be read"),
        ("SELECT '" + "a" * 9000 + "'", "is too long"),
        ("SELECT " + "(" * 500 + "1" + ")" * 500, "nested too deeply"),
        ("SELECT " + "- " * 1500 + "1 AS n", "nested too deeply"),
        ("SELECT count(*) FROM stock" + " JOIN products USING (name)" * 12, "too many tables"),
        ("SELECT colour, cuont FROM products", "no such column: cuont. Its tables: products(name, category"),
    ],
)
def test_a_denial_says_what_is_wrong(sql, words, sql_shop):
    with pytest.raises(DeniedError) as denied:
        run_query(sql_shop, sql)

    assert words in str(denied.value)
