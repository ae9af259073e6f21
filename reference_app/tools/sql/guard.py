"""The first lock: a query is parsed and checked against lists of what is allowed."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from reference_app.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlglot import exp

MAX_CHARACTERS, MAX_DEPTH, MAX_TABLES = 4000, 12, 8
# The parts of SQL that a query may be made of, by the names of sqlglot's tree. What is not here is refused,
# so a new version of sqlglot that knows more of the language opens nothing.
NODES = frozenset(  # one list is easier to read than eighty quoted words
    """
    Select Subquery With CTE Union Intersect Except From Table TableAlias Join Where Group Having Order
    Ordered Limit Offset Distinct Column Identifier Star Alias Paren Tuple
    Literal Null Boolean Neg Add Sub Mul Div Mod DPipe Interval Var
    And Or Not EQ NEQ GT GTE LT LTE Is In Between Like Escape Exists Case If Cast DataType Collate
    Count Sum Avg Min Max Round Abs Lower Upper Length Substring Trim StrPosition Coalesce Nullif
    Window WindowSpec RowNumber Rank DenseRank TimeToStr TsOrDsToTimestamp TsOrDsToDate Date
    """.split()  # noqa: SIM905
)
# As SQLite's authorizer names them.
FUNCTIONS = frozenset(
    """
    count sum avg min max total round abs lower upper length substr substring trim instr coalesce ifnull
    nullif iif like row_number rank dense_rank date strftime julianday
    """.split()  # noqa: SIM905
)
_START = re.compile(r"\s*(select|with)\b", re.IGNORECASE | re.ASCII)
_CONTROL = re.compile(r"[^\t\n\r -~\u00a0-\U0010ffff]")


class DeniedError(AppError):
    """A query asks for what it may not have; the message says what, and names the near miss."""


def check_query(sql: str, tables: Collection[str]) -> exp.Query:
    """
    The tree of the one SELECT in the text; what is run is written from it.

    Args:
        sql: Hostile text.
        tables: Names that may be read.

    Raises:
        DeniedError: It is no single SELECT, reads another table, or uses what is not in the lists.
    """
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    if len(sql) > MAX_CHARACTERS or _CONTROL.search(sql):
        raise DeniedError(f"The query has more than {MAX_CHARACTERS} characters, or a control character.")
    if not _START.match(sql) or ";" in sql.rstrip("; \n"):
        raise DeniedError("Only one SELECT is allowed, without a semicolon.")
    if _nest(sql) > MAX_DEPTH:
        raise DeniedError(f"The query is nested deeper than {MAX_DEPTH} brackets.")
    try:
        trees = parse(sql, read="sqlite")
        tree = trees[0] if trees else None
        if len(trees) != 1 or not isinstance(tree, exp.Select | exp.SetOperation):
            raise DeniedError("Only one SELECT is allowed.")
        _check_tree(tree, tables)
    except SqlglotError as error:
        words = re.sub(r"\x1b\[\d*m", "", str(error)).strip().split("\n")[0][:160].rstrip(". ")
        raise DeniedError(f"The query is no SQL that can be read: {words}.") from error
    except RecursionError as error:
        raise DeniedError("The query is nested too deeply.") from error
    return tree


def _nest(sql: str) -> int:
    depth = deepest = 0
    for character in sql:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest


def _check_tree(tree: exp.Expr, tables: Collection[str]) -> None:
    from sqlglot import exp

    for node in tree.walk():
        _check_part(node)
    known = {*tables, *(cte.alias.lower() for cte in tree.find_all(exp.CTE))}
    named = list(tree.find_all(exp.Table))
    if len(named) > MAX_TABLES:
        raise DeniedError(f"The query names more than {MAX_TABLES} tables.")
    for table in named:
        name = table.name.lower()
        if not isinstance(table.this, exp.Identifier) or table.args.get("db"):
            raise DeniedError(f"The table {name[:40]!a} is named with its database, or is a function.")
        if name not in known:
            raise DeniedError(f"There is no table {name[:40]!a}.{_hint(name, known)}")


def _check_part(node: exp.Expr) -> None:
    from sqlglot import exp

    kind = type(node).__name__
    if isinstance(node, exp.Func) and not isinstance(node, exp.Connector):
        name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
        if kind not in NODES and name not in FUNCTIONS:
            raise DeniedError(f"The function {name[:40]!a} is not allowed.{_hint(name, FUNCTIONS)}")
    elif kind not in NODES or (isinstance(node, exp.With) and node.args.get("recursive")):
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).upper()
        raise DeniedError(f"{words} is not allowed in a query.")
    if isinstance(node, exp.Join) and not node.args.get("using"):
        condition = node.args.get("on")
        if condition is None or condition.find(exp.Column) is None:  # no ON may be parsed as ON TRUE
            raise DeniedError("A join needs ON, such as orders.order_id = refunds.order_id.")
    if isinstance(node, exp.Literal) and node.is_string and node.name.strip().lower() == "now":
        raise DeniedError("The shop's today is a fixed day; write the day instead of 'now'.")


def _hint(word: str, known: Collection[str]) -> str:
    """A sentence that names the near miss, or nothing."""
    close = get_close_matches(word.lower(), sorted(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
