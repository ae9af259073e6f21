"""Which table each column of a query is of, and whether it may be read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reference_app.tools.sql.guard.permissions import PERSONAL, READABLE, DeniedError, hint

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope


def resolve_columns(tree: exp.Expr, dialect: str) -> exp.Expr:
    """
    Every column with its table, `*` as the columns that may be read.

    Names of results stay where SQL knows them; `check_columns` looks at each column.
    """
    from sqlglot.errors import OptimizeError
    from sqlglot.optimizer.qualify import qualify

    schema: dict[str, object] = {table: dict(columns) for table, columns in READABLE.items()}
    try:
        return qualify(
            tree,
            schema=schema,
            dialect=dialect,
            quote_identifiers=False,
            expand_alias_refs=False,
            validate_qualify_columns=False,
        )
    except OptimizeError as error:
        found = re.search(r"(?:column: |join: )\"?(\w+)", str(error))
        raise DeniedError(_explain_column(found[1] if found else "")) from error


def _explain_column(name: str) -> str:
    name = name.lower()
    if name in {column.partition(".")[2] for column in PERSONAL}:
        return f"The column {name!a} may not be read here: it is personal, or could be of several tables."
    known = {column for columns in READABLE.values() for column in columns}
    return f"The column {name[:40]!a} is unknown or could be of several tables.{hint(name, known)}"


def check_columns(tree: exp.Expr) -> None:
    """Refuse each column that is not of a table's readable ones or of a result; raises DeniedError."""
    from sqlglot import exp
    from sqlglot.optimizer.scope import traverse_scope

    seen = 0
    for scope in traverse_scope(tree):
        for column in scope.find_all(exp.Column):
            seen += 1
            name = column.name.lower()
            if not (_is_readable(name, column.table, scope) if column.table else _is_result(column, scope)):
                raise DeniedError(_explain_column(name))
    if seen != len(list(tree.find_all(exp.Column))):
        raise DeniedError("The query names a column where it cannot be checked.")
    if any(isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count) for node in tree.walk()):
        raise DeniedError("`*` could not be resolved to columns.")


def _is_readable(name: str, table: str, scope: Scope | None) -> bool:
    """Whether the column is of a table's readable ones or of a subquery, which has a scope of its own."""
    from sqlglot import exp

    while scope is not None and table not in scope.sources:
        scope = scope.parent
    source = None if scope is None else scope.sources[table]
    return (
        name in READABLE.get(source.name.lower(), {}) if isinstance(source, exp.Table) else source is not None
    )


def _is_result(column: exp.Expr, scope: Scope) -> bool:
    """Whether a column without a table is the name of a result, and could be nothing else."""
    from sqlglot import exp

    query, name = scope.expression, column.name.lower()
    part = column
    while part.parent is not None and part.parent is not query:
        part = part.parent
    selects = query.selects if isinstance(query, exp.Query) else []
    named = {result.alias.lower() for result in selects if isinstance(result, exp.Alias)}
    if name not in named or part.arg_key == "expressions":
        return False
    if part.arg_key == "order" and isinstance(column.parent, exp.Ordered):
        return True
    # In any other place the column of a table, of this query or one around it, goes before the result; and to
    # PostgreSQL the name of a table is its whole row.
    around: Scope | None = scope
    tables, rows = set(), set()
    while around is not None:
        tables |= {source.name.lower() for source in around.sources.values() if isinstance(source, exp.Table)}
        rows |= {source.lower() for source in around.sources}
        around = around.parent
    return name not in rows and not any(f"{table}.{name}" in PERSONAL for table in tables)
