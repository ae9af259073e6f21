"""
Invented values that the scanner must find: to plant where a leak would show, and to test the scanner itself.

Each is of a range that nobody owns, such as example domains, numbers kept for fiction or a bank that is none,
and random beyond: if one shows up, it leaked from where it was planted.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits

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
    One value to plant.

    Attributes:
        text: The value among words that say what it is, as it must stand where its shape alone says nothing.
    """

    kind: str
    value: str
    text: str


def make_canaries(*, kinds: Collection[str] = (), count: int = 1, seed: int | None = None) -> list[Canary]:
    """
    So many canaries of each kind, no two alike.

    Args:
        kinds: All that can be made by default.
        seed: The same canaries each time; by default others each time.
    """
    drawn = Random(seed)  # noqa: S311 - they must be unlike, not secret
    return [each for kind in CANARY_KINDS if not kinds or kind in kinds for each in _draw(kind, count, drawn)]


def _draw(kind: str, count: int, drawn: Random) -> Iterator[Canary]:
    make, around = _MAKERS[kind]
    seen: set[str] = set()
    while len(seen) < count:
        value = make(drawn)
        if value not in seen:
            seen.add(value)
            yield Canary(kind=kind, value=value, text=around.format(value))


def _some(drawn: Random, alphabet: str, length: int) -> str:
    return "".join(drawn.choice(alphabet) for _ in range(length))


def _name(drawn: Random) -> str:
    return " ".join("".join(drawn.sample(_SYLLABLES, 3)).capitalize() for _ in range(2))


def _email(drawn: Random) -> str:
    return f"canary-{_some(drawn, ascii_lowercase + digits, 10)}@example.com"


def _card(drawn: Random) -> str:
    """A number of the range that gateways keep for tests."""
    body = "424242" + _some(drawn, digits, 9)
    doubled = [int(each) * (2 - at % 2) for at, each in enumerate(body)]
    return body + str(-sum(each - 9 * (each > 9) for each in doubled) % 10)  # noqa: PLR2004 - Luhn's sum of digits


def _iban(drawn: Random) -> str:
    """Of a British bank `TEST`, which is none."""
    account = "TEST" + _some(drawn, digits, 14)
    number = "".join(str(int(each, 36)) for each in f"{account}GB00")
    return f"GB{98 - int(number) % 97:02}{account}"


def _us_ssn(drawn: Random) -> str:
    """Of an area that is never issued, and a group that no taxpayer's number has."""
    return f"{drawn.randint(900, _HIGHEST_AREA)}-{drawn.randint(1, 49):02}-{drawn.randint(1, 9999):04}"


def _national_id(drawn: Random) -> str:
    """Finnish, of the range kept for tests."""
    date = f"{drawn.randint(1, 28):02}{drawn.randint(1, 12):02}{drawn.randint(10, 99)}"
    number = str(drawn.randint(900, 999))
    return f"{date}-{number}{_MODULO_31[int(date + number) % 31]}"


def _phone(drawn: Random) -> str:
    """Of the lines kept for fiction in North America."""
    area = drawn.choice(("202", "212", "303", "312", "404", "415", "503", "512", "617", "702", "808", "917"))
    return f"+1 {area}-555-01{drawn.randint(0, 99):02}"


def _ip_address(drawn: Random) -> str:
    """Of the range kept for documentation."""
    groups = [f"{drawn.randint(0x1000, 0xFFFF):x}" for _ in range(6)]
    return "2001:db8:" + ":".join(groups)


def _crypto(drawn: Random) -> str:
    """A Bitcoin address whose key nobody knows."""
    payload = b"\0" + drawn.randbytes(20)
    payload += hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, written = int.from_bytes(payload), ""
    while number:
        number, rest = divmod(number, 58)
        written = _BASE58[rest] + written
    return f"1{written}"


def _jwt(drawn: Random) -> str:
    def write(text: str) -> str:
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")

    signature = urlsafe_b64encode(drawn.randbytes(32)).decode().rstrip("=")
    return ".".join(
        [write('{"alg":"none"}'), write(f'{{"sub":"canary-{drawn.randbytes(6).hex()}"}}'), signature]
    )


def _private_key(drawn: Random) -> str:
    return f"\n{b64encode(drawn.randbytes(48)).decode()}\n"


def _address(drawn: Random) -> str:
    street = _name(drawn).split()[0]
    return f"{drawn.randint(100, 9999)} {street} Street, Springfield, OR {drawn.randint(97000, 97999)}"


def _date_of_birth(drawn: Random) -> str:
    return f"{drawn.randint(1, 31)} {drawn.choice(_MONTHS)} {drawn.randint(1901, 1949)}"


_PASSWORD = ascii_letters + digits
_MAKERS: Mapping[str, tuple[Callable[[Random], str], str]] = {
    "PRIVATE_KEY": (_private_key, f"-----BEGIN {'PRIVATE'} KEY-----{{}}-----END {'PRIVATE'} KEY-----"),
    "JWT": (_jwt, "{}"),
    "API_KEY": (lambda drawn: f"sk-canary-0{_some(drawn, ascii_letters + digits, 32)}", "{}"),
    "PASSWORD_IN_URL": (lambda drawn: f"canary{_some(drawn, _PASSWORD, 12)}", "postgres://canary:{}@db.example.com/canary"),
    "PASSWORD": (lambda drawn: f"canary-0{_some(drawn, _PASSWORD, 12)}", "DB_PASSWORD={}"),
    "EMAIL_ADDRESS": (_email, "{}"),
    "IBAN_CODE": (_iban, "{}"),
    "CREDIT_CARD": (_card, "{}"),
    "US_SSN": (_us_ssn, "{}"),
    "NATIONAL_ID": (_national_id, "{}"),
    "PHONE_NUMBER": (_phone, "{}"),
    "IP_ADDRESS": (_ip_address, "{}"),
    "CRYPTO": (_crypto, "{}"),
    "PASSPORT": (lambda drawn: _some(drawn, ascii_uppercase, 1) + _some(drawn, digits, 8), "passport no. {}"),
    "DATE_OF_BIRTH": (_date_of_birth, "date of birth: {}"),
    "ADDRESS": (_address, "{}"),
    "PERSON": (_name, "my name is {}"),
}  # fmt: skip
CANARY_KINDS = tuple(_MAKERS)
"""Every kind but `DENIED`, whose values are the project's own."""
