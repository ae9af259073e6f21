"""The shop's tools as plain functions: AutoGen makes their schemas out of signatures and docstrings."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

DATA = Path(__file__).parents[2] / "data"
POINTS_PER_POUND = 2
SHOWN = ("status", "carrier", "ordered", "expected", "items")  # of an order; never who ordered

OrderId = Annotated[str, "The number of the order, such as FW-10412"]
Category = Literal[
    "Tents", "Boots and shoes", "Jackets", "Clothing", "Packs", "Sleeping", "Stoves and cooking", "Water",
    "Electronics", "Care and camp", "any",
]  # fmt: skip


def order_status(order_id: OrderId) -> str:
    """Status of one order, its carrier, the day on which it is expected, and what is in it."""
    order = _orders().get(order_id)
    found = {name: order.get(name) for name in SHOWN} if order else {"error": "there is no such order"}
    return _write({"order_id": order_id, **found})


def loyalty_points(order_id: OrderId) -> str:
    """How many loyalty points one order earns."""
    order = _orders().get(order_id)
    if order is None:
        return _write({"order_id": order_id, "error": "there is no such order"})
    prices = [row["price"] for item in order["items"] for row in _products() if item.startswith(row["name"])]
    counts = order["status"] not in ("cancelled", "returned")
    return _write({"order_id": order_id, "points": POINTS_PER_POUND * sum(prices) if counts else 0})


def find_products(
    category: Annotated[Category, "Where to look; any if the question names no category"],
    name: Annotated[str, "A part of the product's name; empty for all"] = "",
    max_price: Annotated[float, "In pounds; 0 for no limit"] = 0,
    sort: Annotated[Literal["cheapest", "dearest", "lightest", "heaviest"], "Which come first"] = "cheapest",
) -> str:
    """Products with their price in pounds, weight in kilograms and colour; at most five, and how many there are."""
    key = "price" if sort in ("cheapest", "dearest") else "weight"
    found = [
        row
        for row in _products()
        if category in ("any", row["category"])
        and name.lower() in row["name"].lower()
        and row["price"] <= (max_price or row["price"])
    ]
    found.sort(key=lambda row: row[key], reverse=sort in ("dearest", "heaviest"))
    return _write({"count": len(found), "products": found[:5]})


def request_refund(order_id: OrderId) -> str:
    """Ask for the refund of one order; a person has to confirm it before anything is paid."""
    if order_id not in _orders():
        return _write({"order_id": order_id, "error": "there is no such order"})
    return _write({"order_id": order_id, "state": "waiting for the confirmation of a person"})


def cannot_help(reason: Annotated[str, "Why no other tool fits"]) -> str:
    """For what no other tool can do: other topics, other people's data, changes of orders or of points."""
    return _write({"say": "I can only help with orders, points, refunds and products.", "reason": reason})


def _write(result: dict[str, Any]) -> str:
    return json.dumps(result, ensure_ascii=False, default=str)


@cache
def _orders() -> dict[str, dict[str, Any]]:
    import yaml

    orders = yaml.safe_load((DATA / "orders.yaml").read_text(encoding="utf-8"))
    return {order["order_id"]: order for order in orders}


@cache
def _products() -> list[dict[str, Any]]:
    import yaml

    categories = yaml.safe_load((DATA / "catalogue.yaml").read_text(encoding="utf-8"))["categories"]
    columns = ("name", "price", "weight", "colour", "released")
    return [
        {**dict(zip(columns, row, strict=True)), "category": category}
        for category, rows in categories.items()
        for row in rows
    ]
