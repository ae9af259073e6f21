"""Slots as a tree of SQL, so that no text of a question ever is read as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.tools.sql.slots.conditions import (
    NoWayError,
    column_of,
    compare,
    fold_column,
    join,
    of_product,
    reaches,
    select_rows,
    write_condition,
)
from reference_app.tools.sql.slots.schema import FIGURES, KEYS, PLURALS, SUBJECTS, find_joins

if TYPE_CHECKING:
    from sqlglot import exp

    from reference_app.tools.sql.slots.records import Slots

NAMES = "name"  # the unit of a column of names
HOLDS = "holds"  # the column that says yes or no


def write_tree(slots: Slots) -> tuple[exp.Select, tuple[str, ...]]:
    """
    The query, and the unit of each of its columns.

    Raises:
        NoWayError: The slots do not go together.
    """
    if slots.order_id:
        return _write_order(slots)
    if slots.compared:
        return _write_comparison(slots)
    units = tuple(FIGURES[name].unit for name in slots.figures)
    if not slots.subject:
        return _write_figure(slots), units
    if slots.pieces:
        return _write_sum(slots), units
    first = FIGURES[slots.figures[0]].table
    if not slots.having and any(not reaches(first, one) for one in slots.filters):
        raise NoWayError
    rows = _write_rows(slots)
    if slots.fold:
        return _fold(slots, rows)
    within = slots.rank.within if slots.rank else ""
    heads = (NAMES, NAMES) if within else (NAMES,)
    return rows, (*heads, *units, *((HOLDS,) if slots.holds else ()))


def _write_rows(slots: Slots) -> exp.Select:
    """A row for each subject, with its figures."""
    from sqlglot import exp

    first = FIGURES[slots.figures[0]]
    table = SUBJECTS.get(slots.subject, "").partition(".")[0]
    name = column_of(_name_subject(slots))
    if not first.fold and not slots.each:
        tree = select_rows(first.table, [name.as_(slots.subject)], slots.filters)
        tree = _restrict(tree, slots)
        for figure in slots.figures:
            tree = join(
                tree.select(column_of(FIGURES[figure].value).as_(figure)), first.table, FIGURES[figure].value
            )
    elif first.fold in ("count", "sum") and slots.subject in KEYS:
        tree = _write_counted(slots, table)
    elif len(slots.figures) > 1:
        raise NoWayError
    else:
        tree = select_rows(first.table, [name.as_(slots.subject)], slots.filters, also=[_name_subject(slots)])
        tree = tree.select(fold_column(first.fold or slots.each, first.value).as_(slots.figures[0]))
        tree = tree.group_by(name)
        tree = _restrict(tree, slots)
    if slots.holds:
        tree = tree.select(write_condition(slots.holds).as_(HOLDS))
    within = slots.rank.within if slots.rank else ""
    if within:
        tree = join(tree, first.table, SUBJECTS[within]).select(column_of(SUBJECTS[within]).as_(within))
    if slots.rank:
        return _rank(slots, tree)
    order: list[exp.Expr] = [exp.column(slots.subject)]
    if slots.descending is not None:
        order.insert(0, exp.Ordered(this=exp.column(slots.figures[0]), desc=slots.descending))
    return tree if slots.fold else tree.order_by(*order)


def _write_counted(slots: Slots, table: str) -> exp.Select:
    """Subjects with what is counted or summed for them, zero where there is nothing."""
    from sqlglot import exp

    name, key = slots.figures[0], KEYS[slots.subject]
    figure = FIGURES[name]
    reachable = [one for one in slots.filters if reaches(figure.table, one)]
    owner = _own_key(figure.table, slots.subject)
    counted = select_rows(figure.table, [column_of(owner).as_("key")], reachable, also=[owner])
    counted = counted.select(fold_column(figure.fold, figure.value).as_("figure")).group_by(column_of(owner))
    outer = [one for one in slots.filters if reaches(table, one)]
    if len({*map(id, reachable), *map(id, outer)}) < len(slots.filters):
        raise NoWayError
    found = exp.func("COALESCE", column_of("counted.figure"), exp.Literal.number(0))
    tree = select_rows(table, [column_of(SUBJECTS[slots.subject]).as_(slots.subject), found.as_(name)], outer)
    tree = tree.join(
        counted.subquery("counted"),
        on=column_of(f"{table}.{key}").eq(column_of("counted.key")),
        join_type="left",
    )
    for further in slots.figures[1:]:
        tree = join(
            tree.select(column_of(FIGURES[further].value).as_(further)), table, FIGURES[further].value
        )
    return _restrict(tree, slots)


def _rank(slots: Slots, tree: exp.Select) -> exp.Select:
    from sqlglot import exp

    assert slots.rank is not None  # noqa: S101 - the caller has looked
    rank, figure = slots.rank, slots.figures[0]
    names = [name for name in (rank.within, slots.subject) if name]
    shown = [*names, *slots.figures, *([HOLDS] if slots.holds else [])]
    ordered = exp.Ordered(this=exp.column(figure, table="listed"), desc=rank.high)
    window = exp.Window(
        this=exp.Rank(),
        partition_by=[exp.column(rank.within, table="listed")] if rank.within else None,
        order=exp.Order(expressions=[ordered]),
    )
    listed = exp.select(*(exp.column(name, table="listed") for name in shown), window.as_("place"))
    if rank.both:
        backwards = exp.Ordered(this=exp.column(figure, table="listed"), desc=not rank.high)
        other = exp.Window(this=exp.Rank(), order=exp.Order(expressions=[backwards]))
        listed = listed.select(other.as_("place_from_the_end"))
    listed = listed.from_(tree.subquery("listed"))
    place = exp.column("place", table="ranked")
    kept: exp.Expr = (
        place.eq(rank.place) if rank.place else exp.LTE(this=place, expression=exp.Literal.number(rank.count))
    )
    if rank.both:
        kept = exp.or_(kept, exp.column("place_from_the_end", table="ranked").eq(1))
    order = [*([exp.column(rank.within, table="ranked")] if rank.within else []), place]
    return (
        exp.select(*(exp.column(name, table="ranked") for name in shown))
        .from_(listed.subquery("ranked"))
        .where(kept)
        .order_by(*order, exp.column(slots.subject, table="ranked"))
    )


def _fold(slots: Slots, rows: exp.Select) -> tuple[exp.Select, tuple[str, ...]]:
    from sqlglot import exp

    source = rows.subquery("listed")
    if slots.fold == "count":
        plural = PLURALS.get(slots.subject, f"{slots.subject}s")
        count = exp.Count(this=exp.Star()).as_(plural)
        return exp.select(count).from_(source), (slots.subject,)
    ends = {"range": ("min", "max")}.get(slots.fold, (slots.fold,))
    labels = {"avg": "average", "sum": "total", "min": "lowest", "max": "highest"}
    columns: list[exp.Expr] = []
    units: list[str] = []
    for name in slots.figures:
        column = exp.column(name, table="listed")
        columns += [exp.func(end, column).as_(f"{labels[end]}_{name}") for end in ends]
        if len(ends) > 1:
            both = exp.Sub(this=exp.func("max", column), expression=exp.func("min", column))
            columns.append(both.as_("difference"))
        units += [FIGURES[name].unit] * (len(columns) - len(units))
    return exp.select(*columns).from_(source), tuple(units)


def _write_figure(slots: Slots) -> exp.Select:
    first = FIGURES[slots.figures[0]]
    tree = select_rows(first.table, [], slots.filters)
    for name in slots.figures:
        figure = FIGURES[name]
        tree = tree.select(fold_column(figure.fold or slots.fold, figure.value).as_(name))
    return tree


def _write_sum(slots: Slots) -> exp.Select:
    """Every product's figure as often as it is wanted."""
    from sqlglot import exp

    total: exp.Expr | None = None
    for name, count in slots.pieces:
        one = of_product(slots.figures[0], name)
        part = exp.Mul(this=exp.Literal.number(count), expression=one) if count != 1 else one
        total = part if total is None else exp.Add(this=total, expression=part)
    assert total is not None  # noqa: S101 - there are pieces
    return exp.select(total.as_(f"total_{slots.figures[0]}"))


def _write_comparison(slots: Slots) -> tuple[exp.Select, tuple[str, ...]]:
    from sqlglot import exp

    assert slots.compared is not None  # noqa: S101 - the caller has looked
    figure, (left, right) = slots.figures[0], slots.compared
    unit = FIGURES[figure].unit
    one, other = of_product(figure, left), of_product(figure, right)
    columns = [exp.Literal.string(left).as_("product"), one.as_(figure)]
    columns += [exp.Literal.string(right).as_("other_product"), other.as_(f"other_{figure}")]
    units = [NAMES, unit, NAMES, unit]
    if unit in ("£", "kg"):
        difference = exp.Sub(this=one.copy(), expression=other.copy())
        columns.append(exp.func("ABS", difference).as_("difference"))
        units.append(unit)
    if slots.high is not None:
        kind = exp.GT if slots.high else exp.LT
        columns.append(kind(this=one.copy(), expression=other.copy()).as_(HOLDS))
        units.append(HOLDS)
    return exp.select(*columns), tuple(units)


def _write_order(slots: Slots) -> tuple[exp.Select, tuple[str, ...]]:
    from sqlglot import exp

    of = column_of("order_items.order_id").eq(exp.Literal.string(slots.order_id))
    if slots.fold == "sum":
        value = FIGURES["turnover"].value
        tree = exp.select(fold_column("sum", value).as_("total")).from_("order_items").where(of)
        return tree, ("£",)
    columns = [column_of("order_items.description"), column_of("order_items.quantity")]
    tree = exp.select(*columns).from_("order_items").where(of).order_by(column_of("order_items.line"))
    return tree, (NAMES, "piece")


def _name_subject(slots: Slots) -> str:
    if slots.subject in ("month", "year"):
        return f"SUBSTR({FIGURES[slots.figures[0]].day}, 1, {7 if slots.subject == 'month' else 4})"
    return SUBJECTS[slots.subject]


def _own_key(table: str, subject: str) -> str:
    """The key of the subject as the rows of a table reach it."""
    key, owner = KEYS[subject], SUBJECTS[subject].partition(".")[0]
    way = find_joins(table, owner)
    if way is None:
        raise NoWayError
    return f"{way[-1][0]}.{key}" if way else f"{owner}.{key}"


def _restrict(tree: exp.Select, slots: Slots) -> exp.Select:
    """Keep the subjects whose pieces in stock meet the conditions."""
    from sqlglot import exp

    if not slots.having:
        return tree
    owner = SUBJECTS[slots.subject].partition(".")[0]
    inner = [one for one in slots.filters if not reaches(owner, one)]  # the others are met outside
    for having in slots.having:
        figure = FIGURES[having.figure]
        key = _own_key(figure.table, slots.subject)
        kept = select_rows(figure.table, [column_of(key)], inner, also=[key]).group_by(column_of(key))
        folded = fold_column(having.fold, figure.value)
        kept = kept.having(compare(folded, having.sign, exp.Literal.number(f"{having.value:.10g}")))
        tree = tree.where(exp.In(this=column_of(f"{owner}.{KEYS[slots.subject]}"), query=kept.subquery()))
    return tree
