"""Postal addresses by their shape, as they are written in Europe, North America and Australia."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_llmops.detect.finding import UNCONFIRMED, Found

_CAP = r"[^\W\d_a-zß-öø-ÿ][\w'\u2019.-]{0,30}"
_LOW = (
    r"(?:de|del|della|des|der|den|di|do|du|la|le|les|los|las|da|dos|das|van|von|zum|zur|am|an|of|the|y|e|d'|l'|av|sur"
    r"|sous|in|im|bei|'t)"
)
_WORDS = rf"(?:{_LOW} ){{0,3}}{_CAP}(?: (?:{_LOW} ){{0,2}}{_CAP}){{0,5}}"
_NUMBER = r"(?:\d{1,5}(?: ?[a-zA-Z])?(?:[/-]\d{1,4}[a-zA-Z]?)?|[Ss]/[Nn])(?![\w-])"
_UNIT = (
    r"(?:[ ,]{1,3}(?i:apt|apartment|apartamento|appartamento|apto|suite|ste|unit|flat|floor|piso|piano|appt"
    r"|whg|puerta|esc|bajo|bât)\.? ?#?[\w-]{1,6}){0,2}"
)
_LINE = r" ?[,\n]{1,2} {0,2}"
_CITY = rf"{_CAP}(?: (?:{_LOW} )?{_CAP}){{0,3}}"
_ZIP = r"(?:[A-Z]{1,2}-)?(?:\d{5}|\d{4}-\d{3}|\d{4} ?[A-Z]{2}|\d{3} \d{2}|\d{2}-\d{3})(?![\d.:])"
_SHORT_ZIP = rf"(?:{_ZIP}|(?:[A-Z]{{1,2}}-)?\d{{4}}(?![\d.:-]))"
_STATE = r"(?:[A-Z]{2},? \d{5}(?:-\d{4})?|(?:NSW|VIC|QLD|SA|WA|TAS|NT|ACT),? \d{4})(?!\d)"
_POSTCODE = r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}(?!\w)"
_TOWN = (
    rf"{_LINE}(?:{_CITY}{_LINE})?"
    rf"(?:{_ZIP},? {_CITY}|{_CITY},? (?:{_ZIP}|{_STATE}|{_POSTCODE})|{_STATE}|{_POSTCODE})"
)
_ANY_TOWN = rf"(?:{_TOWN}|{_LINE}{_SHORT_ZIP},? {_CITY})"
_PREFIXES = (
    r"rue|avenue|boulevard|bd|chemin|place|impasse|allée|quai|route|cours|passage|calle|c\.|avenida|avda|avda\."
    r"|paseo|plaza|camino|carrera|ronda|glorieta|pasaje|cuesta|vial|via|viale|piazza|corso|largo|vicolo|strada"
    r"|borgo|contrada|rua|r\.|travessa|praça|alameda|ul\.|ulica|al\.|aleja"
)
_PREFIX = f"(?i:{_PREFIXES})"
_ENDINGS = (
    r"straße|strasse|str\.|weg|gasse|allee|damm|ufer|chaussee|stieg|steig|stigen|vägen|väg|gatan|gata|gränd"
    r"|backen|torget|veien|vegen|straat|laan|plein|singel|dreef|steeg|vej|gade|katu|utca"
)
_STREET = f"(?i:{_ENDINGS})"
_ENGLISH = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Terrace|Ter|Square|Sq|Crescent|Close"
    r"|Highway|Hwy|Parkway|Pkwy|Circle|Cir|Trail|Alley|Mews|Row|Grove|Gardens|Way|Place|Pl)\b\.?"
)
_IN_FRONT = r"(?:(?i:unit|flat|studio|suite|level|apt\.?) \d{1,4}[A-Za-z]?,? )?\d{1,5}(?:/\d{1,5})?[A-Za-z]?"
_LABEL = re.compile(
    r"(?i)(?<![^\W_])(?:address|addr|anschrift|adresse|dirección|direccion|indirizzo|adres|adress|street"
    r"|(?:liv|resid)(?:es?|ing) at|moved to|ship(?:ped)? to|deliver(?:ed)? to)[\"']?\s{0,2}[:=>]?\s{0,2}"
    r"(?:is |was )?(?:now )?[\"']?"
)
_FRONT_WORDS, _END_WORDS = (
    tuple(f"{word} " for word in words.replace("\\", "").split("|")) for words in (_PREFIXES, _ENDINGS)
)
_DIGIT = re.compile(r"\d")
_ANY_WORDS = ("",)
_LINE_ENDS = (",", "\n")
_LABEL_WORDS = ("addr", "anschrift", "adres", "direcci", "indirizzo", "street", " at", "ed to")
_PATTERNS = tuple(
    (words, re.compile(pattern))
    for words, pattern in (
        (_FRONT_WORDS, rf"(?<!\w)(?:{_NUMBER},? )?{_PREFIX} {_WORDS}(?:,? {_NUMBER})?{_UNIT}{_ANY_TOWN}"),
        (_FRONT_WORDS, rf"(?<!\w){_NUMBER},? {_PREFIX} {_WORDS}{_UNIT}"),
        (_LINE_ENDS, rf"(?<!\w){_WORDS},? {_NUMBER}{_UNIT}{_TOWN}"),
        (_END_WORDS, rf"(?<!\w)(?:{_CAP} ){{0,3}}(?:{_CAP})?{_STREET} {_NUMBER}{_UNIT}{_ANY_TOWN}"),
        (_END_WORDS, rf"(?<!\w)(?:{_CAP} ){{0,3}}(?:{_CAP})?(?!gade|gata){_STREET} {_NUMBER}{_UNIT}"),
        (
            _ANY_WORDS,
            rf"(?<!\w){_IN_FRONT} (?:[NSEW]\.? )?(?:{_CAP} ){{1,4}}{_ENGLISH}{_UNIT}(?:{_ANY_TOWN})?",
        ),
        (_LINE_ENDS, rf"(?<!\w){_IN_FRONT},? {_WORDS}{_UNIT}(?:{_LINE}{_WORDS})?{_TOWN}"),
        (_ANY_WORDS, rf"(?<!\w)(?:P\.? ?O\.? Box|Postfach|Apartado|Boîte postale) \d{{1,6}}(?:{_ANY_TOWN})?"),
    )
)
_PLACE = re.compile(
    rf"(?:{_IN_FRONT} {_WORDS}|(?:{_PREFIX} )?{_WORDS},? {_NUMBER}){_UNIT}(?:{_LINE}[^\n\"'<]{{3,60}})?"
)


def find_addresses(text: str) -> Iterator[Found]:
    """Yield kind, start, end and score; a street without a number is no address, nor is a town."""
    if not _DIGIT.search(text):
        return
    lower = text.lower()
    for words, pattern in _PATTERNS:
        if any(map(lower.__contains__, words)):
            for match in pattern.finditer(text):
                yield "ADDRESS", *match.span(), UNCONFIRMED
    for label in _LABEL.finditer(text) if any(map(lower.__contains__, _LABEL_WORDS)) else ():
        if named := _PLACE.match(text, label.end()):
            yield "ADDRESS", *named.span(), UNCONFIRMED
