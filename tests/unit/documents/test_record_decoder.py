"""What the decoder makes of a text is what the reader makes of it, and it refuses what that one refuses."""

from __future__ import annotations

import json

import pytest

from pytest_llmops.documents.json_document import DoubledKeyError
from pytest_llmops.documents.reading import BrokenValueError, reader_of
from pytest_llmops.documents.record_decoder import RecordDecoder
from pytest_llmops.records import Output, Score, Usage

OUTPUT = {
    "text": "Hi", "repeat": 1, "passages": [{"id": "p"}],
    "tool_calls": [{"name": "t", "arguments": {"a": 1}}],
    "usage": {"calls": 1, "cost_usd": None}, "latency_s": 2, "model": "m",
}  # fmt: skip
SCORE = {"metric": "m", "value": 1, "evidence": [{"a": 0.5}]}


def dump(value):
    return json.dumps(value).encode()


@pytest.mark.parametrize(("kind", "value"), [(Output, OUTPUT), (Score, SCORE), (Usage, {})])
def test_it_is_read_as_the_reader_reads_it(kind, value):
    assert repr(RecordDecoder(kind).read(dump(value))) == repr(reader_of(kind)(value))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Score, {**SCORE, "x": 1}),
        (Score, {**SCORE, "repeat": -1}),
        (Score, {**SCORE, "value": "1"}),
        (Score, {"metric": "m"}),
        (Output, {**OUTPUT, "x": 1}),
        (Output, {**OUTPUT, "usage": {"calls": -1}}),
        (Output, {**OUTPUT, "passages": [{}]}),
    ],
)
def test_what_the_reader_refuses_is_refused(kind, value):
    with pytest.raises(BrokenValueError):
        reader_of(kind)(value)
    with pytest.raises((BrokenValueError, ValueError)):
        RecordDecoder(kind).read(dump(value))


def test_equal_records_and_parts_are_one_object():
    scores = RecordDecoder(Score, shared=True)
    assert scores.read(dump(SCORE)) is scores.read(dump(SCORE))
    outputs = RecordDecoder(Output)
    first, second = outputs.read(dump(OUTPUT)), outputs.read(dump({**OUTPUT, "text": "Ho"}))
    assert first.usage is second.usage


def test_texts_that_recur_are_one_object():
    decoder = RecordDecoder(Score, interned=("metric",))
    first, second = (decoder.read(dump({"metric": "a metric", "value": value})) for value in (0.5, 1))
    assert first.metric is second.metric


@pytest.mark.parametrize(
    ("kind", "value", "key", "doubled"),
    [
        (Score, SCORE, '"value": 1', '"value": 1, "value": 0'),
        (Score, SCORE, '"value": 1', '"value": 1, "v\\u0061lue": 0'),
        (Score, SCORE, '"a": 0.5', '"a": 0.5, "a": 0'),
        (Score, {"metric": "m", "value": 1}, '"value": 1', '"value": 1, "value": 0'),
        (Output, OUTPUT, '"text": "Hi"', '"text": "Hi", "text": "Ho"'),
        (Output, OUTPUT, '"a": 1', '"a": 1, "a": 0'),
        (Output, OUTPUT, '"calls": 1', '"calls": 1, "calls": 0'),
        (Output, OUTPUT, '"id": "p"', '"id": "p", "id": "q"'),
        (Output, OUTPUT, '"usage":', '"usage": {}, "usage":'),
    ],
)
def test_a_doubled_key_is_refused(kind, value, key, doubled):
    text = dump(value).decode()
    assert text.count(key) == 1

    with pytest.raises(DoubledKeyError):
        RecordDecoder(kind).read(text.replace(key, doubled).encode())


def test_what_looks_like_keys_within_a_text_is_none():
    value = {**OUTPUT, "text": '{"text": 1, "text": 2}'}
    assert RecordDecoder(Output).read(dump(value)) == reader_of(Output)(value)
