from __future__ import annotations

import pytest

from reference_app.masking import mask, mask_all


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to jo.doe+x@example.co.uk please", "write to [email] please"),
        ("call 07700 900461", "call [phone]"),
        ("call +44 (0)20 7946 0018 now", "call [phone] now"),
        ("tel. 01632 960877.", "tel. [phone]."),
        ("card 4629 1830 5577 1940 refused", "card [card] refused"),
        ("card 4629-1830-5577-1940", "card [card]"),
        ("IBAN GB29 NWBK 6016 1331 9268 19 is mine", "IBAN [account] is mine"),
        ("I'm Ada Quimby, hi", "I'm [name], hi"),
        ("My name is Jean-Luc O'Neil and", "My name is [name] and"),
    ],
)
def test_personal_data_is_replaced(text, masked):
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "Where is order FW-10427?",
        "delivered on 2026-03-06 or 06/03/2026",
        "tracking HBP-K4T7-GB",
        "Error EM-03 after 15 minutes, 60 by 40 by 40 cm, £3.95",
        "I'm Sorry but the tent leaks",
        "is it 1000 or 2000 points",
        "",
    ],
)
def test_what_the_app_needs_stays(text):
    assert mask(text) == text


def test_masking_twice_changes_nothing():
    once = mask("I'm Ada Quimby, jo@example.com, 4629 1830 5577 1940, 07700 900461")

    assert mask(once) == once


def test_every_text_inside_a_value_is_masked():
    value = {"jo@example.com": [("07700 900461", 5, None, True)]}

    assert mask_all(value) == {"[email]": [["[phone]", 5, None, True]]}
