from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.detect.finding import KINDS
from pytest_llmops.detect.mask import _STAND_INS, mask, mask_secrets, mask_shown, stand_in
from pytest_llmops.detect.recognizers import numbers
from pytest_llmops.errors import MissingExtraError, ScanError
from tests.unit.detect.samples import CASES, carry, kinds


@pytest.mark.parametrize(("kind", "value"), CASES)
def test_a_stand_in_is_of_its_kind_and_hides_the_value(kind, value):
    replaced = stand_in(carry(kind, value))

    assert value not in replaced
    assert kinds(replaced) == [kind]
    assert stand_in(replaced) == replaced
    assert value not in mask(carry(kind, value))
    assert f"<{kind}>" in mask(carry(kind, value))


@pytest.mark.parametrize("text", ["task-force-of-the-north-and-south", "the bearer of news", "sk-8", ""])
def test_words_are_no_keys(text):
    assert stand_in(text) == mask(text) == text


def test_without_the_extra_secrets_alone_are_masked_unless_it_is_strict(monkeypatch):
    monkeypatch.setattr(numbers, "is_installed", lambda: False)
    text = f"ann.lee@example.com, sk-{'a1' * 16}"

    assert mask(text) == "ann.lee@example.com, <API_KEY>"
    with pytest.raises(MissingExtraError):
        mask(text, strict=True)


def test_every_kind_has_a_stand_in():
    assert set(_STAND_INS) == set(KINDS)


def test_a_private_key_is_replaced_between_its_lines():
    key = "-----BEGIN {0}PRIVATE KEY-----\nMIIEvQ\nabc\n-----END {0}PRIVATE KEY-----".format("RSA ")

    replaced = stand_in(f"key:\n{key}\n")

    assert "MIIEvQ" not in replaced
    assert kinds(replaced) == ["PRIVATE_KEY"]
    assert stand_in(replaced) == replaced


BEGIN, END = "-----BEGIN {0}PRIVATE KEY{1}-----", "-----END {0}PRIVATE KEY{1}-----"
MARKED = [("", ""), ("RSA ", ""), ("ENCRYPTED ", ""), ("OPENSSH ", ""), ("PGP ", " BLOCK")]


@pytest.mark.parametrize("line", ["\n", "\r\n", "\\n", "\\r\\n"])
@pytest.mark.parametrize("marked", MARKED)
@pytest.mark.parametrize(
    "after",
    [
        "",
        "{line}-----BEGIN CERTIFICATE-----{line}MIIC",
        "{line}-----BEGIN PRIVATE KEY-----{line}c2Vjb25k{line}-----END PRIVATE KEY-----",
        "{line}-----BEGIN PRIVATE KEY-----{line}c2Vjb25k",
    ],
)
def test_a_private_key_that_was_cut_off_is_masked(line, marked, after):
    begin = BEGIN.format(*marked)
    text = f"{begin}{line}MIIEvQ{line}Zmlyc3Q{after.format(line=line)}"

    for masked in (mask(text), stand_in(text), mask_secrets([text])[0]):
        assert masked.startswith(begin)
        assert not any(part in masked for part in ("MIIEvQ", "Zmlyc3Q", "c2Vjb25k"))
    assert stand_in(stand_in(text)) == stand_in(text)


def test_a_private_key_is_masked_however_long_it_is_and_whatever_is_in_it():
    text = (
        f"{BEGIN.format('', '')}\n{'Zmlyc3Q ' * 2000}----- cut -----\nc2Vjb25k\n{END.format('', '')}\nafter"
    )

    masked = mask(text)

    assert masked == f"{BEGIN.format('', '')}<PRIVATE_KEY>{END.format('', '')}\nafter"


def test_many_marks_of_keys_take_no_time():
    started = time.process_time()
    mask_secrets(BEGIN.format("", "") * 20_000 + "----" * 20_000)
    assert time.process_time() - started < 5


def test_a_label_tells_what_to_replace():
    assert mask("536 22 1234") == "536 22 1234"
    assert mask("536 22 1234", label="ssn: ") == "<US_SSN>"
    assert mask("kept", label="a@willow.net: ") == "kept"


def test_equal_values_have_equal_stand_ins():
    replaced = stand_in("a@willow.net, b@willow.net, a@willow.net").split(", ")

    assert replaced[0] == replaced[2] != replaced[1]


@given(st.lists(st.sampled_from(CASES), max_size=4), st.text("ab .,:;()\n\"'\u00e9", max_size=6))
def test_nothing_found_survives_its_replacement(cases, glue):
    text = f" {glue} ".join(carry(kind, value) for kind, value in cases)

    replaced = stand_in(text)

    assert sorted(kinds(replaced)) == sorted(kinds(text))
    assert all(value not in replaced for _, value in cases)


@pytest.mark.parametrize(
    ("error", "said"),
    [(ScanError("no canary found"), "no canary found"), (ValueError("of ann.lee@example.org"), "ValueError")],
)
def test_what_cannot_be_looked_at_is_not_shown(monkeypatch, error, said):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr("pytest_llmops.detect.mask.scan_labelled", broken)
    assert (
        mask_shown("Write to ann.lee@example.org")
        == f"<withheld: nobody could look for personal data in it>: {said}"
    )
