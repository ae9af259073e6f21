"""Three locks: the guard of SQL, a copy without anything personal, and SQLite's own, with limits of time."""

from __future__ import annotations

import json
import math
import re
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.errors import AppError
from reference_app.guardrails.calls.sql import find_sql_fault
from reference_app.shop.names import find_names

if TYPE_CHECKING:
    from pathlib import Path

    from sqlglot import exp

TABLES = ("products", "stock", "orders", "order_items", "reviews", "refunds")
"""Each a copy of the view `open_NAME` of the shop's database."""
OF_ORDERS = frozenset({"orders", "order_items", "refunds"})
TIME_LIMIT_S = 2.0
MAX_ROWS, MAX_BYTES = 20, 16 * 1024
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
}
ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ})
# As SQLite's authorizer names them.
FUNCTIONS = frozenset(
    """
    count sum avg min max total round abs lower upper length substr substring trim instr coalesce ifnull
    nullif iif like row_number rank dense_rank date strftime julianday
    """.split()  # noqa: SIM905
)
Value = str | int | float | None
_TODAY = re.compile(r"(?i)'\s*now\s*'|\b(?:date|julianday)\s*\(\s*\)|\bstrftime\s*\([^,()]*\)")


class DeniedError(AppError):
    """A query asks for what it may not have; the message says what, for the model that wrote it."""


class UnavailableError(AppError):
    """The database is missing, locked or damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The query as it was run, and at most 20 rows."""

    sql: str
    columns: list[str]
    rows: list[list[Value]]


def run_query(shop: Path, sql: str, customer: int | None = None) -> Answer:
    """
    Run a query on a copy of the tables that anybody may read.

    Args:
        shop: The database, which is not changed.
        sql: Hostile text.
        customer: Whose orders alone the copy has; None for all, under other numbers than their own.

    Raises:
        DeniedError: It is no such query, is refused by SQLite, runs for two seconds or returns too much.
        UnavailableError: The database cannot be read.
    """
    from sqlglot import exp

    tree = _parse(sql)
    with closing(sqlite3.connect(":memory:", uri=True, isolation_level=None)) as database:
        columns_of = copy_tables(database, shop, customer)
        try:
            checked = _spell_names(tree, database).sql(dialect="sqlite", comments=False)
        except RecursionError as error:
            raise DeniedError("The query is nested too deeply.") from error
        restrict(database)
        try:
            cursor = database.execute(checked)
            rows = [[_tidy(value) for value in row] for row in cursor.fetchmany(MAX_ROWS)]
        except sqlite3.Error as error:
            named = sorted({table.name.lower() for table in tree.find_all(exp.Table)} & columns_of.keys())
            known = ", ".join(f"{name}({', '.join(columns_of[name])})" for name in named)
            raise DeniedError(f"The database refused the query: {error}. Its tables: {known}.") from error
        columns = [column[0] for column in cursor.description]
    if len(json.dumps([columns, rows])) > MAX_BYTES:
        raise DeniedError("The query returns too much text.")
    return Answer(sql=checked, columns=columns, rows=rows)


def _parse(sql: str) -> exp.Query:
    from sqlglot import exp, parse_one

    if fault := find_sql_fault(sql, tables=TABLES):
        raise DeniedError(f"The query is refused: {fault}. The tables are {', '.join(TABLES)}.")
    tree: exp.Query = parse_one(sql, read="sqlite")  # type: ignore[assignment] # as the guard saw
    if _TODAY.search(sql):
        raise DeniedError("The shop's today is a fixed day; write the day instead of 'now'.")
    for join in tree.find_all(exp.Join):
        condition = join.args.get("on")
        if not join.args.get("using") and (condition is None or condition.find(exp.Column) is None):
            raise DeniedError("A join needs ON, such as orders.order_id = refunds.order_id.")
    return tree


def _spell_names(tree: exp.Query, database: sqlite3.Connection) -> exp.Query:
    """Products and cities by their names in the tables: `product LIKE 'Skerry 2'` is the Skerry 2 tent."""
    from sqlglot import exp

    products = dict(database.execute("SELECT name, category FROM products"))
    cities = {city: "" for (city,) in database.execute("SELECT DISTINCT city FROM stock")}
    kinds = {"name": products, "product": products, "city": cities}
    for node in list(tree.find_all(exp.EQ, exp.Like, exp.In)):
        texts = node.expressions or [node.expression]
        if not isinstance(node.this, exp.Column) or node.this.name.lower() not in kinds:
            continue
        if all(isinstance(text, exp.Literal) and text.is_string for text in texts):
            known = kinds[node.this.name.lower()]
            tiers = [find_names(text.name.replace("%", " "), known) for text in texts]
            if all(tiers):
                node.replace(node.this.isin(*(name for found in tiers for name in found[0])))
    return tree


def copy_tables(database: sqlite3.Connection, shop: Path, customer: int | None) -> dict[str, list[str]]:
    """Fill the copy; returns the columns of its tables."""
    own, columns = "", {}
    if customer is not None:
        own = f" WHERE order_id IN (SELECT order_id FROM shop.orders WHERE customer_id = {customer:d})"  # noqa: S608 - a number
    try:
        database.execute("ATTACH ? AS shop", (f"{shop.absolute().as_uri()}?mode=ro&immutable=1",))
        for name in TABLES:
            view = f"SELECT * FROM shop.open_{name}{own if name in OF_ORDERS else ''}"  # noqa: S608 - our names
            columns[name] = [column[0] for column in database.execute(f"{view} LIMIT 0").description]
            # Without a type, values stay as they are; models write 'orange' and 'Orange'.
            database.execute(
                f"CREATE TABLE {name} ({', '.join(f'{column} COLLATE NOCASE' for column in columns[name])})"
            )
            database.execute(f"INSERT INTO {name} {view}")
            if customer is None and name in OF_ORDERS:
                # Who knows an order's number hears of it, so nobody is told another's.
                number = f"SELECT rowid FROM shop.orders AS o WHERE o.order_id = {name}.order_id"  # noqa: S608
                database.execute(f"UPDATE {name} SET order_id = 'order ' || ({number})")  # noqa: S608 - our names
        database.execute("DETACH shop")
    except sqlite3.Error as error:
        raise UnavailableError(f"The shop's database {shop.name} cannot be read: {error}.") from error
    return columns


def restrict(database: sqlite3.Connection) -> None:
    """SELECT and nothing else, for two seconds, with small limits."""

    def authorize(action: int, _: str | None, second: str | None, *__: str | None) -> int:
        known = action in ALLOWED or (
            action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in FUNCTIONS
        )
        return sqlite3.SQLITE_OK if known else sqlite3.SQLITE_DENY

    end = time.monotonic() + TIME_LIMIT_S
    for limit, value in LIMITS.items():
        database.setlimit(limit, value)
    database.set_authorizer(authorize)
    database.set_progress_handler(lambda: int(time.monotonic() > end), STEPS)


def _tidy(value: object) -> Value:
    """A value that JSON can hold; 2.7 - 2.1 is 0.6 to a customer."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value if isinstance(value, int | str) else None
