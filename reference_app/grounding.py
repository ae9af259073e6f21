"""
What a draft says that neither the material nor the customer said.

Figures, dates, codes, addresses and names must be there; of the other words of a sentence a third may be new.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from reference_app.documents.words import split_sentences, split_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_NEW = 1 / 3  # of the words of a sentence
MIN_GENERAL = 0.15  # share of general words in an English text; other languages have hardly any of them
COPIED = 15  # characters of a copied fact at least; fewer may stand anywhere
STEM = 5  # letters, so that `delivery` is `delivered`
GENERAL = str.split(
    "about after again also always and any are arrive arrives because become been before being both but can "
    "cannot comes contains costs could currently does each for from give has have help how however in into "
    "is it its least make many more most must need needs not number of old once only order other our over "
    "please same should since some sorry still such take than thank that the their them then there these "
    "they this to together until use was were what when where which while will with within without would yes "
    "you your"
)
MONTHS = str.split("jan/ene feb mar/mär apr/abr may/mai jun jul aug/ago sep oct/okt nov dec/dez/dic")
NUMERALS = str.split("one two three four five six seven eight nine ten eleven twelve")
DAYS = {"ordered": "ordered|placed|bought", "sent": "sent|shipped|dispatched|left",
        "expected": "expected|due|will|arrives?", "delivered": "delivered|arrived|came"}  # fmt: skip
"""Words that go with the days of a tool's result, by their names there."""
UNITS = {"%": "percent", "°": "degree", "pound": "£", "euro": "€"}
_MONTH = f"(?P<month>{'|'.join(MONTHS).replace('/', '|')})[a-z]*"
_DATES = (
    r"(?<=\d{4})-(?P<month>\d\d)-(?P<day>\d\d)\b",
    rf"(?i)\b(?P<day>\d\d?)(?:st|nd|rd|th|\.)? (?:of |de )?{_MONTH}\b",
    rf"(?i)\b{_MONTH} (?P<day>\d\d?)(?:st|nd|rd|th)?\b",
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_NUMBERING = re.compile(r"(?m)(?:^|(?<=[.:;] ))(\d\d?)[.)] (?=[A-Z])")  # of steps, if they begin with 1
_EXACT = r"(?i)\S+@[\w.-]+\w|(?:https?://|www\.)\S+\w|\b(?=[\w-]*\d)[a-z][\w-]*|\b\d\d?:\d\d\b"
_FIGURE = (
    r"(?i)([£€$]?) ?(?<![\w.,:-])(\d+(?:,\d{3})*(?:[.,]\d+)?)(?:[ -]?(?:(?:working|business) )?([%°]|"
    r"percent|pound|euro|point|degree|second|minute|hour|day|week|month|year|kg|km|cm|mm|g|m|l|litre)s?(?!\w))?"
)


class Said(NamedTuple):
    """A text in parts; `exact` has to be there as it is, `claim` are stems of words that are not general."""

    figures: set[tuple[str, str]]
    units: set[str]
    exact: set[str]
    words: dict[str, str]
    names: dict[str, str]
    claim: set[str]
    english: bool

    def has(self, figure: str, unit: str) -> bool:
        """Whether the figure is here with its unit, or one of the two without any."""
        return any(figure == own and (not unit or other in {"", unit}) for own, other in self.figures)


def ungrounded(text: str, material: Sequence[str], question: str, facts: str = "") -> list[str]:
    """
    The figures, names and sentences of a draft that no section (`titles: text`), tool or question has.

    Args:
        facts: What the draft was written from, if that is known; of several figures beside one subject, those
            there alone count.
    """
    numbered = [int(number) for number in _NUMBERING.findall(text)]
    text = _NUMBERING.sub("", text) if numbered == list(range(1, len(numbered) + 1)) else text
    text = re.sub(r"\[[\w#-]+\]", "", text)
    draft, asked, given = read(text), read(question), read("\n".join(material))
    every = [(item.partition(": ")[0], one) for item in material for one in split_sentences(item)]
    pieces = read_pieces(facts)
    if pieces and all(any(piece in one.casefold() for _, one in every) for piece in pieces):
        every = [(title, one) for title, one in every if any(piece in one.casefold() for piece in pieces)]
    parts = [read(f"{title} {one}") for title, one in every]
    sections = any(item.startswith("[") for item in material)
    known = {*given.words.values(), *asked.words.values()} | given.claim | asked.claim
    new: list[str] = []
    for sentence, said in [(one, read(one)) for one in split_sentences(text)]:
        new += sorted(said.exact - given.exact - asked.exact)
        unknown = [one for one in sorted(said.figures) if not given.has(*one) and not asked.has(*one)]
        new += [f"{figure} {unit}".strip() for figure, unit in unknown if not adds_up(figure, unit, draft)]
        if said.english or asked.english:  # words of two languages cannot be compared
            new += [name for name, stem in said.names.items() if stem not in known]
            clauses = [read(clause) for clause in re.split(r"[,;] |\b(?:and|but)\b", sentence)]
            moved = any(is_moved(clause, asked, given if sections else None, parts) for clause in clauses)
            new += [sentence] if moved or len(said.claim - known) > MAX_NEW * len(said.claim) else []
    return list(dict.fromkeys(new))


def read_pieces(facts: str) -> list[str]:
    """What a model copied, in pieces that are no longer than a sentence."""
    plain = re.sub(r"\[[\w#-]+\]", "", facts).casefold()
    pieces = [one.strip(" .") for sentence in split_sentences(plain) for one in re.split(r"[.;:] ", sentence)]
    return [one for one in pieces if len(one) >= COPIED]


def only_agrees(text: str, question: str) -> bool:
    """
    Whether a draft says Yes, and what was asked again.

    A small model says so where it found nothing: 10 of 10 such drafts about documents were wrong, and 2 of 6
    with a No.
    """
    if not re.match(r"\W*(?:yes|ja|oui|sí|si)\b", text, re.IGNORECASE):
        return False
    said, asked = read(re.sub(r"\[[\w#-]+\]", "", text)), read(question)
    return said.claim <= asked.claim and said.figures <= asked.figures and said.exact <= asked.exact


def moves_a_day(text: str, results: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a clause says of a day in a tool's result what another one is, such as shipped."""
    days = [(field, read(str(found[field])).exact) for found in results for field in DAYS if found.get(field)]
    for clause in re.split(r"[,;.] |\b(?:and|but)\b", text) if days else ():
        said = {field for field, words in DAYS.items() if re.search(rf"(?i)\b(?:{words})\b", clause)}
        exact = read(clause).exact
        held = {field for field, day in days if day & exact}
        if said and held and not said & held:
            return True
    return False


def adds_up(figure: str, unit: str, draft: Said) -> bool:
    """Whether a figure is the sum or the difference of two others of the draft."""
    others = [float(one) for one, own in draft.figures if own == unit and one != figure]
    signed = [*others, *(-one for one in others)]
    return any(f"{one + two:.10g}" == figure for one in signed for two in signed)


def is_moved(said: Said, asked: Said, given: Said | None, parts: Sequence[Said]) -> bool:
    """
    Whether a figure of a clause stands beside less of its subject than another figure of its unit does.

    A name that was asked for and that no section has is another subject. Results of tools, of which nothing
    is `given`, leave out what they are about.
    """
    strange = [name for name in said.names if given and name in asked.words and name not in given.words]
    for figure, unit in said.figures:
        if not unit and _YEAR.fullmatch(figure):
            continue  # of a date, which is compared as a whole
        if sum(unit == other for _, other in said.figures) > 1:
            continue  # a sum or a difference has several subjects
        held = [said.claim & part.claim for part in parts if part.has(figure, unit)]
        others = [part for part in parts if unit in part.units and not part.has(figure, unit)]
        better = [part for part in others if all(said.claim & part.claim > one for one in held)]
        moved = strange or better or (len(said.claim) > 1 and not any(held))
        if held and moved and not asked.has(figure, unit):
            return True
    return False


def read(text: str) -> Said:
    """Read the parts of a text, in a form that can be compared."""
    exact, figures = set[str](), set[tuple[str, str]]()
    for pattern in _DATES:
        for match in re.finditer(pattern, text):
            named = [n for n, names in enumerate(MONTHS, 1) if match["month"].lower() in names]
            exact.add(f"{int(match['day'])}/{named[0] if named else int(match['month'])}")
        text = re.sub(pattern, " ", text)
    text = re.sub(r"(?i)\bFW[ -]?(?=\d{5}\b)", "FW-", text.replace("_", " "))
    exact |= {match.lower().replace("-", "") for match in re.findall(_EXACT, text)}
    text = re.sub(_EXACT, " ", text)
    for number, numeral in enumerate(NUMERALS, 1):
        text = re.sub(rf"(?i)\b{numeral}\b", str(number), text)
    for sign, written, unit in re.findall(_FIGURE, text.lower()):
        value = float(re.sub(r",(?=\d{3})", "", written).replace(",", "."))  # of 1,200.50 or 5,95
        figures.add((f"{value:.10g}", sign or UNITS.get(unit, unit)))
    words = {word: split_words(word)[0] for word in re.findall(r"[^\W\d_]+", text)}
    own = {word: stem for word, stem in words.items() if word[2:] and word.lower() not in GENERAL}
    first = next(iter(words), "")  # its capital says nothing, so another form of the word will do
    names = {word: stem[: STEM if word == first else None] for word, stem in own.items() if word[0].isupper()}
    claim = {stem[:STEM] for word, stem in own.items() if word[3:]}
    english = sum(word.lower() in GENERAL for word in words) >= MIN_GENERAL * len(words)
    return Said(figures, {unit for _, unit in figures} - {""}, exact, words, names, claim, english)
