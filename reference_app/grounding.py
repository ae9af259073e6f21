"""
What a draft says that neither the material nor the customer said.

Figures, dates, codes, addresses and names are compared one by one. Of other words a sentence may add a third,
and no figure may move to another subject of the material.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from reference_app.documents.words import split_sentences, split_words

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_NEW = 1 / 3  # of the words of a sentence
MIN_GENERAL = 0.15  # share of general words in an English text; other languages have hardly any of them
STEM = 5  # letters, so that `delivery` is `delivered`
GENERAL = str.split(
    "about after again also always and another any are available because been before being both but can cannot "
    "could currently does each either for from give has have help how however into its just like made make many "
    "more most must need not once only other our over please same should since some sorry still such take than "
    "thank that the their them then there these they this those until use was were what when where which while "
    "will with within without would yes you your"
)
MONTHS = str.split("jan/ene feb mar/mär apr/abr may/mai jun jul aug/ago sep oct/okt nov dec/dez/dic")
NUMERALS = str.split("one two three four five six seven eight nine ten eleven twelve")
UNITS = {"%": "percent", "°": "degree", "pound": "£", "euro": "€"}
_MONTH = f"(?P<month>{'|'.join(MONTHS).replace('/', '|')})[a-z]*"
_DATES = (
    r"(?<=\d{4})-(?P<month>\d\d)-(?P<day>\d\d)\b",
    rf"(?i)\b(?P<day>\d\d?)(?:st|nd|rd|th|\.)? (?:of |de )?{_MONTH}\b",
    rf"(?i)\b{_MONTH} (?P<day>\d\d?)(?:st|nd|rd|th)?\b",
)
_EXACT = re.compile(r"(?i)\S+@[\w.-]+\w|(?:https?://|www\.)\S+\w|\b(?=[\w-]*\d)[a-z][\w-]*")
_FIGURE = re.compile(
    r"(?i)([£€$]?) ?(?<![\w.,:-])(\d+(?:[.,:]\d+)*)(?:[ -]?(?:(?:working|business) )?([%°]|percent|pound|euro|"
    r"point|degree|second|minute|hour|day|week|month|year|kg|km|cm|mm|g|m|l|litre)s?(?!\w))?"
)


class Said(NamedTuple):
    """A text in parts: figures with units, what has to be there as it is, words by stem, stems of a claim."""

    figures: set[tuple[str, str]]
    exact: set[str]
    words: dict[str, str]
    claim: set[str]

    def has(self, figure: str, unit: str) -> bool:
        """Whether the figure is here, with its unit or one of the two without any."""
        return any(figure == own and (not unit or other in {"", unit}) for own, other in self.figures)


def ungrounded(text: str, material: Sequence[str], question: str) -> list[str]:
    """
    The figures, names and sentences of a draft that are not borne out; empty where all of it is.

    Args:
        text: The draft; citations like `[returns#window]` are left out.
        material: Sections that begin with `[id] titles: `, and results of tools.
        question: All that the customer wrote.
    """
    text = re.sub(r"\[[\w#-]+\]", "", text)
    asked, given = read(question), read("\n".join(material))
    parts = [read(part) for item in material for part in cut(item)]
    known = {*given.words.values(), *asked.words.values()} | given.claim | asked.claim
    new: list[str] = []
    for sentence in split_sentences(text):
        said = read(sentence)
        new += sorted(said.exact - given.exact - asked.exact)
        new += [
            f"{unit}{one}"
            for one, unit in said.figures
            if not given.has(one, unit) and not asked.has(one, unit)
        ]
        if is_foreign(said) and is_foreign(asked):
            continue  # words of two languages cannot be compared
        stems = {
            word: stem[:STEM] if sentence.startswith(word) else stem for word, stem in said.words.items()
        }
        new += [word for word, stem in stems.items() if is_name(word) and stem not in known]
        clauses = [read(clause) for clause in re.split(r"[,;] |\b(?:and|but)\b", sentence)]
        moved = any(is_moved(clause, asked, given, parts) for clause in clauses)
        new += [sentence] if moved or len(said.claim - known) > MAX_NEW * len(said.claim) else []
    return list(dict.fromkeys(new))


def is_moved(said: Said, asked: Said, given: Said, parts: Sequence[Said]) -> bool:
    """Whether a figure of a clause stands beside less of its subject than another figure of its unit does."""
    strange = [
        word for word in said.words if is_name(word) and word in asked.words and word not in given.words
    ]
    for figure, unit in said.figures:
        held = [said.claim & part.claim for part in parts if part.has(figure, unit)]
        others = [
            part for part in parts if not part.has(figure, unit) and unit in {one for _, one in part.figures}
        ]
        better = [part for part in others if unit and all(said.claim & part.claim > one for one in held)]
        if (
            held
            and not asked.has(figure, unit)
            and (strange or better or (len(said.claim) > 1 and not any(held)))
        ):
            return True
    return False


def is_name(word: str) -> bool:
    """Whether a word looks like a name; what has two letters is a pronoun, or a country."""
    return word[0].isupper() and word[2:] != "" and word.lower() not in GENERAL


def is_foreign(said: Said) -> bool:
    """Whether a text is not English."""
    return sum(word.lower() in GENERAL for word in said.words) < MIN_GENERAL * len(said.words)


def cut(item: str) -> list[str]:
    """The sentences of a section, each below its titles; the result of a tool as it is."""
    titles, _, text = item.partition(": ")
    return [f"{titles}: {one}" for one in split_sentences(text)] if item.startswith("[") else [item]


def read(text: str) -> Said:
    """The parts of a text in a form that can be compared."""
    exact = set()
    for pattern in _DATES:
        for match in re.finditer(pattern, text):
            month = [place for place, names in enumerate(MONTHS, 1) if match["month"].lower() in names]
            exact.add(f"{int(match['day'])}/{month[0] if month else int(match['month'])}")
        text = re.sub(pattern, " ", text)
    text = re.sub(r"(?i)\bFW[ -]?(?=\d{5}\b)", "FW-", text.replace("_", " "))
    exact |= {match.lower().replace("-", "") for match in _EXACT.findall(text)}
    text = _EXACT.sub(" ", text)
    for number, numeral in enumerate(NUMERALS, 1):
        text = re.sub(rf"(?i)\b{numeral}\b", str(number), text)
    figures = {(fold(figure), sign or UNITS.get(unit, unit)) for sign, figure, unit in _FIGURE.findall(text)}
    words = {word: split_words(word)[0] for word in re.findall(r"[^\W\d_]+", text)}
    claim = {stem[:STEM] for word, stem in words.items() if word[3:] and word.lower() not in GENERAL}
    return Said(figures, exact, words, claim)


def fold(figure: str) -> str:
    """`1,200.50` as `1200.5`, `5,95` as `5.95`."""
    figure = re.sub(r",(?=\d{3}\b)", "", figure).replace(",", ".")
    return figure.rstrip("0").rstrip(".") if "." in figure and ":" not in figure else figure
