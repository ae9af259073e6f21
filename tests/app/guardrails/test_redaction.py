from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_app.guardrails.redaction import find, mask, mask_all

KNOWLEDGE = sorted((Path(__file__).parents[3] / "reference_app" / "knowledge").glob("*.md"))
TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ3YWxydXMifQ.c2lnbmF0dXJl"  # says {"sub": "walrus"}
RANDOM = "R4nd0mW4lrusR4nd0mW4lrus"


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
        ("IBAN GB29NWBK60161331926819.", "IBAN [account]."),
        ("I'm Ada Quimby, hi", "I'm [name], hi"),
        ("My name is Jean-Luc O'Neil and", "My name is [name] and"),
        ("Regards, Ada Quimby", "Regards, [name]"),
        ("for Mrs Quimby at noon", "for Mrs [name] at noon"),
        ('{"name": "Ada Quimby", "id": 7}', '{"name": "[name]", "id": 7}'),
        ("postgres://shop:s3cret!@db.example/orders", "postgres://shop:[password]@db.example/orders"),
        ("redis://:s3cret@cache.example:6379", "redis://:[password]@cache.example:6379"),
        ("https://jo:a@b@shop.example/", "https://jo:[password]@shop.example/"),
        ("my password is Walrus7!", "my password is [password]"),
        ("PASSWORD=walrus-77-tusk", "PASSWORD=[key]"),
        ('{"api_key": "walrus-77-tusk"}', '{"api_key": "[key]"}'),
        (f"sk-{RANDOM}", "[key]"),
        (f"ghp_{RANDOM}", "[key]"),
        ("AKIAWALRUS7WALRUS7", "[key]"),
        (f"token {TOKEN} expired", "token [token] expired"),
        (f"Authorization: Bearer {RANDOM}", "Authorization: Bearer [token]"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\nbye", "[key]\nbye"),
        ("from 81.2.69.142 today", "from [ip] today"),
        ("from 2a02:898:52:ffff::7a1 today", "from [ip] today"),
        ("born on 4 May 1985 in York", "born on [birthday] in York"),
        ("dob: 1985-05-04", "dob: [birthday]"),
        ("my passport number is X1234567A", "my passport number is [passport]"),
        ("SSN 219-09-9999", "SSN [id]"),
        ("to 12 Harbour Street, NE1 4XD", "to [address], NE1 4XD"),
        ("an die Lindenstraße 7, 20095 Hamburg", "an die [address], 20095 Hamburg"),
        ("rue de Lille 12, 59000 Lille", "[address], 59000 Lille"),
        ("call 0\u200b7700\u200b 900461", "call [phone]"),
        ("jo\uff20example.com", "[email]"),
    ],
)
def test_personal_data_and_secrets_are_replaced(text, masked):
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "Where is order FW-10427?",
        "Where is order FW-10427, placed on 5 March 2026?",
        "delivered on 2026-03-06 or 06/03/2026",
        "tracking HBP-K4T7-GB",
        "Error EM-03 after 15 minutes, 60 by 40 by 40 cm, £3.95",
        "I'm Sorry but the tent leaks",
        "is it 1000 or 2000 points",
        "Send it to NE1 4XD instead of EH1 1YZ",
        "12 Tents and 3 Stoves, 2000 points",
        "Which road is the store in?",
        "I have forgotten my password, what now?",
        "Your password is wrong, it says",
        "Is a passport needed for customs?",
        "bind 127.0.0.1:8000 or ::1 or 10.0.0.7",
        "firmware version 4.2.11.7 of the Ridge GPS",
        "at 12:16:33 the display went dark",
        "request 0b91f0a8-1c3e-4d86-9d3d-4f1d6f0f7c55",
        "https://shop.example/returns?order=FW-10427",
        "sizes S:38 M:40 L:42",
        "ﬁt of the Corrie 65 ½ full",
        "",
    ],
)
def test_what_the_app_needs_stays(text):
    assert mask(text) == text


@pytest.mark.parametrize("path", KNOWLEDGE, ids=lambda path: path.stem)
def test_the_shops_documents_stay(path):
    text = path.read_text(encoding="utf-8")

    assert {one.kind for one in find(text)} <= {"phone", "email"}


@given(st.text(alphabet=st.sampled_from("aB1 0-+@.:/[]é\u200b\uff17"), max_size=60) | st.text(max_size=60))
def test_masking_twice_changes_nothing(text):
    assert mask(mask(text)) == mask(text)


def test_masking_twice_changes_nothing_where_much_was_found():
    once = mask(
        "I'm Ada Quimby, jo@example.com, 4629 1830 5577 1940, 07700 900461, ssn 219-09-9999, 81.2.69.142"
    )

    assert once == "I'm [name], [email], [card], [phone], ssn [id], [ip]"
    assert mask(once) == once


def test_a_value_may_be_kept():
    text = "Write to help@shop.example, not to jo@example.com."

    assert mask(text, keep="help@shop.example".__eq__) == "Write to help@shop.example, not to [email]."


def test_what_is_found_is_in_order_and_apart():
    found = find("jo@example.com called 07700 900461 from 81.2.69.142")

    assert [one.kind for one in found] == ["email", "phone", "ip"]
    assert all(one.end <= after.start for one, after in pairwise(found))


def test_every_text_inside_a_value_is_masked():
    value = {"jo@example.com": [("07700 900461", 5, None, True)]}

    assert mask_all(value) == {"[email]": [["[phone]", 5, None, True]]}
