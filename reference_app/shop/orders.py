"""The file of orders: what it must hold, and its rows in the shop's tables."""

from __future__ import annotations

import re
from datetime import date, timedelta
from types import NoneType
from typing import TYPE_CHECKING, Any

from reference_app.errors import OrdersError
from reference_app.shop.sales import COUNTRIES, TODAY

if TYPE_CHECKING:
    from pathlib import Path

    from reference_app.shop.sales import Rows

ORDER_ID = re.compile(r"FW-\d{5}", re.ASCII)
STATUSES = ("processing", "shipped", "delivered", "returned", "cancelled")
DAYS_TO_REFUND = 12
_PIECES = re.compile(r", (\d{1,4}) (?:pieces|pairs)$")


def load_orders(source: Path, content: bytes) -> list[dict[str, Any]]:
    """
    The orders of a file's content, checked.

    Raises:
        OrdersError: The content is no YAML or breaks the format; names the order.
    """
    import yaml

    try:
        orders = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise OrdersError(f"{source} is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(orders, list):
        raise OrdersError(f"{source} holds no list of orders.")
    seen: set[str] = set()
    for number, order in enumerate(orders, start=1):
        if not isinstance(order, dict) or not ORDER_ID.fullmatch(str(order.get("order_id"))):
            raise OrdersError(f"{source}: order {number} has no `order_id` like FW-10427.")
        if order["order_id"] in seen:
            raise OrdersError(f"{source}: {order['order_id']} stands there twice.")
        if problem := _problem(order):
            raise OrdersError(f"{source}: the {problem}.")
        seen.add(order["order_id"])
    return orders


def add_given(rows: Rows, order: dict[str, Any]) -> None:
    """
    One order as it is in the file, with its customer, shipment, points or refund.

    What the file leaves open follows from it: sent a day after the order, arrived on the expected day.
    """
    order_id, ordered, expected = order["order_id"], order["ordered"], order.get("expected")
    customer_id = len(rows.customers) + 1
    carrier, tracking = order.get("carrier"), order.get("tracking")
    country = COUNTRIES.get((tracking or "").rpartition("-")[2], COUNTRIES["GB"])
    joined = ordered - timedelta(days=200)
    rows.customers.append(
        (customer_id, order["customer"], order["email"], country, joined.isoformat(), "Path")
    )
    rows.orders.append(
        (order_id, customer_id, order["status"], ordered.isoformat(), expected and expected.isoformat())
    )
    products = {product[1]: product for product in rows.products}
    for line, item in enumerate(order.get("items") or [], start=1):
        product_id, price = None, 0.0
        if product := products.get(item.partition(",")[0]):
            product_id, price = product[0], product[3]
        pieces = _PIECES.search(item)
        description, quantity = (item[: pieces.start()], int(pieces[1])) if pieces else (item, 1)
        rows.order_items.append((order_id, line, product_id, description, quantity, price))
    arrived = min(expected or ordered, TODAY) if order["status"] in ("delivered", "returned") else None
    if carrier:
        sent = min(ordered + timedelta(days=1), expected or TODAY, TODAY)
        rows.shipments.append(
            (order_id, carrier, tracking, sent.isoformat(), arrived and arrived.isoformat())
        )
    if arrived and order["status"] == "delivered":
        rows.add_earned(order_id, customer_id, arrived)
    elif arrived:
        paid = arrived + timedelta(days=DAYS_TO_REFUND)
        rows.add_returned(order_id, "changed mind", paid if paid <= TODAY else None)


def _problem(order: dict[str, Any]) -> str | None:
    order_id, items = order["order_id"], order.get("items") or []
    checks = {
        f"status of {order_id} is none of {', '.join(STATUSES)}": order.get("status") in STATUSES,
        f"tracking number of {order_id} has no carrier": not order.get("tracking") or order.get("carrier"),
        f"`items` of {order_id} is no list of texts": isinstance(items, list)
        and all(isinstance(item, str) for item in items),
    }
    for name, kind in (("customer", str), ("email", str), ("carrier", str | None), ("tracking", str | None)):
        checks[f"`{name}` of {order_id} is no text"] = isinstance(order.get(name), kind)
    # A time of day is a date as well to `isinstance`.
    for name, kinds in (("ordered", (date,)), ("expected", (date, NoneType))):
        checks[f"`{name}` of {order_id} is no day like 2026-03-01"] = type(order.get(name)) in kinds
    return next((text for text, holds in checks.items() if not holds), None)
