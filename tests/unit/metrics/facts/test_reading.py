"""No run of digits is left out of the values of a text, whatever its script, form and length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.metrics.facts.edits import find_edits, read_words
from pytest_llmops.metrics.facts.numerals import write_in_digits
from pytest_llmops.metrics.facts.reading import contradicts, read_all, supports
from pytest_llmops.text.characters import fold_typography

TEXTS = st.text(max_size=80) | st.text(
    "0123456789 .,-/:+%$\u20acvxkmgAB\u4e5d\u5341\u70b9\u5e74\uc77c\uff10\u0665", max_size=60
)


def find_unread(text: str) -> str:
    """Return the digits of a folded text that are in no value."""
    read = set()
    for value in read_all(text):
        read.update(range(value.start, value.start + len(value.text)))
    return "".join(
        sign for at, sign in enumerate(fold_typography(text)) if sign.isdecimal() and at not in read
    )


@given(TEXTS)
def test_no_digit_is_left_out(text):
    assert not find_unread(text)


@given(TEXTS)
def test_values_support_themselves_and_contradict_no_equal(text):
    values = read_all(text)

    assert [value.start for value in values] == sorted(value.start for value in values)
    assert all(supports(value, value) and not contradicts(value, value) for value in values)


@given(TEXTS, TEXTS)
def test_any_two_texts_are_compared(one, other):
    for source in read_all(one):
        for claim in read_all(other):
            assert not (supports(source, claim) and contradicts(source, claim))
    assert list(find_edits(read_words(one), read_words(one))) == []
    assert len(list(find_edits(read_words(one), read_words(other)))) <= len(one) + len(other)


@given(TEXTS)
def test_numerals_are_written_once(text):
    written = write_in_digits(text)

    assert isinstance(write_in_digits(written), str)
    assert text.isascii() is False or written == text


@given(st.integers(1, 99_999_999))
def test_chinese_numerals_are_read_as_they_are_written(number):
    assert write_in_digits(f"\u5171{_write(number)}\u5143") == f"\u5171{number} CNY "


def _write(number: int) -> str:
    """Return a number below 10 to the 8th in Chinese."""
    if number >= 10_000:
        rest = _write(number % 10_000) if number % 10_000 else ""
        return f"{_write(number // 10_000)}\u4e07{rest}"
    digits = "\u96f6\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d"
    powers = ("", "\u5341", "\u767e", "\u5343")
    written = ""
    for at, digit in enumerate(map(int, reversed(str(number)))):
        written = f"{digits[digit]}{powers[at]}{written}" if digit else written
    return written


@pytest.mark.parametrize("sign", ["1", "\u0661", "1.", "\u4e5d", "1,"])
def test_a_long_run_of_digits_is_read_in_a_time_that_grows_with_its_length(sign):
    """Each would take hours if the time grew with the square, and is stopped after a minute."""
    text = sign * (250_000 if len(sign) == 1 else 10_000)

    assert len(read_all(write_in_digits(text))) <= len(text)
