from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.detect.texts import escape, is_cut_json, rewrite, unescape, walk
from pytest_llmops.records import Span


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("plain", [("", "plain")]),
        ({"a": ["x", {"b": "y"}]}, [("/a", "a"), ("/a/0", "x"), ("/a/1/b", "b"), ("/a/1/b", "y")]),
        ({"a/b~": 1}, [("/a~1b~0", "a/b~"), ("/a~1b~0", "1")]),
        ([None, True, 4111111111111111, 1.5], [("/2", "4111111111111111"), ("/3", "1.5")]),
        ('{"a": "\\u0040"}', [("/a", "a"), ("/a", "@")]),
        ('{"a": 1, "a": 2}', [("/a", "a"), ("/a", "1"), ("/a", "a"), ("/a", "2")]),
        (json.dumps(json.dumps({"a": json.dumps(["x"])})), [("/a", "a"), ("/a/0", "x")]),
        ("[12345678901234567890.10]", [("/0", "12345678901234567890.10")]),
        ("{broken", [("", "{broken")]),
        ("12", [("", "12")]),
        (b"bytes", [("", "bytes")]),
        ("[]", []),
    ],
)
def test_every_text_has_its_place(value, texts):
    assert [(text.pointer, text.text) for text in walk(value)] == texts


def test_a_span_is_told_by_its_fields_but_not_its_times():
    span = Span(
        span_id="s1",
        parent_id=None,
        name="retriever",
        start=1.0,
        end=2.0,
        attributes={"k": object},
        events=({"name": "e", "attributes": {"x": 7}},),
        status="error: z",
    )

    found = {text.pointer: text.text for text in walk(span)}

    assert found["/name"] == "retriever"
    assert found["/attributes/k"] == "<class 'object'>"
    assert found["/events/0/attributes/x"] == "7"
    assert found["/status"] == "error: z"
    assert "/start" not in found


def test_nesting_without_end_is_read_as_text():
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    deep.append("needle")
    own: dict[str, object] = {}
    own["own"] = own

    assert "needle" in [text.text for text in walk(deep)]
    assert len(list(walk(own))) < 200
    assert [text.text for text in walk("[" * 100_000)] == ["[" * 100_000]


@given(
    st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
)
def test_no_text_is_lost(value):
    def leaves(item):
        if isinstance(item, str):
            return [item]
        if isinstance(item, dict):
            return [leaf for pair in item.items() for part in pair for leaf in leaves(part)]
        return [leaf for part in item for leaf in leaves(part)]

    texts = [text.text for text in walk(value)]

    for leaf in leaves(value):
        assert leaf in texts or leaf.lstrip()[:1] in {"[", "{", '"'}


@given(st.text("~01/a"))
def test_a_step_of_a_pointer_can_be_read_back(key):
    assert "/" not in escape(key)
    assert unescape(escape(key)) == key


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a secret", "a ***"),
        ({"k": ["secret", 7, None, True, 1.5]}, {"k": ["***", 7, None, True, 1.5]}),
        ({"secret": 1}, {"***": 1}),
        ({"pin": 1234}, {"pin": "****"}),
        ('{"k": "\\u0073ecret", "n": 2}', '{"k": "***", "n": "2"}'),
        ('{"pin": "1234"}', '{"pin": "****"}'),
        ('{"k":  "s", "n": 2.50}', '{"k":  "s", "n": 2.50}'),
        ('{"k": "secret", "k": "x"}', '{"k": "x"}'),
    ],
)
def test_every_text_can_be_rewritten(value, expected):
    def change(text, label):
        return "****" if label == "pin: " else text.replace("secret", "***")

    assert rewrite(value, change) == expected


def test_an_id_that_opentelemetry_drew_is_no_card_number():
    drawn = Span(span_id="4539578763621486", parent_id="4539578763621486", name="chat")
    assert "4539578763621486" not in [text.text for text in walk(drawn)]
    chosen = Span(span_id="card 4539578763621486", parent_id=None, name="chat")
    assert "card 4539578763621486" in [text.text for text in walk(chosen)]


_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(st.lists(_VALUES, max_size=3) | st.dictionaries(st.text(max_size=3), _VALUES, max_size=3), st.data())
def test_json_is_cut_wherever_it_ends_too_early(value, data):
    text = json.dumps(value)

    assert not is_cut_json(text)
    assert is_cut_json(text[: data.draw(st.integers(1, len(text) - 1))])


@pytest.mark.parametrize("text", ["", "{a: 1}", "[2026-11-25] INFO", '{"a": 1} // c', "text", "[1,]"])
def test_other_text_is_not_cut_json(text):
    assert not is_cut_json(text)
