"""The first lock: a query is parsed, checked against an allow-list, and written anew from its tree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from reference_app.tools.sql.guard.columns import check_columns, resolve_columns
from reference_app.tools.sql.guard.grammar import CASTS, NODES, name_of
from reference_app.tools.sql.guard.permissions import DATES, FUNCTIONS, READABLE, DeniedError, hint

if TYPE_CHECKING:
    from sqlglot import exp

MAX_CHARACTERS = 4000
MAX_DEPTH = 12
MAX_TABLES = 8
_NUMBER = re.compile(r"\d{1,12}(\.\d{1,8})?")
_CONTROL = re.compile(r"[^\t\n\r -~\u00a0-\U0010ffff]")
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """
    A query that may run.

    Attributes:
        sql: Written from the checked tree, every column with its table, so the database reads no other text
            than the one that was checked.
        named: The names that its `WITH` gives to results; they are no tables.
        ordered: Whether the order of the rows is part of the answer.
    """

    sql: str
    named: frozenset[str]
    ordered: bool


def check_query(sql: str, dialect: str = "sqlite") -> Query:
    """
    The one SELECT in the text.

    Args:
        sql: Hostile text.
        dialect: `sqlite` or `postgres`.

    Raises:
        DeniedError: It is anything else, or reads or calls what is not in the lists of `permissions`.
    """
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    _check_text(sql, dialect)
    try:
        tree = _parse(sql, dialect)
        named = _check_tree(tree)
        for select in tree.find_all(exp.Select):
            if select.find_ancestor(exp.Select, exp.Subquery, exp.CTE) is None:
                _name_columns(select, dialect)
        tree = resolve_columns(tree, dialect)
        for node in tree.walk():  # again: resolving makes new parts, such as a whole row of PostgreSQL's
            _check_kind(node)
        check_columns(tree)
        written = tree.sql(dialect=dialect, comments=False)
    except SqlglotError as error:
        raise DeniedError(f"The query is no SQL that can be read: {_first_line(error)}.") from error
    except RecursionError as error:
        raise DeniedError("The query is nested too deeply.") from error
    return Query(sql=written, named=named, ordered=tree.args.get("order") is not None)


def _check_text(sql: str, dialect: str) -> None:
    from sqlglot import TokenType, tokenize
    from sqlglot.errors import SqlglotError

    if len(sql) > MAX_CHARACTERS:
        raise DeniedError(f"The query has {len(sql)} characters; {MAX_CHARACTERS} are allowed.")
    if found := _CONTROL.search(sql):
        raise DeniedError(f"The query holds the control character U+{ord(found[0]):04X}.")
    try:
        tokens = tokenize(sql, read=dialect)
    except SqlglotError as error:
        raise DeniedError(f"The query is no SQL that can be read: {_first_line(error)}.") from error
    if any(token.comments for token in tokens):
        raise DeniedError("The query holds a comment; comments are not allowed.")
    if any(token.token_type == TokenType.SEMICOLON for token in tokens[:-1]):
        raise DeniedError("The query holds more than one statement; one SELECT is allowed.")
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens = tokens[:-1]
    if not tokens or tokens[0].token_type not in {TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN}:
        first = tokens[0].text.upper() if tokens else "nothing"
        raise DeniedError(f"The query starts with {first[:20]!r}; only a SELECT is allowed.")
    depth = 0
    for token in tokens:
        depth += (token.token_type == TokenType.L_PAREN) - (token.token_type == TokenType.R_PAREN)
        if depth > MAX_DEPTH:
            raise DeniedError(f"The query is nested deeper than {MAX_DEPTH} brackets.")


def _parse(sql: str, dialect: str) -> exp.Expr:
    from sqlglot import exp, parse

    trees = [tree for tree in parse(sql, read=dialect) if tree is not None]
    if len(trees) != 1 or not isinstance(trees[0], exp.Select | exp.SetOperation | exp.Subquery):
        raise DeniedError("The query is not one SELECT.")
    tree: exp.Expr = trees[0]
    return tree


def _check_tree(tree: exp.Expr) -> frozenset[str]:
    """Refuse each part of the language that is not listed; return the names given by `WITH`."""
    from sqlglot import exp

    named = frozenset(cte.alias.lower() for cte in tree.find_all(exp.CTE))
    if wrong := sorted(
        name for name in named if name in READABLE or name.startswith(("sqlite", "pragma", "pg"))
    ):
        raise DeniedError(f"WITH may not name its result {wrong[0]!r}; that is the name of a table.")
    if any(not select.expressions for select in tree.find_all(exp.Select)):
        raise DeniedError("The query selects nothing.")
    for node in tree.walk():
        if _is_call(node):
            _check_call(node)
        else:
            _check_part(node)
        if isinstance(node, exp.Table):
            _check_table(node, named)
        if isinstance(node, exp.Join):
            _check_join(node)
    if len(list(tree.find_all(exp.Table))) > MAX_TABLES:
        raise DeniedError(f"The query names more than {MAX_TABLES} tables.")
    return named


def _is_call(node: exp.Expr) -> TypeGuard[exp.Func]:
    from sqlglot import exp

    return isinstance(node, exp.Func) and not isinstance(node, exp.Connector)


def _check_kind(node: exp.Expr) -> None:
    if type(node).__name__ not in NODES and not _is_call(node):
        raise DeniedError(f"{name_of(node)} is not allowed in a query.")


def _check_part(node: exp.Expr) -> None:
    from sqlglot import exp

    _check_kind(node)
    if isinstance(node, exp.With) and node.args.get("recursive"):
        raise DeniedError("WITH RECURSIVE is not allowed.")
    if isinstance(node, exp.Identifier) and not _is_plain(node):
        raise DeniedError(f"The name {node.name[:40]!a} is not allowed.")
    if isinstance(node, exp.Literal) and not node.is_string and not _NUMBER.fullmatch(node.name):
        raise DeniedError(f"The number {node.name[:20]!a} is not allowed; write at most 12 digits.")


def _is_plain(identifier: exp.Expr) -> bool:
    """Aliases may hold blanks or the text of an expression, names of tables and columns may not."""
    from sqlglot import exp

    name, parent = identifier.name, identifier.parent
    if isinstance(parent, exp.Alias):
        return name.isascii() and 0 < len(name) <= 60 and not set(name) & set("\"'`;\\")  # noqa: PLR2004
    return _IDENTIFIER.fullmatch(name) is not None


def _check_call(call: exp.Func) -> None:
    from sqlglot import exp

    kind = type(call).__name__
    name = call.name.lower() if isinstance(call, exp.Anonymous) else call.sql_name().lower()
    if kind not in NODES and name not in FUNCTIONS:
        raise DeniedError(f"The function {name[:40]!a} is not allowed.{hint(name, FUNCTIONS)}")
    if isinstance(call, exp.Cast) and getattr(call.to.this, "name", "") not in CASTS:
        raise DeniedError(f"CAST AS {call.to.sql()[:40]!a} is not allowed; INTEGER, REAL, TEXT and DATE are.")
    if kind == "TimeToStr" or name in DATES:
        texts = [text.name.strip().lower() for text in call.find_all(exp.Literal)]
        if "now" in texts or not call.find(exp.Column, exp.Literal):
            raise DeniedError("The shop's today is a fixed day; write the day instead of 'now'.")


def _check_table(table: exp.Table, named: frozenset[str]) -> None:
    from sqlglot import exp

    name = table.name.lower()
    if not isinstance(table.this, exp.Identifier):
        raise DeniedError(f"The function {name[:40]!a} may not stand for a table.")
    if table.args.get("db") or table.args.get("catalog"):
        raise DeniedError(f"The table {name[:40]!a} is named with its database; leave that out.")
    if name not in READABLE and name not in named:
        raise DeniedError(f"There is no table {name[:40]!a}.{hint(name, {*READABLE, *named})}")


def _check_join(join: exp.Join) -> None:
    """Two tables meet in columns that are equal; every row with every row can fill any memory."""
    from sqlglot import exp

    if join.args.get("method"):
        raise DeniedError("NATURAL JOIN is not allowed; write JOIN … ON with the columns that are equal.")
    condition = join.args.get("on")
    parts = list(condition.flatten()) if isinstance(condition, exp.And) else [condition]
    meets = any(
        isinstance(part, exp.EQ)
        and isinstance(part.left, exp.Column)
        and isinstance(part.right, exp.Column)
        and part.left.table.lower() != part.right.table.lower()
        for part in (part.unnest() for part in parts if part is not None)
    )
    if not meets and not join.args.get("using"):
        raise DeniedError(
            "A join needs ON with equal columns of both tables, such as a.order_id = b.order_id."
        )


def _name_columns(select: exp.Select, dialect: str) -> None:
    """Give what has no name the name that SQLite would give it, before resolving invents another."""
    from sqlglot import exp

    def named(column: exp.Expr) -> exp.Expr:
        if isinstance(column, exp.Alias | exp.Column | exp.Star):
            return column
        text = column.sql(dialect=dialect).lower()
        text = "".join(character for character in text if character not in "\"'`;\\")[:60]
        return exp.alias_(column, text or "value", quoted=True)

    select.set("expressions", [named(column) for column in select.expressions])


def _first_line(error: Exception) -> str:
    return re.sub(r"\x1b\[\d*m", "", str(error)).strip().split("\n")[0][:160].rstrip(". ")
