from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest

from reference_app.shop.database import TODAY
from reference_app.tools.sql.shapes.linking import Values, link
from reference_app.tools.sql.shapes.periods import find_periods

VALUES = Values(
    {
        "category": ["Tents", "Boots and shoes", "Packs", "Water"],
        "product": [
            "Skerry 2 tent",
            "Footprint for Skerry 2",
            "Child carrier",
            "Fulmar -8 sleeping bag",
            "Fulmar 0 sleeping bag",
            "Ridge GPS handheld",
            "Steel pegs, set of 8",
            "O'Hara stove",
        ],
        "city": ["Harrowmere"],
        "status": ["cancelled", "delivered"],
        "reason": ["cancelled", "wrong size"],
        "level": ["Ridge"],
        "country": ["United Kingdom"],
        "colour": ["grey"],
    }
)


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
    ("text", "kind", "condition"),
    [
        ("under £50", "price", "{} < 50"),
        ("for less than 1,250 pounds", "price", "{} < 1250"),
        ("at least 99.50 pounds", "price", "{} >= 99.5"),
        ("20 pounds or less", "price", "{} <= 20"),
        ("between £100 and £200", "price", "{} BETWEEN 100 AND 200"),
        ("from 50 to 60 pounds", "price", "{} BETWEEN 50 AND 60"),
        ("heavier than 2 kg", "weight", "{} > 2"),
        ("up to 500 g", "weight", "{} <= 0.5"),
        ("with five stars", "stars", "{} = 5"),
        ("one-star reviews", "stars", "{} = 1"),
        ("4 stars or more", "stars", "{} >= 4"),
        ("more than 30 of them", "number", "{} > 30"),
        ("the tents", "category", "{} = 'Tents'"),
        ("a TENT", "category", "{} = 'Tents'"),
        ("boots and shoes", "category", "{} = 'Boots and shoes'"),
        ("the Skerry 2", "product", "{} = 'Skerry 2 tent'"),
        ("the footprint for Skerry 2", "product", "{} = 'Footprint for Skerry 2'"),
        ("Fulmar -8 sleeping bags", "product", "{} = 'Fulmar -8 sleeping bag'"),
        ("sleeping bags", "sort", "{} IN ('Fulmar -8 sleeping bag', 'Fulmar 0 sleeping bag')"),
        ("the Ridge GPS", "product", "{} = 'Ridge GPS handheld'"),
        ("on Ridge level", "level", "{} = 'Ridge'"),
        ("steel pegs", "product", "{} = 'Steel pegs, set of 8'"),
        ("the O'Hara stove", "product", "{} = 'O''Hara stove'"),
        ("in HARROWMERE", "city", "{} = 'Harrowmere'"),
        ("from the UK", "country", "{} = 'United Kingdom'"),
        ("gray ones", "colour", "{} = 'grey'"),
        ("because of wrong sizes", "reason", "{} = 'wrong size'"),
        ("order fw-10412", "order", "{} = 'FW-10412'"),
    ],
)
def test_values_and_amounts_are_found_with_their_column(text, kind, condition):
    (found,) = link(f"What about {text}?", VALUES, TODAY)

    assert found.kind == kind
    assert found.conditions == {kind: condition}


def test_a_word_that_is_a_column_is_no_value():
    assert link("How many parcels had each carrier?", VALUES, TODAY) == []


def test_a_value_of_two_columns_keeps_both():
    (found,) = link("What was cancelled?", VALUES, TODAY)

    assert found.conditions == {"status": "{} = 'cancelled'", "reason": "{} = 'cancelled'"}


def test_a_plain_number_is_how_many_rows_are_wanted():
    (found,) = link("the three best", VALUES, TODAY)

    assert found.number == 3


def test_links_stand_in_the_question_s_order_and_never_overlap():
    question = "How many grey Skerry 2 tents under £300 does Harrowmere have since 2025?"

    found = link(question, VALUES, TODAY)

    assert [item.kind for item in found] == ["colour", "product", "price", "city", "period"]
    assert all(left.stop <= right.start for left, right in pairwise(found))


def test_long_and_odd_text_is_read_in_time():
    for text in ("a" * 500, "1 " * 250, "from 1 to " * 50, "since since 2025 " * 29, "\u2028'\";--" * 80):
        link(text, VALUES, TODAY)
