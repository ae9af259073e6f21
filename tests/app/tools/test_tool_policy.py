from __future__ import annotations

import pytest

from reference_app.tools.policy import POLICY, ROLES, PolicyError, load_policy

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


@pytest.mark.parametrize(("name", "outcomes"), OUTCOMES.items())
def test_the_shops_policy(name, outcomes):
    policy = load_policy()

    assert tuple(policy.decide(name, role) for role in ROLES) == outcomes
    policy.check_tools(OUTCOMES)


@pytest.mark.parametrize(
    ("name", "role"),
    [("order_statuss", "staff"), ("order_status", "admin"), ("order_status", ""), ("", "staff")],
)
def test_what_has_no_rule_is_denied(name, role):
    assert load_policy(POLICY).decide(name, role) == "deny"


def test_a_role_without_a_rule_is_denied(tmp_path):
    (tmp_path / "policy.yaml").write_text("look: {staff: allow}")

    assert load_policy(tmp_path / "policy.yaml").decide("look", "customer") == "deny"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["look", "write"], "there is no rule for write"),
        (["lock"], "there is no tool 'look'; there are lock"),
        ([], "there is no tool 'look'"),
    ],
)
def test_the_file_speaks_of_the_tools_and_no_others(tmp_path, names, said):
    (tmp_path / "policy.yaml").write_text("look: {staff: allow}")

    with pytest.raises(PolicyError, match=said):
        load_policy(tmp_path / "policy.yaml").check_tools(names)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no rules"),
        ("- look", "holds no rules"),
        ("look: allow", "holds no rules"),
        ("look: [allow]", "holds no rules"),
        ("look: {staff: allow", "is no YAML"),
        ("? {a: 1}\n: {staff: allow}", "is no YAML"),
        ("look: {admin: allow}", "look: there is no role 'admin'; there are customer, staff"),
        ("look: {staff: yes}", "look: staff: True is none of allow, confirm, deny"),
        ("look: {staff: Allow}", "'Allow' is none of"),
        ("look: {staff: [allow]}", "is none of"),
        ("look: {staff: }", "None is none of"),
        ("look: {staff: deny}\nlook: {staff: allow}", r"policy\.yaml:2: 'look' stands there twice"),
        ("look:\n  staff: deny\n  staff: allow", r"policy\.yaml:3: 'staff' stands there twice"),
        ("look: {staff: !!python/object/apply:os.getcwd []}", "is no YAML"),
    ],
)
def test_a_broken_policy_is_explained(tmp_path, text, said):
    (tmp_path / "policy.yaml").write_text(text)

    with pytest.raises(PolicyError, match=said):
        load_policy(tmp_path / "policy.yaml")


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_policy_that_cannot_be_read_is_explained(tmp_path, content):
    if content:
        (tmp_path / "policy.yaml").write_bytes(content)

    with pytest.raises(PolicyError, match=r"policy\.yaml"):
        load_policy(tmp_path / "policy.yaml")
