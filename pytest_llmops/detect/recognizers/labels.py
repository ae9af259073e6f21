"""What the words before it say: dates of birth, passport numbers and people, in many languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from pytest_llmops.detect.finding import UNCONFIRMED, Found
from pytest_llmops.detect.recognizers.names import find_name

_BEFORE = 40  # characters between a label and what it is of
_OLDEST = 1900
_FEWEST_DIGITS = 3  # of a passport number

_MONTHS = (
    "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez|janv|févr|mars|avr|juin|juil|août|déc"
    "|ene|abr|ago|dic|gen|mag|giu|lug|set|ott|mrt|mei|maj|fev|out"
)
_MONTH = rf"(?:{_MONTHS})[^\W\d_]{{0,7}}\.?"
_DATE = re.compile(
    rf"(?i)(?<![\w./-])(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/. ]\d{{1,2}}[-/. ](?:\d{{4}}|\d\d)"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.|er|º)?[ -](?:of |de |di )?{_MONTH},?(?: de| del)?[ -]\d{{4}}"
    rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})(?![\w/-])"
)
_BORN = re.compile(
    r"(?i)birth|\bborn\b|(?<![A-Za-z])d\.?o\.?b\b|geburt|geboren|\bgeb\.|naissance|\bnée? le|nacimiento"
    r"|\bnacid[oa]|nascita|\bnat[oa] il|geboorte|födel|født|urodz|nascimento|syntymä"
)
_BORN_WORDS = (
    "birth", "born", "d.o.b", "dob", "geb", "naissance", "né", "naci", "nasci", "nat", "födel", "født",
    "urodz", "syntymä",
)  # fmt: skip
"""What stands in a text that has one of those: a look that costs little."""
_PASSPORT = re.compile(
    r"(?i)(?:passport|reisepass|passeport|pasaporte|passaporto|paspoort|paszport|passnummer|travel.document)"
    r"[^\n]{0,30}?(?<![\w-])"
    r"(?P<value>(?-i:(?=[A-Z0-9]{0,9}\d)[A-Z0-9]{6,10}))(?![\w-])"
)
_PASSPORT_WORDS = ("pass", "pasa", "paspo", "paszport", "travel")
_TITLE = (
    r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Herrn?|Frau|Mme|Mlle|Monsieur|Madame|Sra?|Sig(?:nora|ra|\.)|Señora?|Dhr)"
)
_GREETED = (
    "dear|hi|hello|hey|hallo|bonjour|hola|ciao|liebe[rs]?|lieve|beste|cher|chère|estimad[oa]|car[oa]|gentile"
    "|kære|hej|olá|witaj"
)
_INTRODUCED = (
    "this is|my name is|i am|i'm|i\u2019m|name's|it's|it is|je m'appelle|je suis|ich heiße"
    "|mein name ist|me llamo|mi nombre es|soy|mi chiamo|sono|ik ben|mijn naam is|jag heter|meu nome é"
    "|nazywam się"
)
_ROLES = (
    r"(?:account|card|policy|ticket)[ _-]?holder|cardholder|attention(?: of)?|attn|on behalf of"
    r"|signed(?: by)?|spoke (?:to|with)|speaking (?:to|with)|contact(?:[ _-](?:person|name))?"
    r"|full[ _-]?name|first[ _-]?name|last[ _-]?name|family[ _-]?name|maiden name|surname|customer[ _-]?name"
    r"|client[ _-]?name|user[ _-]?name|beneficiary|payee|recipient|passenger|patient|applicant"
    r"|employee|tenant|caller|named|kontoinhaber(?:in)?|kunde|kundin|empfänger(?:in)?|titulaire"
    r"|titular|bénéficiaire|destinataire|cliente?|intestatario|destinatario|ontvanger|klant|kund"
    r"|mottagare"
)
_VAGUE = (
    "customer|user|owner|member|guest|driver|sender|buyer|seller|subscriber|student|agent|manager|colleague"
    "|author|assignee|reporter|reviewer"
)
_ROLE_WORDS = (
    "holder", "att", "behalf", "signed", "spoke", "speaking", "contact", "name", "beneficiary", "payee",
    "recipient", "passenger", "patient", "applicant", "employee", "tenant", "caller", "kontoinhaber",
    "kund", "empfänger", "titul", "bénéficiaire", "destinat", "client", "intestatario", "ontvanger",
    "klant", "mottag",
)  # fmt: skip
_PERSONS = (
    # what must stand somewhere, what stands before a name, and the fewest words of it
    (("",), re.compile(rf"\b{_TITLE}\b\.? "), 1),
    (tuple(_GREETED.replace("[rs]?", "").replace("[oa]", "").split("|")),
     re.compile(rf"(?i:\b(?:{_GREETED}),? )"), 2),
    (_INTRODUCED.split("|"), re.compile(rf"(?i:\b(?:{_INTRODUCED}):? )"), 2),
    (_ROLE_WORDS, re.compile(rf"(?i:(?<![^\W_])(?:{_ROLES})[\"']?(?:\s{{0,2}}[:=,>]\s{{0,2}}|\s)[\"']?)"), 2),
    (_VAGUE.split("|"), re.compile(rf"(?<![^\W_])(?:{_VAGUE}) "), 2),
    ((":", "="), re.compile(rf"(?i:(?<![^\W_])(?:{_VAGUE})[\"']?\s{{0,2}}[:=]\s{{0,2}}[\"']?)"), 2),
    (("regards", "best", "wishes", "sincerely", "faithfully", "truly", "cheers", "thank"),
     re.compile(r"(?i:\b(?:regards|best|sincerely|cheers|thanks|thank you),? )"
                r"(?=[^\n,;]{3,60}(?:\n|\Z))"), 2),
    (("\n",),
     re.compile(
         r"(?i:\b(?:regards|wishes|sincerely|faithfully|truly|cheers|thanks|thank you|grüßen|grüße"
         r"|cordialement|salutations|saludos|saluti|groet(?:en)?|hälsningar|pozdrawiam)[,.!]?\s{0,3}\n\s{0,3})"
     ), 2),
)  # fmt: skip


def find_labelled(text: str) -> Iterator[Found]:
    """Kind, start, end and score of what a label names."""
    lower = text.lower()
    if any(map(lower.__contains__, _BORN_WORDS)):
        yield from _find_births(text)
    for match in _PASSPORT.finditer(text) if any(map(lower.__contains__, _PASSPORT_WORDS)) else ():
        value = match["value"]
        if sum(char.isdigit() for char in value) >= _FEWEST_DIGITS and not re.match(
            r"(?:19|20)\d{6}\Z", value
        ):
            yield "PASSPORT", match.start("value"), match.end("value"), UNCONFIRMED
    for words, before, fewest in _PERSONS:
        for match in before.finditer(text) if any(map(lower.__contains__, words)) else ():
            if end := find_name(text, match.end(), fewest):
                yield "PERSON", match.end(), end, UNCONFIRMED


def _find_births(text: str) -> Iterator[Found]:
    if not _BORN.search(text):
        return
    at = 0
    for match in _DATE.finditer(text):
        before = text[max(at, match.start() - _BEFORE) : match.start()]
        at = match.end()
        year = re.search(r"\d{4}", match[0])
        sensible = year is None or _OLDEST <= int(year[0]) <= datetime.now(UTC).year
        if sensible and _BORN.search(before):
            yield "DATE_OF_BIRTH", *match.span(), UNCONFIRMED
