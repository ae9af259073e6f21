"""Readings of the shop's database for its service; of who ordered, the customer's number alone."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from reference_app.shop.database import connect
from reference_app.shop.sales import DAYS_TO_POINTS, POINTS_PER_POUND, TODAY

if TYPE_CHECKING:
    from pathlib import Path


def select(shop: Path, query: str, *values: object) -> list[dict[str, Any]]:
    """The rows of a query, by column."""
    with connect(shop) as database:
        cursor = database.execute(query, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def write_price(pounds: float) -> str:
    """An amount as customers read it, such as `£5.95`."""
    return f"£{pounds:.2f}"


def read_order(shop: Path, order_id: str) -> dict[str, Any] | None:
    """
    An order with its shipment, or None.

    Returns:
        The columns; `items` in words, with prices; `total` and `late`; `pounds`, the total as a number;
        `days_late`, counted from the expected day to the day it arrived, or to today.
    """
    rows = select(
        shop,
        "SELECT order_id, customer_id, status, carrier, tracking, ordered, expected, sent, delivered "
        "FROM orders LEFT JOIN shipments USING (order_id) WHERE order_id = ?",
        order_id,
    )
    if not rows:
        return None
    order = rows[0]
    items = select(
        shop,
        "SELECT description, quantity, price FROM order_items WHERE order_id = ? ORDER BY line",
        order_id,
    )
    days_late = 0
    if order["expected"] and order["status"] != "cancelled":
        arrives = date.fromisoformat(order["delivered"]) if order["delivered"] else TODAY
        days_late = max(0, (arrives - date.fromisoformat(order["expected"])).days)
    pounds = sum(item["quantity"] * item["price"] for item in items)
    return {
        **order,
        "items": [_describe(item) for item in items],
        "pounds": pounds,
        "total": write_price(pounds),
        "late": days_late > 0,
        "days_late": days_late,
    }


def _describe(item: dict[str, Any]) -> str:
    text, price = item["description"], write_price(item["price"])
    return f"{text} ({price})" if item["quantity"] == 1 else f"{item['quantity']} x {text} ({price} each)"


def read_points(shop: Path, order: dict[str, Any]) -> dict[str, Any]:
    """The points that an order brings; `booking_day` is None where no day is known or there are no points."""
    query = "SELECT sum(points) AS points, max(day) AS booking_day FROM points WHERE order_id = ?"
    booked = select(shop, query, order["order_id"])[0]
    if booked["booking_day"]:
        return {**booked, "booked": True}
    if order["status"] in ("cancelled", "returned"):
        return {"points": 0, "booked": False, "booking_day": None}
    day = None
    if order["delivered"]:
        day = (date.fromisoformat(order["delivered"]) + timedelta(days=DAYS_TO_POINTS)).isoformat()
    return {"points": POINTS_PER_POUND * int(order["pounds"]), "booked": False, "booking_day": day}


def read_reviews(shop: Path, product: str, limit: int) -> dict[str, Any]:
    """Mean and count of a product's reviews, and the newest ones."""
    query = "SELECT rating, day FROM open_reviews WHERE product = ? ORDER BY day DESC"
    reviews = select(shop, query, product)
    mean = round(sum(review["rating"] for review in reviews) / len(reviews), 2)
    return {"product": product, "mean_rating": mean, "reviews": len(reviews), "newest": reviews[:limit]}
