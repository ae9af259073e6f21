"""The shop's database, and the values in it that nobody may see."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from reference_app.settings import HERE
from reference_app.shop.database import open_shop


@pytest.fixture(scope="session")
def sql_shop(tmp_path_factory):
    return open_shop(HERE / "data" / "orders.yaml", tmp_path_factory.mktemp("sql"))


@pytest.fixture(scope="session")
def secrets(sql_shop):
    """Every name, e-mail address and tracking number."""
    with closing(sqlite3.connect(sql_shop)) as database:
        people = database.execute("SELECT name, email FROM customers").fetchall()
        tracking = database.execute("SELECT tracking FROM shipments WHERE tracking IS NOT NULL").fetchall()
    return {value for row in (*people, *tracking) for value in row}
