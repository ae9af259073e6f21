"""The tool that looks up an order; it never returns who ordered."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from reference_app.errors import OrdersError

NAME = "order_status"
DESCRIPTION = "The state of one order: status, carrier, tracking number, days and items."
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"order_id": {"type": "string", "pattern": r"^FW-\d{5}$"}},
    "required": ["order_id"],
    "additionalProperties": False,
}
ORDER_ID = re.compile(r"\bFW-\d{5}\b", re.ASCII | re.IGNORECASE)
STATUSES = ("processing", "shipped", "delivered", "returned", "cancelled")
_FIELDS = ("order_id", "status", "carrier", "tracking", "ordered", "expected", "items")
_COLUMNS = (*_FIELDS, "customer", "email")


class Orders:
    """
    Read-only access to the orders; may be used from many threads.

    The database is built from the file at first use and named by the file's hash, so a changed file is a
    new database.
    """

    def __init__(self, source: Path, cache: Path) -> None:
        self._path = _open_database(source, cache)

    def look_up(self, order_id: str) -> dict[str, Any]:
        """
        The fields of the order that are not about a person.

        Args:
            order_id: Any text; it is compared, never interpreted.

        Returns:
            `order_id, status, carrier, tracking, ordered, expected, items`, or `order_id` and
            `error: unknown_order`.
        """
        query = f"SELECT {', '.join(_FIELDS)} FROM orders WHERE order_id = ?"  # noqa: S608 - our own names
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
                row = database.execute(query, (order_id,)).fetchone()
        except sqlite3.Error as error:
            raise OrdersError(f"The database of orders {self._path} cannot be read: {error}.") from error
        if row is None:
            return {"order_id": order_id, "error": "unknown_order"}
        found = dict(zip(_FIELDS, row, strict=True))
        found["items"] = found["items"].split("\n") if found["items"] else []
        return found


def is_valid(arguments: dict[str, Any]) -> bool:
    """Whether the arguments keep to `PARAMETERS`."""
    order_id = arguments.get("order_id")
    return (
        set(arguments) == set(PARAMETERS["required"])
        and isinstance(order_id, str)
        and re.fullmatch(PARAMETERS["properties"]["order_id"]["pattern"], order_id, re.ASCII) is not None
    )


def _open_database(source: Path, cache: Path) -> Path:
    try:
        content = source.read_bytes()
        digest = hashlib.sha256(content + repr(_COLUMNS).encode()).hexdigest()[:24]
        path = cache / f"{digest}.orders.sqlite"
        if not path.is_file():
            _build(_load(source, content), path)
    except (OSError, sqlite3.Error) as error:
        raise OrdersError(f"The orders in {source} cannot be read or stored: {error}.") from error
    return path.resolve()


def _load(source: Path, content: bytes) -> list[dict[str, Any]]:
    import yaml

    try:
        orders = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise OrdersError(f"{source} is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(orders, list):
        raise OrdersError(f"{source} holds no list of orders.")
    seen: set[str] = set()
    for number, order in enumerate(orders, start=1):
        if not isinstance(order, dict) or not ORDER_ID.fullmatch(str(order.get("order_id"))):
            raise OrdersError(f"{source}: order {number} has no `order_id` like FW-10427.")
        if order["order_id"] in seen:
            raise OrdersError(f"{source}: {order['order_id']} stands there twice.")
        if order.get("status") not in STATUSES:
            known = ", ".join(STATUSES)
            raise OrdersError(f"{source}: the status of {order['order_id']} is none of {known}.")
        seen.add(order["order_id"])
    return orders


def _build(orders: list[dict[str, Any]], path: Path) -> None:
    """Write beside and rename, so that no process ever opens half a database."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    with closing(sqlite3.connect(name)) as database, database:
        columns = ", ".join(f"{column} TEXT" for column in _COLUMNS[1:])
        database.execute(f"CREATE TABLE orders (order_id TEXT PRIMARY KEY, {columns})")
        database.executemany(
            f"INSERT INTO orders VALUES ({', '.join('?' * len(_COLUMNS))})",  # noqa: S608 - only marks
            [tuple(_text(order.get(column)) for column in _COLUMNS) for order in orders],
        )
    Path(name).replace(path)


def _text(value: object) -> str | None:
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return None if value is None else str(value)
