"""Tokens keep the form of a value and can be nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_app.guardrails.redaction import find
from reference_app.vault.tokens import TOKENS, make_token

NUMBERS = st.integers(0, 2**256 - 1)


@pytest.mark.parametrize("kind", ["email", "phone", "card", "name", "account", "address"])
@given(number=NUMBERS)
def test_every_token_is_recognised_as_one(kind, number):
    token = make_token(kind, number)

    assert [match[0] for match in TOKENS.finditer(f"to {token}, now")] == [token]


@pytest.mark.parametrize("kind", ["email", "phone", "card"])
@given(number=NUMBERS)
def test_a_token_has_the_kind_of_its_value(kind, number):
    token = make_token(kind, number)

    (found,) = find(f"it is {token} here")
    assert (found.kind, found.start, found.end) == (kind, 6, 6 + len(token))


@given(NUMBERS)
def test_no_card_has_a_right_check_digit(number):
    card = [int(digit) for digit in make_token("card", number) if digit.isdigit()]
    doubled = [digit if place % 2 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(card)]

    assert (len(card), card[:6]) == (16, [9] * 6)
    assert sum(doubled) % 10 != 0


@given(NUMBERS, NUMBERS)
def test_other_numbers_give_other_tokens(one, other):
    same = make_token("email", one) == make_token("email", other)
    assert same is (one % 32**12 == other % 32**12)
