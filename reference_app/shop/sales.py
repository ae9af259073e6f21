"""The invented part of the shop's rows; the same seed makes the same rows on every machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

TODAY = date(2026, 3, 5)  # the shop's own day, so that no answer changes with the clock
SEED = 20260305
CUSTOMERS, ORDERS, REVIEWS, VOUCHERS = 420, 1300, 700, 260
FIRST_ORDER = 20001
POINTS_PER_POUND = 2
DAYS_TO_POINTS = 14
DAYS_OF_SALES = 425
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

Row = tuple[Any, ...]


@dataclass(slots=True, kw_only=True)
class Rows:
    """Rows of each table of `schema.sql`, columns in the schema's order."""

    categories: list[Row] = field(default_factory=list)
    products: list[Row] = field(default_factory=list)
    stores: list[Row] = field(default_factory=list)
    stock: list[Row] = field(default_factory=list)
    customers: list[Row] = field(default_factory=list)
    orders: list[Row] = field(default_factory=list)
    order_items: list[Row] = field(default_factory=list)
    shipments: list[Row] = field(default_factory=list)
    points: list[Row] = field(default_factory=list)
    refunds: list[Row] = field(default_factory=list)
    reviews: list[Row] = field(default_factory=list)

    def add_returned(self, order_id: str, reason: str, paid: date | None) -> None:
        """A refund of everything in the order; its items are already there."""
        amount = round(sum(row[4] * row[5] for row in self._items(order_id)), 2)
        self.refunds.append((len(self.refunds) + 1, order_id, reason, amount, paid and paid.isoformat()))

    def add_earned(self, order_id: str, customer_id: int, delivered: date) -> None:
        """The points of a delivered order, unless their day has not come yet."""
        day = delivered + timedelta(days=DAYS_TO_POINTS)
        if day <= TODAY:
            earned = POINTS_PER_POUND * int(sum(row[4] * row[5] for row in self._items(order_id)))
            self.points.append((len(self.points) + 1, customer_id, order_id, earned, day.isoformat()))

    def _items(self, order_id: str) -> list[Row]:
        """An order's items are the last ones added while the order is being added."""
        found = []
        for row in reversed(self.order_items):
            if row[0] != order_id:
                break
            found.append(row)
        return found


def add_catalogue(rows: Rows, catalogue: Mapping[str, Any], random: Random) -> None:
    """Categories, products, stores and what stands on the shelves; a fifth of the shelves are empty."""
    for category_id, (category, products) in enumerate(catalogue["categories"].items(), start=1):
        rows.categories.append((category_id, category))
        for name, price, weight, colour, released in products:
            product_id = len(rows.products) + 1
            rows.products.append(
                (product_id, name, category_id, float(price), float(weight), colour, released.isoformat())
            )
    for store_id, (city, opened) in enumerate(catalogue["stores"].items(), start=1):
        rows.stores.append((store_id, city, opened.isoformat()))
        for product in rows.products:
            quantity = 0 if _happens(random, 0.2) else random.randint(1, 40)
            rows.stock.append((product[0], store_id, quantity))


def add_customers(rows: Rows, catalogue: Mapping[str, Any], random: Random) -> None:
    """Joined from 2015 on; e-mail addresses are on domains that nobody can own."""
    for _ in range(CUSTOMERS):
        first, last = random.choice(catalogue["first_names"]), random.choice(catalogue["last_names"])
        customer_id = len(rows.customers) + 1
        email = f"{first}.{last}{customer_id}@example.{random.choice(('com', 'org'))}".lower()
        country = random.choices(list(COUNTRIES.values()), _COUNTRY_WEIGHTS)[0]
        joined = date(2015, 1, 1) + timedelta(days=random.randrange(3900))
        level = random.choices(_LEVELS, _LEVEL_WEIGHTS)[0]
        rows.customers.append((customer_id, f"{first} {last}", email, country, joined.isoformat(), level))


def add_orders(rows: Rows, taken: Collection[str], random: Random) -> None:
    """
    Orders of the last 14 months, each of a customer who had joined and of products already released.

    Args:
        rows: Catalogue and customers are there; the customers that orders are made for are the last ones.
        taken: Numbers that are not given again.
        random: Where chance comes from.
    """
    first_customer = len(rows.customers) - CUSTOMERS
    numbers = (f"FW-{number}" for number in range(FIRST_ORDER, 100_000))
    # Every sixth order is of the last days, so that many are still on their way.
    spans = (10 if number % 6 == 0 else DAYS_OF_SALES for number in range(ORDERS))
    days = sorted(TODAY - timedelta(days=random.randrange(span)) for span in spans)
    free = (number for number in numbers if number not in taken)
    for ordered, order_id in zip(days, free, strict=False):
        customer = rows.customers[first_customer + random.randrange(CUSTOMERS)]
        while customer[4] > ordered.isoformat():
            customer = rows.customers[first_customer + random.randrange(CUSTOMERS)]
        _add_order(rows, order_id, customer[0], ordered, random)


def add_extras(rows: Rows, random: Random) -> None:
    """Reviews, and points that were spent or given outside an order."""
    for review_id in range(1, REVIEWS + 1):
        product = random.choice(rows.products)
        released = date.fromisoformat(product[6])
        day = released + timedelta(days=random.randint(1, (TODAY - released).days))
        rating = random.choices((1, 2, 3, 4, 5), (4, 6, 12, 36, 42))[0]
        rows.reviews.append((review_id, product[0], rating, day.isoformat()))
    for _ in range(VOUCHERS):
        customer_id = random.choice(rows.customers)[0]
        amount = random.choice((50, 50, 100, -250, -300, -500))
        day = TODAY - timedelta(days=random.randrange(DAYS_OF_SALES))
        rows.points.append((len(rows.points) + 1, customer_id, None, amount, day.isoformat()))


def _add_order(rows: Rows, order_id: str, customer_id: int, ordered: date, random: Random) -> None:
    on_sale = [product for product in rows.products if product[6] <= ordered.isoformat()]
    for line, product in enumerate(
        random.sample(on_sale, random.choices((1, 2, 3, 4), (45, 30, 17, 8))[0]), 1
    ):
        quantity = random.choices((1, 2, 3, 6), (80, 12, 5, 3))[0]
        price = round(product[3] * 0.8, 2) if _happens(random, 0.1) else product[3]
        rows.order_items.append((order_id, line, product[0], product[1], quantity, price))
    carrier = random.choices(list(_CARRIERS), _CARRIER_WEIGHTS)[0]
    sent = ordered + timedelta(days=random.choices((0, 1, 2, 3), (15, 50, 25, 10))[0])
    expected = sent + timedelta(days=random.randint(1, 5))
    arrives = expected + timedelta(days=random.choices((-1, 0, 1, 2, 6), (25, 55, 12, 6, 2))[0])
    delivered = max(arrives, sent)
    status = _status(sent, delivered, random)
    rows.orders.append(
        (
            order_id,
            customer_id,
            status,
            ordered.isoformat(),
            None if status == "cancelled" else expected.isoformat(),
        )
    )
    if status in ("processing", "cancelled"):
        if status == "cancelled" and _happens(random, 0.5):
            rows.add_returned(order_id, "cancelled", min(ordered + timedelta(days=3), TODAY))
        return
    mark = "".join(random.choices(_TRACKING_LETTERS, k=5))
    tracking = f"{_CARRIERS[carrier]}-{mark}" if _CARRIERS[carrier] else None
    arrived = None if status == "shipped" else delivered
    rows.shipments.append((order_id, carrier, tracking, sent.isoformat(), arrived and arrived.isoformat()))
    if status == "delivered":
        rows.add_earned(order_id, customer_id, delivered)
    elif status == "returned":
        paid = delivered + timedelta(days=random.randint(5, 25))
        rows.add_returned(order_id, random.choice(_REASONS), paid if paid <= TODAY else None)


def _status(sent: date, delivered: date, random: Random) -> str:
    if _happens(random, 0.05):
        return "cancelled"
    if sent > TODAY:
        return "processing"
    if delivered > TODAY:
        return "shipped"
    back = delivered + timedelta(days=4) <= TODAY and _happens(random, 0.09)
    return "returned" if back else "delivered"


def _happens(random: Random, share: float) -> bool:
    return random.random() < share
