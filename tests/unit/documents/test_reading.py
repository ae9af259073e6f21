"""Readers of values and records: their limits, and their messages about values that cannot be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from pytest_llmops.documents import reading as read
from pytest_llmops.documents.reading import BrokenValueError, reader_of, record_reader


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: str
    share: float | None = None


def read_even(value: Any) -> int:
    if value % 2:
        raise BrokenValueError("must be even")
    return int(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    id: str
    kind: Literal["a", "b"] = "a"
    count: int = 0
    even: Annotated[int, read_even] = 0
    sure: bool = False
    parts: tuple[Part, ...] = ()
    by_name: Mapping[str, float] = field(default_factory=dict)
    rest: Any = None
    hidden: str = ""


def test_a_record_is_read_by_the_types_of_its_fields():
    value = {
        "id": "x", "kind": "b", "count": 2, "even": 4, "sure": True, "parts": [{"name": "p", "share": 1}],
        "by_name": {"m": 1}, "rest": [None, {"a": 1}],
    }  # fmt: skip

    found = reader_of(Whole)(value)

    part = Part(name="p", share=1.0)
    expected = Whole(
        id="x", kind="b", count=2, even=4, sure=True, parts=(part,), by_name={"m": 1.0}, rest=[None, {"a": 1}]
    )
    assert repr(found) == repr(expected)  # 1 and 1.0 are told apart


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "c"}, "kind: must be a or b, not 'c'"),
        ({"count": -1}, "count: must be a whole number from 0, not -1"),
        ({"count": True}, "count: must be a whole number from 0, not True"),
        ({"even": 3}, "even: must be even"),
        ({"sure": 1}, "sure: must be true or false, not 1"),
        ({"parts": {}}, "parts: must be a list, not {}"),
        ({"parts": [{"name": "p"}, {}]}, "parts[1]: name is missing"),
        ({"parts": [{"name": "p", "shore": 1}]}, "parts[0]: unknown key 'shore'. Did you mean 'share'?"),
        ({"by_name": {"m": math.nan}}, "by_name.m: must be a finite number, not nan"),
        ({"rest": [1, {"a": [math.inf]}]}, "rest[1].a[0]: must be a finite number, not inf"),
    ],
)
def test_what_does_not_fit_is_reported_with_its_place(changes, message):
    with pytest.raises(BrokenValueError) as caught:
        reader_of(Whole)({"id": "x", **changes})
    assert str(caught.value) == message


def test_all_problems_are_reported_at_once():
    with pytest.raises(BrokenValueError) as caught:
        reader_of(tuple[Whole, ...])([{"id": 1}, {"id": "x"}, {"id": "y", "count": "1", "parts": [3, 4]}])
    assert str(caught.value) == (
        "[0].id: must be text, not 1; [2].count: must be a whole number from 0, not '1'; "
        "[2].parts[0]: must be a mapping, not 3; and 1 more"
    )


def test_fields_may_be_left_out_or_be_missing():
    read = record_reader(dict, Whole, without=("hidden",), optional=("id",))

    assert read({"count": 1}) == {"count": 1}
    with pytest.raises(BrokenValueError, match="unknown key 'hidden'"):
        read({"hidden": ""})
