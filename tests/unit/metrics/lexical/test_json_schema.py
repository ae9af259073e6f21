from __future__ import annotations

import json
import socket

import pytest

from pytest_llmops import Score
from tests.scoring import refuse, score_one

ORDER = {
    "type": "object",
    "required": ["id", "items"],
    "properties": {
        "id": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"},
        "sent": {"type": "string", "format": "date"},
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}, "uniqueItems": True},
    },
    "additionalProperties": False,
    "$defs": {
        "item": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "count": {"type": "integer", "minimum": 1}},
            "patternProperties": {"^x-": {"type": "string"}},
            "additionalProperties": {"type": "number"},
        }
    },
}


def check(text: str, given_schema: object = ORDER, **options: object):
    return score_one("json_schema", text, {"schema": given_schema, **options})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"id": "FW-1042", "items": []}', ""),
        (' {"id": "FW-1042", "items": [{"name": "boot", "x-a": "b", "price": 5}]}\n', ""),
        ("[]", "$: [] is not of type 'object'"),
        ('{"id": "FW-1042"}', "$: 'items' is a required property"),
        ('{"id": "FW-1", "items": []}', "$.id: 'FW-1' does not match '^[A-Z]{2}-[0-9]{4}$'"),
        (
            '{"id": "FW-1042", "items": [{}, {"count": 0}]}',
            "$.items[1].count: 0 is less than the minimum of 1",
        ),
        ('{"id": "FW-1042", "items": [{"x-a": 5}]}', "$.items[0]['x-a']: 5 is not of type 'string'"),
        ('{"id": "FW-1042", "items": [{"price": "5"}]}', "$.items[0].price: '5' is not of type 'number'"),
        ('{"id": "FW-1042", "items": [], "no": 1}', "$: has keys that the schema does not know: 'no'"),
        ('{"id": "FW-1042", "items": [{"count": 1}, {"count": 1.0}]}', "$.items: holds an item twice"),
        ('{"id": "FW-1042", "items": [], "sent": "2026-02-30"}', "$.sent: '2026-02-30' is not a 'date'"),
        # what comes first in the text is told, whatever the order of the schema
        ('{"items": [{"count": "a"}], "id": 5}', "$.items[0].count: 'a' is not of type 'integer'"),
        ('{"id": 5, "items": [{"count": "a"}]}', "$.id: 5 is not of type 'string'"),
    ],
)
def test_the_first_violation_is_told_with_its_path(text, reason):
    result = check(text)

    assert isinstance(result, Score), result
    assert result.value == float(not reason)
    assert result.reason == reason
    assert bool(result.evidence) == bool(reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON: it is empty"),
        ("Sure! {}", "no JSON: line 1, column 1: expecting value"),
        ('{"a": 1}\n{"b": 2}', "no JSON: line 2, column 1: extra data"),
        ('{"a": 1', "no JSON: line 1, column 8: expecting ',' delimiter"),
        ('{"a": 1, "b": {"a": 2, "a": 3}}', "no JSON: the key 'a' stands twice"),
        ("NaN", "no JSON: NaN is no JSON"),
        ('{"a": -Infinity}', "no JSON: -Infinity is no JSON"),
        ("1e400", "no JSON: the number 1e400 is beyond"),
        ("9" * 5000, "no JSON: a number is too long"),
        ("```json\n{}\n```", "strip_fences: true takes off"),
    ],
)
def test_what_two_readers_could_read_in_two_ways_is_no_json(text, reason):
    result = check(text, {"title": "anything"})

    assert isinstance(result, Score)
    assert result.value == 0.0
    assert reason in result.reason


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("```json\n{}\n```", 1.0),
        ("  ```\n{}\n```\n", 1.0),
        ("```JSON\n{\n}```", 1.0),
        ("{}", 1.0),
        ("Here it is:\n```json\n{}\n```", 0.0),
        ("```json\n{}\n```\n```json\n{}\n```", 0.0),
        ("```python\n{}\n```", 0.0),
        ('{"a": "```json\\n{}\\n```"}', 1.0),
    ],
)
def test_fences_are_taken_off_where_asked(text, value):
    result = check(text, {"type": "object"}, strip_fences=True)

    assert isinstance(result, Score)
    assert result.value == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 65 + "]" * 65, "deeper than 64"),
        ("[" * 100_000, "deeper than 64"),
        ('"' + "a" * 1_000_000 + '"', "longer than 1,000,000"),
    ],
)
def test_what_is_too_large_is_a_failure(text, told):
    result = check(text, {"title": "anything"})

    assert not isinstance(result, Score)
    assert told in result.error


def test_depth_is_bounded_where_a_schema_goes_round():
    tree = {"$ref": "#/$defs/node", "$defs": {"node": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}
    deep = check("[" * 60 + "]" * 60, tree)
    endless = check("[]", {"$ref": "#"})

    assert isinstance(deep, Score)
    assert deep.value == 1.0
    assert not isinstance(endless, Score)
    assert "too deep for this schema" in endless.error


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("date", "2026-11-25", "25.11.2026"),
        ("date-time", "2026-11-25T12:30:00.5Z", "2026-11-25 12:30"),
        ("date-time", "2026-11-25t12:30:00+01:00", "2026-13-25T12:30:00Z"),
        ("time", "12:30:00Z", "12:30"),
        ("time", "12:30:00-05:00", "25:30:00Z"),
        ("email", "ada@example.com", "ada"),
        ("ipv4", "192.0.2.1", "192.0.2.256"),
        ("ipv6", "2001:db8::1", "2001::db8::1"),
        ("uuid", "123e4567-e89b-42d3-a456-426614174000", "123e4567"),
    ],
)
def test_a_format_is_checked(kind, good, bad):
    results = [check(json.dumps(value), {"format": kind}) for value in (good, bad, 5)]

    assert [result.value for result in results] == [1.0, 0.0, 1.0]


def test_of_a_choice_the_nearest_violation_is_told():
    choice = {"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"type": "null"}]}
    result = check('{"a": "x"}', choice)

    assert isinstance(result, Score)
    assert result.reason == "$.a: 'x' is not of type 'integer'"


@pytest.mark.parametrize(
    ("given_schema", "advice"),
    [
        ("absent.json", "cannot read the schema absent.json: No such file"),
        ("binary.json", "no UTF-8 text"),
        ("broken.json", "broken.json is no JSON that can be used: line 1, column 2"),
        ("list.json", "must contain an object"),
        (True, "a mapping or the path"),
        ("", "a mapping or the path"),
        ({"type": "objekt"}, "is no schema: $.type: 'objekt' is not valid"),
        ({"a": float("nan")}, "is no JSON"),
        ({"a": object()}, "is no JSON"),
        ({"pattern": "(a"}, "schema: (a is no pattern: missing )"),
        ({"properties": {"a": {"patternProperties": {"[": {}}}}}, "no pattern"),
        ({"$schema": "https://example.com/draft-99"}, "a draft that is not known"),
        ({"$ref": "https://example.com/order.json"}, "refers to https://example.com/order.json"),
        ({"items": {"$ref": "#/$defs/absent"}}, "put it under $defs"),
        ({"allOf": [{"$ref": "order.json"}]}, "nothing is fetched"),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, "use additionalProperties"),
    ],
)
def test_a_schema_that_cannot_be_used_is_told(given_schema, advice, tmp_path, monkeypatch):
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    refuse("json_schema", advice, schema=given_schema)


def test_a_pattern_may_name_letters_of_any_script():
    letters = {"pattern": r"^\p{L}+$"}

    assert check('"\u9000\u8d27"', letters).value == 1.0
    assert check('"60"', letters).value == 0.0


def test_strip_fences_is_true_or_false():
    refuse("json_schema", "true or false", schema={}, strip_fences="yes")


def test_no_reference_is_ever_fetched(monkeypatch):
    opened = []

    def connect(*given: object, **_: object) -> None:
        opened.append(given)
        raise OSError("no network here")

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(socket.socket, "connect", connect)
    for reference in (
        "http://localhost:1/a.json",
        "https://json-schema.org/draft/2020-12/schema",
        "file:///a",
    ):
        refuse("json_schema", "nothing is fetched", schema={"properties": {"a": {"$ref": reference}}})
    assert opened == []


def test_a_part_with_an_id_of_its_own_is_found():
    named = {"$id": "https://example.com/a", "$ref": "b", "$defs": {"b": {"$id": "b", "type": "null"}}}

    assert check("null", named).value == 1.0
    assert check("5", named).value == 0.0


def test_an_older_draft_is_read_by_its_own_rules():
    old = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "null"}]}

    assert check("[null, 5]", old).value == 1.0
    assert check("[5]", old).value == 0.0


def test_the_reason_cannot_act_on_a_terminal():
    result = check(json.dumps({"\x1b[31m": 1}), {"additionalProperties": {"type": "string"}})

    assert isinstance(result, Score)
    assert result.value == 0.0
    assert "\x1b" not in result.reason
