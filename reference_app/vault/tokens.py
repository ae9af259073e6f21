"""Tokens in the form of what they replace, from ranges that belong to nobody."""

from __future__ import annotations

import re

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_SIGNS = {"?": _LETTERS, "#": "0123456789", "%": "23456789", "^": "01234", "~": "02468", "!": "13579"}
_SIGNS |= {"<": "bdfgklmnprstvz", ">": "aeiou"}
# Each of these signs is one of its letters or digits; the rest of a form is literal.
_FORMS = {
    "email": "????????????@redacted.invalid",
    "phone": "+1 %%% 555 01##",  # NANP keeps 555 0100 to 555 0199 of every area code for fiction
    "card": "9999 99^~ ^~^~ ^~^!",  # of no issuer; the check sum is odd, so the check digit is wrong
    "name": "Anon<><><><><>",  # one word, which no detector takes for a full name
}
_OTHER = "????????????"


def _as_pattern(form: str) -> str:
    return "".join(f"[{_SIGNS[sign]}]" if sign in _SIGNS else re.escape(sign) for sign in form)


# What may be a token; only the vault knows whether it is one.
TOKENS = re.compile(
    rf"(?<![\w+.@-])(?:{'|'.join(map(_as_pattern, _FORMS.values()))})(?![\w@])"
    rf"|\[[a-z]{{1,20}}-{_as_pattern(_OTHER)}\]"
)


def make_token(kind: str, number: int) -> str:
    """Return the token of a kind for a large number; a kind without a form becomes like `[address-k3v…]`."""
    token = ""
    for sign in _FORMS.get(kind, _OTHER):
        letters = _SIGNS.get(sign, sign)
        number, place = divmod(number, len(letters))
        token += letters[place]
    return token if kind in _FORMS else f"[{kind}-{token}]"
