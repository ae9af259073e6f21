"""Wrong facts of an answer are found against passages, results of tools and the reference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmops import Score, ToolCall
from tests import scoring

SHIPPING = (
    "Standard delivery in the United Kingdom costs £3.95 and takes 2 to 4 working days. Parcels come with "
    "Harebell Parcels. Saturday delivery costs £5.95, and a locker £2.95. Iceland is not served at present. "
    "Points can pay for goods but not for gift cards."
)


def rate(text, *, passages=(SHIPPING,), **more):
    return scoring.rate("facts", text, passages=passages, **more)


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [
        ("Ann", "The annual planning is done.", True),
        ("Mark", "You find it at the market.", True),
        ("Gore-Tex", "The lining is gore tex.", False),
        ("Drover", "All Drovers have a frame.", False),
        ("Europe", "European deliveries take a week.", False),
        ("Ember Stove", "The EmberStove burns gas.", False),
    ],
)
def test_a_name_is_looked_for_as_a_word(name, source, found):
    assert (rate(f"You can ask for {name} there.", passages=(source,)).value == 0.0) is found


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Ask for Mr Krummholz at the desk.", True),
        ("It costs £4.", True),
        ("I could not find that in our documents.", False),
    ],
)
def test_without_any_source_each_fact_is_invented(text, wrong):
    assert (rate(text, passages=()).value == 0.0) is wrong


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Standard delivery costs £4.95.", "number"),
        ("Standard delivery takes 2 to 14 working days.", "number"),
        ("Saturday delivery costs £2.95.", "number"),
        ("A locker costs £5.95.", None),  # not found: both clauses have as many of the claim's words
        ("Parcels are carried by Kestrel Express.", "name"),
        ("Iceland is served at present.", "negation"),
        ("Points can pay for gift cards.", "negation"),
        ("Points can't pay for goods.", "negation"),
        ("It arrives on 6 March.", "date"),
        ("The error is EM-07.", "code"),
        ("Delivery in the UK is £3.95, within two to four days.", None),
        ("**Saturday delivery** costs 5.95 pounds. [shipping#saturday]", None),
        ("If Iceland is served, we write to you.", None),
        ("I could not find that in our documents.", None),
    ],
)
def test_a_wrong_fact_is_found(text, kind):
    result = rate(text)

    assert isinstance(result, Score)
    assert [wrong["kind"] for claim in result.evidence for wrong in claim["wrong"]][:1] == (
        [kind] if kind else []
    )
    assert result.value == float(kind is None)


def test_a_name_is_wrong_beside_results_of_tools_if_the_reference_has_another():
    calls = [ToolCall(name="carrier", result={"days": 3})]
    text = "It is sent with Harebell."

    assert rate(text, passages=None, calls=calls).value == 1
    assert rate(text, passages=None, calls=calls, reference="It is sent with Ashcombe.").value == 0
    assert rate(text, passages=None, calls=calls, reference="It is sent within days.").value == 1


def test_a_key_of_a_tool_says_what_it_is_called_if_it_is_true():
    text, reference = "It is sent with Harebell.", "It is sent with Ashcombe."

    for is_sent, value in ((True, 1), (False, 0)):
        calls = [ToolCall(name="carrier", result={"sent_with": {"harebell": is_sent}})]
        assert rate(text, passages=None, calls=calls, reference=reference).value == value


def test_the_score_is_the_share_of_claims_without_a_wrong_fact():
    result = rate(
        "Standard delivery costs £3.95. Saturday delivery costs £7.95. Iceland is served at present."
    )

    assert result.value == pytest.approx(1 / 3)
    assert result.reason.startswith(
        "number '£7.95': in no source; negation 'Iceland is served at present.': the source"
    )
    assert result.evidence[1] == {
        "claim": "Iceland is served at present.",
        "wrong": [
            {
                "kind": "negation",
                "text": "Iceland is served at present.",
                "source": "Iceland is not served at present.",
                "origin": "passages",
                "id": "p0",
            }
        ],
    }


def test_the_reference_decides_between_values_of_one_sentence():
    text = "Resoling costs £65 with a new rand."
    passage = "Resoling a pair of boots costs £65, and £79 with a new rand."

    assert rate(text, passages=[passage]).value == 1
    assert rate(text, passages=[passage], reference="Resoling costs £79 with a new rand.").value == 0


@pytest.mark.parametrize(("answer", "value"), [("No, it is not.", 0), ("Yes.", 1), ("No one knows.", 1)])
def test_yes_is_not_no(answer, value):
    assert rate(answer, passages=None, reference="Yes, it is.").value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Order FW-10427 earns 40 points, booked on 16 March.", 1),
        ("Order FW-10427 earns 14 points.", 0),
        ("There are two: Cairn fleece for £79 and Plover for £89.", 1),
        ("There are three: Cairn fleece for £79 and Plover for £89.", 0),
        ("Your order brings Trailmarks points.", 1),  # the app's own word: tools return no sentences
    ],
)
def test_results_of_tools_are_sources(text, value):
    calls = [
        ToolCall(
            name="loyalty_points",
            arguments={"order_id": "FW-10427"},
            result='{"points": 40, "booked": false, "day": "2026-03-16"}',
        ),
        ToolCall(
            name="query_shop",
            result={"columns": ["name", "price"], "rows": [["Cairn fleece", 79.0], ["Plover", 89.0]]},
        ),
    ]

    assert rate(text, passages=None, calls=calls).value == value


def test_what_the_question_says_is_not_checked():
    text = "With boots that are ten months old, it is free."

    assert rate(text, question="My boots are ten months old.").value == 1
    assert rate(text).value == 0


def test_figures_that_end_sentences_are_no_numbers_of_items():
    assert rate("We have 1. You have 2. Both are open.").value < 1


def test_numbered_items_are_no_numbers():
    assert rate("Choose one: 1. Saturday delivery 2. Standard delivery 3. A locker").value == 1


@pytest.mark.parametrize(
    ("options", "text", "value"),
    [
        ({"against": ["reference"]}, "It costs £3.95.", 0),
        ({"against": ["passages"]}, "It costs £3.95.", 1),
        ({"against": ["passages"]}, "It costs £4.50.", 0),
        ({"kinds": ["date"]}, "It costs £9.", 1),
    ],
)
def test_sources_and_kinds_can_be_chosen(options, text, value):
    assert rate(text, reference="It costs £4.50.", **options).value == value


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"passages": None}, "there is nothing to compare with"),
        ({"text": " "}, "the output says nothing"),
        ({"passages": None, "against": ["passages"]}, "the app reported no passages"),
        ({"against": ["reference"]}, "the case has no reference"),
    ],
)
def test_a_sample_that_cannot_be_rated_says_why(given, error):
    result = rate(**{"text": "It costs £3.95.", **given})

    assert not isinstance(result, Score)
    assert error in result.error


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"against": ["passage"]}, "Did you mean 'passages'"),
        ({"kinds": "numbers"}, "Did you mean 'number'"),
        ({"kinds": []}, "at least one"),
    ],
)
def test_a_wrong_option_is_refused(options, advice):
    scoring.refuse("facts", advice, **options)


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 9_999), st.integers(1, 9_999))
def test_another_price_is_wrong_and_the_same_is_right(said, true):
    result = rate(f"The tent costs £{said}.", passages=[f"You pay £{true} for the tent."])

    assert result.value == float(said == true)


@settings(deadline=None, max_examples=15)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_rated_or_fails_with_a_reason(text, source):
    result = rate(text, passages=[source], reference=source)

    assert not isinstance(result, Score) or 0 <= result.value <= 1


@pytest.mark.parametrize(
    ("text", "reference", "value"),
    [
        ("\u671f\u9650\u662f90\u5929", "\u671f\u9650\u662f60\u5929", 0.0),
        ("\u671f\u9650\u662f\uff16\uff10\u5929", "\u671f\u9650\u662f60\u5929", 1.0),
        ("Take 250mg.", "Take 500 mg.", 0.0),
        ("Take 0.5 g.", "Take 500mg.", 1.0),
        ("Das kostet 1.000 Euro.", "Das kostet 1000 Euro.", 1.0),
        ("Das kostet 1.234,50 Euro.", "Das kostet 1234.5 Euro.", 1.0),
        ("It takes <b>90</b> days.", "It takes 60 days.", 0.0),
        ("| Boots | **60** days |", "Boots: 60 days", 1.0),
        ("Die Frist f\u00fcr die R\u00fcckgabe ist 60 Tage.", "Es sind 60 Tage.", 1.0),
    ],
)
def test_facts_of_any_script_and_markup_are_compared(text, reference, value):
    assert rate(text, passages=None, reference=reference).value == value


@pytest.mark.parametrize(
    ("text", "source", "value"),
    [
        ("She met Ursula von der Leyen.", "She met a politician.", 0.0),
        ("Sie haben f\u00fcr die R\u00fcckgabe 60 Tage.", "Sie haben 60 Tage.", 1.0),
    ],
)
def test_names_are_not_checked_where_all_nouns_have_capitals(text, source, value):
    assert rate(text, passages=(source,)).value == value
