"""What the database answers about the orders of a customer who is signed in."""

from __future__ import annotations

import numpy as np
import pytest

from reference_app.tools.registry import NOT_OWN, DeniedCallError
from reference_app.tools.sql.agent import SqlAgent, query_tool
from reference_app.tools.sql.execution import UnavailableError
from reference_app.tools.sql.owners import keep_own

OWNER = 6  # of FW-10427; the file of orders numbers its customers
OWN, FOREIGN = "FW-10427", "FW-10430"


@pytest.mark.parametrize(
    ("question", "denied"),
    [
        (f"What is the total of order {FOREIGN}?", True),
        (f"Which products are in order {FOREIGN}?", True),
        (f"What is the total of order {OWN}?", False),
        ("What is the total of order FW-99999?", False),
        ("How many orders were placed on 2 February 2026?", False),
        ("How many tents do you sell?", False),
        ("Who is the customer of FW-10430?", False),  # nothing is known of it, so nothing is kept back
    ],
)
def test_a_question_in_words_about_the_order_of_another_is_denied(sql_agent, question, denied):
    tool = query_tool(sql_agent)
    anybody = tool.run({"question": question})

    if denied:
        with pytest.raises(DeniedCallError) as error:
            tool.run_as({"question": question}, OWNER)
        assert (error.value.decided, "rows" in anybody) == (NOT_OWN, True)
    else:
        assert tool.run_as({"question": question}, OWNER) == anybody


@pytest.mark.parametrize(
    ("query", "denied"),
    [
        ("SELECT status FROM orders WHERE order_id = 'FW-10430'", True),
        ("SELECT status FROM orders WHERE lower(order_id) = 'fw-10430'", True),
        ("SELECT status FROM orders WHERE order_id LIKE '%10430'", True),
        ("SELECT status FROM orders WHERE order_id = 'FW-' || '10430'", True),
        ("SELECT status FROM orders WHERE order_id IN ('FW-10427', 'FW-10430')", True),
        ("SELECT order_id, status FROM orders WHERE status = 'cancelled'", True),
        ("SELECT substr(order_id, 4), status FROM orders WHERE status = 'cancelled'", True),
        ("SELECT order_id, status FROM orders WHERE customer_id = 6", False),
        ("SELECT count(*) FROM orders WHERE status = 'cancelled'", False),
        ("SELECT 10430 AS points", False),  # a figure, and no order's number
        ("SELECT name FROM products WHERE released > '2020-01-01'", False),
    ],
)
def test_a_query_of_a_model_tells_no_single_order_of_another(sql_shop, query, denied):
    tool = query_tool(SqlAgent(sql_shop, lambda texts: np.ones((len(texts), 1)), lambda _: query))
    anybody = tool.run({"question": "Tell me something."})
    assert anybody["rows"]

    if denied:
        with pytest.raises(DeniedCallError):
            tool.run_as({"question": "Tell me something."}, OWNER)
    else:
        assert tool.run_as({"question": "Tell me something."}, OWNER) == anybody


def test_orders_whose_owner_cannot_be_found_are_not_told():
    def run(_):
        raise UnavailableError("The shop's database cannot be read.")

    answer = keep_own({"sql": "SELECT 1", "rows": [[FOREIGN, "shipped"]]}, OWNER, run)

    assert answer == {"error": "unavailable", "reason": "The shop's database cannot be read."}


def test_many_orders_are_looked_up_in_several_queries(sql_agent):
    rows = [[f"FW-{number}"] for number in range(90_000, 90_250)]
    run = lambda sql: sql_agent.run(sql).answer  # noqa: E731 - one line of a test
    assert keep_own({"rows": rows}, OWNER, run) == {"rows": rows}

    with pytest.raises(DeniedCallError):
        keep_own({"rows": [*rows, [FOREIGN]]}, OWNER, run)
