"""
Presidio's pattern recognisers, each shown only the stretches of a text that could hold its kind.

A cheap pattern with bounded repeats finds the stretches, so hostile text costs little and ordinary text
needs no import of Presidio at all; a look at the surroundings drops what only resembles personal data;
a recogniser confirms (checksums, numbering plans, public suffixes). No language model is involved and
nothing is fetched.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

from pytest_llmops.detect.disguises import Reading
from pytest_llmops.detect.finding import Found
from pytest_llmops.detect.recognizers.presidio import (
    Candidate,
    Create,
    NationalPhoneRecogniser,
    Recognise,
    card,
    email,
    international_phone,
    of_presidio,
)
from pytest_llmops.errors import MissingExtraError

_NATIONAL = 10  # digits of a number in North America, India and much of Europe without the trunk 0
_SHORTEST = 8  # digits of a number in Denmark, Norway and Singapore
_SHORTEST_DIALLED = 9  # digits of a number with its trunk 0
_LABEL = 40  # characters in which a label stands that is directly before its number
_CONTEXT = 60  # characters before a number in which a word can say what it is

_CARD_BRANDS = re.compile(  # Visa, Mastercard, American Express, Diners, JCB, Discover and UnionPay
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|3(?:[689]\d|0[0-5])\d{11}|35\d{14}|6(?:011|4[4-9]\d|5\d\d|2\d\d)\d{12,15}"
)
_PHONE_WORDS = re.compile(
    r"(?i)(?<![A-Z])(?:(?:\w*phone|tel|telefon|mobile|cell|call|fax|sms|whatsapp|dial|ring|text)(?![A-Z]))"
)
_PHONE_LABELS = re.compile(
    r"(?i)(?:phone|mobile|(?<![a-z])(?:tel|cell|fax|gsm|tlf|tfno|hp)|whatsapp|telefon\w*|telefoon\w*|t[eé]l[eé]phone"
    r"|tel[eé]fono|puhelin|handy|mobil(?:e|nummer)?|mobiel|m[oó]vil|celular|cellulare|telem[oó]vel|portable|komórk\w*"
    r"|kontakttelefon|電話\w*|手机\w*|전화\w*|โทร\w*)\.?[ _-]?(?:no|nr|num(?:ber|mer|éro|ero)?|n[°º])?\.?"
    r"[\"'\])]{0,2}\s{0,2}(?:[:=>]|is|ist|es|est)?\s{0,2}[\"'(]?\Z"
)
_PHONE_SHAPE = re.compile(
    r"(?:1[ .-]?)?(?:\(\d{3}\) ?\d{3}-\d{4}|\d{3}([-.])\d{3}\1\d{4})"
    r"|0[1-9](?:(?: \d\d){4}|(?:\.\d\d){4})|\(?0\d{2,4}\)?[ /-]\d{3,4} \d{3,4}"
)
_SSN_WORDS = re.compile(r"(?i)social.security|\bssn|_ssn|\bss#")
_SSN_SHAPE = re.compile(r"\d{3}-\d{2}-\d{4}")
_VERSION_WORDS = re.compile(
    r"(?i)(?:versions?|upgrad\w*|updat\w*|releas\w*|firmware|build|\bv)\b[^\n]{0,40}\Z"
)


class _Kind(NamedTuple):
    """
    `candidates` finds stretches, `create` makes the recogniser, `fits` looks at (text, start, end).

    Where `fits` looks for words around a number whose shape says nothing, one that was disguised needs none,
    if it `fits_disguised`.
    """

    name: str
    mark: str
    candidates: re.Pattern[str]
    create: Create
    fits: Callable[[str, int, int], bool]
    fits_disguised: Callable[[str, int, int], bool] | None = None


@cache  # every text that is masked asks
def is_installed() -> bool:
    """Whether personal data can be found, and not secrets alone."""
    return find_spec("presidio_analyzer") is not None


def check_installed(part: str) -> None:
    """Raises MissingExtraError of that part without Presidio, whether or not a text would have needed it."""
    if not is_installed():
        raise MissingExtraError(part, "pii")


def find_personal(reading: Reading, recognise: Recognise) -> Iterator[Found]:
    """
    Kind, start, end and score of what is recognised, in the text as read; kinds may overlap.

    A weak score counts too: weighing it by the words around is what was done before. What was disguised needs
    no word beside it to say what it is.

    Args:
        recognise: Confirms candidates.
    """
    text = reading.text
    for kind in _KINDS:
        if kind.mark not in text:
            continue
        for match in kind.candidates.finditer(text):
            start, end = match.span()
            if kind.fits(text, start, end) or _fits_disguised(kind, reading, start, end):
                for first, last, score in recognise(Candidate(kind.name, kind.create, match[0])):
                    yield kind.name, start + first, start + last, score


def _fits_disguised(kind: _Kind, reading: Reading, start: int, end: int) -> bool:
    fits = kind.fits_disguised
    return fits is not None and fits(reading.text, start, end) and reading.place(start, end)[2]


def _always(_text: str, _start: int, _end: int) -> bool:
    return True


def _is_no_service(text: str, start: int, end: int) -> bool:
    """`git@host:path` is how one clones, not a person."""
    return not text[start:end].startswith("git@")


def _is_card_brand(text: str, start: int, end: int) -> bool:
    digits = re.sub(r"\D", "", text[start:end])
    return _CARD_BRANDS.fullmatch(digits) is not None


def _is_marked_ssn(text: str, start: int, end: int) -> bool:
    shaped = _SSN_SHAPE.fullmatch(text, start, end)
    return bool(shaped or _SSN_WORDS.search(text, max(0, start - _CONTEXT), start))


def _is_marked_phone(text: str, start: int, end: int) -> bool:
    """Written as in North America; a trunk 0 or ten digits after a word such as `call`; any after a label."""
    if _PHONE_SHAPE.fullmatch(text, start, end):
        return True
    if _is_dialled(text, start, end) and _PHONE_WORDS.search(text, max(0, start - _CONTEXT), start):
        return True
    return sum(map(str.isdigit, text[start:end])) >= _SHORTEST and _is_labelled(text, start)


def _is_dialled(text: str, start: int, end: int) -> bool:
    digits = re.sub(r"\D", "", text[start:end])
    return len(digits) == _NATIONAL or (digits.startswith("0") and len(digits) >= _SHORTEST_DIALLED)


def _is_labelled(text: str, start: int) -> bool:
    return bool(_PHONE_LABELS.search(text[max(0, start - _LABEL) : start]))


def _is_reachable(text: str, start: int, end: int) -> bool:
    """An address of somebody: not of this machine or network, nor a version or a name that looks like one."""
    if ":" in text[start:end] and not re.search(r"\w+:+\w*\d\w*:+\w", text[start:end]):
        return False
    try:
        address = ipaddress.ip_interface(text[start:end]).ip
    except ValueError:
        return False
    local = address.is_loopback or address.is_unspecified or address.is_link_local or address.is_multicast
    private = address.is_private and not any(address in each for each in _DOCUMENTATION)
    if local or private:
        return False
    return address.version != 4 or not _VERSION_WORDS.search(text[max(0, start - _CONTEXT) : start])  # noqa: PLR2004  IPv4


# Kept for examples and yet shown as an address: what a stand-in is made of must be seen again.
_DOCUMENTATION = tuple(
    ipaddress.ip_network(each)
    for each in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)

_KINDS: tuple[_Kind, ...] = (
    _Kind("EMAIL_ADDRESS", "@", re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"), email,
          _is_no_service),
    _Kind("IBAN_CODE", "",
          re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{2,4}){3,8}(?![A-Za-z0-9])"),
          of_presidio("IbanRecognizer"), _always),
    _Kind("CREDIT_CARD", "",
          re.compile(r"(?<![\w.+-])(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}|\d{4}([ -]?)\d{6}\2\d{4,5}|\d{13,16})"
                     r"(?!\w|[.-]\w)"),
          card, _is_card_brand),
    _Kind("US_SSN", "", re.compile(r"(?<![\w.-])\d{3}[-. ]?\d{2}[-. ]?\d{4}(?!\w|[.-]\w)"),
          of_presidio("UsSsnRecognizer"), _is_marked_ssn, fits_disguised=_always),
    _Kind("PHONE_NUMBER", "+", re.compile(r"(?<![\w+])\+\d(?:[ ()./-]{0,2}\d){7,14}(?!\d)"),
          international_phone, _always),
    _Kind("PHONE_NUMBER", "", re.compile(r"(?<![\w.+:-])\(?\d(?:[ ()./-]{0,2}\d){6,13}(?!\w|[.:-]\w)"),
          NationalPhoneRecogniser, _is_marked_phone, fits_disguised=_is_dialled),
    _Kind("IP_ADDRESS", ".", re.compile(r"(?<![\w.:-])\d{1,3}(?:\.\d{1,3}){3}(?!\w|[.-]\w)"),
          of_presidio("IpRecognizer"), _is_reachable),
    _Kind("IP_ADDRESS", ":",
          re.compile(r"(?<![\w.:-])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]|[.-]\w)"),
          of_presidio("IpRecognizer"), _is_reachable),
    _Kind("CRYPTO", "", re.compile(r"(?<![\w])(?:[13][\w]{25,34}|bc1\w{11,71})(?!\w)"),
          of_presidio("CryptoRecognizer"), _always),
)  # fmt: skip
