"""
Keywords, facts and overlaps are found in pairs of 29 languages and six kinds of markup.

`pairs.jsonl` was written by hand: the text, what is looked for in it, and whether a reader would find it. A
pair of `facts` has what is looked for as its reference; of an overlap, half of the reference is enough.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_llmops import Score
from tests.scoring import score_one

PAIRS = [json.loads(line) for line in Path(__file__).with_name("pairs.jsonl").read_text("utf-8").splitlines()]


def holds(pair):
    if pair["metric"] == "keywords":
        result = score_one("keywords", pair["text"], {"all": [pair["want"]]})
        banned = score_one("keywords", pair["text"], {"none": [pair["want"]]})
        assert isinstance(banned, Score)
        assert isinstance(result, Score)
        assert banned.value == 1 - result.value
        return result.value == 1
    if pair["metric"] == "facts":
        result = score_one("facts", pair["text"], {}, reference=pair["want"])
        assert isinstance(result, Score)
        return result.value == 1
    result = score_one(pair["metric"], pair["text"], {}, reference=pair["want"])
    assert isinstance(result, Score)
    return result.value >= 0.5


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair['lang']}-{pair['markup']}-{pair['metric']}")
def test_a_pair_is_read_as_a_reader_reads_it(pair):
    assert holds(pair) is pair["found"]


def test_the_pairs_are_of_many_languages_and_kinds_of_markup():
    assert len(PAIRS) >= 300
    assert len({pair["lang"] for pair in PAIRS}) >= 20
    assert {pair["markup"] for pair in PAIRS} == {
        "plain", "markdown", "html", "table", "latex", "escaped", "unicode"
    }  # fmt: skip
