from __future__ import annotations

import numpy as np
import pytest

from reference_app.tools.sql.agent import SqlAgent
from reference_app.tools.sql.linking.links import Link, Linked, Value
from reference_app.tools.sql.writing import describe_schema, extract_query


def encode(texts):
    return np.ones((len(texts), 4), dtype=np.float32) / 2


class Scripted:
    """A chat model that says what it is told to."""

    def __init__(self, *replies):
        self.replies, self.seen = list(replies), []

    def __call__(self, messages):
        self.seen.append(messages)
        return self.replies.pop(0)


def ask(sql_shop, *replies):
    model = Scripted(*replies)
    return SqlAgent(sql_shop, encode, model).ask("How many stores are there in Harrowmere?"), model


def test_the_model_s_query_is_run(sql_shop):
    answer, model = ask(sql_shop, "```sql\nSELECT count(*) AS stores FROM stores;\n```")

    assert (answer["columns"], answer["rows"]) == (["stores"], [[8]])
    system, *_, last = model.seen[0]
    assert "only SELECT" in system["content"].replace("Only", "only")
    assert "stores(store_id INTEGER, city TEXT such as 'Ashcombe'" in last["content"]
    assert "Today is 2026-03-05" in last["content"]
    assert last["content"].endswith("Question: How many stores are there in Harrowmere?")


def test_an_error_is_shown_to_the_model_and_mended(sql_shop):
    answer, model = ask(sql_shop, "SELECT count(*) FROM shops", "SELECT count(*) FROM stores")

    assert answer["rows"] == [[8]]
    assert model.seen[1][-2]["content"] == "SELECT count(*) FROM shops"
    assert "There is no table 'shops'" in model.seen[1][-1]["content"]


def test_it_is_mended_twice_at_most(sql_shop):
    answer, model = ask(sql_shop, *["DROP TABLE stores"] * 4)

    assert answer["error"] == "denied"
    assert "only a SELECT" in answer["reason"]
    assert len(model.seen) == 3


@pytest.mark.parametrize("reply", ["NONE", "none.", "```\nNONE\n```"])
def test_the_model_may_say_that_no_query_fits(sql_shop, reply):
    assert ask(sql_shop, reply)[0]["error"] == "no_query"


def test_personal_columns_stay_closed_to_the_model(sql_shop, secrets):
    answer, model = ask(sql_shop, *["SELECT email FROM customers"] * 3)

    assert answer["error"] == "denied"
    assert not any(secret in str(model.seen) for secret in secrets)


def test_tables_of_named_values_and_those_between_are_described():
    spain = Link(first=0, last=1, text="Spain", to=Value(kind="country", text="Spain"))
    links = Linked(text="Spain", words=("spain",), links=(spain,), unlinked=())
    near = {"refunds", "points", "stock", "categories", "shipments"}

    def prefer(texts):
        return np.array([[1.0], *([1.0 if text.split(":")[0] in near else 0.0] for text in texts[1:])])

    schema = describe_schema("?", links, {"country": ["Spain", "France"]}, prefer)

    tables = {line.partition("(")[0] for line in schema.splitlines()}
    assert near | {"customers", "orders"} <= tables
    assert "reviews" not in tables
    assert "country TEXT such as 'Spain', 'France'" in schema
    assert "email" not in schema


@pytest.mark.parametrize(
    "reply", ["SELECT 1", " SELECT 1 ; ", "```sql\nSELECT 1\n```", "Here it is:\n```\nSELECT 1;\n```\nDone."]
)
def test_the_query_is_found_in_the_reply(reply):
    assert extract_query(reply) == "SELECT 1"
