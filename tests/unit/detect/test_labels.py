"""Names of values: keys, names that are paired with them, and columns."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.detect.texts import rewrite, walk


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"ssn": "x"}, "ssn"),
        ({"ssn": {"value": "x"}}, "ssn"),
        ({"phones": {"0": ["x"]}}, "phones"),
        ({"key": "ssn", "value": {"stringValue": "x"}}, "ssn"),
        ({"value": "x", "name": "ssn"}, "ssn"),
        ({"name": "f_2", "label": "Phone", "value": "x"}, "f_2, Phone"),
        ({"label": "Phone", "name": "f_2", "value": "x"}, "f_2, Phone"),
        ({"key": "ssn", "customerName": "Ann", "value": "x"}, "ssn"),
        ({"phones": [{"type": "mobile", "value": "x"}]}, "phones mobile"),
        ({"phones": [{"type": "home", "value": "x"}]}, "phones"),
        ({"phone": {"label": "work", "value": "x"}}, "phone"),
        ({"name": "a", "passwordValue": "x"}, "passwordValue"),
        ({"name": "a", "interval": "x"}, "interval"),
        ({"name": "a", "retrieval": {"b": "x"}}, "b"),
        ({"ParameterKey": "DbPassword", "ParameterValue": "x"}, "DbPassword"),
        ({"customerName": "Ann", "orderValue": "x"}, "orderValue"),
        ({"name": "a\nlong text", "value": "x"}, "value"),
        ({"name": "", "value": "x"}, "value"),
        ({"name": 7, "value": "x"}, "value"),
        ({"headers": [["x-api-key", "x"]]}, "x-api-key"),
        ({"headers": [["what I said was much longer", "x"]]}, "headers"),
        ({"columns": ["id", "ssn"], "rows": [[1, "x"]]}, "ssn"),
        ({"columns": ["id", "ssn"], "rows": [[1, 2, "x"]]}, "rows"),
        ({"columns": ["id", "ssn"], "rows": [{"a": "x"}]}, "a"),
        ({"fields": [{"name": "id"}, {"name": "ssn"}], "row": [1, "x"]}, "ssn"),
        ({"columns": [], "rows": [["x"]]}, "rows"),
        ({"columns": ["ssn", 3], "rows": [["x", "y"]]}, "rows"),
        ("x", ""),
        (["x"], ""),
    ],
)
def test_the_name_of_a_value(value, name):
    assert [text.name for text in walk(value) if text.text == "x"] == [name]
    assert [text.name for text in walk(json.dumps(value)) if text.text == "x"] == [name]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("customer.taxId", "customer tax_Id: "),
        ("DB_PASSWORD", "DB_PASSWORD: "),
        ("d.o.b", "d.o.b: "),
        ("userSSN", "user_SSN: "),
    ],
)
def test_a_label_is_written_as_words(name, label):
    assert [text.label for text in walk({name: "x"})] == ["", label]


_KEYS = st.sampled_from(
    ["name", "value", "key", "type", "columns", "rows", "fooKey", "fooValue", "a", "0", "S"]
)
_LEAVES = st.sampled_from(
    ["ssn", "x", "", "a b c d e", '{"name": "ssn", "value": "x"}', "[[]]"]
) | st.integers(0)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(_VALUES)
def test_what_is_scanned_and_what_is_masked_have_the_same_labels(value):
    """A value that is found by its label must be masked by it."""
    masked = []

    def note(text, /, *, label):
        masked.append((label, text))
        return text

    rewrite(value, note)

    assert masked == [(text.label, text.text) for text in walk(value)]
