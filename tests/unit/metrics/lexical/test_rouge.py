"""ROUGE against the package that defines it, rouge-score."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytest_llmops
from pytest_llmops import Score
from tests.scoring import refuse, score_one

PACKAGE = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
ATTRIBUTE = {"f": "fmeasure", "precision": "precision", "recall": "recall"}

PAIRS = [
    ("Within 60 days of delivery.", "You have 60 days from delivery to send boots back."),
    ("Send them back within 60 days of delivery, unworn.", "Within 60 days of delivery."),
    ("delivery of days 60 within", "within 60 days of delivery"),
    ("the the the the", "the cat"),
    ("the cat the cat the cat", "the cat sat on the cat"),
    ("FW-10427: snake_case, it's 3.5%", "fw 10427 snake case its 3 5"),
    ("na\u00efve caf\u00e9 \u0130stanbul", "naive cafe istanbul"),
    ("\u041f\u0440\u0438\u0432\u0435\u0442", "\u041f\u0440\u0438\u0432\u0435\u0442"),
    ("same", "same"),
    ("one word", "one"),
    ("", "reference"),
    ("output", ""),
    ("", ""),
    (" \n\t", "..."),
    ("Refunds are issued to the card that paid.", "A refund is issued to the paying card."),
    ("The dies are dying; skies, lies and ties.", "A die that died. The sky lied, and tied."),
    ("happily hoping, hopping and happier hopes", "happy hope hops"),
    ("generalizations of relational conditions", "generally relative and conditional"),
    ("Ships on Mondays, Wednesdays\nand Fridays.", "Shipping: Monday, Wednesday, Friday"),
    ("1,000 pairs at 12.50 each", "1000 pairs, 12.5 each"),
    ("We do not ship to P.O. boxes.", "We ship to P.O. boxes."),
    ("A boot. A boot. A boot.", "Boots, boots, boots!"),
    ("x" * 300, "x" * 300),
    ("a b c d e f g h", "h g f e d c b a"),
    ("The store opens at nine and closes at six.", "Opening hours: nine to six."),
    ("Leather needs wax twice a year.", "Wax leather two times each year."),
    ("\u60f3\u9000\u8d27 return", "return \u9000\u8d27"),
    ("Caf\u00e9s' owners' caf\u00e9", "cafe owners"),
    ("<b>60</b> days", "60 days"),
    ("No.", "Yes."),
]
WORDS = st.lists(
    st.sampled_from(["ties", "tied", "hopping", "agreed", "a", "the", "60", "\u00e9t\u00e9", "don't", "is"]),
    max_size=12,
).map(" ".join)
TEXTS = st.one_of(st.text(st.sampled_from("ab \u00e9.9-"), max_size=30), WORDS)


def score(name: str, text: str, reference: str, **options: object) -> Score:
    result = score_one(name, text, options, reference=reference)
    assert isinstance(result, Score)
    return result


def of_the_package(name: str, text: str, reference: str, *, stemmer: bool, of: str) -> float:
    from rouge_score.rouge_scorer import RougeScorer

    package = PACKAGE[name]
    scored = RougeScorer([package], use_stemmer=stemmer).score(reference, text)[package]
    return float(getattr(scored, ATTRIBUTE[of]))


@pytest.mark.parametrize("stemmer", [False, True])
@pytest.mark.parametrize("name", PACKAGE)
@pytest.mark.parametrize(("text", "reference"), PAIRS)
def test_the_value_is_the_packages(name, text, reference, stemmer):
    for of in ATTRIBUTE:
        assert score(name, text, reference, stemmer=stemmer, of=of).value == pytest.approx(
            of_the_package(name, text, reference, stemmer=stemmer, of=of), abs=1e-9
        )


@pytest.mark.parametrize("name", PACKAGE)
@given(TEXTS, TEXTS, st.booleans(), st.sampled_from(list(ATTRIBUTE)))
def test_the_value_is_the_packages_on_any_text(name, text, reference, stemmer, of):
    assert score(name, text, reference, stemmer=stemmer, of=of).value == pytest.approx(
        of_the_package(name, text, reference, stemmer=stemmer, of=of), abs=1e-9
    )


@pytest.mark.parametrize(
    ("name", "text", "reference", "reason"),
    [
        ("rouge_l", "within days", "within 60 days", "missing: '60'"),
        ("rouge_l", "days 60", "60 days", "every word of the reference is there, in another order"),
        ("rouge_l", "in 60 days", "60 days", "1 word more than the reference"),
        ("rouge_l", "60 days", "60 days", ""),
        ("rouge_1", "days 60 in", "60 days", "1 word more than the reference"),
        ("rouge_2", "60 long days", "60 days", "missing: '60 days'"),
        ("rouge_2", "days", "days", "the reference has fewer than 2 words"),
        ("rouge_1", "\u041f", "\u041f", "words: any_script counts those of all scripts"),
    ],
)
def test_the_reason_says_what_is_not_there(name, text, reference, reason):
    told = score(name, text, reference).reason

    assert told == reason or (reason and told.endswith(reason))


def test_full_recall_has_no_reason_for_more():
    result = score("rouge_l", "within 60 days", "60 days", of="recall")

    assert (result.value, result.reason) == (1.0, "")
    assert result.evidence == ({"precision": 2 / 3, "recall": 1.0},)


def test_the_signature_tells_options_and_stays_as_it_was_without():
    signatures = {
        score("rouge_l", "a", "a", stemmer=stemmer, of=of).signature
        for stemmer in (False, True)
        for of in ATTRIBUTE
    }

    assert len(signatures) == 6
    assert "rouge_l|v1|rapidfuzz" in signatures


@pytest.mark.parametrize("name", PACKAGE)
@pytest.mark.parametrize(
    ("options", "advice"),
    [({"of": "recal"}, "Did you mean 'recall'"), ({"of": 1}, "f, not 1"), ({"stemmer": "porter"}, "true or")],
)
def test_a_wrong_option_is_told_how_to_mend(name, options, advice):
    refuse(name, advice, **options)
    refuse(name, name, **options)


@pytest.mark.parametrize("name", PACKAGE)
def test_one_result_a_row_in_order(name):
    first, second = pytest_llmops.score(name, [{"output": text, "reference": "a b"} for text in ("a b", "")])

    assert (first.value, second.value) == (1.0, 0.0)
    assert not isinstance(score_one(name, "a b", {}), Score)


@pytest.mark.parametrize(
    ("text", "reference", "value"),
    [
        ("\u9000\u6b3e\u8981\u4e03\u5929", "\u9000\u6b3e\u8981\u4e03\u5929", 1.0),
        ("**\u0434\u0430** 60", "\u0434\u0430 60", 1.0),
        ("\u5546\u5e97", "\u9000\u6b3e", 0.0),
    ],
)  # fmt: skip
def test_words_of_any_script_are_counted_if_asked_for(text, reference, value):
    result = score("rouge_l", text, reference, words="any_script")

    assert result.value == value
    assert result.signature.endswith("|words:any_script")
    assert "words" not in score("rouge_l", text, reference).signature
