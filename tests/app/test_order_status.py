from __future__ import annotations

import sqlite3
import threading

import pytest

from reference_app.errors import OrdersError
from reference_app.tools.order_status import Orders, is_valid
from tests.app.shop import ORDERS


@pytest.fixture
def orders(tmp_path):
    source = tmp_path / "orders.yaml"
    source.write_text(ORDERS)
    return Orders(source, tmp_path / "cache")


def test_an_order_is_told_without_its_customer(orders):
    assert orders.look_up("FW-20001") == {
        "order_id": "FW-20001",
        "status": "shipped",
        "carrier": "Test Post",
        "tracking": "TP-1",
        "ordered": "2026-01-02",
        "expected": "2026-01-05",
        "items": ["Tent", "Pegs"],
    }
    assert orders.look_up("FW-20002")["items"] == []


@pytest.mark.parametrize(
    "order_id",
    [
        "FW-99999",
        "",
        "' OR '1'='1",
        'FW-20001"; DROP TABLE orders; --',
        "FW-20001' UNION SELECT email FROM orders--",
    ],
)
def test_any_other_text_finds_nothing_and_harms_nothing(orders, order_id):
    assert orders.look_up(order_id) == {"order_id": order_id, "error": "unknown_order"}
    assert orders.look_up("FW-20001")["status"] == "shipped"


def test_the_database_is_opened_read_only(orders):
    with (
        pytest.raises(sqlite3.OperationalError, match="readonly"),
        sqlite3.connect(f"{orders._path.as_uri()}?mode=ro&immutable=1", uri=True) as database,
    ):
        database.execute("DELETE FROM orders")
    database.close()


@pytest.mark.usefixtures("orders")
def test_a_changed_file_is_read_anew(tmp_path):
    (tmp_path / "orders.yaml").write_text(ORDERS.replace("shipped", "delivered"))

    assert Orders(tmp_path / "orders.yaml", tmp_path / "cache").look_up("FW-20001")["status"] == "delivered"


def test_many_threads_build_and_read_at_once(tmp_path):
    (tmp_path / "orders.yaml").write_text(ORDERS)
    seen = []

    def read():
        seen.append(Orders(tmp_path / "orders.yaml", tmp_path / "new").look_up("FW-20001")["status"])

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == ["shipped"] * 8
    assert len(list((tmp_path / "new").iterdir())) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "is no YAML"),
        ("a: 1", "holds no list"),
        ("- {order_id: 12, status: shipped}", "order 1 has no `order_id`"),
        ("- {order_id: FW-20001, status: lost}", "status of FW-20001 is none of"),
        (
            "- {order_id: FW-20001, status: shipped}\n- {order_id: FW-20001, status: shipped}",
            "stands there twice",
        ),
    ],
)
def test_a_broken_file_of_orders_is_explained(tmp_path, text, said):
    (tmp_path / "orders.yaml").write_text(text)

    with pytest.raises(OrdersError, match=said):
        Orders(tmp_path / "orders.yaml", tmp_path / "cache")


def test_a_missing_file_of_orders_is_explained(tmp_path):
    with pytest.raises(OrdersError, match=r"nothing\.yaml"):
        Orders(tmp_path / "nothing.yaml", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "valid"),
    [
        ({"order_id": "FW-20001"}, True),
        ({"order_id": "FW-2000"}, False),
        ({"order_id": "FW-20001\n"}, False),
        ({"order_id": "FW-\uff12\uff10\uff10\uff10\uff11"}, False),
        ({"order_id": 20001}, False),
        ({"order_id": "FW-20001", "email": "x"}, False),
        ({}, False),
    ],
)
def test_arguments_keep_to_the_schema(arguments, valid):
    assert is_valid(arguments) is valid
