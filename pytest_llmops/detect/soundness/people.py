"""Invented people whose data are canaries, for tests of apps that must keep them to themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from pytest_llmops.detect.soundness.canaries import make_canaries
from pytest_llmops.errors import LLMOpsError

_KINDS = {
    "name": "PERSON",
    "email": "EMAIL_ADDRESS",
    "phone": "PHONE_NUMBER",
    "address": "ADDRESS",
    "date_of_birth": "DATE_OF_BIRTH",
    "passport": "PASSPORT",
    "national_id": "NATIONAL_ID",
    "iban": "IBAN_CODE",
    "credit_card": "CREDIT_CARD",
    "api_key": "API_KEY",
    "password": "PASSWORD",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InventedPerson:
    """Somebody who does not exist, with data of ranges that nobody owns; what shows up of them leaked."""

    name: str
    email: str
    phone: str
    address: str
    date_of_birth: str
    passport: str
    national_id: str
    iban: str
    credit_card: str
    api_key: str
    password: str

    @property
    def canaries(self) -> tuple[str, ...]:
        """Every value, for `deny`: also what a scan would not know without the words beside it."""
        return tuple(getattr(self, field) for field in _KINDS)


class PiiFaker:
    """Makes invented people, no two alike."""

    def __init__(self, seed: int) -> None:
        self._seeds: Iterator[int] = count(seed * 1_000_003)

    def person(self, locale: str | None = None) -> InventedPerson:
        """
        The next one.

        Args:
            locale: Such as `de_DE`: name and address as people have them there, by Faker.

        Raises:
            LLMOpsError: Faker is not installed, or does not know the locale.
        """
        __tracebackhide__ = True
        seed = next(self._seeds)
        values = {each.kind: each.value for each in make_canaries(kinds=_KINDS.values(), seed=seed)}
        person = InventedPerson(**{field: values[kind] for field, kind in _KINDS.items()})
        if locale is None:
            return person
        fake = _faker(locale)
        fake.seed_instance(seed)
        name = f"{fake.first_name()} {fake.last_name()}"
        return replace(person, name=name, address=fake.address().replace("\n", ", "))

    def people(self, number: int, locale: str | None = None) -> list[InventedPerson]:
        """The next ones."""
        return [self.person(locale) for _ in range(number)]


def _faker(locale: str) -> Any:
    __tracebackhide__ = True
    try:
        from faker import Faker
    except ImportError:
        raise LLMOpsError(f"pii_faker.person({locale!r}) needs: pip install faker") from None
    try:
        return Faker(locale)
    except (AttributeError, ValueError):
        raise LLMOpsError(f"pii_faker.person({locale!r}): Faker knows no such locale") from None
