"""Tokens keep the form of a value and can be nobody's."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_app.guardrails.redaction import find
from reference_app.vault.tokens import TOKENS, make_token

SECRET = b"0" * 32
KINDS = ("email", "phone", "card", "account", "ip", "id", "name", "address")


@pytest.mark.parametrize("kind", KINDS)
@given(value=st.text(max_size=20), attempt=st.integers(0, 5))
def test_every_token_is_recognised_as_one(kind, value, attempt):
    token = make_token(kind, value, SECRET, attempt)

    assert TOKENS.fullmatch(token)
    assert make_token(kind, value, SECRET, attempt) == token
    assert [found[0] for found in TOKENS.finditer(f"to {token}, now")] == [token]


@pytest.mark.parametrize("kind", ["email", "phone", "card", "account", "id"])
@given(value=st.text(max_size=20))
def test_a_token_has_the_kind_of_its_value(kind, value):
    token = make_token(kind, value, SECRET)

    (found,) = find(f"it is {token} here")
    assert (found.kind, found.start, found.end) == (kind, 6, 6 + len(token))


@given(st.text(max_size=20))
def test_tokens_are_from_ranges_of_nobody(value):
    card = [int(digit) for digit in make_token("card", value, SECRET) if digit.isdigit()]
    doubled = [digit if place % 2 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(card)]

    assert card[:6] == [9] * 6
    assert len(card) == 16
    assert sum(doubled) % 10 != 0
    assert ipaddress.ip_address(make_token("ip", value, SECRET)).is_reserved
    assert make_token("email", value, SECRET).endswith(".invalid")
    assert make_token("account", value, SECRET).startswith("XX00 ")
    assert " 555 01" in make_token("phone", value, SECRET)


def test_tokens_differ_by_value_kind_key_and_attempt():
    made = {
        make_token("email", "jo@example.com", SECRET),
        make_token("email", "bo@example.com", SECRET),
        make_token("email", "jo@example.com", b"1" * 32),
        make_token("email", "jo@example.com", SECRET, 1),
    }

    assert len(made) == 4
    assert make_token("email", "Jo@Example.com", SECRET) in made
