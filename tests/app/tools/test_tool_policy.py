"""The manifest of the shop's tools: who may call which, and what may fill their targets."""

from __future__ import annotations

import pytest

from reference_app.guardrails.calls.request import Target
from reference_app.tools.policy import ROLES, PolicyError, load_policy

OUTCOMES = {
    "order_status": ("allow", "allow"),
    "shipment": ("allow", "allow"),
    "loyalty_points": ("allow", "allow"),
    "store_stock": ("allow", "allow"),
    "find_products": ("allow", "allow"),
    "find_reviews": ("allow", "allow"),
    "list_stores": ("allow", "allow"),
    "ask_database": ("allow", "allow"),
    "request_refund": ("confirm", "confirm"),
    "change_address": ("confirm", "confirm"),
    "adjust_points": ("deny", "confirm"),
}


@pytest.fixture
def load(tmp_path):
    def load(text):
        (tmp_path / "policy.yaml").write_text(text, encoding="utf-8")
        return load_policy(tmp_path / "policy.yaml")

    return load


@pytest.mark.parametrize(("name", "outcomes"), OUTCOMES.items())
def test_the_shops_policy(name, outcomes):
    policy = load_policy()

    assert tuple(policy.decide(name, role) for role in ROLES) == outcomes
    assert policy.rules[name].effects is ("confirm" in outcomes)
    orders = policy.rules[name].targets.get("order_id", Target())
    assert orders == Target(sources=("customer",), otherwise="deny")


@pytest.mark.parametrize(
    ("name", "role"), [("order_statuss", "staff"), ("look", "customer"), ("look", "admin"), ("", "staff")]
)
def test_what_has_no_rule_is_denied(load, name, role):
    assert load("look: {staff: allow}").decide(name, role) == "deny"


def test_a_target_has_sources_and_says_what_happens_otherwise(load):
    policy = load(
        "pay: {staff: confirm, effects: true, targets: {to: {from: [customer, tool find, constant], "
        "values: [a], else: confirm}}}\nfind: {staff: allow}"
    )

    assert policy.rules["pay"].targets == {
        "to": Target(sources=("customer", "tool find", "constant"), values=("a",), otherwise="confirm")
    }
    schema = {"properties": {"to": {}}}
    policy.check_tools({"pay": schema, "find": {}})
    with pytest.raises(PolicyError, match=r"policy\.yaml:1: pay: there is no argument 'to'; it has where"):
        policy.check_tools({"pay": {"properties": {"where": {}}}})
    with pytest.raises(PolicyError, match=r"there is no rule for pai\. Did you mean 'pay' in line 1"):
        policy.check_tools({"pai": schema})
    with pytest.raises(PolicyError, match=r"policy\.yaml:1: pay: to: there is no tool 'fnd'"):
        load("pay: {targets: {to: {from: [tool fnd]}}}").check_tools({"pay": schema})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "yaml:1: here belongs a mapping"),
        ("- look", "yaml:1: here belongs a mapping"),
        ("look: allow", "yaml:1: here belongs a mapping"),
        ("look: {staff: allow", "is no YAML"),
        (
            "look: {admin: allow}",
            "yaml:1: there is no key 'admin'; there are customer, staff, effects and targets",
        ),
        ("look:\n  staff: yes", "yaml:2: staff: 'yes' is none of allow, confirm, deny"),
        ("look: {staff: [allow]}", "is none of"),
        ("look: {staff: }", "'' is none of"),
        ("look: {staff: deny}\nlook: {staff: allow}", "yaml:2: 'look' stands there twice"),
        ("look:\n  staff: deny\n  staff: allow", "yaml:3: 'staff' stands there twice"),
        ("look: {effects: sometimes}", "effects: 'sometimes' is none of true, false"),
        ("look:\n  targets:\n    to: {from: [client]}", "yaml:3: from: 'client' is none of customer"),
        ("look: {targets: {to: {from: [customer ada]}}}", "'customer ada' is none of"),
        (
            "look: {targets: {to: {from: customer}}}",
            "there is no key 'from'; there are from and values, each a list",
        ),
        ("look: {targets: {to: {else: deny}}}", "a target needs `from`"),
        ("look: {targets: {to: {from: [customer], else: ask}}}", "else: 'ask' is none of allow"),
    ],
)
def test_a_broken_policy_is_explained_with_its_line(load, text, said):
    with pytest.raises(PolicyError, match=said):
        load(text)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_policy_that_cannot_be_read_is_explained(tmp_path, content):
    if content:
        (tmp_path / "policy.yaml").write_bytes(content)

    with pytest.raises(PolicyError, match=r"policy\.yaml"):
        load_policy(tmp_path / "policy.yaml")
