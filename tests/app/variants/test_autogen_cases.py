"""What of the AutoGen variant needs no AutoGen: cases, desk, limits, and what is said where it is missing."""

from __future__ import annotations

import json
import threading
from importlib import metadata

import pytest
import yaml

from reference_app.errors import SettingsError
from reference_app.graph import open_app
from reference_app.tools.registry import Confirmation
from reference_app.variants import autogen
from reference_app.variants.autogen.desk import Desk
from reference_app.variants.autogen.limits import TURNS, TeamError, read_limit, run_within
from tests.app.shop import ROOT

OWN = {"deny-points-off", "deny-street", "injection-carrier"}
REFUND = {"name": "request_refund", "arguments": {"order_id": "FW-20001"}}


def read_cases(path):
    return {case["id"]: case for case in yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))["cases"]}


def write_plan(*calls, route="tools"):
    return json.dumps({"route": route, "calls": calls})


@pytest.fixture
def desk(small_shop):
    def open_desk(question, **given):
        return Desk(app=open_app(small_shop()), question=question, **given)

    return open_desk


def test_the_shared_cases_are_those_of_the_app():
    app, team = read_cases("golden/support.yaml"), read_cases("reference_app/variants/autogen/golden.yaml")
    shared = {name: case for name, case in app.items() if "tool" in case["tags"]}
    assert {name: case for name, case in team.items() if name not in OWN} == shared
    assert team.keys() - shared.keys() == OWN


def test_a_plan_is_carried_out_by_the_registry(desk):
    asked = desk("Where is my order FW-20002?")
    text = asked.carry_out(write_plan({"name": "order_status", "arguments": {"order_id": "FW-20002"}}))
    assert "cancelled" in text
    assert [(call.name, call.decision) for call in asked.calls] == [("order_status", "allowed")]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ({"name": "order_statu", "arguments": {"order_id": "FW-20002"}}, "There is no tool 'order_statu'"),
        ({"name": "order_status", "arguments": {"order_id": 20002}}, "order_id must be text"),
        ({"name": "adjust_points", "arguments": {"order_id": "FW-20001", "points": 5}}, "may not use"),
    ],
    ids=["an unknown tool", "a number for a text", "not this role's"],
)
def test_what_may_not_be_called_is_recorded_as_denied(desk, call, reason):
    asked = desk("Add 5 points to order FW-20001, and look at FW-20002.")
    asked.carry_out(write_plan(call))
    assert [one.decision for one in asked.calls] == ["denied"]
    assert reason in asked.calls[0].reason


def test_a_person_is_asked_before_a_refund(desk):
    asked = desk("Refund my order FW-20001.")
    text = asked.carry_out(write_plan(REFUND))
    assert asked.pending == text
    assert "confirm" in text
    assert [(call.name, call.decision) for call in asked.calls] == [
        ("order_status", "allowed"),
        ("request_refund", "pending"),
    ]


def test_a_yes_counts_for_the_call_that_was_seen_alone(desk):
    seen = [Confirmation.of(**REFUND).digest]
    same = desk("Refund my order FW-20001.", approved=seen)
    same.carry_out(write_plan(REFUND))
    assert same.calls[-1].decision == "confirmed"
    other = desk("Refund my order FW-20002.", approved=seen)
    other.carry_out(write_plan({"name": "request_refund", "arguments": {"order_id": "FW-20002"}}))
    assert other.calls[-1].decision == "denied"  # it was cancelled, and nobody said yes


@pytest.mark.parametrize("text", ["I would look up the order.", write_plan(route="documents")])
def test_without_a_call_the_database_is_asked(desk, text):
    asked = desk("Who is the king of Norway?")
    asked.carry_out(text)
    assert [(call.name, call.decision) for call in asked.calls] == [("query_shop", "allowed")]


@pytest.mark.parametrize(
    "found", [{}, {"autogen-agentchat": "0.8.0", "autogen-ext": "0.7.5"}], ids=["missing", "another major"]
)
def test_autogen_that_does_not_fit_is_one_message(monkeypatch, found):
    def find(name):
        if name not in found:
            raise metadata.PackageNotFoundError(name)
        return found[name]

    monkeypatch.setattr(autogen, "version", find)
    with pytest.raises(SettingsError, match=r"autogen-agentchat 0\.7\.x is needed, and (none|0\.8\.0) is"):
        autogen.answer("Where is my order FW-20002?")


@pytest.mark.parametrize("value", ["0", "-1", "6.5", "many", "3601"])
def test_a_limit_is_a_whole_number(monkeypatch, value):
    monkeypatch.setenv(TURNS[0], value)
    with pytest.raises(SettingsError, match=r"REFERENCE_APP_TEAM_TURNS is .*; it must be a whole number"):
        read_limit(TURNS)


def test_what_hangs_is_left_behind():
    never = threading.Event()
    with pytest.raises(TeamError, match=r"did not end within 0\.1 s; a model or a tool hangs"):
        run_within(never.wait, 0.1)
    never.set()


def test_an_error_within_the_time_is_raised_as_it_is():
    def fail():
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        run_within(fail, 5)
