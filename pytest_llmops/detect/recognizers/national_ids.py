"""
Numbers that a state gives a person, by their shape and, where that says too little, by a word before them.

Presidio's recognisers of each country confirm checksums and dates. A shape that nothing else has, such as
Brazil's `123.456.789-09`, needs neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from pytest_llmops.detect.finding import UNCONFIRMED, Found
from pytest_llmops.detect.recognizers.presidio import Candidate, Recognise, of_presidio

_BEFORE = 60  # characters between a word and the number that it names
_ENOUGH_DIGITS = re.compile(r"\d(?:[ .-]?\d){3}|[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z]")
_SIGNED = frozenset({"FiPersonalIdentityCodeRecognizer", "SePersonnummerRecognizer"})
"""Numbers in which a sign is the century."""
_ANY_COUNTRY = (
    r"national[ _-]?(?:id|identity|identification|insurance)|identity[ _-]?(?:card|no|number|document|code)"
    r"|\bid[ _-]?(?:card|no|num|number)\b|tax(?:payer)?[ _-]?(?:id|identification|number|no)\b"
    r"|social[ _-]?(?:insurance|security)|personal[ _-]?(?:identity|identification|id|number|code)|citizen"
    r"|government[ _-]?id"
)


class _Number(NamedTuple):
    """
    One country's number.

    Attributes:
        recogniser: Presidio's class, which confirms it; empty where there is none.
        words: What stands before it; empty where the shape alone says it.
    """

    country: str
    recogniser: str
    shape: str
    words: str


_NUMBERS = (
    _Number("AU tax file number", "AuTfnRecognizer", r"\d{3}[ -]?\d{3}[ -]?\d{3}", r"\btfn|tax[ _-]file"),
    _Number(
        "AU business number", "AuAbnRecognizer", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", r"\babn\b|business number"
    ),
    _Number("AU Medicare", "AuMedicareRecognizer", r"[2-6]\d{3}[ -]?\d{5}[ -]?\d", r"medicare"),
    _Number("BE national register", "", r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", ""),
    _Number("BR CPF", "", r"\d{3}\.\d{3}\.\d{3}-\d{2}", ""),
    _Number("BR CPF", "", r"\d{11}", r"\bcpf\b"),
    _Number(
        "CA social insurance",
        "CaSinRecognizer",
        r"\d{3}[ -]?\d{3}[ -]?\d{3}",
        r"\bsin\b|\bnas\b|assurance sociale",
    ),
    _Number("CH AHV", "", r"756\.\d{4}\.\d{4}\.\d{2}", ""),
    _Number(
        "CN resident",
        "",
        r"\d{6}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dX]",
        r"身份证|resident id|chinese id",
    ),
    _Number(
        "DE tax",
        "DeTaxIdRecognizer",
        r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}",
        r"steuer[ -]?id|\bidnr|steuerliche|steuernummer",
    ),
    _Number(
        "DE pension",
        "DeSocialSecurityRecognizer",
        r"\d{2} ?\d{6} ?[A-Z] ?\d{3}",
        r"versicherungs-?(?:nr|nummer)|\bs\.?v\.?-?nr|\brvnr|\bsvnr",
    ),
    _Number(
        "DE identity card",
        "DeIdCardRecognizer",
        r"(?=[A-Z0-9]{0,8}\d)[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{7}\d",
        r"ausweis",
    ),
    _Number(
        "DE health insurance",
        "DeHealthInsuranceRecognizer",
        r"[A-Z]\d{9}",
        r"versicherten-?(?:nr|nummer)|\bkvnr|krankenkasse|gesundheitskarte",
    ),
    _Number("DK CPR", "", r"\d{6}-?\d{4}", r"\bcpr\b|personnummer"),
    _Number("ES NIE", "EsNieRecognizer", r"[XYZ]-?\d{7}-?[A-Z]", ""),
    _Number(
        "ES NIF",
        "EsNifRecognizer",
        r"\d{1,2}\.?\d{3}\.?\d{3}[ -]?[A-Z]",
        r"\bdni\b|\bnif\b|documento nacional|identificaci|identidad",
    ),
    _Number("FI HETU", "FiPersonalIdentityCodeRecognizer", r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]", ""),
    _Number(
        "FR NIR",
        "",
        r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}",
        r"\bnir\b|sécurité sociale|securite sociale|\binsee\b|n° ?ss",
    ),
    _Number(
        "GB national insurance", "UkNinoRecognizer", r"[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]", ""
    ),
    _Number("GB NHS", "NhsRecognizer", r"\d{3}[ -]?\d{3}[ -]?\d{4}", r"\bnhs|national health"),
    _Number(
        "GB driving licence",
        "UkDrivingLicenceRecognizer",
        r"[A-Z9]{5}\d{6}[A-Z9]{2}[A-Z0-9][A-Z]{2}",
        r"licen[cs]e|dvla",
    ),
    _Number("IE PPS", "", r"\d{7}[A-W][A-IW]?", r"\bpps"),
    _Number("IN Aadhaar", "InAadhaarRecognizer", r"[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}", r"aadh?aar|aadhar|uidai"),
    _Number(
        "IN PAN", "InPanRecognizer", r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", r"\bpan\b|permanent account"
    ),
    _Number("IT fiscal code", "ItFiscalCodeRecognizer", r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", ""),
    _Number(
        "IT identity card", "ItIdentityCardRecognizer", r"[A-Z]{2} ?\d{5}[A-Z]{2}", r"carta d.identit|\bcie\b"
    ),
    _Number("KR resident", "KrRrnRecognizer", r"\d{6}-?[1-4]\d{6}", r"\brrn\b|resident registration|주민"),
    _Number(
        "KR foreigner", "KrFrnRecognizer", r"\d{6}-?[5-8]\d{6}", r"\bfrn\b|foreigner registration|외국인"
    ),
    _Number("MX CURP", "", r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d", ""),
    _Number("NG NIN", "NgNinRecognizer", r"\d{11}", r"\bnin\b|nigeria"),
    _Number("NL BSN", "", r"\d{3}\.?\d{3}\.?\d{3}|\d{4}\.\d{2}\.\d{3}", r"\bbsn\b|burgerservice|sofinummer"),
    _Number("NO birth number", "", r"\d{6} ?\d{5}", r"fødselsnummer|personnummer|fodselsnummer"),
    _Number("PL PESEL", "PlPeselRecognizer", r"\d{11}", r"pesel"),
    _Number("PT NIF", "", r"[1-3]\d{2} ?\d{3} ?\d{3}", r"\bnif\b|contribuinte|cartão de cidadão"),
    _Number(
        "SE personnummer",
        "SePersonnummerRecognizer",
        r"(?:19|20)?\d{6}[-+]?\d{4}",
        r"personnummer|samordningsnummer|\bpersonnr|\bpnr\b",
    ),
    _Number("SG NRIC", "SgFinRecognizer", r"[STFGM]\d{7}[A-Z]", r"\bnric\b|\bfin\b|singapore"),
    _Number("TH national", "ThTninRecognizer", r"[1-9]-\d{4}-\d{5}-\d{2}-\d", ""),
    _Number("TH national", "ThTninRecognizer", r"[1-9] ?\d{4} ?\d{5} ?\d{2} ?\d", r"\bthai|\btnin\b|ประชาชน"),
    _Number(
        "TR national", "TrNationalIdRecognizer", r"[1-9]\d{10}", r"kimlik|\btckn\b|\bt\.?c\.? no|turkish id"
    ),
    _Number("US ITIN", "UsItinRecognizer", r"9\d{2}[- ]?\d{2}[- ]?\d{4}", r"\bitin\b|taxpayer"),
    _Number(
        "US Medicare",
        "UsMbiRecognizer",
        r"[1-9][A-Z][A-Z0-9]\d-?[A-Z][A-Z0-9]\d-?[A-Z]{2}\d{2}",
        r"medicare|\bmbi\b",
    ),
    _Number(
        "ZA identity",
        "ZaIdNumberRecognizer",
        r"\d{6} ?\d{4} ?[0-2][89]\d",
        r"south african id|\brsa id|\bsa id",
    ),
)
_WORDS = re.compile(
    "|".join(dict.fromkeys([_ANY_COUNTRY, *(each.words for each in _NUMBERS if each.words)])), re.IGNORECASE
)


def find_national_ids(text: str, recognise: Recognise) -> Iterator[Found]:
    """Kind, start, end and score of what is recognised."""
    if not _ENOUGH_DIGITS.search(text):
        return
    named = bool(_WORDS.search(text))
    for number in _NUMBERS:
        if number.words and not named:
            continue
        shape, words = _compiled(number)
        for match in shape.finditer(text):
            if words and not words.search(text, max(0, match.start() - _BEFORE), match.start()):
                continue
            if not number.recogniser:
                yield "NATIONAL_ID", *match.span(), UNCONFIRMED
                continue
            compact = re.sub("[ .]" if number.recogniser in _SIGNED else "[ .-]", "", match[0])
            confirmed = recognise(Candidate("NATIONAL_ID", of_presidio(number.recogniser), compact))
            if score := max((each[2] for each in confirmed), default=0.0):
                yield "NATIONAL_ID", *match.span(), score


@cache
def _compiled(number: _Number) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    """The shape, and the words that must stand before it."""
    shape = re.compile(rf"(?<![\w.+-])(?:{number.shape})(?!\w|[.-]\w)")
    words = f"{_ANY_COUNTRY}|{number.words}" if number.words else ""
    return shape, re.compile(words, re.IGNORECASE) if words else None
