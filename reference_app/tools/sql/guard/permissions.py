"""What a query may read and call; the parser's guard and the database's authorizer keep to the same lists."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from reference_app.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Types are the database's own words. A column that is missing here cannot be read: `customers.name`,
# `customers.email` and `shipments.tracking` tell who somebody is or where their parcel goes.
READABLE: dict[str, dict[str, str]] = {
    "categories": {"category_id": "INTEGER", "name": "TEXT"},
    "products": {
        "product_id": "INTEGER",
        "name": "TEXT",
        "category_id": "INTEGER",
        "price": "REAL",
        "weight": "REAL",
        "colour": "TEXT",
        "released": "TEXT",
    },
    "stores": {"store_id": "INTEGER", "city": "TEXT", "opened": "TEXT"},
    "stock": {"product_id": "INTEGER", "store_id": "INTEGER", "quantity": "INTEGER"},
    "customers": {"customer_id": "INTEGER", "country": "TEXT", "joined": "TEXT", "level": "TEXT"},
    "orders": {
        "order_id": "TEXT",
        "customer_id": "INTEGER",
        "status": "TEXT",
        "ordered": "TEXT",
        "expected": "TEXT",
    },
    "order_items": {
        "order_id": "TEXT",
        "line": "INTEGER",
        "product_id": "INTEGER",
        "description": "TEXT",
        "quantity": "INTEGER",
        "price": "REAL",
    },
    "shipments": {"order_id": "TEXT", "carrier": "TEXT", "sent": "TEXT", "delivered": "TEXT"},
    "points": {
        "entry_id": "INTEGER",
        "customer_id": "INTEGER",
        "order_id": "TEXT",
        "points": "INTEGER",
        "day": "TEXT",
    },
    "refunds": {
        "refund_id": "INTEGER",
        "order_id": "TEXT",
        "reason": "TEXT",
        "amount": "REAL",
        "paid": "TEXT",
    },
    "reviews": {"review_id": "INTEGER", "product_id": "INTEGER", "rating": "INTEGER", "day": "TEXT"},
}
PERSONAL = frozenset({"customers.name", "customers.email", "shipments.tracking"})
AGGREGATES = frozenset({"count", "sum", "avg", "min", "max", "total"})
DATES = frozenset({"date", "strftime", "julianday"})
# Names as SQLite knows them, and as its authorizer is told them.
FUNCTIONS = (
    AGGREGATES
    | DATES
    | frozenset({"round", "abs", "lower", "upper", "length", "substr", "substring", "trim", "instr"})
    | frozenset({"coalesce", "ifnull", "nullif", "iif", "like", "row_number", "rank", "dense_rank"})
)


class DeniedError(AppError):
    """A query asks for what it may not have; the message says what, and names the near miss."""


def hint(word: str, known: Iterable[str]) -> str:
    """A sentence that names the near miss, or nothing."""
    close = get_close_matches(word.lower(), sorted(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
