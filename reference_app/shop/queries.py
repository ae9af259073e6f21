"""What the service reads from the shop's database; of who ordered, the customer's number alone."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from reference_app.shop.database import connect
from reference_app.shop.sales import DAYS_TO_POINTS, POINTS_PER_POUND, TODAY

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_ORDER = "SELECT order_id, status, carrier, tracking, ordered, expected, sent, delivered "
_ORDER += "FROM orders LEFT JOIN shipments USING (order_id) WHERE order_id = ?"
_COLUMNS = ("order_id", "status", "carrier", "tracking", "ordered", "expected", "sent", "delivered")


def read_order(shop: Path, order_id: str) -> dict[str, Any] | None:
    """
    An order with its shipment, or None.

    Returns:
        The columns, `items` as they were described, `total` in pounds, `late` and `days_late`: how long after
        the expected day it arrived, or has not arrived today.
    """
    with connect(shop) as database:
        row = database.execute(_ORDER, (order_id,)).fetchone()
        if row is None:
            return None
        items = database.execute(
            "SELECT description, quantity * price FROM order_items WHERE order_id = ? ORDER BY line",
            (order_id,),
        ).fetchall()
    order = dict(zip(_COLUMNS, row, strict=True))
    days_late = 0
    if order["expected"] and order["status"] != "cancelled":
        arrives = date.fromisoformat(order["delivered"]) if order["delivered"] else TODAY
        days_late = max(0, (arrives - date.fromisoformat(order["expected"])).days)
    total = round(sum(price for _, price in items), 2)
    return {
        **order,
        "items": [description for description, _ in items],
        "total": total,
        "late": days_late > 0,
        "days_late": days_late,
    }


def read_owner(shop: Path, order_id: str) -> int | None:
    """The number of the customer whose order it is, or None where there is no such order."""
    with connect(shop) as database:
        row = database.execute("SELECT customer_id FROM orders WHERE order_id = ?", (order_id,)).fetchone()
    return int(row[0]) if row else None


def read_points(shop: Path, order: dict[str, Any]) -> dict[str, Any]:
    """The points an order brings: booked, to be booked on a day that may not be known yet, or none at all."""
    with connect(shop) as database:
        booked = _booked(database, order["order_id"])
    if booked:
        return {"points": booked[0], "booked": True, "day": booked[1]}
    if order["status"] in ("cancelled", "returned"):
        return {"points": 0, "booked": False, "day": None}
    day = None
    if order["delivered"]:
        day = (date.fromisoformat(order["delivered"]) + timedelta(days=DAYS_TO_POINTS)).isoformat()
    return {"points": POINTS_PER_POUND * int(order["total"]), "booked": False, "day": day}


def read_names(shop: Path) -> tuple[list[str], list[str]]:
    """All products and all cities with a store."""
    with connect(shop) as database:
        products = [name for (name,) in database.execute("SELECT name FROM products ORDER BY product_id")]
        cities = [city for (city,) in database.execute("SELECT city FROM stores ORDER BY store_id")]
    return products, cities


def read_stock(shop: Path, product: str, city: str) -> int:
    """Pieces on the shelf; names as `read_names` has them."""
    query = "SELECT quantity FROM stock JOIN products USING (product_id) JOIN stores USING (store_id) "
    query += "WHERE products.name = ? AND city = ?"
    with connect(shop) as database:
        row = database.execute(query, (product, city)).fetchone()
    return int(row[0]) if row else 0


def _booked(database: sqlite3.Connection, order_id: str) -> tuple[int, str] | None:
    row = database.execute(
        "SELECT sum(points), max(day) FROM points WHERE order_id = ?", (order_id,)
    ).fetchone()
    return (row[0], row[1]) if row[1] else None
