"""Whether a text is one SQL statement that only reads, in any dialect and on any tables."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from reference_app.guardrails.calls.values import list_words

if TYPE_CHECKING:
    from sqlglot import exp

MAX_SQL_CHARACTERS = 8000
MAX_TABLES = 12
MAX_ROUNDS = 100_000  # of a recursive query
_TABLE_FUNCTIONS = frozenset({"json_each", "json_tree", "unnest"})
_SYSTEM = re.compile(
    r"sqlite_|pragma_|pg_|information_schema|mysql|sys|performance_schema|dbstat", re.IGNORECASE
)
_WIDE = re.compile(r"%[^a-zA-Z%]*(?:\*|\d{4,})")


def find_sql_fault(sql: str, *, dialect: str = "sqlite", tables: Collection[str] | None = None) -> str:
    """
    Why the text may not be sent to a database that is only read; empty if it may.

    Args:
        tables: That may be read; None forbids only the tables of the database system itself.
    """
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    if len(sql) > MAX_SQL_CHARACTERS or "\0" in sql:
        return "the query is too long or contains a zero character"
    try:
        if fault := _find_token_fault(sql, dialect):
            return fault
        trees = [tree for tree in parse(sql, read=dialect) if tree is not None]
        if len(trees) != 1 or not isinstance(trees[0], exp.Select | exp.SetOperation | exp.Subquery):
            return "the query is not one SELECT"
        return _find_tree_fault(trees[0], tables)
    except (SqlglotError, ValueError):
        return "the query is no SQL that can be read"
    except RecursionError:
        return "the query is nested too deeply"


def _find_token_fault(sql: str, dialect: str) -> str:
    from sqlglot import TokenType, tokenize

    tokens = tokenize(sql, read=dialect)
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON and not tokens[-1].comments:
        tokens = tokens[:-1]
    if not tokens or tokens[0].token_type not in {TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN}:
        return "the query is no SELECT"
    if any(token.token_type == TokenType.SEMICOLON for token in tokens):
        return "the query is not one statement"
    # What the tokenizer drops, such as a comment behind the last word, is seen by the length.
    if any(token.comments for token in tokens) or sql[tokens[-1].end + 1 :].strip("; \t\r\n"):
        return "the query has a comment"
    return ""


def _find_tree_fault(tree: exp.Expr, tables: Collection[str] | None) -> str:
    from sqlglot import exp

    writing = (
        *(exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock),
        *(exp.Pragma, exp.Attach, exp.Set, exp.Transaction),
    )
    reading = (exp.Select, exp.SetOperation, exp.Subquery)  # sqlglot counts a query among DDL
    named = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    if len(list(tree.find_all(exp.Table))) > MAX_TABLES:
        return "the query names too many tables"
    for node in tree.walk():
        if isinstance(node, writing) and not isinstance(node, reading):
            return "the query does more than read"
        if isinstance(node, exp.Table):
            fault = _find_table_fault(node, named, tables)
        elif isinstance(node, exp.Func) and not isinstance(node, exp.Connector):
            fault = _find_function_fault(node)
        else:
            fault = _find_size_fault(node)
        if fault:
            return fault
    return ""


def _find_size_fault(node: exp.Expr) -> str:
    """Whether a part of the query reads or makes more than was asked for."""
    from sqlglot import exp

    if isinstance(node, exp.With) and node.args.get("recursive") and not all(map(_ends, node.expressions)):
        return "the query recurses without a bound"
    if isinstance(node, exp.Select) and node.args.get("where") is None:
        joins = node.args.get("joins") or []
        if sum(not join.args.get("on") and not join.args.get("using") for join in joins) > 1:
            return "the query joins every row with every row"
    if isinstance(node, exp.Or) and any(_is_always_true(side) for side in (node.left, node.right)):
        return "the query has a condition that is always true"
    return ""


def _find_table_fault(table: exp.Table, named: set[str], tables: Collection[str] | None) -> str:
    from sqlglot import exp

    if not isinstance(table.this, exp.Identifier):
        return "" if table.name.lower() in _TABLE_FUNCTIONS else "the query reads from a function"
    name, schema = table.name.lower(), str(table.db or "").lower()
    if schema not in ("", "main", "public") or table.catalog:
        return "the query names another database"
    if name in named and not schema:
        return ""
    if tables is not None:
        return "" if name in {listed.lower() for listed in tables} else "the query reads an unlisted table"
    return "the query reads a table of the system" if _SYSTEM.match(name) else ""


def _find_function_fault(call: exp.Func) -> str:
    from sqlglot import exp

    anonymous = isinstance(call, exp.Anonymous)
    names = {call.name.lower()} if anonymous else {call.sql_name().lower(), type(call).__name__.lower()}
    if names & list_words("sql_harmful") or (anonymous and not names & list_words("sql_harmless")):
        return "the query calls a function that is not allowed"
    wide = any(text.is_string and _WIDE.search(text.name) for text in call.find_all(exp.Literal))
    return "the query makes a text without a bound" if wide and names & {"printf", "format"} else ""


def _ends(cte: exp.Expr) -> bool:
    """Whether a part of WITH compares a column with a number, has a limit or walks the rows of a table."""
    from sqlglot import exp

    body: Any = cte.this
    others = [table for table in body.find_all(exp.Table) if table.name.lower() != cte.alias.lower()]
    if others or not any(body.find_all(exp.Table)):
        return True
    bounds = [
        side
        for test in body.find_all(exp.LT, exp.LTE)
        if test.find(exp.Column)
        for side in (test.left, test.right)
    ]
    if body.args.get("limit") is not None:
        bounds.append(body.args["limit"].expression)
    return any(
        isinstance(bound, exp.Literal) and bound.is_number and float(bound.name) <= MAX_ROUNDS
        for bound in bounds
    )


def _is_always_true(condition: exp.Expr) -> bool:
    from sqlglot import exp

    condition = condition.unnest()
    if isinstance(condition, exp.EQ | exp.GTE | exp.LTE | exp.Like):
        return bool(condition.left == condition.right)
    if isinstance(condition, exp.Boolean):
        return bool(condition.this)
    return isinstance(condition, exp.Literal) and condition.name not in ("0", "")
