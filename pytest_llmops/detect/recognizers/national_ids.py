"""
Numbers that a state gives a person, by their shape and, if other numbers share it, by a word before them.

Presidio's recognisers of each country confirm checksums and dates. A unique shape, such as Brazil's
`123.456.789-09`, needs neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from pytest_llmops.detect.finding import UNCONFIRMED, Found
from pytest_llmops.detect.recognizers.numbers import Candidate, Recognise

_BEFORE = 60  # characters between a word and the number that it names
_ENOUGH_DIGITS = re.compile(r"\d(?:[ .-]?\d){3}|[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z]")
_SIGNED = frozenset({"FiPersonalIdentityCodeRecognizer", "SePersonnummerRecognizer"})
"""Numbers in which a sign is the century."""
_ANY_COUNTRY = (
    "national id",
    "national identity",
    "national identification",
    "national insurance",
    *(f"identity {word}" for word in ("card", "no", "number", "document", "code")),
    *(f"id {word}" for word in ("card", "no", "num", "number")),
    *(f"tax {word}" for word in ("id", "identification", "number", "no")),
    *(f"personal {word}" for word in ("identity", "identification", "id", "number", "code")),
    "taxpayer",
    "social insurance",
    "social security",
    "citizen",
    "government id",
)


class _Number(NamedTuple):
    """
    One country's number.

    Attributes:
        recogniser: Presidio's class, which confirms it; empty if there is none.
        words: Words of which one must precede it, in small letters; empty if the shape is enough.
    """

    country: str
    recogniser: str
    shape: str
    words: str = ""


_NUMBERS = (
    _Number("AU tax file number", "AuTfnRecognizer", r"\d{3}[ -]?\d{3}[ -]?\d{3}", "tfn, tax file"),
    _Number("AU business number", "AuAbnRecognizer", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", "abn, business number"),
    _Number("AU Medicare", "AuMedicareRecognizer", r"[2-6]\d{3}[ -]?\d{5}[ -]?\d", "medicare"),
    _Number("BE national register", "", r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}"),
    _Number("BR CPF", "", r"\d{3}\.\d{3}\.\d{3}-\d{2}"),
    _Number("BR CPF", "", r"\d{11}", "cpf"),
    _Number("CA social insurance", "CaSinRecognizer", r"\d{3}[ -]?\d{3}[ -]?\d{3}",
            "sin, nas, assurance sociale"),
    _Number("CH AHV", "", r"756\.\d{4}\.\d{4}\.\d{2}"),
    _Number("CN resident", "", r"\d{6}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dX]",
            "身份证, resident id, chinese id"),
    _Number("DE tax", "DeTaxIdRecognizer", r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}",
            "steuer id, idnr, steueridentifikationsnummer, steuerliche, steuernummer"),
    _Number("DE pension", "DeSocialSecurityRecognizer", r"\d{2} ?\d{6} ?[A-Z] ?\d{3}",
            "rentenversicherungsnummer, sozialversicherungsnummer, versicherungsnummer, sv nr, rvnr"),
    _Number("DE identity card", "DeIdCardRecognizer",
            r"(?=[A-Z0-9]{0,8}\d)[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{7}\d",
            "personalausweis, ausweis, ausweisnummer, personalausweisnummer"),
    _Number("DE health insurance", "DeHealthInsuranceRecognizer", r"[A-Z]\d{9}",
            "versichertennummer, krankenversichertennummer, kvnr, krankenkasse, gesundheitskarte"),
    _Number("DK CPR", "", r"\d{6}-?\d{4}", "cpr, personnummer"),
    _Number("ES NIE", "EsNieRecognizer", r"[XYZ]-?\d{7}-?[A-Z]"),
    _Number("ES NIF", "EsNifRecognizer", r"\d{1,2}\.?\d{3}\.?\d{3}[ -]?[A-Z]",
            "dni, nif, documento nacional, identificación, identidad"),
    _Number("FI HETU", "FiPersonalIdentityCodeRecognizer", r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]"),
    _Number("FR NIR", "", r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}",
            "nir, sécurité sociale, securite sociale, insee"),
    _Number("GB national insurance", "UkNinoRecognizer", r"[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]"),
    _Number("GB NHS", "NhsRecognizer", r"\d{3}[ -]?\d{3}[ -]?\d{4}", "nhs, national health"),
    _Number("GB driving licence", "UkDrivingLicenceRecognizer", r"[A-Z9]{5}\d{6}[A-Z9]{2}[A-Z0-9][A-Z]{2}",
            "licence, license, dvla"),
    _Number("IE PPS", "", r"\d{7}[A-W][A-IW]?", "pps, ppsn"),
    _Number("IN Aadhaar", "InAadhaarRecognizer", r"[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}", "aadhaar, aadhar, uidai"),
    _Number("IN PAN", "InPanRecognizer", r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", "pan, permanent account"),
    _Number("IT fiscal code", "ItFiscalCodeRecognizer", r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]"),
    _Number("IT identity card", "ItIdentityCardRecognizer", r"[A-Z]{2} ?\d{5}[A-Z]{2}",
            "carta d'identità, cie"),
    _Number("KR resident", "KrRrnRecognizer", r"\d{6}-?[1-4]\d{6}",
            "rrn, resident registration, 주민등록번호"),
    _Number("KR foreigner", "KrFrnRecognizer", r"\d{6}-?[5-8]\d{6}",
            "frn, foreigner registration, 외국인등록번호"),
    _Number("MX CURP", "", r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d"),
    _Number("NG NIN", "NgNinRecognizer", r"\d{11}", "nin, nigeria"),
    _Number("NL BSN", "", r"\d{3}\.?\d{3}\.?\d{3}|\d{4}\.\d{2}\.\d{3}",
            "bsn, burgerservicenummer, sofinummer"),
    _Number("NO birth number", "", r"\d{6} ?\d{5}", "fødselsnummer, personnummer, fodselsnummer"),
    _Number("PL PESEL", "PlPeselRecognizer", r"\d{11}", "pesel"),
    _Number("PT NIF", "", r"[1-3]\d{2} ?\d{3} ?\d{3}", "nif, contribuinte, cartão de cidadão"),
    _Number("SE personnummer", "SePersonnummerRecognizer", r"(?:19|20)?\d{6}[-+]?\d{4}",
            "personnummer, samordningsnummer, personnr, pnr"),
    _Number("SG NRIC", "SgFinRecognizer", r"[STFGM]\d{7}[A-Z]", "nric, fin, singapore"),
    _Number("TH national", "ThTninRecognizer", r"[1-9]-\d{4}-\d{5}-\d{2}-\d"),
    _Number("TH national", "ThTninRecognizer", r"[1-9] ?\d{4} ?\d{5} ?\d{2} ?\d",
            "thai, tnin, เลขประจำตัวประชาชน, บัตรประชาชน"),
    _Number("TR national", "TrNationalIdRecognizer", r"[1-9]\d{10}", "kimlik, tckn, tc no, turkish id"),
    _Number("US ITIN", "UsItinRecognizer", r"9\d{2}[- ]?\d{2}[- ]?\d{4}", "itin, taxpayer"),
    _Number("US Medicare", "UsMbiRecognizer", r"[1-9][A-Z][A-Z0-9]\d-?[A-Z][A-Z0-9]\d-?[A-Z]{2}\d{2}",
            "medicare, mbi"),
    _Number("ZA identity", "ZaIdNumberRecognizer", r"\d{6} ?\d{4} ?[0-2][89]\d",
            "south african id, rsa id, sa id"),
)  # fmt: skip


def find_national_ids(text: str, recognise: Recognise) -> Iterator[Found]:
    """Yield kind, start, end and score of numbers that are confirmed, or need no more than their shape."""
    if not _ENOUGH_DIGITS.search(text):
        return
    if _SHAPES.search(text):
        for number in _SHAPED:
            yield from _find(number, text, recognise)
    lower = text.lower()
    if any(map(lower.__contains__, _STEMS)):
        anywhere = bool(_words("").search(text))
        for number in _NAMED:
            if anywhere or any(map(lower.__contains__, _stems(number.words))):
                yield from _find(number, text, recognise)


def _find(number: _Number, text: str, recognise: Recognise) -> Iterator[Found]:
    for match in _shape(number.shape).finditer(text):
        before = max(0, match.start() - _BEFORE), match.start()
        if number.words and not _words(number.words).search(text, *before):
            continue
        score = UNCONFIRMED
        if number.recogniser:
            compact = re.sub("[ .]" if number.recogniser in _SIGNED else "[ .-]", "", match[0])
            confirmed = recognise(Candidate("NATIONAL_ID", number.recogniser, compact))
            score = max((score for _, _, score in confirmed), default=0.0)
        if score:
            yield "NATIONAL_ID", *match.span(), score


@cache
def _shape(shape: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.+-])(?:{shape})(?!\w|[.-]\w)")


@cache
def _words(words: str) -> re.Pattern[str]:
    """Return a pattern of these words and those of all countries; a blank may be a sign, or nothing."""
    listed = (*_ANY_COUNTRY, *filter(None, words.split(", ")))
    written = "|".join(re.escape(word).replace(r"\ ", "[ _-]?") for word in listed)
    return re.compile(rf"(?<![^\W_])(?:{written})(?![a-z])", re.IGNORECASE)


@cache
def _stems(words: str) -> frozenset[str]:
    """Return the words' beginnings: a text without them needs no search."""
    return frozenset(word.split(" ")[0] for word in words.split(", "))


_SHAPED = tuple(number for number in _NUMBERS if not number.words)
_SHAPES = re.compile("|".join(number.shape for number in _SHAPED))
_NAMED = tuple(number for number in _NUMBERS if number.words)
_STEMS = frozenset().union(*(_stems(number.words) for number in _NAMED), _stems(", ".join(_ANY_COUNTRY)))
