"""
Personal data and secrets in text: where, of which kind, never what.

What was found is kept by the text's hash, so a text is scanned once; a cached scan imports nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from pytest_llmops.models import cache
from pytest_llmops.models.credentials import find_credentials
from pytest_llmops.models.presidio import check_installed, find_personal, is_installed

__all__ = ["KINDS", "VERSION", "Finding", "forget", "is_installed", "mask", "scan_texts", "stand_in"]

VERSION = 2  # raised whenever a text may be judged otherwise
KINDS = (
    "PRIVATE_KEY", "JWT", "API_KEY", "PASSWORD_IN_URL", "EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD",
    "US_SSN", "PHONE_NUMBER", "IP_ADDRESS", "CRYPTO",
)  # fmt: skip
"""Every kind that can be found; of two that overlap, the one named first is told."""

_CACHE_KIND = "pii"
_IN_MEMORY = 16_384  # texts
_HASH_DIGITS = 6

_memory: OrderedDict[bytes, tuple[Finding, ...]] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One piece of personal data or one secret in a text.

    Attributes:
        start: In code points of the text; `end` is past the last.
        score: The recogniser's own, from 0 to 1.
    """

    kind: str
    start: int
    end: int
    score: float

    @property
    def mask(self) -> str:
        """What may be shown in its place: kind and length."""
        return f"<{self.kind} {self.end - self.start} chars>"


def scan_texts(texts: Sequence[str]) -> list[tuple[Finding, ...]]:
    """
    What each text holds, in order of place and without overlaps.

    Raises:
        MissingExtraError: A text was never scanned before and Presidio is not installed.
    """
    keys = [hashlib.sha256(f"{VERSION}\0{text}".encode(errors="surrogatepass")).digest() for text in texts]
    unique = dict(zip(keys, texts, strict=True))
    with _lock:
        found = {key: _memory[key] for key in unique if key in _memory}
    lacking = [key for key in unique if key not in found]
    for key, stored in cache.read(_CACHE_KIND, lacking).items():
        findings = _decode(stored, len(unique[key]))
        if findings is not None:
            found[key] = findings
    fresh = [key for key in lacking if key not in found]
    if fresh:
        check_installed()
        made = {key: _scan(unique[key]) for key in fresh}
        cache.write(_CACHE_KIND, {key: _encode(findings) for key, findings in made.items()})
        found.update(made)
    with _lock:
        _memory.update((key, found[key]) for key in lacking)
        while len(_memory) > _IN_MEMORY:
            _memory.popitem(last=False)
    return [found[key] for key in keys]


def forget() -> None:
    """Drop the findings in memory; the cache keeps its own."""
    with _lock:
        _memory.clear()


def mask(text: str, *, label: str = "", secrets_only: bool = False) -> str:
    """
    The text with `<KIND>` in place of each finding.

    Args:
        label: What a person would read before the text, such as `ssn: `: a number's kind may show by it.
        secrets_only: Look for keys, tokens and passwords alone, which needs no extra.
    """
    return _replace(text, label, lambda finding, _value: f"<{finding.kind}>", secrets_only=secrets_only)


def find_values(text: str, *, label: str = "", secrets_only: bool = False) -> list[str]:
    """What `mask` would hide, in clear: to be looked for elsewhere, never to be shown or kept."""
    found: list[str] = []

    def note(_finding: Finding, value: str) -> str:
        found.append(value)
        return ""

    _replace(text, label, note, secrets_only=secrets_only)
    return found


def stand_in(text: str, *, label: str = "", secrets_only: bool = False) -> str:
    """
    The text with each finding replaced by invented data of the same kind, which a scan finds again.

    Equal e-mail addresses and keys become equal stand-ins. A text that holds stand-ins alone is
    returned as it is.

    Args:
        label: As for `mask`; so `secrets_only`.
    """
    return _replace(
        text, label, lambda finding, value: _STAND_INS[finding.kind](value), secrets_only=secrets_only
    )


def _replace(text: str, label: str, substitute: Callable[[Finding, str], str], *, secrets_only: bool) -> str:
    whole = label + text
    findings = _scan(whole, personal=False) if secrets_only else scan_texts([whole])[0]
    parts, at = [], len(label)
    for finding in findings:
        if finding.start >= at:
            parts += [whole[at : finding.start], substitute(finding, whole[finding.start : finding.end])]
            at = finding.end
    return "".join([*parts, whole[at:]])


def _scan(text: str, *, personal: bool = True) -> tuple[Finding, ...]:
    """Findings without overlaps, in order of place; the earlier kind of `KINDS` goes before the later."""
    found = [(kind, start, end, 1.0) for kind, start, end in find_credentials(text)]
    kept: list[Finding] = []
    for kind, start, end, score in [*found, *(find_personal(text) if personal else ())]:
        at = bisect_left(kept, end, key=lambda each: each.start)
        if at == 0 or kept[at - 1].end <= start:
            kept.insert(at, Finding(kind=kind, start=start, end=end, score=score))
    return tuple(kept)


def _encode(findings: Sequence[Finding]) -> bytes:
    return json.dumps([[each.kind, each.start, each.end, each.score] for each in findings]).encode()


def _decode(stored: bytes, length: int) -> tuple[Finding, ...] | None:
    """Stored findings; None when they cannot be of a text of that length, so that it is scanned again."""
    try:
        findings = tuple(
            Finding(kind=kind, start=start, end=end, score=score)
            for kind, start, end, score in json.loads(stored)
        )
    except (TypeError, ValueError):
        return None
    whole = all(each.kind in KINDS and 0 <= each.start < each.end <= length for each in findings)
    return findings if whole else None


def _digest(value: str) -> str:
    """A few digits, so that equal values stay equal and the value cannot be told from them."""
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
    "EMAIL_ADDRESS": _email,
    "IBAN_CODE": lambda _value: "DE89370400440532013000",  # the standard's own example
    "CREDIT_CARD": lambda _value: "4111111111111111",  # every gateway's test card
    "US_SSN": lambda _value: "219-09-9999",  # from an advertisement, never issued again
    "PHONE_NUMBER": lambda _value: "+1 202-555-0143",  # from the range kept for fiction
    "IP_ADDRESS": lambda value: "2001:db8::7" if ":" in value else "203.0.113.7",  # kept for documentation
    "CRYPTO": lambda _value: "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",  # Bitcoin's first address
}
