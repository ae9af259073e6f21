"""Invented people: made of canaries, the same for a seed, and as Faker writes them in a locale."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from pytest_llmops.detect.canaries import PiiFaker
from pytest_llmops.detect.mask import find_values
from pytest_llmops.errors import LLMOpsError


def test_people_are_unlike_and_the_same_for_a_seed():
    people = PiiFaker(1).people(20)

    assert people == PiiFaker(1).people(20)
    assert len({value for person in people for value in person.canaries}) > 20 * 10
    assert not set(people) & set(PiiFaker(2).people(20))


def test_a_scan_finds_what_belongs_to_somebody():
    person = PiiFaker(3).person()
    text = f"Dear {person.name}, card {person.credit_card}, {person.iban}, {person.email}, {person.phone}"

    assert find_values(text) == [person.name, person.credit_card, person.iban, person.email, person.phone]


def test_without_faker_a_locale_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "faker", None)

    with pytest.raises(LLMOpsError, match=r"^pii_faker.person\('de_DE'\) needs: pip install faker$"):
        PiiFaker(1).person("de_DE")


def test_a_locale_gives_name_and_address(monkeypatch):
    class Faker:
        def __init__(self, locale: str) -> None:
            if locale != "de_DE":
                raise AttributeError(locale)

        def seed_instance(self, seed: int) -> None:
            self.seed = seed

        def first_name(self) -> str:
            return "Jörg"

        def last_name(self) -> str:
            return "Groß"

        def address(self) -> str:
            return "Hauptstr. 5\n50674 Köln"

    module = ModuleType("faker")
    module.Faker = Faker
    monkeypatch.setitem(sys.modules, "faker", module)

    person = PiiFaker(1).person("de_DE")

    assert (person.name, person.address) == ("Jörg Groß", "Hauptstr. 5, 50674 Köln")
    assert person.email == PiiFaker(1).person().email
    with pytest.raises(LLMOpsError, match="knows no such locale"):
        PiiFaker(1).person("xx_XX")
