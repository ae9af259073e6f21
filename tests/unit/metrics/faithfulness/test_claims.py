"""The embedded scorer: what must lower a score, what must not, and how texts are encoded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files

import pytest

from pytest_llmops import Passage
from pytest_llmops.metrics.faithfulness import model as packaged
from pytest_llmops.metrics.faithfulness.claims import Rated, rate_claims, split_claims, split_contexts
from pytest_llmops.metrics.faithfulness.features import FEATURES, describe_claims
from pytest_llmops.models.encoders import load_embedded

SHOP = (
    "Boots can be returned within 60 days of delivery. Returned boots must not have been worn outdoors. "
    "Refunds are paid by Meridian Bank to the original card on the 3rd of April at the latest. "
    "Maria Lindqvist founded the shop in Gothenburg in 1987. Prices of winter coats increased by 12 %. "
    "Orders above 50 euros ship free of charge. The store in Malmo is open on Sundays."
)


def rate(answer: str, *contexts: str) -> Rated:
    return rate_all([answer], contexts or (SHOP,))[0]


def rate_all(answers: Sequence[str], contexts: Sequence[str]) -> list[Rated]:
    spans = split_contexts([Passage(id=str(at), text=text) for at, text in enumerate(contexts)])
    rated = rate_claims([split_claims(answer) for answer in answers], [spans] * len(answers))
    return [each for each in rated if each is not None]


ALTERED = [
    (
        "Boots can be returned within 60 days of delivery.",
        "Boots can be returned within 90 days of delivery.",
    ),
    ("Maria Lindqvist founded the shop in 1987.", "Maria Lindqvist founded the shop in 1978."),
    ("Maria Lindqvist founded the shop in Gothenburg.", "Maria Lindqvist founded the shop in Copenhagen."),
    ("Maria Lindqvist founded the shop in Gothenburg.", "Anna Lindqvist founded the shop in Gothenburg."),
    ("The store in Malmo is open on Sundays.", "The store in Gothenburg is open on Sundays."),
    ("The store in Malmo is open on Sundays.", "The store in Malmo is open on Mondays."),
    ("The store in Malmo is open on Sundays.", "The store in Malmo is not open on Sundays."),
    ("The store in Malmo is open on Sundays.", "The store in Malmo is closed on Sundays."),
    ("Prices of winter coats increased by 12 %.", "Prices of winter coats decreased by 12 %."),
    ("Returned boots must not have been worn outdoors.", "Returned boots must have been worn outdoors."),
    ("Refunds are paid by the 3rd of April.", "Refunds are paid by the 9th of April."),
    ("Refunds are paid by the 3rd of April.", "Refunds are paid by the 3rd of June."),
    ("Orders above 50 euros ship free of charge.", "Orders below 50 euros ship free of charge."),
    ("Orders above 50 euros ship free of charge.", "Orders above fifteen euros ship free of charge."),
    ("The shop was founded in 1987.", "The shop was never founded in 1987."),
    ("Refunds are paid by Meridian Bank.", "Refunds are paid by Northern Bank."),
]


@pytest.mark.parametrize(("supported", "altered"), ALTERED)
def test_a_changed_fact_lowers_the_score(supported: str, altered: str) -> None:
    assert rate(altered).value < rate(supported).value - 0.01


HELD = [
    (
        "Boots can be returned within 60 days of delivery.",
        "Within 60 days of delivery, boots can be returned.",
    ),
    (
        "Boots can be returned within 60 days of delivery.",
        "You can return boots within sixty days of delivery.",
    ),
    ("Orders above 50 euros ship free of charge.", "Orders above 50 euros ship for free."),
    ("Maria Lindqvist founded the shop in 1987.", "The shop was founded by Maria Lindqvist in 1987."),
    ("The store in Malmo is open on Sundays.", "On Sundays, the store in Malmo is open."),
]


@pytest.mark.parametrize(("written", "otherwise"), HELD)
def test_a_paraphrase_stays_supported(written: str, otherwise: str) -> None:
    assert rate(written).value >= 0.5
    assert rate(otherwise).value >= 0.5


def test_the_order_of_sentences_and_of_contexts_does_not_matter() -> None:
    facts = ["The store in Malmo is open on Sundays.", "Orders above 50 euros ship free of charge."]
    forth, back = rate_all([" ".join(facts), " ".join(reversed(facts))], [SHOP])
    first, second = SHOP[:97], SHOP[97:]

    assert forth.value == pytest.approx(back.value, abs=1e-6)
    assert rate(facts[0], first, second).value == pytest.approx(rate(facts[0], second, first).value, abs=1e-6)


def test_one_false_sentence_among_true_ones_shows() -> None:
    true = "Boots can be returned within 60 days of delivery. Orders above 50 euros ship free of charge."
    rated = rate(f"{true} The shop also sells used bicycles in Oslo.")

    assert rated.value < rate(true).value - 0.1
    worst = min(rated.claims, key=lambda claim: claim.score)
    assert worst.text == "The shop also sells used bicycles in Oslo."
    assert worst.label == "absent"


def test_numbers_and_names_in_no_context_are_named() -> None:
    (claim,) = rate("Boots can be returned within 90 days of delivery to Oslo.").claims

    assert claim.unfound == ("90", "oslo")


def test_a_claim_rests_on_the_sentence_that_says_it() -> None:
    (claim,) = rate("The store in Malmo opens on Sundays.", "Nothing of interest.", SHOP).claims

    assert claim.support is not None
    assert claim.support.passage == 1
    start, end = claim.support.sentence.start, claim.support.sentence.end
    assert SHOP[start:end] == "The store in Malmo is open on Sundays."


def test_a_score_does_not_depend_on_its_batch() -> None:
    answers = [supported for supported, _ in ALTERED]

    together = [each.value for each in rate_all(answers, [SHOP])]

    assert together == pytest.approx([rate(answer).value for answer in answers], abs=1e-4)


def test_nothing_to_rate_is_no_score() -> None:
    spans = split_contexts([Passage(id="a", text=SHOP)])

    assert rate_claims([[], ["x"]], [spans, []]) == [None, None]


def test_each_text_is_encoded_once_however_many_cases_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_llmops import cache
    from pytest_llmops.models import pieces, vectors

    cache.use_cache(None)  # of another test's project
    pieces.forget()
    vectors.forget()
    calls: list[int] = []
    texts: list[int] = []
    encoder = load_embedded()
    whole, parts = encoder.encode, encoder.encode_pieces
    monkeypatch.setattr(
        encoder,
        "encode",
        lambda given, **options: (calls.append(1), texts.append(len(given)), whole(given, **options))[2],
    )
    monkeypatch.setattr(
        encoder,
        "encode_pieces",
        lambda ids, layer: (calls.append(1), texts.append(len(ids)), parts(ids, layer))[2],
    )

    rate_all([f"The store in Malmo is open on Sundays in week {at % 10}." for at in range(200)], [SHOP])

    assert len(calls) == 2  # once for the sentences' vectors, once for those of their word pieces
    assert texts[0] == texts[1] < 60  # ten answers, their opposites, seven sentences


@pytest.mark.parametrize("context", ["\ufeff", "\x07", "a" * 5_000, "🙂", "漢字。", "| a | b |\n|---|---|"])
def test_odd_contexts_are_read(context: str) -> None:
    for answer in ("Boots are sold.", "🙂 ok", "漢字"):
        spans = split_contexts([Passage(id="a", text=context)])
        for rated in rate_claims([split_claims(answer)], [spans]):
            assert rated is None or 0 <= rated.value <= 1


@pytest.mark.parametrize(
    ("claim", "negation", "direction"),
    [
        ("Returned boots must not have been worn outdoors.", 0.0, 0.0),
        ("Returned boots must have been worn outdoors.", 1.0, 0.0),
        ("Prices of winter coats decreased by 12 %.", 0.0, 1.0),
    ],
)
def test_polarity_is_compared_with_the_nearest_sentences(
    claim: str, negation: float, direction: float
) -> None:
    sentences = [span.sentence.text for span in split_contexts([Passage(id="0", text=SHOP)])]

    (described,) = describe_claims([claim], [sentences])

    values = dict(zip(FEATURES, described.row, strict=True))
    assert (values["negation_differs"], values["direction_missing"]) == (negation, direction)


def test_the_packaged_model_can_be_read_and_pulls_the_right_way() -> None:
    model = packaged.load_model()
    weights = dict(zip(FEATURES, model.support.weights, strict=True))

    assert all(weights[name] >= 0 for name in ("words_found", "aligned", "cosine", "pieces_found"))
    assert all(weights[name] <= 0 for name in ("numbers_missing", "opposite_aligned", "negation_differs"))
    assert model.scale.slope > 0
    assert len(model.identity) == 12
    assert (
        files("pytest_llmops.metrics.faithfulness").joinpath(packaged.FILE).read_bytes().__len__() < 3_000_000
    )


def test_the_scale_keeps_order_and_ends() -> None:
    scale = packaged.Scale(slope=2.0, shift=0.5)
    ratings = [1e-12, 0.1, 0.5, 0.9, 1 - 1e-12]

    scores = [scale.read(rating) for rating in ratings]

    assert scores == sorted(scores)
    assert 0 <= scores[0] <= scores[-1] <= 1
    assert replace(scale, shift=1.5).read(0.5) > scale.read(0.5)
    assert json.loads(json.dumps(scores)) == scores


def test_half_a_surrogate_pair_is_read_as_any_other_letter() -> None:
    assert rate("Boots can be returned within 60 days \ud83d of delivery.").value > 0.5
