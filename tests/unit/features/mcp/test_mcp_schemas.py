"""Which input schemas are closed and bounded, and that a hostile one is read in no time."""

from __future__ import annotations

import pytest

from pytest_llmops.features.mcp.rules import check_schema

TEXT = "string without maxLength, a pattern of bounded length or a format of one"


def found(part, **more):
    schema = {"type": "object", "properties": {"a": part}, "additionalProperties": False, **more}
    return [(each.field.removeprefix("inputSchema/"), each.detail) for each in check_schema("tool", schema)]


def closed(**properties):
    return {"type": "object", "properties": properties, "additionalProperties": False}


def ref(name):
    return {"$ref": f"#/$defs/{name}"}


OPEN = [
    (
        {"type": "array", "maxItems": 1, "items": False, "prefixItems": [{}]},
        "/prefixItems/0",
        "accepts any value",
    ),
    ({"type": "string", "pattern": ""}, "", TEXT),
    ({"type": "string", "pattern": ".*"}, "", TEXT),
    ({"type": "string", "pattern": "^.*$"}, "", TEXT),
    ({"type": "string", "pattern": "^a+$"}, "", TEXT),
    ({"type": "string", "pattern": "^a{2,}$"}, "", TEXT),
    ({"type": "string", "pattern": "^a|b$"}, "", TEXT),
    ({"type": "string", "pattern": "^(a{9}){9}$"}, "", TEXT),
    ({"type": "string", "pattern": "[a-z]{3}"}, "", TEXT),
    ({"type": "string", "pattern": "^[a-z]{3}"}, "", TEXT),
    ({"type": "string", "pattern": "^[a-z]{3}\\$"}, "", TEXT),
    ({"type": "string", "pattern": "^a{999999}b{999999}$"}, "", TEXT),
    ({"type": "string", "format": "x"}, "", TEXT),
    ({"type": "string", "format": "uri"}, "", TEXT),
    ({"type": "string", "maxLength": 1e12}, "", "string with a maxLength above 1,000,000"),
    (
        {"type": "array", "maxItems": 1_000_001, "items": {"type": "null"}},
        "",
        "array with a maxItems above 1,000,000",
    ),
]


@pytest.mark.parametrize(("part", "below", "detail"), OPEN)
def test_a_part_that_only_looks_closed(part, below, detail):
    assert found(part) == [(f"properties/a{below}", detail)]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "string", "maxLength": 1_000_000},
        {"type": "string", "maxLength": 9, "pattern": ".*"},
        {"type": "string", "pattern": "^FW-\\d{5}$"},
        {"type": "string", "pattern": "^[A-Z0-9+*|]{4,8}-?x$"},
        {"type": "string", "format": "uuid"},
        {"type": "string", "format": "date-time"},
        {"type": "array", "maxItems": 2, "items": False, "prefixItems": [{"type": "boolean"}, {"const": 1}]},
    ],
)
def test_a_closed_part(part):
    assert found(part) == []


def test_a_pattern_that_almost_ends_is_read_in_no_time():
    assert found({"type": "string", "pattern": "^" + "[^a]{2}[^b]?" * 5_000 + "+$"}) == [
        ("properties/a", TEXT)
    ]


def test_references_that_share_a_target_are_read_once():
    levels = {f"d{at}": closed(x=ref(f"d{at + 1}"), y=ref(f"d{at + 1}")) for at in range(40)}
    (only,) = found(ref("d30"), **{"$defs": {**levels, "d40": {"type": "string"}}})
    assert only[1] == TEXT
    assert found(ref("d0"), **{"$defs": {**levels, "d40": {"type": "boolean"}}}) == []


@pytest.mark.parametrize(
    "defs",
    [
        {"a": closed(x=ref("a"))},
        {"a": closed(x=ref("b"), y=ref("b")), "b": closed(x=ref("c")), "c": closed(x=ref("a"))},
        {"a": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}},
    ],
)
def test_a_reference_to_what_it_is_in(defs):
    assert [detail for _, detail in found(ref("a"), **{"$defs": defs})] == [
        "refers to itself, so its depth has no bound"
    ]


def test_a_reference_elsewhere_is_not_one_to_a_part_without_a_name():
    (only,) = found({"$ref": "https://evil.example/schema"}, **{"": {"type": "boolean"}})
    assert only == ("properties/a", "refers to a part that is not in the schema")


def test_a_chain_of_references_without_an_end_in_sight():
    levels = {f"d{at}": ref(f"d{at + 1}") for at in range(5_000)}
    (only,) = found(ref("d0"), **{"$defs": levels})
    assert only == ("inputSchema", "is nested too deeply")
