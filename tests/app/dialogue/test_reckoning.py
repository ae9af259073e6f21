"""Days and sums that follow from a rule of the documents."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_app.dialogue.reckoning import (
    Deadline,
    Worth,
    find_day_of,
    find_deadline,
    find_worth,
    has_other_rule,
)

START = dt.date(2026, 1, 10)
RULE = "Most items can be sent back within 60 days of delivery."
WORTH = "100 Trailmarks points are worth £2 in the basket."


@pytest.mark.parametrize(
    ("rule", "question", "end"),
    [
        (RULE, "What is the last day to return it?", dt.date(2026, 3, 11)),
        (RULE, "Can I still send it back?", dt.date(2026, 3, 11)),
        (RULE, "Which box do I need?", None),
        ("Points expire 24 months after the last purchase.", "When do they lapse?", dt.date(2028, 1, 10)),
        ("A warranty of 3 years from delivery.", "How long is it covered?", dt.date(2029, 1, 10)),
        ("Jackets have a warranty of 3 years.", "How long is it covered?", None),  # from when?
        ("Use the form within 30 days of the refund.", "Until when can I object?", None),
        ("Money is back within 5 working days of delivery.", "When do I get it?", None),
        ("2 years from delivery, the sole 1 year from delivery.", "Is it still covered?", None),
        ("Boots are checked in the warehouse.", "Can I still return them?", None),
    ],
)
def test_the_end_of_a_time_is_counted_from_the_day(rule, question, end):
    found = find_deadline(rule, question, START)
    assert (found.end if found else None) == end


@pytest.mark.parametrize(
    ("start", "question", "day"),
    [
        ("delivery", "It was ordered on 5 January and got here on the 9th.", dt.date(2026, 1, 9)),
        ("purchase", "It was ordered on 5 January and got here on the 9th.", dt.date(2026, 1, 5)),
        ("delivery", "My parcel was dropped off on 10 January 2026.", START),
        ("delivery", "On 10 January it arrived.", START),
        ("delivery", "It was ordered on 5 January.", None),
        ("delivery", "My birthday is 3 May. Can I still return it?", None),
        ("purchase", "My last order was on 3 June 2025.", dt.date(2025, 6, 3)),
        ("delivery", "", None),
    ],
)
def test_a_time_begins_on_the_day_of_what_it_counts_from(start, question, day):
    assert find_day_of(start, question, dt.date(2026, 3, 5)) == day


@pytest.mark.parametrize(
    ("start", "rule", "end"),
    [
        (dt.date(2024, 2, 29), "It is valid for 1 year from delivery.", dt.date(2025, 2, 28)),
        (dt.date(2025, 10, 31), "It is valid for 4 months from delivery.", dt.date(2026, 2, 28)),
        (dt.date(9999, 12, 1), "It is valid for 6 years from delivery.", None),
    ],
)
def test_a_day_that_a_month_lacks_is_its_last(start, rule, end):
    found = find_deadline(rule, "Until when?", start)
    assert (found and found.end) == end


@given(st.dates(dt.date(1990, 1, 1), dt.date(2100, 1, 1)), st.integers(1, 999))
def test_days_are_counted_as_the_calendar_does(start, days):
    found = find_deadline(f"Send it back within {days} days of delivery.", "Until when?", start)
    assert isinstance(found, Deadline)
    assert (found.end - found.start).days == days


@pytest.mark.parametrize(
    ("question", "points", "worth"),
    [
        ("There are 450 points on my account. What is that worth?", None, Worth(450, 9.0)),
        ("How much is that in pounds?", 338, Worth(338, 6.76)),
        ("What are 1,250 points worth?", 10, Worth(1250, 25.0)),
        ("When do my 450 points expire?", None, None),
        ("What are points worth?", None, None),
    ],
)
def test_points_are_worth_what_the_rate_says(question, points, worth):
    assert find_worth([RULE, WORTH], question, points) == worth
    assert find_worth([RULE], question, points) is None


@pytest.mark.parametrize(
    ("day", "other"),
    [
        (dt.date(2025, 11, 24), True),
        (dt.date(2025, 12, 30), True),  # it may have been ordered on 24 December
        (dt.date(2025, 10, 31), False),
        (dt.date(2026, 1, 10), False),
    ],
)
def test_a_season_with_a_rule_of_its_own_is_seen(day, other):
    rule = "Purchases made between 1 November and 24 December can be returned until 31 January."
    assert has_other_rule(f"{RULE} {rule}", day) is other
    assert not has_other_rule(f"{RULE} Paid between 40 Juny and 3 Foo.", day)
