from __future__ import annotations

import re
import resource
import sqlite3
import threading
from contextlib import closing, contextmanager

import pytest
import yaml

from reference_app.errors import OrdersError
from reference_app.settings import HERE
from reference_app.shop.database import SCHEMA, TODAY, connect, open_shop
from tests.app.shop import ORDERS

GIVEN = HERE / "data" / "orders.yaml"
LEAST_ROWS = 5000


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return open_shop(GIVEN, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "orders.yaml"
    path.write_text(ORDERS)
    return path


def select(path, query, *values):
    with connect(path) as shop:
        return shop.execute(query, values).fetchall()


def test_the_shop_has_many_rows_that_fit_together(built):
    tables = [name for (name,) in select(built, "SELECT name FROM sqlite_schema WHERE type = 'table'")]
    counts = [select(built, f"SELECT count(*) FROM {name}")[0][0] for name in tables]  # noqa: S608 - tables' names

    assert tables == re.findall(r"CREATE TABLE (\w+)", SCHEMA.read_text())
    assert sum(counts) >= LEAST_ROWS
    assert all(counts)
    assert select(built, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("order", yaml.safe_load(GIVEN.read_bytes()), ids=lambda order: order["order_id"])
def test_each_given_order_is_there_as_it_is(built, order):
    row = select(
        built,
        "SELECT name, email, status, carrier, tracking, ordered, expected FROM orders JOIN customers "
        "USING (customer_id) LEFT JOIN shipments USING (order_id) WHERE order_id = ?",
        order["order_id"],
    )
    items = select(
        built,
        "SELECT description, quantity, name, order_items.price > 0 FROM order_items "
        "JOIN products USING (product_id) WHERE order_id = ? ORDER BY line",
        order["order_id"],
    )
    names = ("customer", "email", "status", "carrier", "tracking", "ordered", "expected")

    assert row == [tuple(order[name] and str(order[name]) for name in names)]
    pieces = [re.search(r", (\d+) (pieces|pairs)$", item) for item in order["items"]]
    assert items == [
        (item[: found.start()] if found else item, int(found[1]) if found else 1, item.split(",")[0], 1)
        for item, found in zip(order["items"], pieces, strict=True)
    ]


@pytest.mark.parametrize(
    "impossible",
    [
        "orders WHERE ordered > :today OR expected < ordered",
        "shipments JOIN orders USING (order_id) WHERE sent < ordered OR delivered < sent",
        "shipments WHERE sent > :today OR delivered > :today",
        "orders LEFT JOIN shipments USING (order_id) WHERE (status GLOB '[pc]*') <> (sent IS NULL)",
        "orders JOIN shipments USING (order_id) WHERE (status = 'shipped') <> (delivered IS NULL)",
        "orders JOIN customers USING (customer_id) WHERE ordered < joined",
        "order_items JOIN orders USING (order_id) JOIN products USING (product_id) WHERE ordered < released",
        "points WHERE day > :today OR points = 0",
        "refunds WHERE amount <= 0 OR paid > :today",
        "reviews JOIN products USING (product_id) WHERE day < released OR day > :today",
        "customers WHERE email NOT LIKE '%@example.com' AND email NOT LIKE '%@example.org'",
        "orders WHERE order_id NOT GLOB 'FW-[0-9][0-9][0-9][0-9][0-9]'",
    ],
)
def test_nothing_impossible_happened(built, impossible):
    with connect(built) as shop:
        found = shop.execute(f"SELECT * FROM {impossible}", {"today": TODAY.isoformat()}).fetchall()  # noqa: S608

    assert found == []


def test_every_product_has_reviews(built):
    assert select(built, "SELECT min(reviews) FROM open_products")[0][0] > 0


def test_some_parcels_are_late(built):
    late = "SELECT count(*) FROM orders WHERE status = 'shipped' AND expected < ?"

    assert select(built, late, TODAY.isoformat())[0][0] > 1


def test_the_same_seed_makes_the_same_rows(built, tmp_path):
    again = open_shop(GIVEN, tmp_path)

    with closing(sqlite3.connect(built)) as one, closing(sqlite3.connect(again)) as other:
        assert list(one.iterdump()) == list(other.iterdump())


def test_a_number_of_the_file_is_not_given_again(source, tmp_path):
    shop = open_shop(source, tmp_path / "cache")

    names = select(
        shop, "SELECT name FROM orders JOIN customers USING (customer_id) WHERE order_id = 'FW-20001'"
    )
    assert names == [("Ada Quimby",)]


def test_a_changed_file_is_read_anew(source, tmp_path):
    first = open_shop(source, tmp_path / "cache")
    source.write_text(ORDERS.replace("shipped", "delivered"))
    second = open_shop(source, tmp_path / "cache")

    query = "SELECT status FROM orders WHERE order_id = 'FW-20001'"
    assert select(first, query) == [("shipped",)]
    assert select(second, query) == [("delivered",)]


def test_many_threads_build_at_once(source, tmp_path):
    built = []
    threads = [
        threading.Thread(target=lambda: built.append(open_shop(source, tmp_path / "new"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(built) == 8
    assert set(built) == set((tmp_path / "new").iterdir())


def test_the_database_is_read_only_and_no_lock_of_another_stops_it(source, tmp_path):
    shop = open_shop(source, tmp_path / "cache")

    with closing(sqlite3.connect(shop)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert select(shop, "SELECT count(*) FROM customers WHERE name = 'Ada Quimby'") == [(1,)]
        assert open_shop(source, tmp_path / "cache") == shop
    with pytest.raises(OrdersError, match="cannot be read: attempt to write a readonly database"):
        select(shop, "DELETE FROM orders")


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no database at all" * 100),
        lambda path: path.write_bytes(path.read_bytes()[:20_000]),
        lambda path: path.unlink(),
    ],
    ids=["empty", "other content", "cut", "missing"],
)
def test_a_broken_database_is_said_and_built_anew_once_it_is_deleted(source, tmp_path, harm):
    shop = open_shop(source, tmp_path / "cache")
    harm(shop)

    with pytest.raises(OrdersError, match=r"shop's database .* cannot be read: .*; delete it"):
        select(shop, "SELECT sum(length(description)) FROM order_items")
    shop.unlink(missing_ok=True)
    assert open_shop(source, tmp_path / "cache") == shop
    assert select(shop, "SELECT count(*) FROM customers WHERE name = 'Ada Quimby'") == [(1,)]


@contextmanager
def small_files():
    """No file may grow beyond 100 kB, as on a full disk; nor may the one that this run is written to."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_nothing_half_written(source, tmp_path):
    said = r"orders\.yaml cannot be read or stored: .*(disk|full)"
    with pytest.raises(OrdersError, match=said), small_files():
        open_shop(source, tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_is_no_folder_is_explained(source):
    with pytest.raises(OrdersError, match="cannot be read or stored"):
        open_shop(source, source)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "is no YAML"),
        ("a: 1", "order 1: Input should be a valid list"),
        ("- {order_id: 12, status: shipped}", "order 1 order_id: Input should be a valid string"),
        ("- {order_id: fw-20001, status: shipped}", "order 1 order_id: String should match"),
        ("- {status: shipped}", "order 1 order_id: Field required"),
        ("- 7", "order 1: Input should be a valid dictionary"),
        (ORDERS.replace("shipped", "lost"), "order 1 status: Input should be 'processing'"),
        (f"{ORDERS}{ORDERS}", "FW-20001 is there twice"),
        (ORDERS.replace("Ada Quimby", "12"), "order 1 customer: Input should be a valid string"),
        (ORDERS.replace("email:", "mail:"), "order 1 email: Field required"),
        (ORDERS.replace("2026-01-02", "soon"), "order 1 ordered: Input should be a valid date"),
        (
            ORDERS.replace("2026-01-02", "2026-01-02 10:00:00"),
            "order 1 ordered: Input should be a valid date",
        ),
        (ORDERS.replace("2026-01-05", "2026-13-45"), "is no YAML"),
        (ORDERS.replace("carrier: Test Post", "carrier: null"), "tracking number of FW-20001 has no carrier"),
        (ORDERS.replace("[Tent, Pegs]", "[1]"), "order 1 items 0: Input should be a valid string"),
        (ORDERS.replace("Ada Quimby", r'"\ud800"'), "cannot be read or stored"),
    ],
)
def test_a_broken_file_of_orders_is_explained(tmp_path, text, said):
    (tmp_path / "orders.yaml").write_text(text)

    with pytest.raises(OrdersError, match=rf"orders\.yaml.*{said}"):
        open_shop(tmp_path / "orders.yaml", tmp_path / "cache")
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


def test_a_missing_file_of_orders_is_explained(tmp_path):
    with pytest.raises(OrdersError, match=r"nothing\.yaml"):
        open_shop(tmp_path / "nothing.yaml", tmp_path)
