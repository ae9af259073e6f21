"""What a cassette keeps: secrets and numbers are replaced, names and addresses of people stay."""

from __future__ import annotations

from pytest_llmops.detect.mask import mask, stand_in_recorded


def test_an_answer_keeps_its_names_and_addresses_in_a_replay():
    text = "Dear Maja Lindqvist, our shop is at Lindenstraße 14, 50674 Köln; write to maja@willow.net."

    kept = stand_in_recorded(text)

    assert "Maja Lindqvist" in kept
    assert "Lindenstraße 14, 50674 Köln" in kept
    assert "maja@willow.net" not in kept
    assert mask(text) == "Dear <PERSON>, our shop is at <ADDRESS>; write to <EMAIL_ADDRESS>."
