"""`bleu` and `chrf` against the package that defines them, sacrebleu."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytest_llmops
from pytest_llmops import Score
from tests.scoring import refuse, score_one

PAIRS = [
    ("Within 60 days of delivery.", "You have 60 days from delivery to send boots back."),
    ("Send them back within 60 days of delivery, unworn.", "Within 60 days of delivery."),
    ("the the the the", "the cat"),
    ("same", "same"),
    ("The boots are the boots.", "The boots are the boots."),
    ("", "reference"),
    ("output", ""),
    ("", ""),
    (" \n\t", "..."),
    ("FW-10427: snake_case, it's 3.5%", "fw 10427 snake case its 3 5"),
    (
        "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440",
        "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440",
    ),
    ("\u60f3\u9000\u8d27", "\u6211\u60f3\u9000\u8d27"),
    ("x", "xyz"),
    ("WAX LEATHER TWICE A YEAR", "Wax leather twice a year"),
    ("We do not ship to P.O. boxes.", "We ship to P.O. boxes."),
    ("1,000 pairs &amp; more", "1000 pairs & more"),
    ("a b c d e f g h", "h g f e d c b a"),
    ("The store opens at nine and closes at six.", "The store opens at nine and it closes at six."),
    ("  leading and trailing  ", "leading and trailing"),
    ("boot " * 50, "boot " * 40),
]
TEXTS = st.text(st.sampled_from("ab \u00e9.9-A"), max_size=30)
ORDERS = [{}, {"word_order": 2}, {"char_order": 3, "beta": 1}, {"char_order": 1, "word_order": 1, "beta": 3}]


def score(name: str, text: str, reference: str, **options: object) -> Score:
    result = score_one(name, text, options, reference=reference)
    assert isinstance(result, Score)
    return result


def bleu_of_the_package(text: str, reference: str) -> float:
    import sacrebleu

    return float(sacrebleu.sentence_bleu(text, [reference], use_effective_order=True).score)


def chrf_of_the_package(text: str, reference: str, **options: int) -> float:
    import sacrebleu

    return float(sacrebleu.sentence_chrf(text, [reference], **options).score)


@pytest.mark.parametrize(("text", "reference"), PAIRS)
def test_bleu_is_the_packages(text, reference):
    result = score("bleu", text, reference)

    assert result.value == pytest.approx(bleu_of_the_package(text, reference), abs=1e-9)
    assert result.value <= 100.0


@pytest.mark.parametrize("options", ORDERS)
@pytest.mark.parametrize(("text", "reference"), PAIRS)
def test_chrf_is_the_packages(text, reference, options):
    result = score("chrf", text, reference, **options)

    assert result.value == pytest.approx(chrf_of_the_package(text, reference, **options), abs=1e-9)
    assert result.value <= 100.0


@given(TEXTS, TEXTS, st.sampled_from(ORDERS))
def test_both_are_the_packages_on_any_text(text, reference, options):
    assert score("bleu", text, reference).value == pytest.approx(
        bleu_of_the_package(text, reference), abs=1e-9
    )
    assert score("chrf", text, reference, **options).value == pytest.approx(
        chrf_of_the_package(text, reference, **options), abs=1e-9
    )


def test_the_signature_is_sacrebleus():
    import sacrebleu

    assert score("bleu", "a", "a").signature == (
        f"bleu|v1|nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
    )
    assert score("chrf", "a", "a", word_order=2, beta=3).signature == (
        f"chrf|v1|chrF3++|nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:{sacrebleu.__version__}"
    )


@pytest.mark.parametrize(
    "options", [{"char_order": 0}, {"char_order": 2.5}, {"word_order": -1}, {"beta": True}, {"beta": "2"}]
)
def test_an_order_is_a_whole_number(options):
    refuse("chrf", "whole number", **options)


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_one_result_a_row_in_order(name):
    first, second = pytest_llmops.score(name, [{"output": text, "reference": "a b"} for text in ("a b", "")])

    assert (first.value, first.reason) == (100.0, "")
    assert second.value == 0.0
    assert second.reason
    assert not isinstance(score_one(name, "a b", {}), Score)
