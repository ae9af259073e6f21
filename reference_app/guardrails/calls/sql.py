"""Whether a text is one SQL statement that only reads."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot import exp

MAX_SQL_CHARACTERS = 8000
MAX_TABLES = 12
MAX_ROUNDS = 100_000  # of a recursive query

# Reading functions that SQLite and PostgreSQL have and sqlglot has no class for.
_HARMLESS = frozenset(
    "total julianday unixepoch strftime date time datetime typeof quote unicode char instr iif glob like changes "
    "json json_array json_extract json_object json_type json_valid percent_rank cume_dist ntile to_char date_part "
    "age initcap strpos substring substr nullif ifnull coalesce round abs printf format likelihood likely "
    "sign trunc ceil floor mod power sqrt ln log log10 log2 exp pi degrees radians hex timediff concat concat_ws".split()
)
_HARMFUL = frozenset(
    "load_extension readfile writefile edit fts3_tokenizer randomblob zeroblob sleep pg_sleep benchmark load_file "
    "pg_read_file pg_read_binary_file pg_ls_dir lo_import lo_export dblink xp_cmdshell generate_series "
    "generateseries explodinggenerateseries repeat space replicate lpad rpad pad query_to_xml database_to_xml set_config "
    "current_setting pg_terminate_backend pg_cancel_backend nextval setval sys_eval sys_exec read_csv readcsv read_parquet "
    "read_text glob_files zipfile sqlar_compress sqlite_log".split()
)
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
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if len(sql) > MAX_SQL_CHARACTERS or "\0" in sql:
        return "the query is too long or contains a zero character"
    try:
        if fault := _find_token_fault(sql, dialect):
            return fault
        from sqlglot import parse

        trees = [tree for tree in parse(sql, read=dialect) if tree is not None]
        if len(trees) != 1:
            return "the query is not one statement"
        tree = trees[0]
        if not isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery):
            return "the query is no SELECT"
        return _find_tree_fault(tree, tables)
    except (SqlglotError, ValueError):
        return "the query is no SQL that can be read"
    except RecursionError:
        return "the query is nested too deeply"


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
    # What the tokenizer drops, such as a comment behind the last word, is told from the length.
    tail = sql[tokens[-1].end + 1 :] if tokens else ""
    return "" if not tail.strip("; \t\r\n") else "the query has a comment"


def _find_tree_fault(tree: exp.Expression, tables: Collection[str] | None) -> str:
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
    count = 0
    for node in tree.walk():
        if isinstance(node, writing) and not isinstance(node, reading):
            return "the query does more than read"
        if isinstance(node, exp.Table):
            count += 1
            if fault := _find_table_fault(node, named, tables):
                return fault
        elif isinstance(node, exp.Func) and (fault := _find_function_fault(node)):
            return fault
        elif isinstance(node, exp.With) and node.args.get("recursive") and not _is_bounded(node):
            return "the query recurses without a bound"
        elif isinstance(node, exp.Or) and any(_is_always_true(side) for side in (node.left, node.right)):
            return "the query has a condition that is always true"
    return "the query names too many tables" if count > MAX_TABLES else ""


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

    if isinstance(call, exp.Connector):
        return ""
    anonymous = isinstance(call, exp.Anonymous)
    names = {call.name.lower()} if anonymous else {call.sql_name().lower(), type(call).__name__.lower()}
    if names & _HARMFUL or (anonymous and not names & _HARMLESS):
        return "the query calls a function that is not allowed"
    if any(text.is_string and _WIDE.search(text.name) for text in call.find_all(exp.Literal)) and names & {
        "printf",
        "format",
    }:
        return "the query makes a text without a bound"
    return ""


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


def _is_always_true(condition: exp.Expression) -> bool:
    from sqlglot import exp

    condition = condition.unnest()
    if isinstance(condition, exp.EQ | exp.GTE | exp.LTE | exp.Like):
        return bool(condition.left == condition.right)
    if isinstance(condition, exp.Boolean):
        return bool(condition.this)
    return isinstance(condition, exp.Literal) and condition.name not in ("0", "")
