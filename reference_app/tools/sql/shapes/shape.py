"""Shapes of queries: read from their file, and filled with what a question names."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_app.tools.sql.shapes.linking import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reference_app.tools.sql.shapes.linking import Link

FILE = Path(__file__).with_name("shapes.yaml")
# A row of the left table points at one row of the right one by a column of the same name.
POINTS_AT = {
    ("products", "categories"): "category_id",
    ("stock", "products"): "product_id",
    ("stock", "stores"): "store_id",
    ("orders", "customers"): "customer_id",
    ("order_items", "orders"): "order_id",
    ("order_items", "products"): "product_id",
    ("shipments", "orders"): "order_id",
    ("points", "customers"): "customer_id",
    ("refunds", "orders"): "order_id",
    ("reviews", "products"): "product_id",
}
_AMOUNTS = {"price": "products.price", "weight": "products.weight"}
_ORDER_TABLES = ("orders", "order_items", "shipments", "refunds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """
    One kind of query; the fields are described at the head of `shapes.yaml`.

    Attributes:
        table: `from` of the file; None where there is no answer.
        each: Rows of one such column are put together by `of` before `select` sees them.
        absorbs: Kinds that the shape itself says, so no condition is made of them.
    """

    name: str
    phrasings: tuple[str, ...]
    table: str | None = None
    select: str = ""
    where: str = ""
    group: str = ""
    order: str = ""
    top: int = 0
    each: str = ""
    of: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    absorbs: tuple[str, ...] = ()

    def place(self, link: Link) -> str | None:
        """The condition the link becomes in this shape, an empty text if none, None if it has no place."""
        if self.table is None or link.kind in self.absorbs or (self.order and link.number is not None):
            return ""
        for kind, condition in link.conditions.items():
            column = self.columns.get(kind) or {**COLUMNS, **_AMOUNTS}.get(kind)
            if kind == "order" and self.table in _ORDER_TABLES:
                column = f"{self.table}.order_id"
            if column and find_joins(self.table, column.partition(".")[0]) is not None:
                return condition.replace("{}", column)
        return None

    def lacks(self, links: Sequence[Link]) -> bool:
        """Whether the question names nothing of a kind that the shape needs."""
        kinds = {kind for link in links for kind in link.conditions}
        kinds |= {"category"} if "sort" in kinds else set()
        return any(not kinds & set(need.split("|")) for need in self.needs)


def load_shapes() -> tuple[Shape, ...]:
    """The shapes of `shapes.yaml`, in the file's order."""
    import yaml

    data: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["shapes"]
    return tuple(_load_shape(name, fields) for name, fields in data.items())


def fill_shape(shape: Shape, links: Iterable[Link]) -> str:
    """The query of a shape that has a table, with the conditions of all links that have a place in it."""
    table, links = shape.table or "", tuple(links)
    places: dict[str, list[str]] = {}
    for number, link in enumerate(links):
        if place := shape.place(link):
            # "green or orange" names two values of a column; two amounts or periods narrow each other.
            places.setdefault(link.kind if link.kind in COLUMNS else str(number), []).append(place)
    alternatives = (same[0] if len(same) == 1 else f"({' OR '.join(same)})" for same in places.values())
    conditions = " AND ".join(filter(None, [*alternatives, shape.where]))
    words = f"{shape.select} {shape.of} {shape.group} {conditions}"
    joins: dict[tuple[str, str], None] = {}
    for other in sorted({owner for owner in _tables() if f"{owner}." in words}):
        joins.update(dict.fromkeys(find_joins(table, other) or ()))
    source = f"FROM {table}" + "".join(
        f" JOIN {right} ON {left}.{key} = {right}.{key}"
        for left, right in joins
        for key in [POINTS_AT[left, right]]
    )
    source += f" WHERE {conditions}" if conditions else ""
    if shape.each:
        rows = f"SELECT {shape.of} {source} GROUP BY {shape.each}"
        return f"SELECT {shape.select} FROM ({rows}) AS each_one"  # noqa: S608 - the guard reads it
    named = next((link.number for link in links if link.number is not None), None)
    limit = (named or shape.top) if shape.order else 0
    return (
        f"SELECT {shape.select} {source}"
        + (f" GROUP BY {shape.group}" if shape.group else "")
        + (f" ORDER BY {shape.order}" if shape.order else "")
        + (f" LIMIT {limit}" if limit else "")
    )


def _load_shape(name: str, fields: Mapping[str, Any]) -> Shape:
    lists = ("phrasings", "needs", "absorbs")
    values: dict[str, Any] = {key: tuple(value) if key in lists else value for key, value in fields.items()}
    return Shape(name=name, table=values.pop("from", None), **values)


@cache
def find_joins(table: str, other: str) -> tuple[tuple[str, str], ...] | None:
    """The shortest way from a table to one it points at, directly or not; None if there is no way."""
    ways: deque[tuple[tuple[str, str], ...]] = deque([()])
    while ways:
        way = ways.popleft()
        last = way[-1][1] if way else table
        if last == other:
            return way
        ways.extend((*way, pair) for pair in POINTS_AT if pair[0] == last)
    return None


def _tables() -> set[str]:
    return {table for pair in POINTS_AT for table in pair}
