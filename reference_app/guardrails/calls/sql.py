"""Whether a text is one SQL statement that only reads."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from reference_app.guardrails.calls.wording import list_words

if TYPE_CHECKING:
    from sqlglot import exp

MAX_SQL_CHARACTERS = 8000
MAX_TABLES = 12
MAX_ROUNDS = 100_000  # of a recursive query

_TABLE_FUNCTIONS = frozenset({"json_each", "json_tree", "unnest"})
_SYSTEM = re.compile(
    r"sqlite_|pragma_|pg_|information_schema|mysql|sys|performance_schema|dbstat", re.IGNORECASE
)
_PLAIN_SCHEMAS = frozenset({"", "main", "public"})
_WIDE = re.compile(r"%[^a-zA-Z%]*(?:\*|\d{4,})")


def find_sql_fault(sql: str, *, dialect: str = "sqlite", tables: Collection[str] | None = None) -> str:
    """
    Why the text may not be sent to a database that is only read; empty if it may.

    Args:
        tables: That may be read; None forbids only the tables of the database system itself.
    """
    from sqlglot.errors import SqlglotError

    if len(sql) > MAX_SQL_CHARACTERS or "\0" in sql:
        return "the query is too long or contains a zero character"
    try:
        return _find_token_fault(sql, dialect) or _find_statement_fault(sql, dialect, tables)
    except (SqlglotError, ValueError):
        return "the query is no SQL that can be read"
    except RecursionError:
        return "the query is nested too deeply"


def _find_statement_fault(sql: str, dialect: str, tables: Collection[str] | None) -> str:
    from sqlglot import exp, parse

    trees = [tree for tree in parse(sql, read=dialect) if tree is not None]
    if len(trees) != 1:
        return "the query is not one statement"
    if not isinstance(trees[0], exp.Select | exp.SetOperation | exp.Subquery):
        return "the query is no SELECT"
    return _find_tree_fault(trees[0], tables)


def _find_token_fault(sql: str, dialect: str) -> str:
    from sqlglot import TokenType, tokenize

    tokens = tokenize(sql, read=dialect)
    if any(token.comments for token in tokens) or not tokens:
        return "the query has a comment or nothing else"
    if tokens[0].token_type not in {TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN}:
        return "the query is no SELECT"
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens = tokens[:-1]
    if any(token.token_type == TokenType.SEMICOLON for token in tokens):
        return "the query is not one statement"
    # What the tokenizer drops, such as a comment behind the last word, is seen by the length.
    tail = sql[tokens[-1].end + 1 :] if tokens else ""
    return "" if not tail.strip("; \t\r\n") else "the query has a comment"


def _find_tree_fault(tree: exp.Expr, tables: Collection[str] | None) -> str:
    from sqlglot import exp

    writing = (
        exp.DML,
        exp.DDL,
        exp.Command,
        exp.Into,
        exp.Lock,
        exp.Pragma,
        exp.Attach,
        exp.Set,
        exp.Transaction,
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

    if isinstance(node, exp.With) and node.args.get("recursive") and not _is_bounded(node):
        return "the query recurses without a bound"
    if isinstance(node, exp.Select) and _joins_all(node):
        return "the query joins every row with every row"
    if isinstance(node, exp.Or) and any(_is_always_true(side) for side in (node.left, node.right)):
        return "the query has a condition that is always true"
    return ""


def _find_table_fault(table: exp.Table, named: set[str], tables: Collection[str] | None) -> str:
    from sqlglot import exp

    if not isinstance(table.this, exp.Identifier):
        return "" if table.name.lower() in _TABLE_FUNCTIONS else "the query reads from a function"
    name, schema = table.name.lower(), str(table.db or "").lower()
    if schema not in _PLAIN_SCHEMAS or table.catalog:
        return "the query names another database"
    if name in named:
        return ""
    if tables is not None:
        return "" if name in {one.lower() for one in tables} else "the query reads a table that is not listed"
    return "the query reads a table of the system" if _SYSTEM.match(name) else ""


def _find_function_fault(call: exp.Func) -> str:
    from sqlglot import exp

    anonymous = isinstance(call, exp.Anonymous)
    names = {call.name.lower()} if anonymous else {call.sql_name().lower(), type(call).__name__.lower()}
    if names & list_words("sql_harmful") or (anonymous and not names & list_words("sql_harmless")):
        return "the query calls a function that is not allowed"
    if any(text.is_string and _WIDE.search(text.name) for text in call.find_all(exp.Literal)) and names & {
        "printf",
        "format",
    }:
        return "the query makes a text without a bound"
    return ""


def _joins_all(select: exp.Select) -> bool:
    """Whether three tables or more are joined without any condition, which can fill every memory."""
    joins = select.args.get("joins") or []
    loose = [join for join in joins if not join.args.get("on") and not join.args.get("using")]
    return len(loose) > 1 and select.args.get("where") is None


def _is_bounded(clause: exp.With) -> bool:
    """Whether each recursive part compares a column with a number or has a limit."""
    from sqlglot import exp

    for cte in clause.expressions:
        body: Any = cte.this
        if not any(table.name.lower() == cte.alias.lower() for table in body.find_all(exp.Table)):
            continue
        compared = any(
            isinstance(side, exp.Literal) and side.is_number and float(side.name) <= MAX_ROUNDS
            for test in body.find_all(exp.LT, exp.LTE)
            if test.find(exp.Column)
            for side in (test.left, test.right)
        )
        limit = body.args.get("limit")
        limited = limit is not None and limit.expression.is_int and int(limit.expression.name) <= MAX_ROUNDS
        joins_rows = any(
            table.name.lower() != cte.alias.lower() for table in body.find_all(exp.Table)
        )  # walks rows of a table, as for a tree of categories
        if not (compared or limited or joins_rows):
            return False
    return True


def _is_always_true(condition: exp.Expr) -> bool:
    from sqlglot import exp

    condition = condition.unnest()
    if isinstance(condition, exp.EQ | exp.GTE | exp.LTE | exp.Like):
        return bool(condition.left == condition.right)
    if isinstance(condition, exp.Boolean):
        return bool(condition.this)
    return isinstance(condition, exp.Literal) and condition.name not in ("0", "")
