"""A stream is split alike wherever its bytes are cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.errors import AnswerError
from pytest_llmops.runner.app.remote.streams import read_events, read_lines, read_records

LINES = st.lists(
    st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=8), max_size=6
)


async def chunks(content: bytes, cuts: Sequence[int]) -> AsyncIterator[bytes]:
    places = sorted({0, *(cut % (len(content) + 1) for cut in cuts), len(content)})
    for start, end in pairwise(places):
        yield content[start:end]


def lines_of(content: bytes, cuts: Sequence[int]) -> list[tuple[str, bool]]:
    async def read() -> list[tuple[str, bool]]:
        return [line async for line in read_lines(chunks(content, cuts))]

    return asyncio.run(read())


@given(LINES, st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 500), max_size=6))
def test_lines_are_those_of_the_whole(lines: list[str], end: str, cuts: list[int]) -> None:
    content = "".join(f"{line}{end}" for line in ["x", *lines]).encode()
    assert lines_of(content, cuts) == [(line, True) for line in ["x", *lines]]


@given(LINES, st.lists(st.integers(0, 500), max_size=6))
def test_events_are_those_of_the_whole(lines: list[str], cuts: list[int]) -> None:
    content = "".join(f": note\nevent: e\ndata: {line}\ndata:{line}\n\n" for line in lines).encode()

    async def read() -> list[tuple[str, str]]:
        return [event async for event in read_events(chunks(content, cuts))]

    twice = [(f"{line}\n{line.removeprefix(' ')}") for line in lines]
    assert asyncio.run(read()) == [("e", data) for data in twice]


@pytest.mark.parametrize("rest", ["data: a", "data: a\n", "event: x\n", "data: a\n\ndata"])
def test_an_event_that_is_cut_is_an_error(rest: str) -> None:
    async def read() -> list[tuple[str, str]]:
        return [event async for event in read_events(chunks(rest.encode(), ()))]

    with pytest.raises(AnswerError, match="ended early"):
        asyncio.run(read())


def test_the_mark_of_the_end_may_be_cut() -> None:
    async def read() -> list[tuple[str, str]]:
        return [event async for event in read_events(chunks(b"data: a\n\ndata: [DONE]\n", ()))]

    assert asyncio.run(read()) == [("message", "a")]


def test_a_stream_that_is_no_text_is_an_error() -> None:
    async def read() -> list[tuple[str, str]]:
        return [event async for event in read_records(chunks(b"\xff\xfe\n", ()))]

    with pytest.raises(AnswerError, match="no UTF-8"):
        asyncio.run(read())
