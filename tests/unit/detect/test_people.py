"""People, addresses, dates of birth and passports: found by what stands around them, and nothing else."""

from __future__ import annotations

from tempfile import NamedTemporaryFile

import pytest

from pytest_llmops import scan


def found(text: str, *, names: bool = False) -> list[tuple[str, str]]:
    with NamedTemporaryFile("w", suffix=".txt", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        findings = scan([file.name], names=names)
    return [(finding.kind, text[finding.start : finding.end]) for finding in findings]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Dear Maja Lindqvist,\nyour parcel", "Maja Lindqvist"),
        ("Hi, my name is Siobh\u00e1n O'Neill and", "Siobh\u00e1n O'Neill"),
        ("please ask Mr. Okonkwo about it", "Okonkwo"),
        ("Account holder: Ana Mar\u00eda de la Cruz.", "Ana Mar\u00eda de la Cruz"),
        ('read {"full_name": "Thijs van den Berg"}', "Thijs van den Berg"),
        ("the customer Ove Str\u00f8m said", "Ove Str\u00f8m"),
        ("See you.\nBest regards,\nIlse Brandt", "Ilse Brandt"),
        ("ich hei\u00dfe J\u00fcrgen Wei\u00df und", "J\u00fcrgen Wei\u00df"),
    ],
)
def test_a_label_names_a_person(text, name):
    assert found(text) == [("PERSON", name)]


@pytest.mark.parametrize(
    "text",
    [
        "{'name': 'Tobias Merrivale', 'email': 'tobias@willow.co.uk'}",
        "Tobias Merrivale: where is it?\nsupport: your phone?\nTobias Merrivale: 212-555-0188",
        "INSERT INTO people VALUES ('Tobias Merrivale', 'tobias@willow.co.uk')",
        "name,phone\nTobias Merrivale,+44 20 7946 0958\n",
    ],
)
def test_a_name_beside_personal_data_is_that_of_a_person(text):
    assert ("PERSON", "Tobias Merrivale") in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "Dear Customer, welcome to our Support Team.",
        "Dear Hiring Manager, I apply.",
        "This is Customer Service, how can I help?",
        "Release Notes: the Trail Boots are back.",
        '{"name": "Trail Boots", "price": 120}',
        "The user guide and User Guide Version 2",
        "New York and San Francisco are far from Tobias Merrivale",
    ],
)
def test_capitals_alone_name_nobody(text):
    assert found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "She was born on 12 March 1984 in Lyon.",
        "DOB: 1984-03-12",
        '{"date_of_birth": "12/03/1984"}',
        "n\u00e9e le 12 mars 1984",
        "Geburtsdatum: 12.03.1984",
        "birthday: March 12, 1984",
    ],
)
def test_a_date_of_birth_is_one_by_its_label(text):
    assert [kind for kind, _ in found(text)] == ["DATE_OF_BIRTH"]


@pytest.mark.parametrize(
    "text",
    [
        "Ordered on 12 March 1984, shipped 1984-03-13.",
        "The birth of the web; version 1.2.3 of 2199-01-01",
        "passport control opens at 2024-05-01 and 20240501",
        "Chapter 12, 2024 edition; Section 4, 2021 Report",
        "During 14 days, Spring 5 and String 7",
        "IP address: unknown, e-mail address missing",
    ],
)
def test_other_dates_and_numbers_are_nobodys(text):
    assert found(text) == []


@pytest.mark.parametrize(
    "address",
    [
        "Lindenstra\u00dfe 14, 50674 K\u00f6ln",
        "12 rue de la Paix, 75002 Paris",
        "rue des Lilas, 31000 Toulouse",
        "Calle de Alcal\u00e1 48, Madrid, 28014",
        "Via Garibaldi, 20, 50056, Fibbiana (FI)",
        "Storgatan 5, 111 51 Stockholm",
        "Rua Augusta, 89, 1100-048 Lisboa",
        "Prinsengracht 263, 1016 GV Amsterdam",
        "742 Evergreen Terrace, Springfield, OR 97403",
        "10 Downing Street, London SW1A 2AA",
        "Unit 99 844 Justin Parade, Wendymouth, QLD, 3470",
        "P.O. Box 1234",
    ],
)
def test_an_address_is_found_as_its_country_writes_it(address):
    ((kind, text),) = found(f"Send it to {address}")
    assert kind == "ADDRESS"
    assert len(text) >= len(address) * 0.8


def test_the_model_finds_who_is_only_mentioned():
    text = "Meeting with Constance Bouvier moved to Tuesday."

    assert found(text) == []
    assert found(text, names=True) == [("PERSON", "Constance Bouvier")]


def test_the_model_reads_a_long_text_to_its_end():
    sentence = "Meeting with Constance Bouvier moved to Tuesday."
    text = f"{'word ' * 1_000}{' ' * 120_000}{sentence}"  # blanks, which are one token, take no time

    assert found(text, names=True) == [("PERSON", "Constance Bouvier")]
