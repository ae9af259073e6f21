"""The file of orders: what it must contain, and its rows in the shop's tables."""

from __future__ import annotations

import re
from datetime import date, timedelta  # pydantic reads the hints
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from reference_app.errors import OrdersError
from reference_app.shop.replies import Status
from reference_app.shop.sales import COUNTRIES, TODAY, book_points, insert, refund

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

DAYS_TO_REFUND = 12
_PIECES = re.compile(r", (\d{1,4}) (?:pieces|pairs)$")


class Order(BaseModel):
    """One order of the file."""

    model_config = ConfigDict(strict=True)

    order_id: str = Field(pattern=r"^FW-[0-9]{5}$")
    customer: str
    email: str
    status: Status
    carrier: str | None = None
    tracking: str | None = None
    ordered: date
    expected: date | None = None
    items: list[str] = []


def load_orders(source: Path, content: bytes) -> list[Order]:
    """
    The orders of a file's content, checked.

    Raises:
        OrdersError: The content is no YAML or breaks the format; says which order.
    """
    import yaml

    try:
        orders = TypeAdapter(list[Order]).validate_python(yaml.safe_load(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        number, *field = first["loc"] or (0,)
        where = f"order {int(number) + 1} {' '.join(map(str, field))}".strip()
        raise OrdersError(f"{source}: {where}: {first['msg']}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise OrdersError(f"{source} is no YAML: {' '.join(str(error).split())}.") from error
    seen: set[str] = set()
    for order in orders:
        if order.order_id in seen:
            raise OrdersError(f"{source}: {order.order_id} is there twice.")
        if order.tracking and not order.carrier:
            raise OrdersError(f"{source}: the tracking number of {order.order_id} has no carrier.")
        seen.add(order.order_id)
    return orders


def add_order(shop: sqlite3.Connection, order: Order, products: dict[str, tuple[int, float]]) -> None:
    """
    One order as it is in the file, with its customer, shipment, points or refund.

    What the file leaves open follows from it: sent a day after the order, arrived on the expected day.
    Number and price in pounds of each product are given by name.
    """
    order_id, ordered, expected = order.order_id, order.ordered, order.expected
    country = COUNTRIES.get((order.tracking or "").rpartition("-")[2], COUNTRIES["GB"])
    person = (order.customer, order.email, country, ordered - timedelta(days=200), "Path")
    customer_id = insert(shop, "customers", None, *person)
    insert(shop, "orders", order_id, customer_id, order.status, ordered, expected)
    for line, item in enumerate(order.items, start=1):
        pieces = _PIECES.search(item)
        text, quantity = (item[: pieces.start()], int(pieces[1])) if pieces else (item, 1)
        product_id, price = products.get(item.partition(",")[0], (None, 0.0))
        insert(shop, "order_items", order_id, line, product_id, text, quantity, price)
    arrived = min(expected or ordered, TODAY) if order.status in ("delivered", "returned") else None
    if order.carrier:
        sent = min(ordered + timedelta(days=1), expected or TODAY, TODAY)
        insert(shop, "shipments", order_id, order.carrier, order.tracking, sent, arrived)
    if arrived and order.status == "delivered":
        book_points(shop, order_id, customer_id, arrived)
    elif arrived:
        refund(shop, order_id, "changed mind", arrived + timedelta(days=DAYS_TO_REFUND))
