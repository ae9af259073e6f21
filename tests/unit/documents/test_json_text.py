from __future__ import annotations

import pytest

from pytest_llmops.documents.json_text import parse_json
from pytest_llmops.documents.value_readers import BrokenValueError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', "line 4, column 6: is no JSON: Expecting ':' delimiter"),
        ('{"a": [1', "line 3, column 9: is no JSON: Expecting ',' delimiter (the file ends too early)"),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "key 'b' occurs twice in one object"),
        ("9" * 5000, "holds a number that is too long to be one"),
    ],
)
def test_what_is_no_strict_json_is_reported(text, message):
    with pytest.raises(BrokenValueError) as caught:
        parse_json(text, 2, unique=True)
    assert str(caught.value) == message


def test_the_last_of_two_keys_counts_where_that_is_not_asked():
    assert parse_json('{"a": 1, "a": 2}') == {"a": 2}
