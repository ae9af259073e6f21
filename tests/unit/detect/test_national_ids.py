"""Numbers of states: a shape with a checksum, or a word before them; the same digits alone are nothing."""

from __future__ import annotations

import pytest

from tests.unit.detect.samples import kinds

# Invented, with valid check digits where the state has some.
NAMED = {
    "AU tax file": ("TFN: {}", "876 543 210"),
    "AU Medicare": ("medicare card {}", "2123 45670 1"),
    "CA": ("social insurance number {}", "130 692 544"),
    "DE tax": ("Steuer-ID: {}", "65929970489"),
    "DE pension": ("Rentenversicherungsnummer {}", "15070649C103"),
    "DK": ("CPR-nummer {}", "010190-1234"),
    "ES NIF": ("DNI {}", "12345678Z"),
    "FR": ("numéro de sécurité sociale {}", "1 85 05 78 006 084 91"),
    "GB NHS": ("NHS number: {}", "943 476 5919"),
    "IN Aadhaar": ("Aadhaar {}", "2345 6789 0124"),
    "IN PAN": ("PAN: {}", "ABCPE1234F"),
    "KR": ("RRN {}", "960121-1234567"),
    "NL": ("BSN {}", "111222333"),
    "NO": ("fødselsnummer {}", "01019012345"),
    "PL": ("PESEL {}", "44051401359"),
    "SE": ("personnummer {}", "811228-9874"),
    "SG": ("NRIC {}", "S1234567D"),
    "TH": ("Thai ID {}", "1103702071811"),
    "TR": ("TC kimlik no {}", "10000000146"),
    "US": ("ITIN {}", "912 70 1234"),
    "any": ("national id: {}", "44051401359"),
}
SHAPED = {
    "BE": "85.07.30-033.28",
    "BR": "123.456.789-09",
    "CH": "756.9217.0769.85",
    "ES NIE": "X1234567L",
    "FI": "131052-308T",
    "GB": "AB123456C",
    "IT": "RSSMRA85T10A562S",
    "MX": "GOMC850101HDFRRL09",
    "TH": "1-1037-02071-81-1",
}


@pytest.mark.parametrize("country", NAMED)
def test_a_number_is_found_where_a_word_names_it_and_not_without(country):
    around, value = NAMED[country]

    assert kinds(around.format(value)) == ["NATIONAL_ID"]
    assert "NATIONAL_ID" not in kinds(f"order {value} was shipped")


@pytest.mark.parametrize("country", SHAPED)
def test_a_shape_that_nothing_else_has_needs_no_word(country):
    assert kinds(f"we have {SHAPED[country]} on file") == ["NATIONAL_ID"]


@pytest.mark.parametrize(
    "text",
    [
        "PESEL 44051401358",
        "131052-308U",
        "DNI 12345678A",
        "NHS number: 943 476 5918",
        "ISBN 978-3-16-148410-0 and EAN 4006381333931",
        "part AB123456 rev C, SKU X1234567, build 251125-1304",
        "tax 12.50, id 4711, ticket 100200300400",
    ],
)
def test_a_wrong_check_digit_or_another_number_is_none(text):
    assert "NATIONAL_ID" not in kinds(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("teléfono: 612 345 678", "612 345 678"),
        ("Tlf. 22 12 34 56", "22 12 34 56"),
        ("mobiel 06 12345678", "06 12345678"),
        ("cellulare: 347 123 4567", "347 123 4567"),
        ("telefon: 601 234 567", "601 234 567"),
        ("celular: (11) 98765-4321", "(11) 98765-4321"),
        ("mobile: 8123 4567", "8123 4567"),
        ("電話: 03-1234-5678", "03-1234-5678"),
        ("Phone: 02 9876 5432", "02 9876 5432"),
    ],
)
def test_a_phone_number_is_found_as_its_country_writes_it(text, value):
    assert kinds(text) == ["PHONE_NUMBER"]
    assert kinds(f"order {value.replace(' ', '')} of 2026") == []
