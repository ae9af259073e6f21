"""Values are found in a text as people read them, and agree where they say the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.metrics.facts.values import agree, compete, read_values


def kinds(text):
    return [(value.kind, value.text) for value in read_values(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("£3.50, 3.50 GBP or 8 pounds", [("GBP", "£3.50"), ("GBP", "3.50 GBP"), ("GBP", "8 pounds")]),
        ("a 60-day window of two weeks", [("time", "60-day"), ("time", "two weeks")]),
        ("5 working days", [("time", "5 working days")]),
        ("from 4 to 6 weeks", [("time", "4"), ("time", "6 weeks")]),
        ("4-6 weeks", [("time", "4"), ("time", "6 weeks")]),
        ("by 6 March 2026 or March 6th", [("date", "6 March 2026"), ("date", "March 6th")]),
        ("2026-03-06 and 06.03.2026", [("date", "2026-03-06"), ("date", "06.03.2026")]),
        ("Sundays from 11 to 16:00", [("weekday", "Sundays"), ("clock", "11"), ("clock", "16:00")]),
        ("at noon or 4 p.m.", [("clock", "noon"), ("clock", "4 p.m.")]),
        ("in May, but it may not", [("month", "May")]),
        ("FW-10427, R-15 and HBP-Q7LZ-GB", [("code", "FW-10427"), ("code", "R-15"), ("code", "HBP-Q7LZ-GB")]),
        ("the UK and a QR code", []),
        ("70%, 70 per cent", [("percent", "70%"), ("percent", "70 per cent")]),
        ("half of it", [("percent", "half")]),
        ("the third pixel, one of them, no one", [("number", "third")]),
        ("at -8 °C, 30 degrees", [("temperature", "-8 °C"), ("temperature", "30 degrees")]),
        ("$5 million", [("USD", "$5 million")]),
        ("1.15 kg and 46 g", [("mass", "1.15 kg"), ("mass", "46 g")]),
    ],
)  # fmt: skip
def test_values_are_found(text, found):
    assert kinds(text) == found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("two weeks", "14 days", True),
        ("2 months", "60 days", True),
        ("60 days", "61 days", False),
        ("48 hours", "2 days", True),
        ("24 months", "two years", True),
        ("£3.50", "3,50 GBP", True),
        ("£3.50", "€3.50", False),
        ("£1,500", "1500 pounds", True),
        ("11 am", "11:00", True),
        ("4 pm", "16:00", True),
        ("12:00", "midday", True),
        ("6 March", "2026-03-06", True),
        ("6 March 2025", "2026-03-06", False),
        ("in March", "6 March", True),
        ("1.15 kg", "1150 g", True),
        ("4.1 kg", "4.07 kg", True),
        ("4.2 kg", "4.07 kg", False),
        ("40 points", "points 40", True),
        ("£249", "price 249.0", True),
        ("£133.17", "price 133.166667", True),
        ("£133.16", "price 133.166667", False),
        ("70%", "70 percent", True),
        ("30 °C", "30 days", False),
        ("FW-10427", "fw FW10427", True),
        ("third", "3 dead pixels", True),
    ],
)
def test_values_agree_where_they_say_the_same(one, other, same):
    (left, *_), (right, *_) = read_values(one), read_values(other)

    assert agree(left, right) is same
    assert agree(right, left) is same


@pytest.mark.parametrize(
    ("one", "other", "rivals"),
    [
        ("£8", "£12", True),
        ("£8", "8 days", False),
        ("2 points", "3 points", True),
        ("2 points", "3 stores", False),
    ],
)
def test_values_compete_where_they_speak_of_the_same(one, other, rivals):
    (left,), (right,) = read_values(one), read_values(other)

    assert compete(left, right) is rivals


@given(st.text(max_size=80))
def test_values_stand_where_they_say_and_agree_with_themselves(text):
    values = read_values(text)

    assert [value.start for value in values] == sorted(value.start for value in values)
    assert all(agree(value, value) for value in values)


@given(st.integers(0, 99_999), st.sampled_from(["£{}", "{} days", "{} kg", "{}%", "{} °C", "{} GBP"]))
def test_a_number_with_its_unit_is_one_value(number, form):
    (value,) = read_values(f"It is {form.format(number)}, they say.")

    assert value.written == number
    assert value.kind != "number"
