"""The invented part of the shop's rows; the same seed makes the same rows on every machine."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from random import Random

TODAY = date(2026, 3, 5)  # the shop's own day, so that no answer changes with the clock
SEED = 20260305
CUSTOMERS, ORDERS, REVIEWS, VOUCHERS = 420, 1300, 700, 260
FIRST_ORDER = 20001
POINTS_PER_POUND, DAYS_TO_POINTS, DAYS_OF_SALES = 2, 14, 425
COUNTRIES = {
    "GB": "United Kingdom", "IE": "Ireland", "DE": "Germany", "FR": "France", "NL": "Netherlands",
    "ES": "Spain", "PT": "Portugal", "NO": "Norway", "PL": "Poland", "EE": "Estonia",
}  # fmt: skip
_COUNTRY_WEIGHTS = (60, 8, 8, 7, 5, 4, 3, 2, 2, 1)
_CARRIERS = {"Harebell Parcels": "HBP", "Kestrel Express": "KXP", "Store pick-up": "", "Letter post": ""}
_CARRIER_WEIGHTS = (70, 18, 7, 5)
_TRACKING_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_REASONS = ("changed mind", "wrong size", "faulty", "arrived late", "damaged in transit")
_LEVELS, _LEVEL_WEIGHTS = ("Path", "Ridge", "Summit"), (70, 22, 8)


def insert(shop: sqlite3.Connection, table: str, *row: object) -> int:
    """Add a row in the schema's order, days as texts; returns its number."""
    values = [value.isoformat() if isinstance(value, date) else value for value in row]
    marks = ", ".join("?" * len(row))
    return shop.execute(f"INSERT INTO {table} VALUES ({marks})", values).lastrowid or 0  # noqa: S608 - our names


def sum_order(shop: sqlite3.Connection, order_id: str) -> float:
    """Pounds of everything in an order."""
    items = shop.execute("SELECT quantity * price FROM order_items WHERE order_id = ?", (order_id,))
    return float(sum(price for (price,) in items))


def refund(shop: sqlite3.Connection, order_id: str, reason: str, paid: date) -> None:
    """Everything in the order; a day of payment that has not come is left open."""
    amount = round(sum_order(shop, order_id), 2)
    insert(shop, "refunds", None, order_id, reason, amount, paid if paid <= TODAY else None)


def book_points(shop: sqlite3.Connection, order_id: str, customer_id: int, delivered: date) -> None:
    """The points of a delivered order, unless their day has not come."""
    day = delivered + timedelta(days=DAYS_TO_POINTS)
    if day <= TODAY:
        points = POINTS_PER_POUND * int(sum_order(shop, order_id))
        insert(shop, "points", None, customer_id, order_id, points, day)


def add_catalogue(shop: sqlite3.Connection, catalogue: Mapping[str, Any], random: Random) -> None:
    """Categories, products, stores and what stands on the shelves; a fifth of the shelves are empty."""
    products = []
    for category, rows in catalogue["categories"].items():
        category_id = insert(shop, "categories", None, category)
        for name, price, weight, colour, released in rows:
            row = (None, name, category_id, float(price), float(weight), colour, released)
            products.append(insert(shop, "products", *row))
    for city, opened in catalogue["stores"].items():
        store_id = insert(shop, "stores", None, city, opened)
        for product_id in products:
            quantity = 0 if random.random() < 0.2 else random.randint(1, 40)  # noqa: PLR2004 - a fifth
            insert(shop, "stock", product_id, store_id, quantity)


def add_sales(shop: sqlite3.Connection, catalogue: Mapping[str, Any], random: Random) -> None:
    """
    Customers, orders, reviews and vouchers of the last 14 months, beside those that are there.

    Each order is of a customer who had joined and of products already released; no number is given twice.
    """
    customers = [_add_customer(shop, catalogue, random) for _ in range(CUSTOMERS)]
    products = shop.execute("SELECT product_id, name, price, released FROM products").fetchall()
    taken = {order_id for (order_id,) in shop.execute("SELECT order_id FROM orders")}
    numbers = (f"FW-{number}" for number in range(FIRST_ORDER, 100_000))
    free = (number for number in numbers if number not in taken)
    # Every sixth order is of the last days, so that many are still on their way.
    spans = (10 if number % 6 == 0 else DAYS_OF_SALES for number in range(ORDERS))
    days = sorted(TODAY - timedelta(days=random.randrange(span)) for span in spans)
    for ordered, order_id in zip(days, free, strict=False):
        customer_id, joined = customers[random.randrange(CUSTOMERS)]
        while joined > ordered:
            customer_id, joined = customers[random.randrange(CUSTOMERS)]
        on_sale = [product for product in products if product[3] <= ordered.isoformat()]
        _add_order(shop, order_id, customer_id, ordered, on_sale, random)
    for _ in range(REVIEWS):
        product_id, _, _, day = random.choice(products)
        released = date.fromisoformat(day)
        written = released + timedelta(days=random.randint(1, (TODAY - released).days))
        rating = random.choices((1, 2, 3, 4, 5), (4, 6, 12, 36, 42))[0]
        insert(shop, "reviews", None, product_id, rating, written)
    everybody = [number for (number,) in shop.execute("SELECT customer_id FROM customers")]
    for _ in range(VOUCHERS):
        customer_id, points = random.choice(everybody), random.choice((50, 50, 100, -250, -300, -500))
        day = TODAY - timedelta(days=random.randrange(DAYS_OF_SALES))
        insert(shop, "points", None, customer_id, None, points, day)


def _add_customer(shop: sqlite3.Connection, catalogue: Mapping[str, Any], random: Random) -> tuple[int, date]:
    """Joined from 2015 on; the e-mail address is on a domain that nobody can own."""
    first, last = random.choice(catalogue["first_names"]), random.choice(catalogue["last_names"])
    number = shop.execute("SELECT count(*) + 1 FROM customers").fetchone()[0]
    email = f"{first}.{last}{number}@example.{random.choice(('com', 'org'))}".lower()
    country = random.choices(list(COUNTRIES.values()), _COUNTRY_WEIGHTS)[0]
    joined = date(2015, 1, 1) + timedelta(days=random.randrange(3900))
    level = random.choices(_LEVELS, _LEVEL_WEIGHTS)[0]
    return insert(shop, "customers", None, f"{first} {last}", email, country, joined, level), joined


def _add_order(  # noqa: PLR0913, PLR0917 - one row of each
    shop: sqlite3.Connection,
    order_id: str,
    customer_id: int,
    ordered: date,
    on_sale: list[Any],
    random: Random,
) -> None:
    items = []
    chosen = random.sample(on_sale, random.choices((1, 2, 3, 4), (45, 30, 17, 8))[0])
    for line, (product_id, name, price, _) in enumerate(chosen, start=1):
        quantity = random.choices((1, 2, 3, 6), (80, 12, 5, 3))[0]
        paid = round(price * 0.8, 2) if random.random() < 0.1 else price  # noqa: PLR2004 - a tenth
        items.append((order_id, line, product_id, name, quantity, paid))
    carrier = random.choices(list(_CARRIERS), _CARRIER_WEIGHTS)[0]
    sent = ordered + timedelta(days=random.choices((0, 1, 2, 3), (15, 50, 25, 10))[0])
    expected = sent + timedelta(days=random.randint(1, 5))
    arrives = expected + timedelta(days=random.choices((-1, 0, 1, 2, 6), (25, 55, 12, 6, 2))[0])
    delivered = max(arrives, sent)
    status = _choose_status(sent, delivered, random)
    insert(
        shop, "orders", order_id, customer_id, status, ordered, None if status == "cancelled" else expected
    )
    for item in items:
        insert(shop, "order_items", *item)
    if status == "cancelled" and random.random() < 0.5:  # noqa: PLR2004 - a half
        refund(shop, order_id, "cancelled", min(ordered + timedelta(days=3), TODAY))
    if status in ("processing", "cancelled"):
        return
    mark = "".join(random.choices(_TRACKING_LETTERS, k=5))
    tracking = f"{_CARRIERS[carrier]}-{mark}" if _CARRIERS[carrier] else None
    insert(shop, "shipments", order_id, carrier, tracking, sent, None if status == "shipped" else delivered)
    if status == "delivered":
        book_points(shop, order_id, customer_id, delivered)
    elif status == "returned":
        paid_on = delivered + timedelta(days=random.randint(5, 25))
        refund(shop, order_id, random.choice(_REASONS), paid_on)


def _choose_status(sent: date, delivered: date, random: Random) -> str:
    if random.random() < 0.05:  # noqa: PLR2004 - a twentieth
        return "cancelled"
    if sent > TODAY:
        return "processing"
    if delivered > TODAY:
        return "shipped"
    back = delivered + timedelta(days=4) <= TODAY and random.random() < 0.09  # noqa: PLR2004 - of the old ones
    return "returned" if back else "delivered"
