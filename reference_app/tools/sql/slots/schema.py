"""The figures and subjects that questions are about, and how the tables join."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cache

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """
    Attributes:
        table: Whose rows it is made of.
        value: SQL of the table's columns.
        fold: How the values of many rows become one; empty where each row has its own.
        day: The column that a period narrows.
        unit: `£`, `kg`, `date`, `text`, or the name of what is counted.
        label: As a sentence calls it.
    """

    table: str
    value: str
    unit: str
    label: str
    fold: str = ""
    day: str = ""


FIGURES = {
    "price": Figure(table="products", value="products.price", unit="£", label="price"),
    "weight": Figure(table="products", value="products.weight", unit="kg", label="weight"),
    "released": Figure(
        table="products",
        value="products.released",
        unit="date",
        label="release date",
        day="products.released",
    ),
    "colour": Figure(table="products", value="products.colour", unit="text", label="colour"),
    "category": Figure(table="products", value="categories.name", unit="text", label="category"),
    "products": Figure(
        table="products",
        value="*",
        fold="count",
        unit="product",
        label="number of products",
        day="products.released",
    ),
    "opened": Figure(
        table="stores", value="stores.opened", unit="date", label="opening date", day="stores.opened"
    ),
    "categories": Figure(
        table="categories", value="*", fold="count", unit="category", label="number of categories"
    ),
    "quantity": Figure(
        table="stock", value="stock.quantity", fold="sum", unit="in stock", label="pieces in stock"
    ),
    "assortment": Figure(table="stock", value="*", fold="count", unit="product", label="number of products"),
    "rating": Figure(
        table="reviews",
        value="reviews.rating",
        fold="avg",
        unit="star",
        label="average rating",
        day="reviews.day",
    ),
    "reviews": Figure(
        table="reviews", value="*", fold="count", unit="review", label="number of reviews", day="reviews.day"
    ),
    "sold": Figure(
        table="order_items",
        value="order_items.quantity",
        fold="sum",
        unit="piece",
        label="pieces sold",
        day="orders.ordered",
    ),
    "turnover": Figure(
        table="order_items",
        value="order_items.quantity * order_items.price",
        fold="sum",
        unit="£",
        label="value of the orders",
        day="orders.ordered",
    ),
    "spending": Figure(
        table="order_items",
        value="SUM(order_items.quantity * order_items.price) / COUNT(DISTINCT order_items.order_id)",
        fold="given",
        unit="£",
        label="average value of an order",
        day="orders.ordered",
    ),
    "orders": Figure(
        table="orders", value="*", fold="count", unit="order", label="number of orders", day="orders.ordered"
    ),
    "customers": Figure(
        table="customers",
        value="*",
        fold="count",
        unit="customer",
        label="number of customers",
        day="customers.joined",
    ),
    "refunds": Figure(
        table="refunds", value="*", fold="count", unit="refund", label="number of refunds", day="refunds.paid"
    ),
    "amount": Figure(
        table="refunds",
        value="refunds.amount",
        fold="sum",
        unit="£",
        label="refunded amount",
        day="refunds.paid",
    ),
    "parcels": Figure(
        table="shipments",
        value="*",
        fold="count",
        unit="parcel",
        label="number of parcels",
        day="shipments.sent",
    ),
    "point": Figure(
        table="points",
        value="points.points",
        fold="sum",
        unit="point",
        label="loyalty points",
        day="points.day",
    ),
}
# What rows can be about: the column that names it.
SUBJECTS = {
    "product": "products.name",
    "store": "stores.city",
    "category": "categories.name",
    "colour": "products.colour",
    "status": "orders.status",
    "country": "customers.country",
    "level": "customers.level",
    "carrier": "shipments.carrier",
    "reason": "refunds.reason",
}
PLURALS = {
    "category": "categories", "country": "countries", "status": "statuses", "product": "products",
}  # fmt: skip
# Subjects with a table of their own: one without any row to count still is a row of the answer.
KEYS = {"product": "product_id", "store": "store_id", "category": "category_id"}


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
