from __future__ import annotations

import json

import pytest
import yaml

from reference_app.evaluation.queries import QUESTIONS, evaluate
from reference_app.evaluation.shares import lower_bound
from reference_app.tools.sql import execution
from reference_app.tools.sql.agent import MAX_CHARACTERS, NAME, PARAMETERS, SqlAgent, query_tool


def test_an_answer_has_the_query_and_the_rows(sql_agent):
    answer = sql_agent.ask("How many Skerry 2 tents are in stock in Harrowmere?")

    assert set(answer) == {"sql", "columns", "rows", "truncated", "understood", "units", "yes_no"}
    assert "stores.city = 'Harrowmere'" in answer["sql"]
    assert (answer["columns"], answer["units"]) == (["quantity"], ["in stock"])
    assert answer["understood"] == "pieces in stock of Skerry 2 tent in Harrowmere"
    assert json.loads(json.dumps(answer)) == answer


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Who is the customer of FW-10427?", "no answer"),
        ("Delete all orders that are cancelled.", "no answer"),
        ("How long is the guarantee on a jacket?", "no answer"),
        ("Will it rain in the hills tomorrow?", "no answer"),
        ("   ", "1 to 500"),
        ("tents " * 100, "1 to 500"),
    ],
)
def test_what_the_database_does_not_answer_is_refused_with_the_reason(sql_agent, question, words):
    answer = sql_agent.ask(question)

    assert answer["error"] == "no_query"
    assert words in answer["reason"]


@pytest.mark.parametrize(
    "question",
    [
        "Roughly what does the Camp table weigh?",
        "What's the price of the Lumen headlamp in euros?",
        "Which folding tents weigh least?",
    ],
)
def test_a_question_of_the_catalogue_s_figures_is_known_where_it_is_not_understood(sql_agent, question):
    assert sql_agent.understand(question) is None
    assert sql_agent.concerns(question)


@pytest.mark.parametrize(
    "question",
    [
        "How much does it cost to repair a tent?",
        "What's the postage for a Skerry 2?",
        "How many years of warranty does the Corrie 45 have?",
        "What was the price of the tent in FW-10427?",
        "How long does delivery take?",
        "Are the boots waterproof?",
        "I lost my way on the hills with the Ridge GPS, do you pay for the rescue?",
    ],
)
def test_services_orders_and_rules_are_no_figures_of_the_catalogue(sql_agent, question):
    assert not sql_agent.concerns(question)


def test_text_of_a_question_never_becomes_sql(sql_agent, sql_shop):
    before = sql_shop.read_bytes()
    for text in ("' OR 1=1 --", "Harrowmere'; DROP TABLE orders; --", "x\0y", "\u202e{} {product} %s"):
        sql_agent.ask(f"How many tents are in stock in {text}?")

    assert sql_shop.read_bytes() == before


def test_a_missing_database_is_unavailable(tmp_path):
    answer = SqlAgent(tmp_path / "none.sqlite", None).ask("How many tents do you sell?")

    assert answer["error"] == "unavailable"
    assert str(tmp_path) not in answer["reason"]


def test_a_query_beyond_its_time_is_too_slow(sql_shop, monkeypatch):
    agent = SqlAgent(sql_shop, None)
    agent.ask("How many tents do you sell?")
    monkeypatch.setattr(execution, "TIME_LIMIT_S", -1.0)
    monkeypatch.setattr(execution, "STEPS", 1)

    assert agent.ask("What was the turnover by category?")["error"] == "too_slow"


def test_the_tool_asks_the_agent(sql_agent):
    tool = query_tool(sql_agent)

    assert tool.name == NAME
    assert tool.parameters == PARAMETERS
    assert PARAMETERS["properties"]["question"]["maxLength"] == MAX_CHARACTERS
    assert tool.run({"question": "How many tents do you sell?"})["rows"] == [[5]]


def test_the_questions_are_many_and_no_held_one_was_built_with():
    data = yaml.safe_load(QUESTIONS.read_text(encoding="utf-8"))
    building = {item["question"] for item in data["building"]}
    held = {item["question"] for item in data["held"]}

    assert len(building | held) >= 100
    assert not building & held


@pytest.mark.parametrize(("split", "wanted"), [("building", 0.95), ("held", 0.85)])
def test_enough_questions_are_answered_rightly(sql_agent, split, wanted):
    report = evaluate(sql_agent, split)

    assert report.right + len(report.failures) == report.n >= 50
    assert report.right / report.n >= wanted, report.failures
    assert 0 < report.lower < report.right / report.n
    assert len([sql for _, sql in report.failures if sql.startswith("SELECT")]) <= 0.02 * report.n
    assert report.refused == report.unanswerable, report.answered


def test_a_wrong_answer_counts_as_one(sql_agent, tmp_path):
    questions = tmp_path / "questions.yaml"
    item = {"question": "How many tents do you sell?", "sql": "SELECT count(*) FROM orders"}
    questions.write_text(
        yaml.safe_dump({"held": [item], "no_query": {"held": ["How many packs do you sell?"]}})
    )

    report = evaluate(sql_agent, "held", questions)

    assert (report.n, report.right, report.lower, report.refused) == (1, 0, 0.0, 0)
    assert report.failures[0][0] == item["question"]


def test_the_bound_is_that_of_clopper_and_pearson():
    assert lower_bound(10, 10) == pytest.approx(0.05 ** (1 / 10))
    assert lower_bound(0, 10) == 0
    assert lower_bound(45, 50) == pytest.approx(0.8011, abs=1e-3)
