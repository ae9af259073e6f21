"""
Texts as they may be shown and stored: each finding masked, or replaced by invented data of its kind.

Personal data is looked for where the extra `pii` is installed, secrets always.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from pytest_llmops.detect.finding import KINDS, Finding
from pytest_llmops.detect.given_values import hidden_values
from pytest_llmops.detect.recognizers import entities, numbers
from pytest_llmops.detect.scanner import scan_labelled, scan_secrets
from pytest_llmops.detect.texts import escape, rewrite, unescape
from pytest_llmops.errors import ScanError

WITHHELD = "<withheld: nobody could look for personal data in it>"
_HASH_DIGITS = 6
_REPLACED = frozenset(KINDS) - {"PERSON", "ADDRESS"}


def mask(text: str, *, label: str = "", strict: bool = False, names: bool = False) -> str:
    """
    The text with `<KIND>` in place of each finding.

    Args:
        label: What a person would read before the text, such as `ssn: `: a number's kind may show by it.
        names: People whom only the model of `pii-names` finds are masked too.
        strict: Never return a text in which personal data could not be looked for.

    Raises:
        MissingExtraError: With `strict`, the extra `pii` is not installed and the text was never scanned.
    """
    return _replace(text, _find(text, label, strict=strict, names=names), _kind_of)


def mask_shown(text: str) -> str:
    """As `mask`, of what is shown while something else is done; withheld where the scanner is broken."""
    try:
        return mask(text)
    except ScanError as error:
        return f"{WITHHELD}: {error}"
    except Exception as error:  # noqa: BLE001 - whatever breaks, nothing is shown that nobody looked at
        return f"{WITHHELD}: {type(error).__name__}"


def mask_recorded(text: str, *, label: str = "") -> str:
    """As `mask`, but for names and addresses of people: see `stand_in_recorded`."""
    return _replace(text, _find(text, label, kinds=_REPLACED), _kind_of)


def mask_secrets(value: Any) -> Any:
    """A JSON value with every secret in its texts masked, personal data left."""
    return rewrite(value, lambda text, /, *, label: _replace(text, _find_secrets(text, label), _kind_of))


def mask_value(value: Any) -> Any:
    """A JSON value with every text masked, strictly, people whom only an installed model finds too."""
    return rewrite(value, partial(mask, strict=True, names=entities.is_installed()))


def mask_pointer(pointer: str, *, strict: bool = True) -> str:
    """A JSON pointer with its steps masked one by one: a key may be what leaks."""
    return "/".join(escape(mask(unescape(step), strict=strict)) for step in pointer.split("/"))


def find_values(text: str, *, label: str = "", names: bool = False) -> list[str]:
    """What `mask` would hide, in clear: to be looked for elsewhere, never to be shown or kept."""
    return [text[each.start : each.end] for each in _find(text, label, names=names)]


def stand_in(text: str, *, label: str = "", kinds: Collection[str] = ()) -> str:
    """
    The text with each finding replaced by invented data of the same kind, which a scan finds again.

    Equal e-mail addresses and keys become equal stand-ins. A text that holds stand-ins alone is
    returned as it is.

    Args:
        label: As for `mask`.
        kinds: Kinds that are replaced, all by default.
    """
    return _replace(text, _find(text, label, kinds=kinds), lambda kind, value: _STAND_INS[kind](value))


def stand_in_recorded(text: str) -> str:
    """
    As `stand_in`, for what is replayed later, with names and addresses of people as they are.

    Answers are full of them that are nobody's secret: authors, carriers, the shop's own address. Without
    them a replay would be another answer than the one that was recorded.
    """
    return stand_in(text, kinds=_REPLACED)


def _find(
    text: str, label: str, *, strict: bool = False, names: bool = False, kinds: Collection[str] = ()
) -> Sequence[Finding]:
    if strict or numbers.is_installed():
        return scan_labelled([(label, text)], names=names, kinds=kinds, given=hidden_values())[0]
    return _find_secrets(text, label)


def _find_secrets(text: str, label: str) -> Sequence[Finding]:
    return scan_secrets(text, label=label, given=hidden_values())


def _kind_of(kind: str, _value: str) -> str:
    return f"<{kind}>"


def _replace(text: str, findings: Sequence[Finding], substitute: Callable[[str, str], str]) -> str:
    parts, at = [], 0
    for each in findings:
        parts += [text[at : each.start], substitute(each.kind, text[each.start : each.end])]
        at = each.end
    return "".join([*parts, text[at:]])


def _digest(value: str) -> str:
    """A few digits, so that equal values stay equal and no digits give the value away."""
    return hashlib.blake2b(value.encode(errors="surrogatepass"), key=b"pytest-llmops stand-in").hexdigest()


def _email(value: str) -> str:
    if re.fullmatch(r"redacted-[0-9a-f]{6}@example\.com", value):
        return value
    return f"redacted-{_digest(value)[:_HASH_DIGITS]}@example.com"


def _api_key(value: str) -> str:
    if re.fullmatch(r"sk-redacted-[0-9a-f]{6}-0{20}", value):
        return value
    return f"sk-redacted-{_digest(value)[:_HASH_DIGITS]}-{'0' * 20}"


_STAND_INS: dict[str, Callable[[str], str]] = {
    "PRIVATE_KEY": lambda _value: " redacted ",
    "JWT": lambda _value: "eyJyZWRhY3RlZCI6MX0.eyJyZWRhY3RlZCI6MX0.redacted",
    "API_KEY": _api_key,
    "PASSWORD_IN_URL": lambda _value: "redacted",
    "PASSWORD": lambda _value: "cmVkYWN0ZWQ6cmVkYWN0ZWQ0",  # what basic authentication can be, too
    "DENIED": lambda _value: "redacted",
    "EMAIL_ADDRESS": _email,
    "IBAN_CODE": lambda _value: "DE89370400440532013000",  # the standard's own example
    "CREDIT_CARD": lambda _value: "4111111111111111",  # every gateway's test card
    "US_SSN": lambda _value: "219-09-9999",  # from an advertisement, never issued again
    "NATIONAL_ID": lambda _value: "010190-900P",  # from the range that Finland keeps for tests
    "PHONE_NUMBER": lambda _value: "+1 202-555-0143",  # from the range kept for fiction
    "IP_ADDRESS": lambda value: "2001:db8::7" if ":" in value else "203.0.113.7",  # kept for documentation
    "CRYPTO": lambda _value: "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",  # Bitcoin's first address
    "PASSPORT": lambda _value: "X0000000",
    "DATE_OF_BIRTH": lambda _value: "1 January 1970",
    "ADDRESS": lambda _value: "1 Redacted Street",
    "PERSON": lambda _value: "Jane Doe",
}
