"""The tool `ask_database` with a chat model that says what each test lets it say."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from reference_app.errors import CutReplyError
from reference_app.models.prompt import load_prompt
from reference_app.settings import HERE
from reference_app.tools.sql import execution
from reference_app.tools.sql.agent import PARAMETERS, database_tool
from reference_app.tools.sql.execution import TABLES

PROMPTS = HERE / "prompts"
OWNER, OWN = 6, "FW-10427"  # the file of orders numbers its customers


@pytest.fixture
def ask(sql_shop):
    """Ask with these replies of the model; returns the result and all that the model was sent."""

    def run(*replies, customer=None, shop=sql_shop):
        sent, left = [], list(replies)

        def complete(_, messages, **__):
            sent.append(messages)
            if isinstance(left[0], Exception):
                raise left[0]
            return left.pop(0)

        tool = database_tool(shop, PROMPTS, complete)
        arguments = {"question": "How many?"}
        return tool.run(arguments) if customer is None else tool.run_as(arguments, customer), sent

    return run


def test_a_written_query_is_answered(ask):
    result, sent = ask("```sql\nSELECT count(*) AS n FROM products WHERE price < 20;\n```")

    sql = "SELECT COUNT(*) AS n FROM products WHERE price < 20"
    assert result == {"sql": sql, "columns": ["n"], "rows": [[16]]}
    assert sent[0][0]["role"] == "system"
    assert sent[0][-1] == {"role": "user", "content": "How many?"}


def test_the_prompt_has_the_tables_that_can_be_read(sql_shop):
    template = load_prompt(PROMPTS, "sql").template

    with closing(sqlite3.connect(sql_shop)) as database:
        for name in TABLES:
            columns = [row[1] for row in database.execute(f"PRAGMA table_info(open_{name})")]
            assert f"{name}({', '.join(columns)})" in template.splitlines()
        values = database.execute("SELECT name FROM categories UNION SELECT DISTINCT status FROM orders")
        assert all(value in template for (value,) in values)


def test_the_examples_of_the_prompt_are_queries_that_run(ask):
    turns = load_prompt(PROMPTS, "sql").turns
    replies = [turn["content"] for turn in turns if turn["role"] == "assistant"]
    *queries, last = [ask(reply)[0] for reply in replies]

    assert len(queries) >= 4
    assert all(query["rows"] for query in queries)
    assert last == {"error": "no_query"}


def test_an_error_is_shown_to_the_model_once(ask):
    result, sent = ask("SELECT pirce FROM products", "SELECT price FROM products LIMIT 1")

    assert result["rows"] == [[289.0]]
    assert sent[1][-2] == {"role": "assistant", "content": "SELECT pirce FROM products"}
    assert "no such column: pirce. Its tables: products(name, category, price," in sent[1][-1]["content"]


@pytest.mark.parametrize(
    "replies",
    [
        ("NONE",),
        ("NONE.",),
        ("SELECT pirce FROM products", "NONE"),
        ("DELETE FROM orders", "SELECT 1;;SELECT 2"),
        ("", ""),
    ],
)
def test_without_a_query_there_is_no_answer(ask, replies):
    assert ask(*replies)[0] == {"error": "no_query"}


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT name FROM products WHERE name LIKE '%Skerry 2%'", [["Skerry 2 tent"]]),
        ("SELECT price FROM products WHERE name = 'lapwing'", [[199.0]]),
        ("SELECT sum(price) FROM products WHERE name IN ('Ridge GPS', 'lumen headlamp')", [[304.0]]),
        ("SELECT quantity FROM stock WHERE product LIKE 'Squall jacket' AND city = 'ashcome'", [[36]]),
        ("SELECT count(*) FROM products WHERE name LIKE '%tent'", [[5]]),
        ("SELECT count(*) FROM products WHERE category = 'tents' AND colour = 'Orange'", [[1]]),
        ("SELECT count(*) FROM products WHERE name LIKE '%canoe%'", [[0]]),
        ("SELECT 2.7 - 2.1", [[0.6]]),
    ],
)
def test_names_and_figures_are_those_that_were_meant(ask, query, rows):
    assert ask(query)[0]["rows"] == rows


def test_a_query_that_is_cut_is_none(ask):
    assert ask(CutReplyError("cut"))[0] == {"error": "no_query"}


def test_at_most_twenty_rows_come_back(ask):
    assert len(ask("SELECT name FROM products")[0]["rows"]) == 20
    assert ask("SELECT name, replace('x', 'x', 'y') FROM products", "NONE")[0] == {"error": "no_query"}


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT DISTINCT order_id FROM orders", [[OWN]]),
        ("SELECT DISTINCT order_id FROM order_items", [[OWN]]),
        ("SELECT count(*) FROM refunds", [[0]]),
        ("SELECT count(*) FROM orders WHERE order_id LIKE '%10430'", [[0]]),
        ("SELECT count(*) FROM products", [[79]]),
    ],
)
def test_a_customer_sees_orders_of_their_own_alone(ask, query, rows):
    assert ask(query, customer=OWNER)[0]["rows"] == rows
    assert ask(query)[0]["rows"] != rows or "products" in query or "LIKE" in query


def test_who_is_not_signed_in_learns_no_number_of_an_order(ask):
    rows = ask("SELECT o.order_id, product FROM orders o JOIN order_items USING (order_id)")[0]["rows"]

    assert rows
    assert not [number for number, _ in rows if "FW-" in number]


def test_a_missing_or_broken_database_is_unavailable(ask, tmp_path):
    (tmp_path / "broken").write_bytes(b"no database" * 100)

    for path in (tmp_path / "none.sqlite", tmp_path / "broken"):
        assert ask("SELECT 1", shop=path)[0] == {"error": "unavailable"}
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def test_a_query_that_takes_too_long_is_stopped(ask, monkeypatch):
    monkeypatch.setattr(execution, "TIME_LIMIT_S", 0.05)
    slow = (
        "SELECT count(*) FROM orders a JOIN orders b ON a.order_id <> b.order_id JOIN orders c ON c.total > 0"
    )
    result, sent = ask(slow, "NONE")

    assert result == {"error": "no_query"}
    assert "interrupted" in sent[1][-1]["content"]


def test_a_question_is_short():
    assert PARAMETERS["properties"]["question"]["maxLength"] == 500
