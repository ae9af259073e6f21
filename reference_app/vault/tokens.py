"""Tokens in the form of what they stand for, from ranges that belong to nobody."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

SECRETS = frozenset({"key", "token", "password"})
"""Kinds that are masked and never kept: nobody has to read a customer's password."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_CONSONANTS = "BDFGKLMNPRSTVZ"
_SYLLABLES = tuple(consonant + vowel for consonant in _CONSONANTS.lower() for vowel in "aeiou")
_DECIMAL = 10
_DIGIT_KINDS = frozenset({"phone", "card", "account", "id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How to write a number as a token, and the pattern of all tokens of this form."""

    write: Callable[[int], str]
    pattern: str


def _spell(number: int, length: int) -> str:
    return "".join(_LETTERS[(number >> 5 * place) & 31] for place in range(length))


def _email(number: int) -> str:
    return f"{_spell(number, 12)}@redacted.invalid"


def _phone(number: int) -> str:
    """NANP keeps 555 0100 to 555 0199 of every area code for fiction."""
    areas = [area for area in range(200, 1000) if area % 100 != 11]  # noqa: PLR2004 - N11 are services
    area, last = areas[number // 100 % len(areas)], number % 100
    return f"+1 {area} 555 01{last:02d}"


def _card(number: int) -> str:
    """No issuer has 9999 99, and the check digit is wrong."""
    digits = f"999999{number % 10**9:09d}"
    wrong = (_luhn(digits) + 1 + number // 10**9 % 9) % _DECIMAL
    full = f"{digits}{wrong}"
    return " ".join(full[start : start + 4] for start in range(0, 16, 4))


def _luhn(digits: str) -> int:
    """The check digit that would be right after these."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled >= _DECIMAL else doubled
    return -total % _DECIMAL


def _account(number: int) -> str:
    """An IBAN of no country, with check digits that none has."""
    letters = "".join(
        _CONSONANTS[number // len(_CONSONANTS) ** place % len(_CONSONANTS)] for place in range(16)
    )
    return " ".join(("XX00", *(letters[start : start + 4] for start in range(0, 16, 4))))


def _ip(number: int) -> str:
    """240.0.0.0/4 is reserved and routed nowhere."""
    parts = (240 + number % 15, number >> 4 & 255, number >> 12 & 255, number >> 20 & 255)
    return ".".join(map(str, parts))


def _id(number: int) -> str:
    """No social security number begins with 000."""
    return f"000-{number % 100:02d}-{number // 100 % 10**4:04d}"


def _name(number: int) -> str:
    """One word, so that no detector takes it for a person's name."""
    count = len(_SYLLABLES)
    family = "".join(_SYLLABLES[number // count**place % count] for place in range(5))
    return f"Anon{family}"


_FORMS = {
    "email": _Form(write=_email, pattern=r"[a-z2-7]{12}@redacted\.invalid"),
    "phone": _Form(write=_phone, pattern=r"\+1 \d{3} 555 01\d{2}"),
    "card": _Form(write=_card, pattern=r"9999 99\d{2} \d{4} \d{4}"),
    "account": _Form(write=_account, pattern=r"XX00(?: [A-Z]{4}){4}"),
    "ip": _Form(write=_ip, pattern=r"2[45]\d(?:\.\d{1,3}){3}"),
    "id": _Form(write=_id, pattern=r"000-\d{2}-\d{4}"),
    "name": _Form(write=_name, pattern=r"Anon[a-z]{10}"),
}
_OTHER = r"\[[a-z]{1,20}-[a-z2-7]{12}\]"
TOKENS = re.compile(
    rf"(?<![\w+.@-])(?:{'|'.join(form.pattern for form in _FORMS.values())})(?![\w@])|{_OTHER}"
)
"""What may be a token; whether it is one only the vault knows."""


def make_token(kind: str, value: str, secret: bytes, attempt: int = 0) -> str:
    """
    The token of a value: the same for equal values under one key.

    Args:
        kind: As `guardrails.redaction` names it; one without a form becomes like `[address-k3v…]`.
        value: Compared without case and, where it consists of digits, without what stands between them.
        secret: Nobody without it can find the value of a token by trying values.
        attempt: Counts up while the token is that of another value.
    """
    text = f"{kind}\0{attempt}\0{normalise(kind, value)}".encode("utf-8", "surrogatepass")
    number = int.from_bytes(hmac.digest(secret, text, hashlib.sha256)[:16], "big")
    form = _FORMS.get(kind)
    return form.write(number) if form else f"[{kind}-{_spell(number, 12)}]"


def normalise(kind: str, value: str) -> str:
    """Two ways to write one value become equal."""
    if kind in _DIGIT_KINDS:
        return "".join(character for character in value if character.isalnum()).casefold()
    return " ".join(value.split()).casefold()
