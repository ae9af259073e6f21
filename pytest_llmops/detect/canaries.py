"""
Invented values that the scanner must find: to plant where a leak would show, and to test the scanner itself.

Each lies in a range without owners, such as example domains, numbers kept for fiction or an invented bank,
and is random within it: if one shows up, it leaked from the place where it was planted.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import count
from random import Random
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from typing import Any

from pytest_llmops.errors import LLMOpsError

_SYLLABLES = (
    "ba", "do", "fe", "ki", "la", "mo", "ne", "pu", "ri", "so", "ta", "vu", "wen", "zar", "lin", "mer",
)  # fmt: skip
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_MODULO_31 = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_HIGHEST_AREA = 989
_MONTHS = ("January", "March", "May", "July", "August", "October", "December")


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """
    A value to plant.

    Attributes:
        text: The value among the words that it needs to be found, as its shape may be too plain.
    """

    kind: str
    value: str
    text: str


def make_canaries(*, kinds: Collection[str] = (), count: int = 1, seed: int | None = None) -> list[Canary]:
    """
    Make `count` different canaries of each kind.

    Args:
        kinds: All of `CANARY_KINDS` by default.
        seed: Fixes the values; by default they are others each time.
    """
    drawn = Random(seed)  # noqa: S311 - they must differ, not be secret
    canaries = []
    for kind in CANARY_KINDS:
        if not kinds or kind in kinds:
            make, around = _MAKERS[kind]
            values: dict[str, None] = {}
            while len(values) < count:
                values[make(drawn)] = None
            canaries += [Canary(kind=kind, value=value, text=around.format(value)) for value in values]
    return canaries


def _some(drawn: Random, alphabet: str, length: int) -> str:
    return "".join(drawn.choice(alphabet) for _ in range(length))


def _name(drawn: Random) -> str:
    return " ".join("".join(drawn.sample(_SYLLABLES, 3)).capitalize() for _ in range(2))


def _card(drawn: Random) -> str:
    """Make a number of the range that gateways keep for tests."""
    body = "424242" + _some(drawn, digits, 9)
    doubled = [int(digit) * (2 - at % 2) for at, digit in enumerate(body)]
    return body + str(-sum(number - 9 * (number > 9) for number in doubled) % 10)  # noqa: PLR2004 - Luhn's sum of digits


def _iban(drawn: Random) -> str:
    """Make an account of a British bank `TEST`, which does not exist."""
    account = "TEST" + _some(drawn, digits, 14)
    number = "".join(str(int(char, 36)) for char in f"{account}GB00")
    return f"GB{98 - int(number) % 97:02}{account}"


def _us_ssn(drawn: Random) -> str:
    """Make a number of an area that is never issued, and a group that no taxpayer's number has."""
    return f"{drawn.randint(900, _HIGHEST_AREA)}-{drawn.randint(1, 49):02}-{drawn.randint(1, 9999):04}"


def _national_id(drawn: Random) -> str:
    """Make a Finnish number of the range kept for tests."""
    date = f"{drawn.randint(1, 28):02}{drawn.randint(1, 12):02}{drawn.randint(10, 99)}"
    number = str(drawn.randint(900, 999))
    return f"{date}-{number}{_MODULO_31[int(date + number) % 31]}"


def _phone(drawn: Random) -> str:
    """Make a number of the lines kept for fiction in North America."""
    area = drawn.choice(("202", "212", "303", "312", "404", "415", "503", "512", "617", "702", "808", "917"))
    return f"+1 {area}-555-01{drawn.randint(0, 99):02}"


def _ip_address(drawn: Random) -> str:
    """Make an address of the range kept for documentation."""
    return "2001:db8:" + ":".join(f"{drawn.randint(0x1000, 0xFFFF):x}" for _ in range(6))


def _crypto(drawn: Random) -> str:
    """Make a Bitcoin address without a known key."""
    payload = b"\0" + drawn.randbytes(20)
    payload += hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, written = int.from_bytes(payload), ""
    while number:
        number, rest = divmod(number, 58)
        written = _BASE58[rest] + written
    return f"1{written}"


def _jwt(drawn: Random) -> str:
    signature = drawn.randbytes(32)
    parts = (b'{"alg":"none"}', f'{{"sub":"canary-{drawn.randbytes(6).hex()}"}}'.encode(), signature)
    return ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def _address(drawn: Random) -> str:
    street = _name(drawn).split()[0]
    return f"{drawn.randint(100, 9999)} {street} Street, Springfield, OR {drawn.randint(97000, 97999)}"


_ALNUM = ascii_letters + digits
_MAKERS: Mapping[str, tuple[Callable[[Random], str], str]] = {
    "PRIVATE_KEY": (lambda drawn: f"\n{b64encode(drawn.randbytes(48)).decode()}\n",
                    f"-----BEGIN {'PRIVATE'} KEY-----{{}}-----END {'PRIVATE'} KEY-----"),
    "JWT": (_jwt, "{}"),
    "API_KEY": (lambda drawn: f"sk-canary-0{_some(drawn, _ALNUM, 32)}", "{}"),
    "PASSWORD_IN_URL": (lambda drawn: f"canary{_some(drawn, _ALNUM, 12)}",
                        "postgres://canary:{}@db.example.com/canary"),
    "PASSWORD": (lambda drawn: f"canary-0{_some(drawn, _ALNUM, 12)}", "DB_PASSWORD={}"),
    "EMAIL_ADDRESS": (lambda drawn: f"canary-{_some(drawn, ascii_lowercase + digits, 10)}@example.com", "{}"),
    "IBAN_CODE": (_iban, "{}"),
    "CREDIT_CARD": (_card, "{}"),
    "US_SSN": (_us_ssn, "{}"),
    "NATIONAL_ID": (_national_id, "{}"),
    "PHONE_NUMBER": (_phone, "{}"),
    "IP_ADDRESS": (_ip_address, "{}"),
    "CRYPTO": (_crypto, "{}"),
    "PASSPORT": (lambda drawn: _some(drawn, ascii_uppercase, 1) + _some(drawn, digits, 8), "passport no. {}"),
    "DATE_OF_BIRTH": (
        lambda drawn: f"{drawn.randint(1, 31)} {drawn.choice(_MONTHS)} {drawn.randint(1901, 1949)}",
        "date of birth: {}",
    ),
    "ADDRESS": (_address, "{}"),
    "PERSON": (_name, "my name is {}"),
}  # fmt: skip
CANARY_KINDS = tuple(_MAKERS)
"""Every kind but `DENIED`, whose values the project lists itself."""


def _datum(kind: str) -> Any:
    return field(metadata={"kind": kind})


@dataclass(frozen=True, slots=True, kw_only=True)
class InventedPerson:
    """A person who does not exist, with canaries as data: a value that shows up leaked."""

    name: str = _datum("PERSON")
    email: str = _datum("EMAIL_ADDRESS")
    phone: str = _datum("PHONE_NUMBER")
    address: str = _datum("ADDRESS")
    date_of_birth: str = _datum("DATE_OF_BIRTH")
    passport: str = _datum("PASSPORT")
    national_id: str = _datum("NATIONAL_ID")
    iban: str = _datum("IBAN_CODE")
    credit_card: str = _datum("CREDIT_CARD")
    api_key: str = _datum("API_KEY")
    password: str = _datum("PASSWORD")

    @property
    def canaries(self) -> tuple[str, ...]:
        """Every value, for `deny`: a scan misses some of them without the words around."""
        return tuple(getattr(self, datum.name) for datum in fields(self))


class PiiFaker:
    """Makes different invented people."""

    def __init__(self, seed: int) -> None:
        self._seeds: Iterator[int] = count(seed * 1_000_003)

    def person(self, locale: str | None = None) -> InventedPerson:
        """
        Make the next person.

        Args:
            locale: Such as `de_DE`: name and address as usual there, by Faker.

        Raises:
            LLMOpsError: Faker is not installed, or does not know the locale.
        """
        __tracebackhide__ = True
        seed = next(self._seeds)
        kinds = {datum.name: datum.metadata["kind"] for datum in fields(InventedPerson)}
        values = {canary.kind: canary.value for canary in make_canaries(kinds=kinds.values(), seed=seed)}
        person = InventedPerson(**{name: values[kind] for name, kind in kinds.items()})
        if locale is None:
            return person
        fake = _faker(locale)
        fake.seed_instance(seed)
        name = f"{fake.first_name()} {fake.last_name()}"
        return replace(person, name=name, address=fake.address().replace("\n", ", "))

    def people(self, number: int, locale: str | None = None) -> list[InventedPerson]:
        """Make the next people."""
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
