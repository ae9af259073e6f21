"""What confirms a candidate: Presidio's recognisers and phonenumbers, imported when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

Confirmed = tuple[int, int, float]
"""Start, end and score within a candidate."""


Create = Callable[[], Any]
"""Makes a recogniser: Presidio's own class, or another with its `analyze`."""


class Candidate(NamedTuple):
    """
    A stretch of a text that could be of a kind.

    Attributes:
        create: Makes what confirms it, once a process.
    """

    kind: str
    create: Create
    text: str


Recognise = Callable[[Candidate], Iterable[Confirmed]]


def recognise(candidate: Candidate) -> list[Confirmed]:
    """Every stretch of the candidate that is confirmed, with the best score that it got."""
    best: dict[tuple[int, int], float] = {}
    for each in _made(candidate.create).analyze(candidate.text, [candidate.kind], None):
        span = each.start, each.end
        best[span] = max(each.score, best.get(span, 0.0))
    return [(*span, score) for span, score in best.items()]


def accept_all(candidate: Candidate) -> list[Confirmed]:
    """Takes every candidate for what it could be: shows that they are seen, without an import."""
    return [(0, len(candidate.text), 1.0)]


@cache
def of_presidio(name: str) -> Create:
    """Makes a recogniser of that class."""

    def create() -> Any:
        return getattr(import_module("presidio_analyzer.predefined_recognizers"), name)()

    return create


def forget() -> None:
    """Drop the recognisers that were made."""
    _made.cache_clear()


@cache
def _made(create: Create) -> Any:
    return create()


def email() -> EntityRecognizer:
    import tldextract
    from presidio_analyzer.predefined_recognizers import EmailRecognizer

    suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmailRecognizer(EmailRecognizer):
        """Knows the public suffixes that tldextract ships; Presidio's own would ask the network."""

        def validate_result(self, pattern_text: str) -> bool:
            return bool(suffixes(pattern_text.rpartition("@")[2]).suffix)

    return OfflineEmailRecognizer()


def card() -> EntityRecognizer:
    from presidio_analyzer import Pattern
    from presidio_analyzer.predefined_recognizers import CreditCardRecognizer

    # The candidate's shape is stricter than Presidio's; Luhn decides.
    whole = Pattern("card", r"[\d -]+", 0.3)
    return CreditCardRecognizer(patterns=[whole])


def international_phone() -> EntityRecognizer:
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    return PhoneRecognizer(supported_regions=("US",), leniency=0)  # + names the country itself


class _Match(NamedTuple):
    start: int
    end: int
    score: float


class NationalPhoneRecogniser:
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
