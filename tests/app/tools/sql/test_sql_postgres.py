from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from reference_app.evaluation.rows import same_rows
from reference_app.shop.database import SCHEMA
from reference_app.tools.sql import postgres
from reference_app.tools.sql.agent import SqlAgent
from reference_app.tools.sql.execution import MAX_ROWS, Answer, TooSlowError, UnavailableError
from reference_app.tools.sql.guard.permissions import READABLE, DeniedError

psycopg = pytest.importorskip("psycopg")
OWNER = (
    "nobody" if hasattr(os, "geteuid") and os.geteuid() == 0 else None
)  # the server refuses to run as root


@pytest.fixture(scope="module")
def server():
    """The URL of a PostgreSQL server of our own, on a socket in a folder of its own."""
    initdb = _find("initdb")
    if initdb is None:
        pytest.skip("no PostgreSQL server is installed (initdb is missing)")
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    if OWNER:
        shutil.chown(folder, OWNER)
    data, log = folder / "data", folder / "log"
    own = {"user": OWNER} if OWNER else {}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **own}
    made = [initdb, "-D", data, "-U", "shop", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(made, check=True, **quiet)  # noqa: S603 - the installed server
    control = initdb.with_name("pg_ctl")
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    started = [control, "-D", data, "-l", log, "-w", "-t", "30", "-o", options, "start"]
    subprocess.run(started, check=True, **quiet)  # noqa: S603
    try:
        yield f"postgresql://shop@/postgres?host={folder}"
    finally:
        stopped = [control, "-D", data, "-m", "immediate", "-w", "stop"]
        subprocess.run(stopped, check=True, **quiet)  # noqa: S603
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def postgres_shop(server, sql_shop):
    """The same rows as in the SQLite file."""
    schema = SCHEMA.read_text(encoding="utf-8").replace(" REAL ", " DOUBLE PRECISION ")
    with closing(psycopg.connect(server)) as target, target, closing(sqlite3.connect(sql_shop)) as source:
        target.execute(schema)
        for (table,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            with target.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                for row in source.execute(f"SELECT * FROM {table}"):  # noqa: S608 - names of our schema
                    copy.write_row(row)
    return server


def test_questions_have_the_answers_of_sqlite(postgres_shop, sql_agent):
    agent = SqlAgent(postgres_shop, None)
    questions = [
        "How many tents do you sell?",
        "What are the five best-selling products?",
        "Is the Corrie 65 more expensive than the Child carrier?",
        "What are the two cheapest products in each category?",
        "Which stores have no Tarn 6 family tent left?",
        "Which products are in stock in every store?",
        "What is the average value of an order in 2025?",
        "How many orders came in each month of 2025?",
        "Which stores have the Corrie 65 in stock?",
        "How many points were spent in February 2026?",
        "What was the turnover by category?",
    ]
    for question in questions:
        given, expected = agent.ask(question), sql_agent.ask(question)
        assert given["columns"] == expected["columns"]
        assert same_rows(_answer(expected), _answer(given), ordered=False)
    assert agent.ask("What is the name of our best customer?")["error"] == "no_query"


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM orders",
        "SELECT 1; SELECT 2",
        "COMMIT; DELETE FROM orders",
        "CREATE TABLE a (b INTEGER)",
        "SELECT nextval('a')",
        "SELECT nothing FROM stores",
        "SELECT ARRAY[1, 2]",
        "COPY stores TO PROGRAM 'true'",
    ],
)
def test_without_the_guard_the_server_refuses(sql, postgres_shop):
    """The transaction cannot write, and the protocol takes one statement."""
    with pytest.raises((DeniedError, UnavailableError)):
        postgres.run_query(postgres_shop, sql)

    assert postgres.run_query(postgres_shop, "SELECT count(*) FROM orders").rows[0][0] > 1000


def test_a_query_without_end_is_stopped(postgres_shop, monkeypatch):
    monkeypatch.setattr(postgres, "TIME_LIMIT_S", 0.05)

    with pytest.raises(TooSlowError):
        postgres.run_query(postgres_shop, "SELECT count(*) FROM order_items a, order_items b, order_items c")


def test_rows_are_capped_and_an_empty_answer_has_columns(postgres_shop):
    many = postgres.run_query(postgres_shop, "SELECT order_id FROM orders")
    none = postgres.run_query(postgres_shop, "SELECT city FROM stores WHERE city = ''")

    assert (len(many.rows), many.truncated) == (MAX_ROWS, True)
    assert (none.columns, none.rows) == (("city",), ())


def test_a_star_reads_what_may_be_read(postgres_shop):
    agent = SqlAgent(postgres_shop, None)

    assert set(agent.run("SELECT * FROM customers").answer.columns) == set(READABLE["customers"])


def test_a_server_that_is_away_is_unavailable(tmp_path):
    url = f"postgresql://secret_user:secret_word@/postgres?host={tmp_path}"

    answer = SqlAgent(url, None).ask("How many tents do you sell?")

    assert answer["error"] == "unavailable"
    assert "secret" not in answer["reason"]


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:se%zzcret_word@localhost/db", "postgresql://u:se cret_word@localhost/db?nothing=1"],
)
def test_an_address_that_is_none_does_not_repeat_the_password(url):
    answer = SqlAgent(url, None).ask("How many tents do you sell?")

    assert answer["error"] == "unavailable"
    assert "cret" not in answer["reason"]


def _find(name):
    found = shutil.which(name)
    places = [Path(found)] if found else sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return places[-1] if places else None


def _answer(found):
    return Answer(columns=found["columns"], rows=found["rows"], truncated=found["truncated"])
