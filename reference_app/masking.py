"""Personal data a customer types into a question is replaced before anything else sees the question."""

from __future__ import annotations

import re

MIN_PHONE_DIGITS = 9
MIN_CARD_DIGITS = 13

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
_DIGITS = re.compile(r"(?<![\w-])(?:\+|\()?\d(?:[ ()/.-]{0,2}\d){6,18}(?!\w)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}")
_NAME = re.compile(
    r"\b((?:I'm|I am|[Mm]y name is|[Tt]his is) )[A-Z][\w'-]+(?: [A-Z][\w'-]+)+",
)


def mask(text: str) -> str:
    """
    The text with e-mail addresses, card, account and phone numbers and a name given as one's own replaced.

    `FW-10427` and dates stay. Patterns miss what has no fixed form, such as a street; those who need more
    put a recogniser of their own in front.
    """
    text = _EMAIL.sub("[email]", text)
    text = _IBAN.sub("[account]", text)
    text = _DIGITS.sub(_mask_digits, text)
    return _NAME.sub(r"\1[name]", text)


def mask_all(value: object) -> object:
    """The same value with every string in it masked, keys of mappings included."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask_all(key): mask_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask_all(item) for item in value]
    return value


def _mask_digits(match: re.Match[str]) -> str:
    found = match[0]
    digits = sum(character.isdigit() for character in found)
    if _DATE.fullmatch(found):
        return found
    if found[0] in "+(0":
        return "[phone]"
    if digits >= MIN_CARD_DIGITS:
        return "[card]"
    return "[phone]" if digits >= MIN_PHONE_DIGITS else found
