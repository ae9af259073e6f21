from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from pytest_llmops.documents.reading import BrokenValueError, reader_of, record_reader


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
        "[2].parts[0]: must be an object, not 3; and 1 more"
    )


def test_fields_may_be_left_out_or_be_missing():
    read = record_reader(dict, Whole, without=("hidden",), optional=("id",))

    assert read({"count": 1}) == {"count": 1}
    with pytest.raises(BrokenValueError, match="unknown key 'hidden'"):
        read({"hidden": ""})
