"""Guards of one argument: what leaves its place is refused, and its near twin passes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reference_app.guardrails.calls.commands import find_command_fault, find_host_fault
from reference_app.guardrails.calls.paths import find_path_fault
from reference_app.guardrails.calls.schema import MAX_TEXT_CHARACTERS, find_schema_fault, has_format
from reference_app.guardrails.calls.sql import find_sql_fault
from reference_app.guardrails.calls.urls import Sites, find_url_fault
from reference_app.guardrails.markup import find_markup_fault

VALUES = yaml.safe_load(Path(__file__).with_name("arguments.yaml").read_text(encoding="utf-8"))
SITES = Sites(hosts=("docs.kiln.example", "status.kiln.example"), schemes=("https",), ports=frozenset({443}))
TABLES = ["orders", "customers", "products"]
FAULTS = {
    "paths": lambda text: find_path_fault(text, root="/srv/knowledge", suffixes=[".md", ".txt", ".csv"]),
    "urls": lambda text: find_url_fault(text, SITES),
    "open_urls": lambda text: find_url_fault(text, Sites()),
    "queries": lambda text: find_sql_fault(text, tables=TABLES),
    "hosts": lambda text: find_host_fault(text, ["*.kiln.example", "kiln.example"]),
    "markup": lambda text: find_markup_fault(text, link_hosts=["docs.kiln.example"]),
}


def list_values(label):
    return [(guard, text) for guard, values in VALUES.items() for text in values[label]]


@pytest.mark.parametrize(("guard", "text"), list_values("hostile"))
def test_a_hostile_value_is_refused_without_being_quoted(guard, text):
    fault = FAULTS[guard](text)

    assert fault
    assert "gorse" not in fault


@pytest.mark.parametrize(("guard", "text"), list_values("benign"))
def test_its_near_twin_passes(guard, text):
    assert FAULTS[guard](text) == ""


@given(st.text(max_size=200) | st.lists(st.sampled_from("./\\%2eE~$:;`[]()<>!'\"-# ")).map("".join))
def test_no_text_makes_a_guard_raise(text):
    for find_fault in FAULTS.values():
        assert isinstance(find_fault(text), str)


def test_a_path_without_a_folder_must_be_relative():
    assert find_path_fault("notes/a.txt") == ""
    assert find_path_fault("/srv/knowledge/a.txt")


@pytest.mark.parametrize("text", ["a; rm -rf b", "a && b", "$(id)", "`id`", "a | b", "a > b", "-o x", "a\nb"])
def test_what_chains_commands_is_refused(text):
    assert find_command_fault(text)


@pytest.mark.parametrize("text", ["kiln", "a-b", "2026-05-04", "50% off", "report (final).txt", "it's"])
def test_a_plain_word_may_stand_in_a_command(text):
    assert find_command_fault(text) == ""


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "free": {"type": "string"},
        "day": {"type": "string", "format": "date"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "place": {"type": "object", "properties": {"city": {"type": "string"}}},
        "code": {"type": "string", "pattern": "^K-[0-9]{3}$"},
    },
    "required": ["name"],
}
FINE = {"name": "x"}


@pytest.mark.parametrize(
    "arguments",
    [
        FINE,
        {**FINE, "count": 9, "day": "2026-02-28", "tags": ["a", "b"], "place": {"city": "York"}},
        {**FINE, "code": "K-123", "free": "x" * MAX_TEXT_CHARACTERS},
    ],
)
def test_arguments_of_the_schema_pass(arguments):
    assert find_schema_fault(arguments, SCHEMA) == ""


@pytest.mark.parametrize(
    "arguments",
    [
        None,
        [],
        "name",
        {},
        {"name": 1},
        {"name": None},
        {"name": ["x"]},
        {"name": "x" * 21},
        {**FINE, "more": 1},
        {**FINE, "Name": "x"},
        {**FINE, "count": 10},
        {**FINE, "count": "5"},
        {**FINE, "count": True},
        {**FINE, "count": 5.0},
        {**FINE, "day": "2026-02-30"},
        {**FINE, "day": "tomorrow"},
        {**FINE, "tags": "a"},
        {**FINE, "tags": [1]},
        {**FINE, "tags": ["a"] * 101},
        {**FINE, "place": {"city": "York", "as_admin": True}},
        {**FINE, "code": "K-123\n"},
        {**FINE, "code": "K-١٢٣"},
        {**FINE, "free": "x" * (MAX_TEXT_CHARACTERS + 1)},
        {**FINE, "free": float("nan")},
    ],
)
def test_arguments_that_break_the_schema_are_refused(arguments):
    assert find_schema_fault(arguments, SCHEMA)


def test_a_schema_that_is_none_lets_nothing_pass():
    assert find_schema_fault({"a": 1}, {"type": "objekt"})
    assert find_schema_fault({"a": 1}, {"properties": {"a": {"$ref": "#/$defs/none"}}})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "email",
            ["a@b.example", "a.b+c@d-e.example"],
            ["a", "a@b", "a@@b.example", "a b@c.example", "a@b.example\n"],
        ),
        (
            "uri",
            ["https://a.example/b?c", "mailto:a@b.example"],
            ["a.example", "https://a b", "https://a\\b", ""],
        ),
        ("uuid", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567e89b12d3a456426614174000", "x"]),
        ("date", ["2026-02-28"], ["2026-02-30", "2026-2-3", "28.02.2026", "2026-02-28T00:00"]),
        ("time", ["10:00:00", "10:00:00Z", "10:00:00.5+02:00"], ["10", "25:00:00", "10:61:00"]),
        (
            "date-time",
            ["2026-02-28T10:00:00Z", "2026-02-28 10:00:00+01:00"],
            ["2026-02-28", "2026-02-30T10:00:00Z"],
        ),
        ("hostname", ["a.example", "a-b.example."], ["a_b.example", "-a.example", "a..b", "a" * 64]),
        ("ipv4", ["10.0.0.1"], ["10.0.0", "010.0.0.1", "10.0.0.256"]),
        ("ipv6", ["::1", "2001:db8::1"], ["::1%eth0", "1.2.3.4", ":::"]),
        ("duration", ["P1D", "PT5M", "P1Y2M3DT4H"], ["P", "PT", "1D"]),
        ("idn-email", ["ä@ö.example"], ["ä", "ä @ö.example"]),
    ],
)
def test_formats_are_checked(name, good, bad):
    assert [value for value in good if not has_format(name, value)] == []
    assert [value for value in bad if has_format(name, value)] == []
