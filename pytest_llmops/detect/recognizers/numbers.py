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
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_llmops.detect.disguises import Reading
from pytest_llmops.errors import MissingExtraError

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

_NATIONAL = 10  # digits of a number in North America, India and much of Europe without the trunk 0
_CONTEXT = 60  # characters before a number in which a word can say what it is

_CARD_BRANDS = re.compile(  # Visa, Mastercard, American Express, Diners, JCB, Discover and UnionPay
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|3(?:[689]\d|0[0-5])\d{11}|35\d{14}|6(?:011|4[4-9]\d|5\d\d|2\d\d)\d{12,15}"
)
_PHONE_WORDS = re.compile(
    r"(?i)(?<![A-Z])(?:(?:\w*phone|tel|telefon|mobile|cell|call|fax|sms|whatsapp|dial|ring|text)(?![A-Z]))"
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

    With `by_words`, `fits` looks for words around a number whose shape says nothing.
    """

    name: str
    mark: str
    candidates: re.Pattern[str]
    create: Callable[[], EntityRecognizer]
    fits: Callable[[str, int, int], bool]
    by_words: bool = False


@cache  # every text that is masked asks
def is_installed() -> bool:
    """Whether personal data can be found, and not secrets alone."""
    return find_spec("presidio_analyzer") is not None


def check_installed(part: str) -> None:
    """Raises MissingExtraError of that part without Presidio, whether or not a text would have needed it."""
    if not is_installed():
        raise MissingExtraError(part, "pii")


def find_personal(reading: Reading) -> Iterator[tuple[str, int, int, float]]:
    """
    Kind, start, end and score of what Presidio recognises, in the text as read; kinds may overlap.

    A weak score counts too: weighing it by the words around is what was done before. What was disguised needs
    no word beside it to say what it is.
    """
    text = reading.text
    for kind in _KINDS:
        if kind.mark not in text:
            continue
        for candidate in kind.candidates.finditer(text):
            disguised = kind.by_words and reading.place(*candidate.span())[2]
            if not disguised and not kind.fits(text, *candidate.span()):
                continue
            found = _recognizer(kind).analyze(candidate[0], [kind.name], None)  # type: ignore[arg-type]  # patterns need none
            best: dict[tuple[int, int], float] = {}
            for each in found:
                span = candidate.start() + each.start, candidate.start() + each.end
                best[span] = max(each.score, best.get(span, 0.0))
            yield from ((kind.name, *span, score) for span, score in best.items())


@lru_cache(maxsize=16)
def _recognizer(kind: _Kind) -> EntityRecognizer:
    check_installed("pii_leak")
    return kind.create()


def _email() -> EntityRecognizer:
    import tldextract
    from presidio_analyzer.predefined_recognizers import EmailRecognizer

    suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmailRecognizer(EmailRecognizer):
        """Knows the public suffixes that tldextract ships; Presidio's own would ask the network."""

        def validate_result(self, pattern_text: str) -> bool:
            return bool(suffixes(pattern_text.rpartition("@")[2]).suffix)

    return OfflineEmailRecognizer()


def _card() -> EntityRecognizer:
    from presidio_analyzer import Pattern
    from presidio_analyzer.predefined_recognizers import CreditCardRecognizer

    whole = Pattern(
        "card", r"[\d -]+", 0.3
    )  # the candidate's shape is stricter than Presidio's; Luhn decides
    return CreditCardRecognizer(patterns=[whole])


def _of_presidio(name: str, **options: Any) -> Callable[[], EntityRecognizer]:
    """Makes a recogniser of that class, which is imported when it is first needed."""
    return lambda: getattr(import_module("presidio_analyzer.predefined_recognizers"), name)(**options)


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
    """Written as in North America; or a trunk 0 or ten digits, after a word such as `call`."""
    if _PHONE_SHAPE.fullmatch(text, start, end):
        return True
    digits = re.sub(r"\D", "", text[start:end])
    dialled = digits.startswith("0") or len(digits) == _NATIONAL
    return dialled and bool(_PHONE_WORDS.search(text, max(0, start - _CONTEXT), start))


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
    _Kind(
        "EMAIL_ADDRESS",
        "@",
        re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),
        _email,
        _is_no_service,
    ),
    _Kind(
        "IBAN_CODE",
        "",
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{2,4}){3,8}(?![A-Za-z0-9])"),
        _of_presidio("IbanRecognizer"),
        _always,
    ),
    _Kind(
        "CREDIT_CARD",
        "",
        re.compile(
            r"(?<![\w.+-])(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}|\d{4}([ -]?)\d{6}\2\d{4,5}|\d{13,16})"
            r"(?!\w|[.-]\w)"
        ),
        _card,
        _is_card_brand,
    ),
    _Kind(
        "US_SSN",
        "",
        re.compile(r"(?<![\w.-])\d{3}[-. ]?\d{2}[-. ]?\d{4}(?!\w|[.-]\w)"),
        _of_presidio("UsSsnRecognizer"),
        _is_marked_ssn,
        by_words=True,
    ),
    _Kind(
        "PHONE_NUMBER",
        "+",
        re.compile(r"(?<![\w+])\+\d(?:[ ()./-]{0,2}\d){7,14}(?!\d)"),
        _of_presidio("PhoneRecognizer", supported_regions=("US",), leniency=0),  # + names the country itself
        _always,
    ),
    _Kind(
        "PHONE_NUMBER",
        "",
        re.compile(r"(?<![\w.+:-])\(?\d(?:[ ()./-]{0,2}\d){6,13}(?!\w|[.:-]\w)"),
        _of_presidio("PhoneRecognizer", supported_regions=("US", "GB", "DE", "FR", "IN")),
        _is_marked_phone,
        by_words=True,
    ),
    _Kind(
        "IP_ADDRESS",
        ".",
        re.compile(r"(?<![\w.:-])\d{1,3}(?:\.\d{1,3}){3}(?!\w|[.-]\w)"),
        _of_presidio("IpRecognizer"),
        _is_reachable,
    ),
    _Kind(
        "IP_ADDRESS",
        ":",
        re.compile(r"(?<![\w.:-])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]|[.-]\w)"),
        _of_presidio("IpRecognizer"),
        _is_reachable,
    ),
    _Kind(
        "CRYPTO",
        "",
        re.compile(r"(?<![\w])(?:[13][\w]{25,34}|bc1\w{11,71})(?!\w)"),
        _of_presidio("CryptoRecognizer"),
        _always,
    ),
)
