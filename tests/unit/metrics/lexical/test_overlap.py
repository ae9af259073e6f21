"""`keyword_overlap` and `ngram_overlap`, and the words that they count."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.lexical.overlap import Overlap
from pytest_llmops.metrics.words import content_words, split_words
from pytest_llmops.records import Failure, Output, Sample, Score
from pytest_llmops.registry import create_metric


def score(name: str, text: str, reference: str | None = None, **options: object) -> Score:
    (result,) = create_metric(name, options).score([Sample(output=Output(text=text), reference=reference)])
    assert isinstance(result, Score), result
    return result


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It\u2019s 3.5 kg, or -4 \u00b0C", ["it", "3.5", "kg", "or", "-4", "c"]),
        ("1,000,000 pairs", ["1000000", "pairs"]),
        ("at 12:30 on 2026-11-25", ["at", "12:30", "on", "2026", "11", "25"]),
        ("FW-10427's snake_case", ["fw", "10427", "s", "snake", "case"]),
        ("don't 'quote' rock'n'roll", ["don't", "quote", "rock'n'roll"]),
        ("60days", ["60", "days"]),
        ("\u6211\u60f3 iPhone\u624b\u673a", ["\u6211", "\u60f3", "iphone", "\u624b", "\u673a"]),
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902",
            ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u092e\u0947\u0902"],
        ),
        ("Caf\u00e9 CAFE\u0301", ["caf\u00e9", "caf\u00e9"]),
        ("?! \u2026", []),
    ],
)
def test_words_are_split_as_people_read_them(text, words):
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("You have 60 days to send them back", ["60", "days", "send", "back"]),
        ("We do not ship", ["not", "ship"]),
        ("It is what it is", ["it", "is", "what", "it", "is"]),
    ],
)
def test_function_words_go_and_negations_stay(text, words):
    assert content_words(text) == words


@given(st.text())
def test_no_word_is_empty(text):
    assert all(split_words(text))


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


def test_given_words_need_no_reference_and_count_whatever_they_are():
    result = score("keyword_overlap", "It is the 60 day rule", words=["60 days", "the"])

    assert result.value == 2 / 3
    assert result.reason == "missing: 'days'"
    assert score("keyword_overlap", "The 60", words=["the 60"], of="precision").value == 1.0
    assert create_metric("keyword_overlap", {"words": ["x"]}).needs == frozenset()
    assert create_metric("keyword_overlap").needs == {"reference"}


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
    (result,) = create_metric(name).score([Sample(output=Output(text="60", repeat=3), reference=reference)])

    assert isinstance(result, Failure)
    assert advice in result.error
    assert result.repeat == 3


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
    with pytest.raises(MetricOptionError) as caught:
        create_metric(name, options)

    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options"), [("keyword_overlap", {"words": ["a", "b"]}), ("ngram_overlap", {"n": 3})]
)
def test_equal_options_make_one_metric_that_travels(name, options):
    one, other = create_metric(name, options), create_metric(name, options)

    assert {one: 1}[other] == 1
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301  our own


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_f_lies_between_precision_and_recall(common, extra, missing):
    overlap = Overlap(common=common, got=common + extra, wanted=common + missing)
    low, high = sorted((overlap.precision, overlap.recall))

    assert low - 1e-12 <= overlap.f <= high + 1e-12


@given(st.text(max_size=40))
def test_a_text_holds_itself_whole(text):
    for name in ("keyword_overlap", "ngram_overlap"):
        (result,) = create_metric(name).score([Sample(output=Output(text=text), reference=text)])
        assert isinstance(result, Failure) or (result.value, result.reason) == (1.0, "")
