"""Readers of single values: their limits, and what they say of a value that cannot be."""

from __future__ import annotations

import math

import pytest

from pytest_llmops.documents import reading as read
from pytest_llmops.documents.reading import BrokenValueError


@pytest.mark.parametrize(
    ("reader", "value", "expected"),
    [
        (read.whole(1, 3), 3, 3),
        (read.number(0, 1), 1, 1.0),
        (read.positive("seconds", 10), 10, 10.0),
        (read.matching("a+", "an a"), "aa", "aa"),
        (read.hexadecimal(2), "0f", "0f"),
        (read.any_of(read.read_flag, read.one_of("squad")), "squad", "squad"),
        (read.some(read.read_text), "a", ("a",)),
        (read.some(read.read_text), ["b", "a", "b"], ("b", "a")),
        (read.read_address, "http://127.0.0.1:80/v1", "http://127.0.0.1:80/v1"),
    ],
)
def test_what_fits_is_read(reader, value, expected):
    assert repr(reader(value)) == repr(expected)


@pytest.mark.parametrize(
    ("reader", "value", "message"),
    [
        (read.whole(1, 3), 4, "must be a whole number from 1 to 3, not 4"),
        (read.whole(), True, "must be a whole number, not True"),
        (read.number(0, 1), "1", "must be a number from 0 to 1, not '1'"),
        (read.number(), 10**400, "must be a number, not an enormous number"),
        (read.positive("seconds", 10), 0, "must be seconds above 0 and at most 10, not 0"),
        (read.positive(), math.inf, "must be a number above 0, not inf"),
        (read.matching("a+", "an a"), "aab", "must be an a, not 'aab'"),
        (read.matching("a+", "an a"), "a\n", "must be an a, not 'a\\n'"),
        (read.one_of("a", "bcd", "e"), "bcf", "must be one of a, bcd, e, not 'bcf'. Did you mean 'bcd'?"),
        (read.list_of(read.read_text), "a", "must be a list, not 'a'; write it in brackets: ['a']"),
        (
            read.unique(read.read_text, "names, each once"),
            ["a", "a"],
            "must be names, each once, not",
        ),
        (read.read_name, " ", "must be text, not ' '"),
        (read.read_address, "https://u:secret@host", "must be a URL without user or password, such as"),
        (read.read_address, "http://host:port", "must be a URL without user or password, such as"),
        (read.read_variable, "sk-secret", "must be the name of an environment variable, such as"),
    ],
)
def test_what_cannot_be_is_refused_and_no_secret_is_shown(reader, value, message):
    with pytest.raises(BrokenValueError) as caught:
        reader(value)
    assert str(caught.value).startswith(message)
    assert "secret" not in str(caught.value)


def test_the_place_of_an_unknown_key_is_the_key():
    error = BrokenValueError((("a", 1, "x"), f"{read.UNKNOWN_KEY} 'x'."))
    assert str(error.within("top")) == "top.a[1]: unknown key 'x'."
    assert error.within("top").problems[0][0] == ("top", "a", 1, "x")


def test_what_occurs_twice_is_named():
    with pytest.raises(BrokenValueError) as caught:
        read.refuse_twice(["a", "b", "a"], "cases", "id")
    assert str(caught.value) == "cases[2].id: 'a' occurs twice"
