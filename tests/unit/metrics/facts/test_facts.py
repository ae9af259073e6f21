"""Wrong facts of an answer are found against passages, results of tools and the reference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmops import Score, ToolCall
from pytest_llmops.records import Failure
from tests import scoring

SHIPPING = (
    "Standard delivery in the United Kingdom costs £3.95 and takes 2 to 4 working days. Parcels come with "
    "Harebell Parcels. Saturday delivery costs £5.95, and a locker £2.95. Iceland is not served at present. "
    "Points can pay for goods but not for gift cards."
)


def is_inapplicable(result):
    return isinstance(result, Failure) and result.stage == "inapplicable"


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

    assert is_inapplicable(rate(text, passages=None, calls=calls))
    assert rate(text, passages=None, calls=calls, reference="It is sent with Ashcombe.").value == 0
    assert is_inapplicable(rate(text, passages=None, calls=calls, reference="It is sent within days."))


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


@pytest.mark.parametrize(("answer", "value"), [("No, it is not.", 0), ("Yes.", 1)])
def test_yes_is_not_no(answer, value):
    assert rate(answer, passages=None, reference="Yes, it is.").value == value


def test_no_one_is_no_no():
    assert is_inapplicable(rate("No one knows.", passages=None, reference="Yes, it is."))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Order FW-10427 earns 40 points, booked on 16 March.", 1),
        ("Order FW-10427 earns 14 points.", 0),
        ("There are two: Cairn fleece for £79 and Plover for £89.", 1),
        ("There are three: Cairn fleece for £79 and Plover for £89.", 0),
        ("Your order brings 40 Trailmarks points.", 1),  # the app's own word: tools return no sentences
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

    assert is_inapplicable(rate(text, question="My boots are ten months old."))
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
        ({"kinds": ["date", "number"]}, "It costs £9.", 0),
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


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (
            "\u706b\u661f\u4e0a\u6709\u751f\u547d\u3002",
            "\u56fe\u4e66\u9986\u6bcf\u5929\u4e5d\u70b9\u5f00\u95e8\u3002",
        ),
        ("Es gibt dort einen Garten mit alten B\u00e4umen.", "Der Laden ist am Sonntag zu."),
        ("The lining feels soft.", "The lining feels rough."),
        ("I do not know that.", "It opens at 9:00."),
        (
            "\u0391\u03bd\u03bf\u03b9\u03c7\u03c4\u03cc \u03c4\u03bf \u03c0\u03c1\u03c9\u03af.",
            "\u039a\u03bb\u03b5\u03b9\u03c3\u03c4\u03cc.",
        ),
    ],
)
def test_an_answer_without_a_fact_that_can_be_compared_has_no_score(text, source):
    result = rate(text, passages=[source])

    assert is_inapplicable(result)
    assert result.error.startswith("not applicable: ")
    assert "check it with" in result.error


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        ("Standard delivery costs £3.95.", {}, "1 fact compared"),
        ("Saturday delivery costs £7.95.", {}, "number '£7.95': in no source; 2 facts compared"),
        ("Saturday delivery costs £7.95.", {"kinds": ["date"]}, "1 fact compared"),
        (
            "Le samedi, la livraison pour le client est de 5,95 euros et de 2 jours.",
            {},
            "it is not in English",
        ),
    ],
)
def test_the_score_says_how_much_was_compared(text, options, reason):
    assert reason in rate(text, **options).reason


def test_a_refusal_is_compared_with_a_refusal():
    text = "I am sorry, I could not find any information about that."

    assert rate(text, reference="I could not find that in our documents.").value == 1
    assert is_inapplicable(rate(text, reference="It takes a while."))


@pytest.mark.parametrize(
    ("source", "right", "wrong"),
    [
        ("Take 500mg of it.", "Take 0.5 g of it.", "Take 800mg of it."),
        ("Take 50 mcg of it.", "Take 0.05 mg of it.", "Take 50 mg of it."),
        ("Set it to 32 psi.", "Set it to 220.6 kPa.", "Set it to 32 bar."),
        ("It costs 80 CHF.", "It costs CHF 80.", "It costs 80 EUR."),
        ("It costs 5 million euros.", "It costs EUR 5,000,000.", "It costs 5 billion euros."),
        ("The link has 100 Mbit/s.", "The link has 0.1 Gbit/s.", "The link has 100 MB/s."),
        ("The limit is 50 km/h.", "The limit is 50 km/h.", "The limit is 50 mph."),
        ("It needs 230V.", "It needs 0.23 kV.", "It needs 120V."),
        ("It needs 5 GHz.", "It needs 5000 MHz.", "It needs 5 MHz."),
        ("Install Python 3.11.2.", "Install Python v3.11.2.", "Install Python 3.11.4."),
        ("Install Python 3.11.2.", "Install Python 3.11.", "Install Python 3.1."),
        ("The host is 10.0.0.12.", "Use 10.0.0.12 for it.", "Use 10.0.0.21 for it."),
        ("See https://www.example.org/a/b.", "See example.org/a/b.", "See example.org/a/c."),
        ("Write to help@example.org.", "Mail help@example.org.", "Mail sales@example.org."),
        ("Call +49 30 123456.", "Call 030 123456.", "Call 030 123465."),
        ("The article is 12-345-67.", "It is article 12-345-67.", "It is article 12-345-76."),
        ("It has an rtx4090 card.", "An rtx4090 is in it.", "It has an rtx4080 card."),
        ("You get 3 visits per day.", "You get 3 visits a day.", "You get 3 visits per week."),
        ("It runs once per day.", "It runs once a day.", "It runs once per week."),
        ("You pay $4 monthly for it.", "You pay $4 a month for it.", "You pay $4 a year for it."),
        ("He came third in it.", "He came 3rd in it.", "He came 4th in it."),
        ("It was built in 1845.", "It was built in the 19th century.", "It was built in the 18th century."),
        ("It was built in 1845.", "It was built in the 1840s.", "It was built in the 1850s."),
        ("It has 4,870 seats.", "It has about 5,000 seats.", "It has about 6,000 seats."),
        ("It has 4,870 seats.", "It has over 4,800 seats.", "It has over 4,900 seats."),
        ("It has 5,731,220 readers.", "It has 5.7 million readers.", "It has 7.5 million readers."),
        ("You may borrow up to 12 books.", "You can take up to 12 books.", "You can take up to 20 books."),
        ("It holds at least 5 litres.", "It holds 5 litres or more.", "It holds at most 5 litres."),
        ("The id is 12345678901234567890.", "It is 12345678901234567890.", "It is 12345678901234567891."),
        (
            "\u56fe\u4e66\u9986\u6bcf\u5929\u65e9\u4e0a\u4e5d\u70b9\u5f00\u95e8\u3002",
            "9:00 \u5f00\u95e8",
            "\u56fe\u4e66\u9986\u516b\u70b9\u5f00\u95e8",
        ),
        (
            "\u671f\u9650\u662f\u516d\u5341\u5929\u3002",
            "\u671f\u9650\u662f60\u5929",
            "\u671f\u9650\u662f\u4e5d\u5341\u5929",
        ),
        (
            "\u5165\u5834\u6599\u306f\u4e8c\u5341\u4e94\u5186\u3067\u3059\u3002",
            "\uff12\uff15\u5186\u3067\u3059",
            "\u4e09\u5341\u4e94\u5186\u3067\u3059",
        ),
        (
            "\ub3c4\uc11c\uad00\uc740 \uc544\ud649 \uc2dc\uc5d0 \uc5fd\ub2c8\ub2e4.",
            "9\uc2dc\uc5d0 \uc5fd\ub2c8\ub2e4",
            "\uc5ec\ub35f \uc2dc\uc5d0 \uc5fd\ub2c8\ub2e4",
        ),
        (
            "\u0e40\u0e1b\u0e34\u0e14 \u0e59 \u0e42\u0e21\u0e07",
            "\u0e40\u0e1b\u0e34\u0e14 9 \u0e42\u0e21\u0e07",
            "\u0e40\u0e1b\u0e34\u0e14 \u0e58 \u0e42\u0e21\u0e07",
        ),
        (
            "\u0627\u0644\u0633\u0627\u0639\u0629 \u0669",
            "\u0627\u0644\u0633\u0627\u0639\u0629 9",
            "\u0627\u0644\u0633\u0627\u0639\u0629 \u0668",
        ),
        (
            "\u096f \u092c\u091c\u0947 \u0916\u0941\u0932\u0924\u093e \u0939\u0948",
            "9 \u092c\u091c\u0947",
            "\u096e \u092c\u091c\u0947",
        ),
    ],
)
def test_values_of_any_form_are_compared(source, right, wrong):
    assert rate(right, passages=[source]).value == 1
    assert rate(wrong, passages=[source]).value == 0


TOWER = "The tower was built by Marlow Hart in Corveth before the bridge, and all of its rooms are open."


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (TOWER, None),
        ("The tower was built by Marlow Hart in Corveth after the bridge.", "comparison"),
        ("The tower was built by Marlow Hart in Corveth, and some of its rooms are open.", "quantifier"),
        ("The bridge was built by Marlow Hart in Corveth before the tower.", "swap"),
        ("The tower was built in Corveth by Marlow Hart before the bridge.", None),
    ],
)
def test_an_edit_that_turns_a_sentence_of_the_source_is_found(text, kind):
    result = rate(text, passages=[TOWER])

    assert [wrong["kind"] for claim in result.evidence for wrong in claim["wrong"]][:1] == (
        [kind] if kind else []
    )


def test_what_and_joins_may_change_places():
    source = "Red tents and blue tents are sold in Corveth during the summer."

    assert (
        rate("Blue tents and red tents are sold in Corveth during the summer.", passages=[source]).value == 1
    )


@pytest.mark.parametrize(
    "text", ["Die Frist betr\u00e4gt 60 Tage.", "Bis zur R\u00fcckgabe bleiben 60 Tage."]
)
def test_german_nouns_are_no_names(text):
    assert rate(text, passages=["Es sind 60 Tage."]).value == 1


@pytest.mark.parametrize(
    ("answer", "source", "value"),
    [
        ("We open at 9.", "We open at 9 am.", 1),
        ("We close at 5.", "We close at 17:00.", 1),
        ("We open at 8.", "We open at 9 am.", 0),
        ("We open at 9.", "We open at 9:30.", 0),
        ("It is 6.2 miles away.", "It is 10 km away.", 1),
        ("It is 10 km away.", "It is 6.2 miles away.", 1),
        ("It is 6.4 miles away.", "It is 10 km away.", 0),
        ("It takes 50 minutes.", "It takes 1 hour.", 0),
    ],
)
def test_hours_and_other_units_agree_as_people_round_them(answer, source, value):
    assert rate(answer, passages=(source,)).value == value
