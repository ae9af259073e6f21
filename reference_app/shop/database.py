"""The shop's database in SQLite: the orders of a YAML file as they are, and invented rows around them."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from reference_app.errors import OrdersError
from reference_app.shop.sales import SEED, TODAY, add_catalogue, add_sales
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

    Raises:
        OrdersError: The file of orders is missing or breaks the format, or the cache cannot be written.
    """
    try:
        content = orders.read_bytes()
        parts = [content, *(path.read_bytes() for path in _INPUTS)]
        digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:24]
        path = cache.resolve() / f"{digest}.shop.sqlite"
        if not path.is_file():
            _build(orders, content, path)
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
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            yield database
    except sqlite3.Error as error:
        raise OrdersError(f"The shop's database {path} cannot be read: {error}; delete it.") from error


def _build(source: Path, content: bytes, path: Path) -> None:
    """Write beside and rename, so that no process ever opens half a database."""
    import yaml

    from reference_app.shop.orders import add_order, load_orders

    orders, random = load_orders(source, content), Random(SEED)  # noqa: S311 - invented data, no secret
    catalogue = yaml.safe_load(CATALOGUE.read_bytes())
    with replacing(path) as part, closing(sqlite3.connect(part)) as shop, shop:
        shop.execute("PRAGMA journal_mode = MEMORY")  # a broken part is thrown away whole
        shop.executescript(SCHEMA.read_text(encoding="utf-8"))
        add_catalogue(shop, catalogue, random)
        rows = shop.execute("SELECT name, product_id, price FROM products")
        products = {name: (number, price) for name, number, price in rows}
        for order in orders:
            add_order(shop, order, products)
        add_sales(shop, catalogue, random)
