from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from reference_app.shop.database import SCHEMA
from reference_app.tools.sql.execution import MAX_ROWS, run_query
from reference_app.tools.sql.guard.permissions import PERSONAL, READABLE, DeniedError
from reference_app.tools.sql.guard.query import MAX_CHARACTERS, check_query
from tests.app.tools.sql.data import HOSTILE, load


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
@pytest.mark.parametrize("sql", HOSTILE, ids=repr)
def test_hostile_sql_is_denied(sql, dialect):
    with pytest.raises(DeniedError):
        check_query(sql, dialect)


def test_the_lists_are_long_enough():
    assert len(set(HOSTILE)) >= 60
    assert len(set(load("benign.yaml"))) >= 60


@pytest.mark.parametrize("sql", load("benign.yaml"))
def test_benign_sql_gives_what_plain_sqlite_gives(sql, sql_shop):
    query = check_query(sql)

    answer = run_query(sql_shop, query.sql, query.named)

    with closing(sqlite3.connect(sql_shop)) as database:
        cursor = database.execute(sql)
        rows = cursor.fetchall()
    assert list(answer.rows) == rows[:MAX_ROWS]
    assert answer.truncated == (len(rows) > MAX_ROWS)
    assert len(answer.columns) == len(cursor.description)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT name FROM product", "There is no table 'product'. Did you mean 'products'?"),
        (
            "SELECT pirce FROM products",
            "'pirce' is unknown or could be of several tables. Did you mean 'price'?",
        ),
        ("SELECT cuont(*) FROM orders", "The function 'cuont' is not allowed. Did you mean 'count'?"),
        ("SELECT CAST(price AS REALL) FROM products", "CAST AS 'REALL' is not allowed"),
        ("SELECT email FROM customers", "'email' may not be read here: it is personal"),
        ("DELETE FROM orders", "starts with 'DELETE'; only a SELECT is allowed"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT 1 -- x", "comments are not allowed"),
        ("SELECT city\0 FROM stores", "control character U+0000"),
        ("SELECT a.line FROM order_items a, orders b", "A join needs ON with equal columns"),
        ("SELECT date('now')", "write the day instead of 'now'"),
        ("SELECT city FROM", "no SQL that can be read"),
        ("SELECT '" + "a" * MAX_CHARACTERS + "'", f"{MAX_CHARACTERS} are allowed"),
        ("SELECT " + "(" * 500 + "1" + ")" * 500, "nested deeper"),
        ("SELECT " + "- " * 1500 + "1 AS n", "nested too deeply"),
        ("SELECT count(*) FROM stock" + " JOIN stores USING (store_id)" * 9, "more than 8 tables"),
    ],
)
def test_a_denial_says_what_is_wrong(sql, words):
    with pytest.raises(DeniedError) as denied:
        check_query(sql)

    assert words in str(denied.value)


def test_a_star_is_what_may_be_read():
    assert "customers.country" in check_query("SELECT * FROM customers").sql
    assert "email" not in check_query("SELECT * FROM customers").sql


def test_order_is_part_of_the_answer_only_where_the_query_says_so():
    assert check_query("SELECT city FROM stores ORDER BY city").ordered
    assert not check_query("SELECT city FROM (SELECT city FROM stores ORDER BY city) AS t").ordered


def test_readable_and_personal_columns_are_those_of_the_schema():
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(SCHEMA.read_text(encoding="utf-8"))
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        schema = {
            table: {row[1]: row[2] for row in database.execute(f"PRAGMA table_info({table})")}
            for table in tables
        }
    for column in PERSONAL:
        table, name = column.split(".")
        del schema[table][name]
    assert schema == READABLE
