"""People by the shape of a name, and names, dates of birth and passport numbers by the words before them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from pytest_llmops.detect.finding import UNCONFIRMED, Found

_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|['\u2019-](?=[^\W\d_])){0,31}(?![\d_])\.?")
_START = re.compile(r"(?<![\w@/.#$%&-])(?<!\w['\u2019])[^\W\d_]")
_PARTICLES = frozenset(
    """
    de del della den der di do dos da das du la le van von vom zu zum ten ter af av y e i bin ibn al el san
    """.split()  # noqa: SIM905 - a list of words, read as such
)
_MOST = 4
_NO_NAMES = frozenset(
    """
    account address admin administrator agent all amount app application assistant available bank bill billing
    board book bot boots card care case center centre chat check class code company complaint contact contract
    corp customer customers data date day days dear default delivery department desk dev development director
    division document email engineering error everyone example file finance form free friend friends gate gmbh
    group guest guide help hiring holder hotline id inc info information invoice item jacket key last ltd
    llc mail management manager manual member members message model name new note notes number office officer
    online operations operator order orders page parcel partner password payment phone please plc policy
    president price product products project quality question refund release report request returns room sales
    sale section security seller server service services set shipping shop sir madam staff standard status
    store string subject support system table task team terms test text the there this ticket title token tool
    total tracking type unit update user users valued value version warehouse warranty we website welcome you
    your yours january february march april may june july august september october november december monday
    tuesday wednesday thursday friday saturday sunday english german french spanish italian dutch swedish
    european american british north south east west street avenue road lane city states kingdom university
    """.split()  # noqa: SIM905 - a list of words, read as such
)

# As they begin what somebody asks, as in "Customer: Does Ashcombe …".
_NO_FIRST_NAMES = frozenset(
    """
    What When Where Which Who Whose Why Our Is Was Were Does Did Has Have Would Could Should
    Mein Meine Meinen Unser Unsere Warum Wann Welche Welcher Welches
    """.split()  # noqa: SIM905 - a list of words, read as such
)
_AMBIGUOUS = frozenset({"I", "My", "How", "Are", "Wie", "Does", "Would", "Could", "Should"})
"""Names, unless lower case follows: `Anna Lee I want`, `How do I pay`."""
_LOWER_CASE = re.compile(r"\s+[^\W\d_A-Z]")


def find_name(text: str, start: int, fewest: int) -> int | None:
    """Return the end of a name that starts there and has at least `fewest` words, or None."""
    end = named = 0
    at = _skip_question(text, start)
    for _ in range(_MOST + 2):
        match = _WORD.match(text, at)
        if match is None or named == _MOST:
            break
        word = match[0]
        if word in _AMBIGUOUS and _LOWER_CASE.match(text, match.end()):
            break
        if word.rstrip(".").lower() in _NO_NAMES:
            if named and not _is_capitalised(word):
                break
            return None
        if _is_capitalised(word):
            initial = len(word) == 2 and word[1] == "."  # noqa: PLR2004 - a letter and its dot
            named += 1
            end = match.end() if initial or not word.endswith(".") else match.end() - 1
            if end != match.end():
                break
        elif word not in _PARTICLES:
            break
        at = match.end()
        if text[at : at + 1] not in {" ", "\u00a0"}:
            break
        at += 1
    return end if named >= fewest else None


def _skip_question(text: str, start: int) -> int:
    """Return where `Anna Lee` starts in `Does Anna Lee have …`."""
    while (match := _WORD.match(text, start)) and match[0] in _NO_FIRST_NAMES:
        if not text.startswith(" ", match.end()):
            break
        start = match.end() + 1
    return start


def find_names(text: str) -> Iterator[tuple[int, int]]:
    """
    Yield start and end of each stretch that is written as a name of two words or more.

    Too many for an arbitrary text; in one with personal data these are the people whom it belongs to.
    """
    at = 0
    for match in _START.finditer(text):
        if match.start() >= at and (end := find_name(text, match.start(), 2)):
            yield match.start(), end
            at = end


def _is_capitalised(word: str) -> bool:
    """Recognise the spelling of names: `Anna`, `O'Brien`, `J.`, `Lemaître-Dubois`."""
    letters = [char for char in word if char.isalpha()]
    return word[0].isupper() and (len(letters) == 1 or any(char.islower() for char in letters))


_BEFORE = 40  # characters between a label and its value
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
"""Parts of the words above: a text without them needs no search."""
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
    # words of which the text contains one, the text before a name, and the fewest words of the name
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
    """Yield kind, start, end and score of values after a label."""
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
