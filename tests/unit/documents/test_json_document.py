from __future__ import annotations

import pytest

from pytest_llmops.documents.json_document import parse_json
from pytest_llmops.documents.reading import BrokenValueError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', "line 4, column 6: is no JSON: Expecting ':' delimiter"),
        ('{"a": [1', "line 3, column 9: is no JSON: Expecting ',' delimiter (the file ends too early)"),
        ('{"a": {"b": 1,\n "c": 2,\n "b": 3}}', "line 5: key 'b' occurs twice in one object"),
        ('{"a": {"b": 1, "b": 3},\n "a": 2}', "line 3: key 'b' occurs twice in one object"),
        ("[" * 60 + '{"b": 1, "b": 3}' + "]" * 60, "key 'b' occurs twice in one object"),
        ("9" * 5000, "holds a number that is too long to be one"),
    ],
)
def test_what_is_no_strict_json_is_reported(text, message):
    with pytest.raises(BrokenValueError) as caught:
        parse_json(text, 2)
    assert str(caught.value) == message
