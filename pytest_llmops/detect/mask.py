"""
Texts as they may be shown and stored: each finding masked, or replaced by invented data of its kind.

Personal data is looked for if the extra `pii` is installed, secrets always.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from pytest_llmops.detect.finding import KINDS, Finding
from pytest_llmops.detect.recognizers import entities, numbers
from pytest_llmops.detect.scanner import scan_labelled, scan_secrets
from pytest_llmops.detect.texts import escape, rewrite, unescape
from pytest_llmops.detect.value_lists import hidden_values
from pytest_llmops.errors import ScanError

WITHHELD = "<withheld: nobody could look for personal data in it>"
_REPLACED = frozenset(KINDS) - {"PERSON", "ADDRESS"}


def mask(text: str, *, label: str = "", strict: bool = False, names: bool = False) -> str:
    """
    Return the text with `<KIND>` in place of each finding.

    Args:
        label: Text that is read before this one, such as `ssn: `: a number's kind may show by it.
        names: Also mask people whom only the model of `pii-names` finds.
        strict: Never return a text in which personal data could not be looked for.

    Raises:
        MissingExtraError: With `strict`, the extra `pii` is not installed and the text was never scanned.
    """
    return _replace(text, _find(text, label, strict=strict, names=names), _name_kind)


def mask_shown(text: str) -> str:
    """Mask a text that is shown while something else is done; withhold it if the scanner is broken."""
    try:
        return mask(text)
    except ScanError as error:
        return f"{WITHHELD}: {error}"
    except Exception as error:  # noqa: BLE001 - whatever breaks, nothing is shown that was not scanned
        return f"{WITHHELD}: {type(error).__name__}"


def mask_recorded(text: str, *, label: str = "") -> str:
    """Mask all but names and addresses of people; see `stand_in_recorded`."""
    return _replace(text, _find(text, label, kinds=_REPLACED), _name_kind)


def mask_secrets(value: Any) -> Any:
    """Return a JSON value with every secret in its texts masked, personal data left."""
    return rewrite(value, lambda text, /, *, label: _replace(text, _find_secrets(text, label), _name_kind))


def mask_value(value: Any) -> Any:
    """Return a JSON value with every text masked, strictly, and by the model for names if it is installed."""
    return rewrite(value, partial(mask, strict=True, names=entities.is_installed()))


def mask_pointer(pointer: str, *, strict: bool = True) -> str:
    """Return a JSON pointer with its steps masked one by one: a key may leak, too."""
    return "/".join(escape(mask(unescape(step), strict=strict)) for step in pointer.split("/"))


def find_values(text: str, *, label: str = "", names: bool = False) -> list[str]:
    """Return the values that `mask` hides, in clear: to be looked for elsewhere, never shown or kept."""
    return [text[finding.start : finding.end] for finding in _find(text, label, names=names)]


def stand_in(text: str, *, kinds: Collection[str] = ()) -> str:
    """
    Return the text with each finding replaced by invented data of the same kind, which a scan finds again.

    Equal e-mail addresses and keys become equal stand-ins, and stand-ins stay as they are.

    Args:
        kinds: Kinds that are replaced, all by default.
    """
    return _replace(text, _find(text, "", kinds=kinds), _stand_in_for)


def stand_in_recorded(text: str) -> str:
    """
    Replace as `stand_in` in a recording, but keep names and addresses of people.

    Answers are full of those that are no secret: authors, carriers, the shop's own address. Without them a
    replay would give another answer than the recorded one.
    """
    return stand_in(text, kinds=_REPLACED)


def _find(
    text: str, label: str, *, strict: bool = False, names: bool = False, kinds: Collection[str] = ()
) -> Sequence[Finding]:
    if strict or numbers.is_installed():
        return scan_labelled([(label, text)], names=names, kinds=kinds, lists=hidden_values())[0]
    return _find_secrets(text, label)


def _find_secrets(text: str, label: str) -> Sequence[Finding]:
    return scan_secrets(text, label=label, lists=hidden_values())


def _replace(text: str, findings: Sequence[Finding], substitute: Callable[[str, str], str]) -> str:
    parts, at = [], 0
    for finding in findings:
        parts += [text[at : finding.start], substitute(finding.kind, text[finding.start : finding.end])]
        at = finding.end
    return "".join([*parts, text[at:]])


def _name_kind(kind: str, _value: str) -> str:
    return f"<{kind}>"


def _stand_in_for(kind: str, value: str) -> str:
    if kind == "IP_ADDRESS" and ":" in value:
        return "2001:db8::7"  # kept for documentation
    template = _STAND_INS[kind]
    if re.fullmatch(re.escape(template).replace(r"\{\}", "[0-9a-f]{6}"), value):
        return value
    # Six digits of a hash keep equal values equal, and do not give the value away.
    raw = value.encode(errors="surrogatepass")
    return template.format(hashlib.blake2b(raw, key=b"pytest-llmops stand-in").hexdigest()[:6])


_STAND_INS: Mapping[str, str] = {
    "PRIVATE_KEY": " redacted ",
    "JWT": "eyJyZWRhY3RlZCI6MX0.eyJyZWRhY3RlZCI6MX0.redacted",
    "API_KEY": f"sk-redacted-{{}}-{'0' * 20}",
    "PASSWORD_IN_URL": "redacted",
    "PASSWORD": "cmVkYWN0ZWQ6cmVkYWN0ZWQ0",  # also valid as basic authentication
    "DENIED": "redacted",
    "EMAIL_ADDRESS": "redacted-{}@example.com",
    "IBAN_CODE": "DE89370400440532013000",  # the standard's own example
    "CREDIT_CARD": "4111111111111111",  # every gateway's test card
    "US_SSN": "219-09-9999",  # from an advertisement, never issued again
    "NATIONAL_ID": "010190-900P",  # from the range that Finland keeps for tests
    "PHONE_NUMBER": "+1 202-555-0143",  # from the range kept for fiction
    "IP_ADDRESS": "203.0.113.7",  # kept for documentation
    "CRYPTO": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",  # Bitcoin's first address
    "PASSPORT": "X0000000",
    "DATE_OF_BIRTH": "1 January 1970",
    "ADDRESS": "1 Redacted Street",
    "PERSON": "Jane Doe",
}
