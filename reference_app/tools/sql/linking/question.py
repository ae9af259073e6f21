"""A question as parts that are linked to the database, and the words that are not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount, find_amounts
from reference_app.tools.sql.linking.fillers import find_fillers
from reference_app.tools.sql.linking.lexicon import LONG, WORD, Meaning, load_lexicon, stem
from reference_app.tools.sql.linking.links import Link, Linked, Value, choose
from reference_app.tools.sql.linking.periods import Period, find_periods
from reference_app.tools.sql.linking.plain import write_plainly
from reference_app.tools.sql.linking.values import Values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

_LONGEST = 7  # words in a phrase or a name
_MIN_MISSPELT = 6  # characters; in shorter words one letter makes another word
_OFTEN_MISSPELT = {
    "noun",
    "rank",
    "comparative",
    "price",
    "weight",
    "released",
    "average",
    "total",
    "difference",
}
_ORDER = re.compile(r"\bFW-\d{5}\b", re.ASCII | re.IGNORECASE)
_PASSED = Meaning(kind="stop", name="")


def link(question: str, values: Values, today: date) -> Linked:
    """What the words of a question stand for; longer phrases win over shorter ones."""
    text = write_plainly(question)
    words = list(WORD.finditer(text))
    texts = [word[0] for word in words]
    taken: list[Link | None] = [None] * len(words)
    for found in _candidates(text, words, values, today):
        if not any(taken[found.first : found.last]):
            taken[found.first : found.last] = [found] * (found.last - found.first)
    for place in find_fillers(texts, [one and one.to for one in taken]):
        taken[place] = Link(first=place, last=place + 1, text=texts[place], to=_PASSED)
    links = [one for place, one in enumerate(taken) if one and (place == 0 or taken[place - 1] is not one)]
    kept = [one for one in links if not (isinstance(one.to, Meaning) and one.to.kind == "stop")]
    settled = tuple(choose(kept, texts, values))
    within = {place for one in settled for place in range(one.first, one.last)}
    return Linked(
        text=text,
        words=tuple(map(str.lower, texts)),
        links=settled,
        unlinked=tuple(
            texts[place] for place, one in enumerate(taken) if one is None and place not in within
        ),
    )


def _candidates(text: str, words: Sequence[re.Match[str]], values: Values, today: date) -> Iterator[Link]:
    def at(start: int, stop: int, to: Amount | Period | Value) -> Link:
        inside = [place for place, word in enumerate(words) if word.end() > start and word.start() < stop]
        first, last = (inside[0], inside[-1] + 1) if inside else (0, 0)
        return Link(first=first, last=last, text=text[start:stop], to=to)

    for match in _ORDER.finditer(text):
        yield at(match.start(), match.end(), Value(kind="order", text=match[0].upper()))
    yield from _find_products(text, words, values)
    for period in find_periods(text, today):
        yield at(period.start, period.stop, period)
    amounts = find_amounts(text)
    yield from (at(amount.start, amount.stop, amount) for amount in amounts if not amount.bare)
    yield from _find_phrases(text, words, values)
    yield from (at(amount.start, amount.stop, amount) for amount in amounts if amount.bare)
    yield from _find_misspelt(words)


def _spans(words: Sequence[re.Match[str]], at_least: int) -> Iterator[tuple[int, int]]:
    for length in range(min(_LONGEST, len(words)), at_least - 1, -1):
        yield from ((first, first + length) for first in range(len(words) - length + 1))


def _find_products(text: str, words: Sequence[re.Match[str]], values: Values) -> Iterator[Link]:
    for first, last in _spans(words, 2):
        texts = [word[0] for word in words[first:last]]
        said = [one for before, one in zip(["", *texts], texts, strict=False) if not _is_article(before, one)]
        found = values.find_products(said)
        if found:
            yield Link(
                first=first, last=last, text=text[words[first].start() : words[last - 1].end()], to=found
            )


def _is_article(before: str, word: str) -> bool:
    """An article within a name: "the footprint for the Skerry 2"."""
    return before.lower() == "for" and word.lower() in {"a", "an", "the", "my", "your"}


def _find_phrases(text: str, words: Sequence[re.Match[str]], values: Values) -> Iterator[Link]:
    lexicon = load_lexicon()
    stems = tuple(stem(word[0]) for word in words)
    leveled = bool({"level", "tier", "customer", "member", "client"} & set(stems))
    for first, last in _spans(words, 1):
        phrase = stems[first:last]
        passage = text[words[first].start() : words[last - 1].end()]
        if category := values.find_category(phrase):
            yield Link(first=first, last=last, text=passage, to=category)
        for kind, value in values.find_values(phrase).items():
            if kind != "level" or leveled:
                yield Link(first=first, last=last, text=passage, to=Value(kind=kind, text=value))
        if last - first == 1 or phrase in lexicon.aliases:
            found = values.find_products([word[0] for word in words[first:last]])
            if found:
                yield Link(first=first, last=last, text=passage, to=found)
        meaning = lexicon.meanings.get(phrase) or lexicon.loose.get(lexicon.shorten(phrase))
        if meaning:
            yield Link(first=first, last=last, text=passage, to=meaning)


def _find_misspelt(words: Sequence[re.Match[str]]) -> Iterator[Link]:
    """Words of the lexicon with a slip of the keys in them."""
    from rapidfuzz.distance import OSA

    lexicon = load_lexicon()
    known = {
        phrase[0]: meaning
        for phrase, meaning in lexicon.meanings.items()
        if len(phrase) == 1 and (meaning.kind in _OFTEN_MISSPELT or meaning.name in _OFTEN_MISSPELT)
    }
    for place, word in enumerate(words):
        written = stem(word[0])
        if len(written) >= LONG and written.isalpha() and written not in lexicon.real_words:
            near = [
                meaning
                for other, meaning in known.items()
                if len(other) >= LONG
                and other[0] == written[0]
                and (len(written) >= _MIN_MISSPELT or sorted(written) == sorted(other))
                and OSA.distance(written, other, score_cutoff=1) <= 1
            ]
            if near and all(one == near[0] for one in near):
                yield Link(first=place, last=place + 1, text=word[0], to=near[0])
