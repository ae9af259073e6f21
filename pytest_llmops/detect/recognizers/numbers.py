"""
Numbers and addresses that Presidio's recognisers and `phonenumbers` confirm: cards, phones, accounts, IPs.

A cheap pattern with bounded repeats finds the stretches of a text that could be of a kind, so hostile text
costs little and ordinary text needs no import of Presidio. The surroundings rule out look-alikes; then a
recogniser confirms by checksum, numbering plan or public suffix, without a language model or the network.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_llmops.detect.finding import Found
from pytest_llmops.errors import MissingExtraError
from pytest_llmops.text.reading import Reading

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

Confirmed = tuple[int, int, float]
"""Start, end and score within a candidate."""


class Candidate(NamedTuple):
    """A stretch of a text that could be of a kind, and the name of the recogniser that confirms it."""

    kind: str
    recogniser: str
    text: str


Recognise = Callable[[Candidate], Iterable[Confirmed]]

_NATIONAL = 10  # digits of a number in North America, India and much of Europe without the trunk 0
_SHORTEST = 8  # digits of a number in Denmark, Norway and Singapore
_SHORTEST_DIALLED = 9  # digits of a number with its trunk 0
_LABEL = 40  # characters before a number that can hold its label
_CONTEXT = 60  # characters before a number in which a word can give its kind

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
    r"|kontakttelefon|電話\w*|手机\w*|전화\w*|โทร\w*)s?\.?[ _-]?(?:no|nr|num(?:ber|mer|éro|ero)?s?|n[°º])?\.?"
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
    A kind of number.

    Attributes:
        mark: A character that the text must contain; empty for none.
        fits: Rules out look-alikes by their surroundings.
        fits_disguised: Replaces `fits` for a disguised number, which needs no word before it.
    """

    name: str
    mark: str
    candidates: re.Pattern[str]
    recogniser: str
    fits: Callable[[re.Match[str]], bool] = lambda _: True
    fits_disguised: Callable[[re.Match[str]], bool] = lambda _: False


@cache  # every text that is masked needs it
def is_installed() -> bool:
    """Return whether personal data can be found, and not only secrets."""
    return find_spec("presidio_analyzer") is not None


def check_installed(part: str) -> None:
    """Raise MissingExtraError of that part without Presidio, whether or not a text would need it."""
    if not is_installed():
        raise MissingExtraError(part, "pii")


def find_personal(reading: Reading, recognise: Recognise) -> Iterator[Found]:
    """
    Yield kind, start, end and score of confirmed candidates, in the text as read; kinds may overlap.

    A weak score counts too, since the surroundings were weighed before.
    """
    text = reading.text
    for kind in _KINDS:
        for match in kind.candidates.finditer(text) if kind.mark in text else ():
            if kind.fits(match) or (kind.fits_disguised(match) and reading.place(*match.span())[2]):
                for first, last, score in recognise(Candidate(kind.name, kind.recogniser, match[0])):
                    yield kind.name, match.start() + first, match.start() + last, score


def recognise(candidate: Candidate) -> list[Confirmed]:
    """Return every confirmed stretch of the candidate with its best score."""
    best: dict[tuple[int, int], float] = {}
    for result in _made(candidate.recogniser).analyze(candidate.text, [candidate.kind], None):
        span = result.start, result.end
        best[span] = max(result.score, best.get(span, 0.0))
    return [(*span, score) for span, score in best.items()]


def accept_all(candidate: Candidate) -> list[Confirmed]:
    """Confirm every candidate, without an import."""
    return [(0, len(candidate.text), 1.0)]


def forget() -> None:
    """Drop the recognisers made so far."""
    _made.cache_clear()


@cache
def _made(name: str) -> Any:
    """Make a recogniser: one of ours, or Presidio's of that name."""
    if name in _OWN:
        return _OWN[name]()
    return getattr(import_module("presidio_analyzer.predefined_recognizers"), name)()


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

    # The candidate's shape is stricter than Presidio's; Luhn decides.
    return CreditCardRecognizer(patterns=[Pattern("card", r"[\d -]+", 0.3)])


def _international_phone() -> EntityRecognizer:
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    return PhoneRecognizer(supported_regions=("US",), leniency=0)  # + names the country itself


class _Match(NamedTuple):
    start: int
    end: int
    score: float


class _NationalPhoneRecogniser:
    """A number as it is written in one of many countries, by the numbering plans of `phonenumbers`."""

    score = 0.4  # Presidio's own
    regions = (
        "US", "GB", "DE", "FR", "IN", "ES", "IT", "NL", "SE", "PL", "PT", "DK", "NO", "FI", "BE", "AT",
        "CH", "IE", "CZ", "GR", "HU", "RO", "AU", "NZ", "ZA", "BR", "MX", "AR", "CL", "CO", "JP", "KR",
        "CN", "HK", "SG", "MY", "TH", "ID", "PH", "VN", "TR", "IL", "AE", "SA", "EG", "NG", "KE", "PK",
        "BD", "UA",
    )  # fmt: skip

    def analyze(self, text: str, entities: list[str], nlp_artifacts: None) -> list[_Match]:
        del entities, nlp_artifacts  # of Presidio's interface
        from phonenumbers import NumberParseException, is_valid_number, parse

        for region in self.regions:
            try:
                valid = is_valid_number(parse(text, region))
            except NumberParseException:
                return []
            if valid:
                return [_Match(0, len(text), self.score)]
        return []


_OWN: Mapping[str, Callable[[], Any]] = {
    "email": _email,
    "card": _card,
    "international phone": _international_phone,
    "national phone": _NationalPhoneRecogniser,
}


def _is_card_brand(match: re.Match[str]) -> bool:
    return _CARD_BRANDS.fullmatch(re.sub(r"\D", "", match[0])) is not None


def _is_marked_ssn(match: re.Match[str]) -> bool:
    return bool(_SSN_SHAPE.fullmatch(match[0]) or _search_before(_SSN_WORDS, match))


def _is_marked_phone(match: re.Match[str]) -> bool:
    """Accept the North American shape, a dialled number after a word such as `call`, any after a label."""
    if _PHONE_SHAPE.fullmatch(match[0]) or (_is_dialled(match) and _search_before(_PHONE_WORDS, match)):
        return True
    if sum(map(str.isdigit, match[0])) < _SHORTEST:
        return False
    return bool(_PHONE_LABELS.search(match.string[max(0, match.start() - _LABEL) : match.start()]))


def _is_dialled(match: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", match[0])
    return len(digits) == _NATIONAL or (digits.startswith("0") and len(digits) >= _SHORTEST_DIALLED)


def _search_before(words: re.Pattern[str], match: re.Match[str]) -> re.Match[str] | None:
    return words.search(match.string, max(0, match.start() - _CONTEXT), match.start())


def _is_reachable(match: re.Match[str]) -> bool:
    """Accept a public IP address; not one of this machine or network, a version, or a name such as `a::b`."""
    if ":" in match[0] and not re.search(r"\w+:+\w*\d\w*:+\w", match[0]):
        return False
    try:
        address = ipaddress.ip_interface(match[0]).ip
    except ValueError:
        return False
    local = address.is_loopback or address.is_unspecified or address.is_link_local or address.is_multicast
    if local or (address.is_private and not any(address in network for network in _DOCUMENTATION)):
        return False
    before = match.string[max(0, match.start() - _CONTEXT) : match.start()]
    return address.version != 4 or not _VERSION_WORDS.search(before)  # noqa: PLR2004  IPv4


# Kept for examples and yet reported: a stand-in is made of these, and a scan must find it again.
_DOCUMENTATION = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)

_KINDS: tuple[_Kind, ...] = (
    _Kind("EMAIL_ADDRESS", "@", re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"), "email",
          lambda match: not match[0].startswith("git@")),  # `git@host:path` is how one clones
    _Kind("IBAN_CODE", "",
          re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{2,4}){3,8}(?![A-Za-z0-9])"),
          "IbanRecognizer"),
    _Kind("CREDIT_CARD", "",
          re.compile(r"(?<![\w.+-])(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}|\d{4}([ -]?)\d{6}\2\d{4,5}|\d{13,16})"
                     r"(?!\w|[.-]\w)"),
          "card", _is_card_brand),
    _Kind("US_SSN", "", re.compile(r"(?<![\w.-])\d{3}[-. ]?\d{2}[-. ]?\d{4}(?!\w|[.-]\w)"),
          "UsSsnRecognizer", _is_marked_ssn, fits_disguised=lambda _: True),
    _Kind("PHONE_NUMBER", "+", re.compile(r"(?<![\w+])\+\d(?:[ ()./-]{0,2}\d){7,14}(?!\d)"),
          "international phone"),
    _Kind("PHONE_NUMBER", "", re.compile(r"(?<![\w.+:-])\(?\d(?:[ ()./-]{0,2}\d){6,13}(?!\w|[.:-]\w)"),
          "national phone", _is_marked_phone, fits_disguised=_is_dialled),
    _Kind("IP_ADDRESS", ".", re.compile(r"(?<![\w.:-])\d{1,3}(?:\.\d{1,3}){3}(?!\w|[.-]\w)"),
          "IpRecognizer", _is_reachable),
    _Kind("IP_ADDRESS", ":",
          re.compile(r"(?<![\w.:-])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]|[.-]\w)"),
          "IpRecognizer", _is_reachable),
    _Kind("CRYPTO", "", re.compile(r"(?<![\w])(?:[13][\w]{25,34}|bc1\w{11,71})(?!\w)"),
          "CryptoRecognizer"),
)  # fmt: skip
