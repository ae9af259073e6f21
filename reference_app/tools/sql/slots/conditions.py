"""Filters, joins and columns as parts of SQL's tree; only our own text and literals come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_app.tools.sql.slots.schema import FIGURES, POINTS_AT, SUBJECTS, find_joins

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlglot import exp

    from reference_app.tools.sql.linking.values import Things
    from reference_app.tools.sql.slots.records import Filter

_SIGNS = {"=": "EQ", "<>": "NEQ", "<": "LT", ">": "GT", "<=": "LTE", ">=": "GTE"}


class NoWayError(Exception):
    """A filter is of a table that the rows do not point at."""


def select_rows(
    table: str, columns: Sequence[exp.Expr], filters: Iterable[Filter], also: Iterable[str] = ()
) -> exp.Select:
    from sqlglot import exp

    tree = exp.select(*columns).from_(table)
    places = [*also, *(column.sql() for column in columns)]
    stocked = table != "stock"
    for one in filters:
        if one.column.startswith("stores.") and stocked and find_joins(table, "stores") is None:
            continue  # the pieces in stock are looked at in this place
        tree = tree.where(write_condition(one))
        places += _places(one)
    return join(tree, table, " ".join(places))


def join(tree: exp.Select, table: str, words: str) -> exp.Select:
    """Join the tables whose columns stand in the words."""
    from sqlglot import exp

    joined = {join.this.name for join in tree.args.get("joins") or ()}
    for other in sorted({name for pair in POINTS_AT for name in pair if f"{name}." in words}):
        way = find_joins(table, other)
        if way is None:
            raise NoWayError
        for left, right in way:
            if right not in joined:
                joined.add(right)
                key = POINTS_AT[left, right]
                tree = tree.join(
                    exp.to_table(right), on=column_of(f"{left}.{key}").eq(column_of(f"{right}.{key}"))
                )
    return tree


def reaches(table: str, one: Filter) -> bool:
    return all(find_joins(table, place.partition(".")[0]) is not None for place in _places(one))


def _places(one: Filter) -> list[str]:
    if one.things:
        return [SUBJECTS["category" if things.all_of_it else "product"] for things in one.things]
    return [one.column]


def write_condition(one: Filter) -> exp.Expr:
    from sqlglot import exp

    if one.things:
        found = exp.or_(*map(_things_condition, one.things))
        return exp.not_(exp.paren(found)) if one.sign == "<>" else found
    column = column_of(one.column)
    if one.than:
        return compare(column, one.sign, of_product(one.column.partition(".")[2], one.than))
    values = [_literal(value) for value in one.values]
    if one.sign == "between":
        return exp.Between(this=column, low=values[0], high=values[1])
    if len(values) > 1:
        found = exp.In(this=column, expressions=values)
        return exp.not_(found) if one.sign == "<>" else found
    return compare(column, one.sign, values[0])


def _things_condition(things: Things) -> exp.Expr:
    from sqlglot import exp

    def names(texts: Sequence[str]) -> exp.Expr:
        return exp.In(
            this=column_of("products.name"), expressions=[exp.Literal.string(text) for text in texts]
        )

    if things.all_of_it:
        return column_of("categories.name").eq(exp.Literal.string(things.category))
    return names(things.names)


def compare(left: exp.Expr, sign: str, right: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    kind: Any = getattr(exp, _SIGNS[sign])
    compared: exp.Expr = kind(this=left, expression=right)
    return compared


def _literal(value: str | float) -> exp.Expr:
    from sqlglot import exp

    return exp.Literal.string(value) if isinstance(value, str) else exp.Literal.number(f"{value:.10g}")


def fold_column(fold: str, value: str) -> exp.Expr:
    from sqlglot import exp

    if fold == "given":
        return column_of(value)
    return exp.Count(this=exp.Star()) if fold == "count" else exp.func(fold, column_of(value))


def column_of(text: str) -> exp.Expr:
    """Our own text of SQL, never a question's."""
    from sqlglot import parse_one

    return parse_one(text)


def of_product(figure: str, name: str) -> exp.Subquery:
    from sqlglot import exp

    of = column_of("products.name").eq(exp.Literal.string(name))
    return exp.select(column_of(FIGURES[figure].value)).from_("products").where(of).subquery()
