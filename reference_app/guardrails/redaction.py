"""Personal data and secrets in a text are replaced before a model, a trace or a reader sees it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from reference_app.guardrails.disguises import clean

Redact = Callable[[str], str]
"""Makes a text free of personal data."""
Write = Callable[[str, str], str]
"""What stands in place of a value of a kind."""
MIN_PHONE_DIGITS = 9
MIN_CARD_DIGITS = 13

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DAY = (
    rf"(?:\d{{4}}-\d{{2}}-\d{{2}}|\d{{1,2}}[./-]\d{{1,2}}[./-]\d{{2,4}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH},? \d{{4}}|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})"
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}")
_VERSION = re.compile(r"(?i:\b(?:version|upgrade|update|firmware|release|build|driver)d?\b[^\n,;]*$)")
_GIVEN = r"(?<![\w\u2019'-])[A-Z\u00c0-\u00de][\w\u2019'-]+"
_FULL_NAME = rf"{_GIVEN}(?: {_GIVEN}){{1,3}}"
_WAYS = "street|road|avenue|lane|drive|close|court|crescent|boulevard|square|terrace|gardens|grove|mews"


class Found(NamedTuple):
    """Personal data or a secret from `start` to before `end`; `kind`, such as `email`, replaces it."""

    start: int
    end: int
    kind: str


def _as_digits(match: re.Match[str]) -> str:
    found = match[0]
    digits = sum(character.isdigit() for character in found)
    if _DATE.fullmatch(found):
        return ""
    if found[0] in "+(0":
        return "phone"
    if digits >= MIN_CARD_DIGITS:
        return "card"
    return "phone" if digits >= MIN_PHONE_DIGITS else ""


def _as_ip(match: re.Match[str]) -> str:
    """An address on the internet; private ones say nothing of anyone, and a version is none."""
    try:
        address = ipaddress.ip_address(match[0])
    except ValueError:
        return ""
    versioned = _VERSION.search(match.string[max(0, match.start() - 40) : match.start()])
    return "" if versioned or address.is_private or address.is_unspecified else "ip"


# A pattern and its kind, or what decides it: its named group, else all of it, is replaced. The first to claim
# a stretch keeps it, so a password in a URL comes before the e-mail address that it and the host resemble.
_KINDS: dict[str, str | Callable[[re.Match[str]], str]] = {
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)": "key",
    r"(?<![\w+.-])[a-zA-Z][\w+.-]*://[^\s/:@\"'<>]*:(?P<value>[^\s/\"'<>]+)@(?=[\w\[])": "password",
    r"(?<![\w-])eyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?": "token",
    r"(?<![\w-])(?:(?:sk|pk|rk|whsec|ghp|gho|ghs|ghu|ghr|github_pat|glpat|hf|npm|pypi|shp(?:at|ss|ca)|dop_v1"
    r"|xox[abeprs]|lsv2|key|api|tok|secret)[_-][\w-]*(?=\d|[A-Z])[\w-]{15,}"
    r"|(?:AKIA|ASIA|AROA)[0-9A-Z]{12,}|AIza[\w-]{30,}|ya29\.[\w-]{20,}|SG\.[\w-]{10,}\.[\w-]{10,})": "key",
    r"(?i:\b[\w-]{0,40}(?:api[ _-]?key|secret|access[_-]?key|auth[_-]?token|access[_-]?token"
    r"|passw(?:or)?d|pwd)\b[\"']?\s*[:=]\s*(?:\\?[\"'])?)"
    r"(?P<value>(?=[^\s\"',;]{0,100}[\d!#$%&*@^_])[^\s\"',;\\]{6,})": "key",
    r"\b(?i:bearer|basic) (?P<value>(?=[\w.~+/-]*\d)[\w.~+/-]{16,}=*)": "token",
    r"\b(?i:password|passcode) (?i:is|was) (?P<value>(?=\S*[\d!#$%&*@^])[^\s,.;]{4,})": "password",
    r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+": "email",
    r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b": "account",
    r"(?<![\w.:-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)": _as_ip,
    r"(?<![\w.:-])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:-])": _as_ip,
    r"(?i:\b(?:born|birth|birthday|birthdate|dob|d\.o\.b\.)\b\W*(?:\w+\W+){0,2}?)"
    rf"(?P<value>{_DAY})": "birthday",
    r"(?i:\bpassport\b\W*(?:\w+\W+){0,3}?)(?P<value>(?=[A-Z]*\d)[A-Z0-9]{6,10})\b": "passport",
    r"(?<![\w-])\d{3}[- ]\d{2}[- ]\d{4}(?![\w-])": "id",
    r"(?<![\w-])(?:\+|\()?\d(?:[ ()/.-]{0,2}\d){6,18}(?!\w)": _as_digits,
    rf"\b\d{{1,5}}[a-zA-Z]? (?:{_GIVEN} ){{1,3}}(?i:{_WAYS}|row|hill|st|rd|ave|ln|blvd)\b"
    r"|\b(?i:calle|rue|via|viale|avenida|plaza|rua|ulica|rond-point|allee|quai|chemin|paseo|piazza) "
    rf"(?:d\w+ |l\w )*{_GIVEN}(?: {_GIVEN}){{0,3}},? \d{{1,5}}\b"
    r"|\b\d{1,4},? (?:rue|avenue|boulevard|quai|chemin|place) "
    rf"(?:d\w+ |l\w )*{_GIVEN}(?: {_GIVEN}){{0,3}}"
    rf"|\b(?:\d{{1,5}} {_GIVEN}(?: {_GIVEN}){{1,2}}|{_GIVEN}(?: \w+){{0,3}} \d{{1,4}}[a-z]?)"
    r"(?:,? (?:Apt|Suite|Flat|Unit)\.? \w+)?(?= ?, \d{4,6} ?(?:[A-Z]{2} )?[A-Z\u00c0-\u00de])"
    r"|(?<![\w-])[A-Z\u00c0-\u00de][\w-]*(?:stra(?:\u00df|ss)e|str\.|weg|gasse|allee|platz|ring|gatan"
    r"|v\u00e4gen|stigen|gr\u00e4nd|vej|gade|veien|straat|laan|plein) \d{1,4}[a-z]?\b": "address",
    r"\b(?:I'm|I am|[Mm]y name is|[Tt]his is|[Aa]ccount holder:?|[Aa]ttention of|[Ff]ull[ _]name:?"
    rf"|[Oo]n behalf of|[Dd]ear|[Ss]igned,?|[Rr]egards,|[Ss]incerely,) (?P<value>{_FULL_NAME})"
    rf"|\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof)\.? (?P<titled>{_GIVEN}(?: {_GIVEN}){{0,2}})"
    rf"|\"(?:name|full_?name|customer|customer_name|holder)\"\s*:\s*\"(?P<held>{_FULL_NAME})\"": "name",
}
_PATTERNS = [(re.compile(pattern), kind) for pattern, kind in _KINDS.items()]


def find(text: str) -> list[Found]:
    """
    Personal data and secrets in the text, in order, none overlapping.

    Order numbers, postcodes, prices, dates and error codes are none. Patterns miss what has no fixed form,
    such as a name in the middle of a sentence; who needs more puts a recogniser of their own in front.
    """
    found: list[Found] = []
    taken = bytearray(len(text))
    for pattern, kind in _PATTERNS:
        for match in pattern.finditer(text):
            start, end = match.span(match.lastgroup or 0)
            named = kind if isinstance(kind, str) else kind(match)
            if named and not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                found.append(Found(start, end, named))
    return sorted(found)


def mask(text: str, *, keep: Callable[[str], bool] | None = None) -> str:
    """
    The text with what `find` finds replaced by its kind, such as `[email]`, unless `keep` wants the value.

    What hides behind invisible or full-width characters is found too; then all of them are undone.
    """
    return replace(text, lambda kind, _: f"[{kind}]", keep=keep)


def replace(text: str, write: Write, *, keep: Callable[[str], bool] | None = None) -> str:
    """As `mask`, with what `write` makes of a kind and its value in place of each value."""
    plain = clean(text)
    text = text if plain == text or not _held(plain, keep) else plain
    parts, last = [], 0
    for one in _held(text, keep):
        parts += [text[last : one.start], write(one.kind, text[one.start : one.end])]
        last = one.end
    return "".join((*parts, text[last:]))


def mask_all(value: object) -> object:
    """The same value with every string in it masked, keys of mappings included."""
    if isinstance(value, str):
        return _mask_again(value)
    if isinstance(value, dict):
        return {mask_all(key): mask_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask_all(item) for item in value]
    return value


@lru_cache(maxsize=512)  # of a trace, most texts are a prompt's examples, which each call sends
def _mask_again(text: str) -> str:
    return mask(text)


def _held(text: str, keep: Callable[[str], bool] | None) -> Iterable[Found]:
    return [one for one in find(text) if keep is None or not keep(text[one.start : one.end])]
