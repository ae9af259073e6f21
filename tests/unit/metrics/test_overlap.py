"""`rouge_l` and `bleu` against the packages that define them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.metrics.bleu import Bleu
from pytest_llmops.metrics.rouge import RougeL
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Failure, Output, Sample, Score

PAIRS = [
    ("Within 60 days of delivery.", "You have 60 days from delivery to send boots back."),
    ("Send them back within 60 days of delivery, unworn.", "Within 60 days of delivery."),
    ("delivery of days 60 within", "within 60 days of delivery"),
    ("the the the the", "the cat"),
    ("FW-10427: snake_case, it's 3.5%", "fw 10427 snake case its 3 5"),
    ("na\u00efve caf\u00e9 \u0130stanbul", "naive cafe istanbul"),
    ("\u041f\u0440\u0438\u0432\u0435\u0442", "\u041f\u0440\u0438\u0432\u0435\u0442"),
    ("same", "same"),
    ("", "reference"),
    ("output", ""),
    ("", ""),
    (" \n\t", "..."),
]
TEXTS = st.text(st.sampled_from("ab \u00e9.9-"), max_size=30)


def score(metric: Metric, text: str, reference: str) -> Score:
    (result,) = metric.score([Sample(output=Output(text=text), reference=reference)])
    assert isinstance(result, Score)
    return result


def rouge_of_the_package(text: str, reference: str) -> float:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"]).score(reference, text)["rougeL"].fmeasure


def bleu_of_the_package(text: str, reference: str) -> float:
    import sacrebleu

    return sacrebleu.sentence_bleu(text, [reference], use_effective_order=True).score


@pytest.mark.parametrize(("text", "reference"), PAIRS)
def test_rouge_l_is_the_packages(text, reference):
    assert score(RougeL(), text, reference).value == pytest.approx(
        rouge_of_the_package(text, reference), abs=1e-9
    )


@given(TEXTS, TEXTS)
def test_rouge_l_is_the_packages_on_any_text(text, reference):
    assert score(RougeL(), text, reference).value == pytest.approx(
        rouge_of_the_package(text, reference), abs=1e-9
    )


@pytest.mark.parametrize(("text", "reference"), PAIRS)
def test_bleu_is_the_packages(text, reference):
    result = score(Bleu(), text, reference)

    assert result.value == pytest.approx(bleu_of_the_package(text, reference), abs=1e-9)
    assert result.value <= 100.0
    assert "eff:yes" in result.signature


@pytest.mark.parametrize(
    ("text", "reference", "reason"),
    [
        ("within days", "within 60 days", "missing: '60'"),
        ("days 60", "60 days", "every word of the reference is there, in another order"),
        ("in 60 days", "60 days", "1 words more than the reference"),
        ("60 days", "60 days", ""),
        ("\u041f\u0440\u0438\u0432\u0435\u0442", "\u041f\u0440\u0438\u0432\u0435\u0442", "semantic does"),
    ],
)
def test_rouge_l_says_what_is_not_there(text, reference, reason):
    told = score(RougeL(), text, reference).reason

    assert told == reason or (reason and told.endswith(reason))


@pytest.mark.parametrize("metric", [RougeL(), Bleu()])
def test_one_result_a_sample_in_order(metric):
    batch = [
        Sample(output=Output(text="a b", repeat=0), reference="a b"),
        Sample(output=Output(text="a b", repeat=1)),
        Sample(output=Output(text="", repeat=2), reference="a b"),
    ]

    first, second, third = metric.score(batch)

    assert [each.repeat for each in (first, second, third)] == [0, 1, 2]
    assert first.value == metric.range[1]
    assert isinstance(second, Failure)
    assert third.value == 0.0
