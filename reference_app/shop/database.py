"""
The shop's database: the orders of a file as they are, and invented rows around them.

`order_items.price` is in pounds for one piece; `quantity` is read from words such as ", 4 pieces".
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from reference_app.errors import OrdersError
from reference_app.shop import sales
from reference_app.shop.orders import add_given, load_orders
from reference_app.shop.sales import SEED, TODAY, Rows
from reference_app.whole_file import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
SCHEMA = HERE / "schema.sql"
CATALOGUE = HERE.parent / "data" / "catalogue.yaml"
_INPUTS = (SCHEMA, CATALOGUE, HERE / "database.py", HERE / "orders.py", HERE / "sales.py")

__all__ = ["TODAY", "connect", "open_shop"]


def open_shop(orders: Path, cache: Path) -> Path:
    """
    The database file, built at first use and named by the hash of all it is made of.

    A file in the cache that is no whole database is built anew.

    Raises:
        OrdersError: The file of orders is missing or breaks the format, or the cache cannot be written.
    """
    try:
        content = orders.read_bytes()
        parts = [content, *(path.read_bytes() for path in _INPUTS)]
        digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:24]
        path = cache.resolve() / f"{digest}.shop.sqlite"
        if not (path.is_file() and _is_whole(path)):
            _build(load_orders(orders, content), path)
    except (OSError, sqlite3.Error, UnicodeError) as error:
        raise OrdersError(f"The orders in {orders} cannot be read or stored: {error}.") from error
    return path


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """
    A read-only connection; the file never changes once it has its name, so no lock of another can block it.

    Raises:
        OrdersError: The file is missing or no database; raised for errors of the block's queries as well.
    """
    try:
        with closing(_open(path)) as database:
            yield database
    except sqlite3.Error as error:
        raise OrdersError(f"The shop's database {path} cannot be read: {error}.") from error


def _is_whole(path: Path) -> bool:
    try:
        with closing(_open(path)) as database:
            tables = database.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table'").fetchone()
            health = database.execute("PRAGMA quick_check").fetchone()
    except sqlite3.Error:
        return False
    return bool(tables == (len(fields(Rows)),) and health == ("ok",))


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)


def _build(orders: list[dict[str, Any]], path: Path) -> None:
    """Write beside and rename, so that no process ever opens half a database."""
    import yaml

    rows, random = Rows(), Random(SEED)  # noqa: S311 - invented data, no secret
    catalogue = yaml.safe_load(CATALOGUE.read_bytes())
    sales.add_catalogue(rows, catalogue, random)
    for order in orders:
        add_given(rows, order)
    sales.add_customers(rows, catalogue, random)
    sales.add_orders(rows, {order["order_id"] for order in orders}, random)
    sales.add_extras(rows, random)

    with replacing(path) as part, closing(sqlite3.connect(part)) as database, database:
        database.execute("PRAGMA journal_mode = MEMORY")  # a broken part is thrown away whole
        database.executescript(SCHEMA.read_text(encoding="utf-8"))
        for table in fields(rows):
            content = getattr(rows, table.name)
            if content:
                marks = ", ".join("?" * len(content[0]))
                database.executemany(f"INSERT INTO {table.name} VALUES ({marks})", content)  # noqa: S608 - only marks
