"""`keyword_overlap` and `ngram_overlap`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops import Score
from tests.scoring import refuse, score_one


def score(name: str, text: str, reference: str | None = None, **options: object) -> Score:
    result = score_one(name, text, options, reference=reference)
    assert isinstance(result, Score), result
    return result


@pytest.mark.parametrize(
    ("text", "options", "value", "reason"),
    [
        ("Boots: sixty days, 60.", {}, 2 / 3, "missing: 'delivery'"),
        ("60 days after the delivery", {}, 1.0, ""),
        ("60 days", {"of": "precision"}, 1.0, ""),
        ("60 days, sorry", {"of": "precision"}, 2 / 3, "not wanted: 'sorry'"),
        ("60 days, sorry", {"of": "f"}, 2 / 3, "missing: 'delivery'; not wanted: 'sorry'"),
        ("", {}, 0.0, "missing: '60', 'days', 'delivery'"),
        ("", {"of": "precision"}, 0.0, "the output holds no word"),
        ("60 60 60 days delivery", {"of": "precision"}, 1.0, ""),
    ],
)
def test_keyword_overlap_counts_different_content_words(text, options, value, reason):
    result = score("keyword_overlap", text, "60 days of delivery", **options)

    assert result.value == pytest.approx(value)
    assert result.reason == reason


@pytest.mark.parametrize(
    ("text", "words", "of", "value"),
    [
        ("\u4e0d\u63d0\u4f9b\u9000\u6b3e", ["\u9000\u6b3e", "\u6362\u8d27"], "recall", 1 / 2),
        ("\u6b3e\u9879\u5df2\u9000", ["\u9000\u6b3e"], "recall", 0.0),
        ("\u9000\u6b3e", ["\u9000\u6b3e"], "precision", 1.0),
        ("\ud658\ubd88\uc740 \ubd88\uac00", ["\ud658\ubd88"], "recall", 1.0),
        ("\ud658\ubd88\uc740 \ubd88\uac00", ["\ud658\ubd88"], "precision", 1 / 2),
    ],
)  # fmt: skip
def test_given_words_of_a_script_without_spaces_are_found_whole(text, words, of, value):
    assert score("keyword_overlap", text, words=words, of=of).value == pytest.approx(value)


def test_given_words_need_no_reference_and_count_whatever_they_are():
    result = score("keyword_overlap", "It is the 60 day rule", words=["60 days", "the"])

    assert result.value == 2 / 3
    assert result.reason == "missing: 'days'"
    assert score("keyword_overlap", "The 60", words=["the 60"], of="precision").value == 1.0


@pytest.mark.parametrize(
    ("text", "reference", "options", "value", "reason"),
    [
        ("within 60 long days", "within 60 days", {}, 0.4, "missing: '60 days'"),
        ("within 60 days", "within 60 days", {"n": 3}, 1.0, ""),
        (
            "60 days, 60 days",
            "60 days",
            {"of": "precision"},
            1 / 3,
            "not in the reference: '60 days', 'days 60'",
        ),
        ("60 days, 60 days", "60 days", {"of": "recall"}, 1.0, ""),
        ("60 days, 60 days", "60 days", {}, 0.5, "not in the reference: '60 days', 'days 60'"),
        ("60", "60 days", {"of": "precision"}, 0.0, "the output has no run of 2 words"),
        ("3.5 kg", "35 kg", {"n": 1}, 0.5, "missing: '35'"),
        ("\u6211\u60f3\u9000\u8d27", "\u60f3\u9000\u8d27", {"of": "recall"}, 1.0, ""),
    ],
)
def test_ngram_overlap_counts_runs_as_often_as_in_both(text, reference, options, value, reason):
    result = score("ngram_overlap", text, reference, **options)

    assert result.value == pytest.approx(value)
    assert result.reason == reason


@pytest.mark.parametrize(
    ("name", "reference", "advice"),
    [
        ("keyword_overlap", "?!", "no word to look for"),
        ("ngram_overlap", "60", "smaller n"),
        ("ngram_overlap", None, "`reference:`"),
        ("keyword_overlap", None, "`reference:`"),
    ],
)
def test_what_cannot_be_counted_is_no_zero(name, reference, advice):
    result = score_one(name, "60", {}, reference=reference)

    assert not isinstance(result, Score)
    assert advice in result.error


@pytest.mark.parametrize(
    ("name", "options", "advice"),
    [
        ("keyword_overlap", {"of": "f1"}, "precision, recall, f"),
        ("keyword_overlap", {"words": "60 days"}, "write it in brackets: ['60 days']"),
        ("keyword_overlap", {"words": [60]}, 'in quotes: "60"'),
        ("keyword_overlap", {"words": ["?"]}, "no letter and no digit"),
        ("ngram_overlap", {"of": "recal"}, "Did you mean 'recall'"),
        ("ngram_overlap", {"n": 0}, "whole number"),
        ("ngram_overlap", {"n": True}, "whole number"),
    ],
)
def test_a_wrong_option_is_told_how_to_mend(name, options, advice):
    refuse(name, advice, **options)


@given(st.text(max_size=40))
def test_a_text_holds_itself_whole(text):
    for name in ("keyword_overlap", "ngram_overlap"):
        result = score_one(name, text, {}, reference=text)
        assert not isinstance(result, Score) or (result.value, result.reason) == (1.0, "")
