from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest

from reference_app.shop.database import TODAY
from reference_app.tools.sql.linking.amounts import Amount, find_amounts
from reference_app.tools.sql.linking.lexicon import Meaning, stem
from reference_app.tools.sql.linking.links import Value
from reference_app.tools.sql.linking.periods import Period, find_periods
from reference_app.tools.sql.linking.plain import translate
from reference_app.tools.sql.linking.question import link
from reference_app.tools.sql.linking.values import Things, Values

CATEGORIES = {
    "Skerry 2 tent": "Tents",
    "Skerry 3 tent": "Tents",
    "Tarn 4 family tent": "Tents",
    "Footprint for Skerry 2": "Tents",
    "Footprint for Tarn 4": "Tents",
    "Child carrier": "Packs",
    "Squall rain shell": "Jackets",
    "Lapwing down jacket": "Jackets",
    "Fulmar -8 sleeping bag": "Sleeping",
    "Fulmar 0 sleeping bag": "Sleeping",
    "Gas canister 230 g": "Water",
    "Gas canister 450 g": "Water",
    "Lumen headlamp": "Packs",
    "Lumen Mini headlamp": "Packs",
    "Steel pegs, set of 8": "Tents",
    "O'Hara stove": "Water",
    "Wool beanie": "Water",
}
VALUES = Values(
    {
        "category": ["Tents", "Boots and shoes", "Packs", "Water", "Jackets", "Sleeping"],
        "product": list(CATEGORIES),
        "city": ["Harrowmere"],
        "status": ["cancelled", "delivered"],
        "reason": ["cancelled", "wrong size"],
        "level": ["Ridge"],
        "country": ["United Kingdom"],
        "colour": ["grey"],
    },
    CATEGORIES,
)


def links(text):
    return [one.to for one in link(text, VALUES, TODAY).links]


@pytest.mark.parametrize(
    ("text", "first", "end"),
    [
        ("in January 2026", date(2026, 1, 1), date(2026, 2, 1)),
        ("in Dec 2025", date(2025, 12, 1), date(2026, 1, 1)),
        ("in April", date(2025, 4, 1), date(2025, 5, 1)),
        ("in March", date(2026, 3, 1), date(2026, 4, 1)),
        ("during 2025", date(2025, 1, 1), date(2026, 1, 1)),
        ("last month", date(2026, 2, 1), date(2026, 3, 1)),
        ("this year", date(2026, 1, 1), date(2027, 1, 1)),
        ("last year", date(2025, 1, 1), date(2026, 1, 1)),
        ("last week", date(2026, 2, 23), date(2026, 3, 2)),
        ("today", date(2026, 3, 5), date(2026, 3, 6)),
        ("yesterday", date(2026, 3, 4), date(2026, 3, 5)),
        ("in the last 30 days", date(2026, 2, 3), date(2026, 3, 6)),
        ("since May 2025", date(2025, 5, 1), None),
        ("after 2024", date(2025, 1, 1), None),
        ("before March 2026", None, date(2026, 3, 1)),
        ("until 2025-06-30", None, date(2025, 7, 1)),
        ("on 3 March 2026", date(2026, 3, 3), date(2026, 3, 4)),
        ("on the 24th of December", date(2025, 12, 24), date(2025, 12, 25)),
        ("in Q1 2025", date(2025, 1, 1), date(2025, 4, 1)),
        ("the last quarter of 2025", date(2025, 10, 1), date(2026, 1, 1)),
        ("between January and March 2025", date(2025, 1, 1), date(2025, 4, 1)),
        ("between November and January 2026", date(2025, 11, 1), date(2026, 2, 1)),
        ("between 29 February 2028 and January 2026", date(2025, 2, 28), date(2026, 2, 1)),
        ("since the start of 2026", date(2026, 1, 1), None),
        ("in the second half of 2025", date(2025, 7, 1), date(2026, 1, 1)),
        ("in the last two weeks", date(2026, 2, 19), date(2026, 3, 6)),
        ("last Monday", date(2026, 3, 2), date(2026, 3, 3)),
        ("last Thursday", date(2026, 2, 26), date(2026, 2, 27)),
        ("the day before yesterday", date(2026, 3, 3), date(2026, 3, 4)),
        ("from 2025-12-01 to 2025-12-24", date(2025, 12, 1), date(2025, 12, 25)),
    ],
)
def test_periods_are_ranges_of_days(text, first, end):
    (period,) = find_periods(f"How many orders {text}?", TODAY)

    assert (period.first, period.end) == (first, end)


@pytest.mark.parametrize(
    "text", ["may I march there", "on 31 February 2026", "more than 300", "FW-20251", "2 kg"]
)
def test_what_is_no_period_is_none(text):
    assert find_periods(text, TODAY) == []


@pytest.mark.parametrize(
    ("text", "sign", "low", "high", "figure"),
    [
        ("under £50", "<", 50, 0, "price"),
        ("for less than 1,250 pounds", "<", 1250, 0, "price"),
        ("under a hundred quid", "<", 100, 0, "price"),
        ("at least 99.50 pounds", ">=", 99.5, 0, "price"),
        ("20 pounds or less", "<=", 20, 0, "price"),
        ("between £100 and £200", "between", 100, 200, "price"),
        ("from 50 to 60 pounds", "between", 50, 60, "price"),
        ("up to 500 g", "<=", 0.5, 0, "weight"),
        ("between 1 and 2 kg", "between", 1, 2, "weight"),
        ("with five stars", "=", 5, 0, "rating"),
        ("4 stars or more", ">=", 4, 0, "rating"),
        ("more than 30 of them", ">", 30, 0, ""),
    ],
)
def test_amounts_have_a_sign_and_a_unit(text, sign, low, high, figure):
    (amount,) = find_amounts(text)

    assert (amount.sign, amount.low, amount.high, amount.figure, amount.bare) == (
        sign,
        low,
        high,
        figure,
        False,
    )


def test_a_plain_number_is_bare():
    assert [amount.bare for amount in find_amounts("the three best")] == [True]
    assert find_amounts("two and three") == []  # no range


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("the Skerry 2", {"Skerry 2 tent"}),
        ("Skerry tents", {"Skerry 2 tent", "Skerry 3 tent"}),
        ("the footprint for the Skerry 2", {"Footprint for Skerry 2"}),
        ("the squall jacket", {"Squall rain shell"}),
        ("a Lumen headlamp", {"Lumen headlamp"}),
        ("Lumen headlamps", {"Lumen headlamp", "Lumen Mini headlamp"}),
        ("Fulmar -8 sleeping bags", {"Fulmar -8 sleeping bag"}),
        ("sleeping bags", {"Fulmar -8 sleeping bag", "Fulmar 0 sleeping bag"}),
        ("the 450g gas canister", {"Gas canister 450 g"}),
        ("steel pegs", {"Steel pegs, set of 8"}),
        ("the O'Hara stove", {"O'Hara stove"}),
        ("the squal rain shel", {"Squall rain shell"}),
        ("the Fulmer 0", {"Fulmar 0 sleeping bag"}),
        ("the normal Lumen", {"Lumen headlamp"}),
        ("the tent Skerry 2", {"Skerry 2 tent"}),
        ("the 230 g gas canister", {"Gas canister 230 g"}),
        ("tents", {"Skerry 2 tent", "Skerry 3 tent", "Tarn 4 family tent"}),
    ],
)
def test_names_mean_their_products(text, names):
    (found,) = links(text)

    assert isinstance(found, Things)
    assert set(found.names) == names


def test_an_accessory_is_that_of_the_product_beside_it():
    assert [set(one.names) for one in links("the Skerry 2 tent with its footprint")] == [
        {"Skerry 2 tent"},
        {"Footprint for Skerry 2"},
    ]


@pytest.mark.parametrize("word", ["wool", "love", "shirts", "screen", "coating", "Merlin"])
def test_what_is_no_name_stays_unlinked(word):
    assert link(f"the {word} tent", VALUES, TODAY).unlinked == (word,)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("in HARROWMERE", "city", "Harrowmere"),
        ("in Harowmere", "city", "Harrowmere"),
        ("from the UK", "country", "United Kingdom"),
        ("gray", "colour", "grey"),
        ("wrong sizes", "reason", "wrong size"),
        ("fw-10412", "order", "FW-10412"),
    ],
)
def test_values_are_found_with_their_kind(text, kind, value):
    assert links(text) == [Value(kind=kind, text=value)]


def test_a_level_is_one_only_beside_its_noun():
    assert Value(kind="level", text="Ridge") in links("members of Ridge")
    assert link("the Ridge", VALUES, TODAY).unlinked == ("Ridge",)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("how many", "ask", "count"),
        ("on average", "ask", "average"),
        ("avarage", "ask", "average"),
        ("the most expensive", "rank", "price"),
        ("heaviset", "rank", "weight"),
        ("cheaper", "comparative", "price"),
        ("came out", "figure", "released"),
    ],
)
def test_words_are_found_with_their_meaning(text, kind, name):
    (found,) = links(text)

    assert isinstance(found, Meaning)
    assert (found.kind, found.name) == (kind, name)


def test_links_stand_in_the_question_s_order_and_never_overlap():
    found = link("How many grey Skerry 2 tents under £300 does Harrowmere have since 2025?", VALUES, TODAY)

    kinds = [type(one.to) for one in found.links]
    assert kinds == [Meaning, Value, Things, Amount, Value, Meaning, Period]
    assert all(left.last <= right.first for left, right in pairwise(found.links))
    assert found.unlinked == ()


def test_unknown_words_are_named():
    assert link("Which tents are waterproof?", VALUES, TODAY).unlinked == ("waterproof",)


@pytest.mark.parametrize("text", ["what sets me back", "what would that really set us back"])
def test_words_may_stand_within_a_phrase(text):
    assert [one.name for one in links(text)] == ["price"]


def test_light_words_are_passed_over_beside_what_they_go_with_alone():
    assert link("the orders the shop took", VALUES, TODAY).unlinked == ()
    assert link("the tents the shop took", VALUES, TODAY).unlinked == ("took",)


def test_a_colour_that_nothing_has_is_a_colour():
    assert links("purple") == [Value(kind="colour", text="purple")]


def test_questions_in_other_languages_keep_the_names():
    assert translate("¿Cuánto pesa la tienda Skerry 2?") == "¿weight the tent Skerry 2?"
    assert translate("Which mat is it?") == "Which mat is it?"


@pytest.mark.parametrize(("word", "form"), [("tents", "tent"), ("boxes", "box"), ("categories", "category")])
def test_plurals_meet_their_singular(word, form):
    assert stem(word) == stem(form)


def test_long_and_odd_text_is_read_in_time():
    for text in ("a" * 500, "1 " * 250, "from 1 to " * 50, "since since 2025 " * 29, "\u2028'\";--" * 80):
        link(text, VALUES, TODAY)
