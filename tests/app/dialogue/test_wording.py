"""Order numbers, days and languages in the words of customers."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from reference_app.dialogue.wording import (
    asks_for_past,
    find_day,
    find_exact_day,
    find_language,
    find_orders,
    mend_order_ids,
)

TODAY = dt.date(2026, 3, 5)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FW-10427", ["FW-10427"]),
        ("fw10427, FW 10428 and f w 10429", ["FW-10427", "FW-10428", "FW-10429"]),
        ("fw_10427 fw:10428 fw#10429 fw.10430", ["FW-10427", "FW-10428", "FW-10429", "FW-10430"]),
        ("FW-10428, FW-10427, FW-10428", ["FW-10428", "FW-10427"]),
        ("FW-1042 FW-104270 XFW-10427 10427 FW--10427", []),
        ("FW-\u0661\u0660\u0664\u0662\u0667", []),  # digits of another script are another number
    ],
)
def test_orders_are_found_as_people_type_them(text, found):
    assert find_orders(mend_order_ids(text)) == found


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("bought on 2026-01-05", dt.date(2026, 1, 5)),
        ("on 3 January", dt.date(2026, 1, 3)),
        ("on the 3rd of January", dt.date(2026, 1, 3)),
        ("on 3 November", dt.date(2025, 11, 3)),  # the last one
        ("January 3rd 2025", dt.date(2025, 1, 3)),
        ("Dec 24, 2025", dt.date(2025, 12, 24)),
        ("in June 2024", dt.date(2024, 6, 1)),
        ("in 2024", dt.date(2024, 1, 1)),
        ("two months ago", dt.date(2026, 1, 5)),
        ("a year old", dt.date(2025, 3, 5)),
        ("bought in May", dt.date(2025, 5, 1)),
        ("bought last May", dt.date(2025, 5, 1)),
        ("on 3 May", dt.date(2025, 5, 3)),
        ("in June 2024, and again on 3 January", dt.date(2024, 6, 1)),
        ("may I return it?", None),
        ("what may I send back?", None),
        ("31 February 2026", None),
        ("2026-02-30", None),
        ("in 2099", None),
        ("5 April 2026", None),
        ("9999999999 years ago", None),
        ("the marching boots", None),
        ("within 30 days", None),
    ],
)
def test_the_day_of_a_purchase(text, day):
    assert find_day(text, TODAY) == day


@pytest.mark.parametrize(
    ("text", "past"),
    [
        ("What were the old rules?", True),
        ("How long did it use to be? It used to be 60 days", True),
        ("Under the 2024 programme?", True),
        ("Is my old jacket under warranty?", False),
        ("How long can I return boots?", False),
    ],
)
def test_rules_that_were_replaced_are_asked_for(text, past):
    assert asks_for_past(text) is past


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Wie lange kann ich das Zelt zurückgeben?", "de"),
        ("¿Cuánto cuesta el envío para una tienda?", "es"),
        ("Combien coûte la livraison pour une tente ?", "fr"),
        ("Quanto costa la spedizione per una tenda?", "it"),
        ("Wat kost de verzending en hoe lang duurt het?", "nl"),
        ("How long can I return the tent?", None),
        ("Is the La Sportiva boot in stock in El Paso?", None),
        ("Do you ship to Den Haag?", None),
        ("die", None),
        ("", None),
        ("???", None),
    ],
)
def test_the_language_of_a_question(text, language):
    assert find_language(text) == language


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("It came on 5 January.", dt.date(2026, 1, 5)),
        ("Ordered on 28 February, it came on the 2nd.", dt.date(2026, 3, 2)),
        ("Bought on 3 December, came on the 8th", dt.date(2025, 12, 8)),
        ("It came on 31 January, and the 30th", dt.date(2026, 1, 31)),  # no 30 February
        ("On 5 January it came, on 7 January I wrote.", dt.date(2026, 1, 5)),
        ("Bought on 5 January.", None),
        ("It came the 2nd time.", None),
        ("it came in January", None),
        ("it came on 10 March 2026", None),  # still to come
        ("", None),
    ],
)
def test_the_day_of_something_is_found(text, day):
    assert find_exact_day(text, TODAY, re.compile("came")) == day
