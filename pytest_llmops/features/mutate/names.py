"""A name of an answer made another name of the same sort, from the sources or other answers."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from pytest_llmops.features.mutate.languages import Language
from pytest_llmops.features.mutate.readings import Edit, Reading, choose, split_prose
from pytest_llmops.metrics.words import FUNCTION_WORDS
from pytest_llmops.text.characters import fold

_LANGUAGES = ("en", "fr", "es")  # German nouns have capitals, and Chinese names none
_CAPITAL = r"[A-Z\u00c0-\u00de]"
_NAME = re.compile(
    rf"(?<![\w\0'\u2019.@/#&-]){_CAPITAL}[\w'\u2019-]*[a-z\u00df-\u00ff][\w-]*"
    rf"(?:[ ](?:(?:of|of the|de|du|von|van|del|la|y|et|and the)[ ])?(?:{_CAPITAL}|\d)[\w-]*)*"
)
_OF_OTHERS = 120  # other answers that are read
_READ_EACH = 2_000
_FEWEST_POINTS = 3
_WINDOW, _FEW = 50, 4  # characters and words around a name
_ARTICLES = frozenset({"the", "a", "an", "le", "la", "les", "l", "el", "los", "las"})
_PLACING = frozenset({"in", "near", "outside", "en", "\u00e0"})
_BEFORE_PLACES = frozenset(
    {"from", "to", "of", "at", "and", "through", "around", "de", "vers", "desde", "a", "y", "et"}
)
_SHORT_WORD = 3  # letters
_ALIKE = 0.75  # from which on a name is another spelling
_MODEL = re.compile(r"[a-z] \d+\Z")
# What may contain a place, so that the answer stays true.
_WIDE = frozenset(
    {"europe", "asia", "africa", "america", "americas", "oceania", "earth", "world", "internet", "web"}
)
_WIDE |= {"west", "east", "north", "south", "north america", "south america", "latin america", "middle east"}
_WIDE |= {"united states"}
_LOWER_AFTER = re.compile(r"\s([a-z\u00df-\u00ff]{2,})")
_HYPHEN_AFTER = re.compile(r"\s?[-\u2010-\u2014]\s?\w")
_PLURAL_OF_CAPITALS = re.compile(r"[A-Z]{2,}s\Z")
_BEHIND_PLACE = re.compile(r"[A-Z][\w]*\s?,\s\Z")  # `Porto, Portugal`
_DIGIT = re.compile(r"\d")
_LOWER_WORD = re.compile(r"(?<!\w)[a-z\u00df-\u00ff]+(?!\w)")
_MINOR = frozenset(
    {"My", "I", "A", "The", "This", "That", "These", "Those", "In", "On", "At", "If", "When", "It"}
)
_MINOR |= {"He", "She", "They", "We", "You", "And", "But", "Or", "As", "By", "For"}


@dataclass(slots=True)
class _Use:
    """
    How a name is used: the words before it, content words near it, the sentences that have it, and
    whether it stands behind a place that lies in it.
    """

    before: Counter[str] = field(default_factory=Counter)
    near: set[str] = field(default_factory=set)
    sentences: set[int] = field(default_factory=set)
    contains: bool = False

    def is_place(self) -> bool:
        """Return whether it stands behind prepositions of place only."""
        return self.before.keys() <= _PLACING | _BEFORE_PLACES


def change_name(reading: Reading) -> Edit | None:
    """Return the first place of a name that becomes another; `answers.py` changes the others as well."""
    language = reading.language
    if language is None or language.code not in _LANGUAGES:
        return None
    texts = [reading.prose, reading.sources, *(other[:_READ_EACH] for other in reading.others[:_OF_OTHERS])]
    uses = _read_uses(texts, language)
    asked, expected = fold(reading.question), fold(reading.reference or "")
    options: list[tuple[tuple[int, int], Edit]] = []
    own = _names_in(reading.prose, language, frozenset())
    known = {name for name, _, _, is_first in own if not is_first}
    for rank, sentence in enumerate(reading.sentences):
        for name, start, _, is_first in own:
            if (
                not sentence.start <= start < sentence.end
                or name not in uses
                or (is_first and name not in known and " " not in name)
            ):
                continue
            if _qualifies(sentence.text, start + len(name) - sentence.start, language):
                continue
            if (
                fold(name) in _WIDE
                or fold(name) in asked
                or any(fold(part) in asked for part in name.split() if len(part) > _SHORT_WORD)
            ):
                continue
            candidates = _like(name, _word_before(reading.prose, start), uses, reading)
            if candidates:
                new = choose(candidates, reading.seed, "name")
                tier = 0 if fold(name) in expected else 1
                edit = Edit(start=start, end=start + len(name), new=new, change=f"{name} \u2192 {new}")
                if not reading.is_stated(edit):
                    options.append(((tier, rank), edit))
    return min(options, key=lambda option: (option[0], option[1].start))[1] if options else None


def _like(name: str, before: str, uses: dict[str, _Use], reading: Reading) -> list[str]:
    """Return the names that are most likely of the same sort, by their form and the words around them."""
    own = uses[name]
    text, asked = fold(reading.prose), fold(f"{reading.question} {reading.reference or ''}")
    points: dict[str, int] = {}
    for other, use in uses.items():
        folded = fold(other)
        if folded in fold(name) or fold(name) in folded or folded in text or folded in asked:
            continue
        if folded in _WIDE:
            continue
        if own.sentences & use.sentences:  # what stands beside it may be as true
            continue
        has_article = before in _ARTICLES
        if before not in use.before and not (has_article and _ARTICLES & use.before.keys()):
            continue
        if _shape(other) != _shape(name) or (use.contains and not own.contains):
            continue
        if SequenceMatcher(None, folded, fold(name)).ratio() > _ALIKE:
            continue
        points[other] = (
            4 * (" " in name and other.split()[-1] == name.rsplit(maxsplit=1)[-1])
            + 3 * bool(_MODEL.search(name) and _MODEL.search(other))
            + 3 * (before in _PLACING and " " not in name and use.is_place() and own.is_place())
            + 2 * min(2, len(use.near & own.near))
        )
    best = max(points.values(), default=0)
    return sorted(other for other, score in points.items() if score == best) if best >= _FEWEST_POINTS else []


def _shape(name: str) -> tuple[int, bool, bool, bool]:
    """Return the number of words, and whether it has digits, only capitals, or capitals inside a word."""
    return (
        len(name.split()),
        bool(_DIGIT.search(name)),
        name.isupper(),
        bool(re.search(r"[a-z][A-Z]", name)),
    )


def _read_uses(texts: list[str], language: Language) -> dict[str, _Use]:
    """Read how the names of some texts are used; a word that is also written small is no name."""
    lower = frozenset(word for text in texts for word in re.findall(r"(?<!\w)[a-z\u00df-\u00ff][\w-]*", text))
    uses: defaultdict[str, _Use] = defaultdict(_Use)
    at = 0
    for text in texts:
        for sentence in split_prose(text):
            at += 1
            for name, start, end, is_first in _names_in(sentence.text, language, lower):
                if is_first and " " not in name:
                    continue
                if _qualifies(sentence.text, end, language):
                    continue
                use = uses[name]
                use.before[_word_before(sentence.text, start)] += 1
                use.near.update(_near(sentence.text, start, end))
                use.sentences.add(at)
                use.contains |= bool(_BEHIND_PLACE.search(sentence.text[max(0, start - 12) : start]))
    return dict(uses)


def _names_in(text: str, language: Language, lower: frozenset[str]) -> list[tuple[str, int, int, bool]]:
    """Return the names of a text with their places, and whether they begin a sentence."""
    calendar = {name for names in language.months for name in names} | {*language.weekdays}
    firsts = {sentence.start for sentence in split_prose(text)}
    names = []
    for match in _NAME.finditer(text):
        name, start = match[0].removesuffix("'s").removesuffix("\u2019s"), match.start()
        is_first = start in firsts or bool(
            re.search(r"[.!?:\u201c\"(*]\s*\Z", text[max(0, start - 3) : start])
        )
        words = name.split()
        if is_first and (
            words[0] in _MINOR or words[0].lower() in language.words or words[0].lower() in lower
        ):
            name = " ".join(words[1:])
            start += len(match[0]) - len(match[0].split(maxsplit=1)[-1]) if len(words) > 1 else 0
            is_first = False
            words = words[1:]
        if (
            not words
            or words[0] in _MINOR
            or words[0].lower() in language.labels
            or _PLURAL_OF_CAPITALS.match(name)
            or calendar & {*words}
            or words[0].lower() in lower
            or not name[0].isupper()
        ):
            continue
        names.append((name, start, start + len(name), is_first))
    return names


def _qualifies(text: str, end: int, language: Language) -> bool:
    """Return whether a name stands before a noun that it qualifies, as in `French cuisine`."""
    match = _LOWER_AFTER.match(text, end)
    is_noun = match is not None and language.code == "en" and match[1] not in FUNCTION_WORDS
    return is_noun or bool(_HYPHEN_AFTER.match(text, end))


def _word_before(text: str, start: int) -> str:
    match = re.search(r"([\w'\u2019]+)[^\w.!?]*\Z", text[max(0, start - 30) : start])
    return match[1].lower() if match else ""


def _near(text: str, start: int, end: int) -> set[str]:
    """Return the content words among the few before and after a name."""
    before = _LOWER_WORD.findall(text[max(0, start - _WINDOW) : start])[-_FEW:]
    after = _LOWER_WORD.findall(text[end : end + _WINDOW])[:_FEW]
    return {word for word in (*before, *after) if len(word) > _SHORT_WORD and word not in FUNCTION_WORDS}
