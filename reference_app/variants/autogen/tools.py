"""The shop's tools as plain functions: AutoGen makes their schemas out of signatures and docstrings."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

DATA = Path(__file__).parents[2] / "data"
POINTS_PER_POUND, SHOWN = 2, 3  # of an order; products of an answer
OrderId = Annotated[str, "Number of the order, such as FW-10412"]
Category = Literal[
    "any", "Tents", "Boots and shoes", "Jackets", "Clothing", "Packs", "Sleeping", "Stoves and cooking",
    "Water", "Electronics", "Care and camp",
]  # fmt: skip


def order_status(order_id: OrderId) -> str:
    """Status of one order, its carrier, the day on which it is expected, its items and its loyalty points."""
    order = _load("orders").get(order_id)
    if order is None:
        return json.dumps({"order_id": order_id, "error": "there is no such order"})
    named = [
        row["price"] for item in order["items"] for row in _load("products") if item.startswith(row["name"])
    ]
    points = 0 if order["status"] in ("cancelled", "returned") else POINTS_PER_POUND * sum(named)
    public = {
        name: order.get(name) for name in ("status", "carrier", "expected", "items")
    }  # never who ordered
    return json.dumps({"order_id": order_id, **public, "points": points}, default=str)


def find_products(
    category: Annotated[Category, "Where to look"],
    name: Annotated[str, "A part of the product's name; empty for all of the category"] = "",
    sort: Annotated[Literal["cheapest", "dearest", "lightest", "heaviest"], "Which come first"] = "cheapest",
) -> str:
    """The first three products with price, weight and colour, and how many there are in all."""
    key = "price" if sort in ("cheapest", "dearest") else "weight_kg"
    rows = [row for row in _load("products") if category in ("any", row["category"])]
    found = [row for row in rows if name.lower() in row["name"].lower()]
    found.sort(key=lambda row: row[key], reverse=sort in ("dearest", "heaviest"))
    shown = [{**row, "price": f"£{row['price']}"} for row in found[:SHOWN]]
    return json.dumps({"count": len(found), "products": shown}, ensure_ascii=False)


def request_refund(order_id: OrderId) -> str:
    """Ask for the refund of one order, which a person has to confirm before anything is paid."""
    return json.dumps({"order_id": order_id, "state": "noted; a person has to confirm it first"})


def cannot_help(topic: Annotated[str, "What was asked for"]) -> str:
    """For all that no other tool does: other topics, people's data, changes of an order or of its points."""
    return json.dumps({"topic": topic, "answer": "I can only help with orders, refunds and products."})


@cache
def _load(name: Literal["orders", "products"]) -> Any:
    """Orders by their number, or the rows of the catalogue."""
    import yaml

    file = "orders.yaml" if name == "orders" else "catalogue.yaml"
    data = yaml.safe_load((DATA / file).read_text(encoding="utf-8"))
    if name == "orders":
        return {order["order_id"]: order for order in data}
    return [
        {"name": product, "price": price, "weight_kg": weight, "colour": colour, "category": category}
        for category, rows in data["categories"].items()
        for product, price, weight, colour, _ in rows
    ]
