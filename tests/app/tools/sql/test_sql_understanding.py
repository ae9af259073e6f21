from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reference_app.evaluation.queries import QUESTIONS
from reference_app.tools.sql.guard.query import check_query
from reference_app.tools.sql.linking.lexicon import FILE, load_lexicon
from reference_app.tools.sql.slots.schema import FIGURES, POINTS_AT, SUBJECTS, find_joins
from tests.app.tools.sql.data import load

CASES = load("understood.yaml")
INJECTIONS = (
    "How many tents cost less than £50; DROP TABLE products; --",
    "Which jackets are ' OR 1=1 --",
    "price of the Squall rain shell' UNION SELECT email FROM customers --",
    'How many products in "Tents" UNION SELECT name FROM customers?',
    "Which stores opened in 2020'); DELETE FROM stores; --",
    "SELECT name, email FROM customers",
    "List the e-mail addresses of customers in Spain",
    "What are the names of all customers?",
    "tracking number of order FW-10412",
)
WORDS = sorted({" ".join(phrase) for phrase in load_lexicon().meanings})
NAMES = (
    "Skerry 2",
    "tents",
    "Squall jackets",
    "Harrowmere",
    "Water",
    "blue",
    "footprint",
    "FW-10412",
    "Spain",
)
AMOUNTS = ("under £50", "2", "between 1 and 2 kg", "in 2025", "since May 2024", "more than 5", "3 stars")


@pytest.mark.parametrize(("question", "words", "rows"), CASES["understood"])
def test_a_question_is_understood_and_answered(sql_agent, question, words, rows):
    answer = sql_agent.ask(question)

    assert (answer["understood"], answer["rows"]) == (words, rows)
    assert len(answer["units"]) == len(answer["columns"])


@pytest.mark.parametrize("question", [*CASES["cannot_tell"], *INJECTIONS])
def test_what_is_not_fully_linked_has_no_query(sql_agent, question):
    assert sql_agent.understand(question) is None
    assert sql_agent.ask(question)["error"] == "no_query"


@pytest.mark.parametrize(
    ("added", "column"),
    [
        (", and how many reviews does it have?", "reviews"),
        (" and how heavy are they?", "weight"),
        (" and when did it come out?", "released"),
        (" and how many are left?", "quantity"),
        (" and where?", "store"),
        (" and what did it cost last year?", "nothing"),
        (" per person?", "nothing"),
        (" in winter?", "nothing"),
        (" including delivery?", "nothing"),
    ],
)
def test_more_than_is_shown_is_never_asked(sql_agent, added, column):
    questions = yaml.safe_load(QUESTIONS.read_text(encoding="utf-8"))["building"]
    for item in questions:
        answer = sql_agent.ask(item["question"].rstrip("?.! ") + added)
        assert "error" in answer or column in " ".join(answer["columns"]), answer


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.sampled_from([*WORDS, *NAMES, *AMOUNTS]), min_size=1, max_size=9))
def test_any_words_give_a_query_that_the_guard_accepts_or_none(sql_agent, secrets, parts):
    question = " ".join(parts)
    understood = sql_agent.understand(question)

    if understood is not None:
        assert check_query(understood.sql).sql
        assert understood.description
    answer = sql_agent.ask(question[:500])
    assert answer.get("error") in {None, "no_query"}
    assert not any(value in secrets for row in answer.get("rows", ()) for value in row)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=120))
def test_any_text_gives_a_query_that_the_guard_accepts_or_none(sql_agent, text):
    understood = sql_agent.understand(text)

    assert understood is None or check_query(understood.sql).sql


def test_text_of_a_question_never_changes_the_database(sql_agent, sql_shop):
    before = sql_shop.read_bytes()
    for question in INJECTIONS:
        sql_agent.ask(question)

    assert sql_shop.read_bytes() == before


def test_what_is_looked_at_needs_no_run(sql_agent, monkeypatch):
    sql_agent.understand("How many tents do you sell?")
    monkeypatch.setattr(sql_agent, "run", None)

    assert sql_agent.understand("How many tents do you sell?").names


def test_the_lexicon_names_only_what_the_database_holds(sql_shop):
    data = yaml.safe_load(Path(FILE).read_text(encoding="utf-8"))
    with closing(sqlite3.connect(sql_shop)) as database:
        categories = {name for (name,) in database.execute("SELECT name FROM categories")}
        held = {
            kind: {value for (value,) in database.execute(f"SELECT DISTINCT {column} FROM {table}")}  # noqa: S608
            for kind, column, table in (
                ("country", "country", "customers"),
                ("status", "status", "orders"),
                ("reason", "reason", "refunds"),
                ("colour", "colour", "products"),
                ("carrier", "carrier", "shipments"),
            )
        }
    assert set(data["categories"]) <= categories
    assert all(set(values) <= held[kind] for kind, values in data["values"].items())


def test_joins_lead_only_to_what_a_row_points_at():
    assert find_joins("stock", "categories") == (("stock", "products"), ("products", "categories"))
    assert find_joins("products", "products") == ()
    assert find_joins("products", "stock") is None
    tables = {table for pair in POINTS_AT for table in pair}
    assert {figure.table for figure in FIGURES.values()} <= tables
    assert {column.partition(".")[0] for column in SUBJECTS.values()} <= tables
