"""A question as parts that are linked to the database, and the words that are not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount, find_amounts
from reference_app.tools.sql.linking.fillers import find_fillers
from reference_app.tools.sql.linking.lexicon import LONG, WORD, Meaning, load_lexicon, stem
from reference_app.tools.sql.linking.periods import Period, find_periods
from reference_app.tools.sql.linking.plain import write_plainly
from reference_app.tools.sql.linking.values import Things, Values

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
_PLAIN = {"normal", "regular", "standard", "plain", "ordinary", "basic", "simple", "usual"}
_ORDER = re.compile(r"\bFW-\d{5}\b", re.ASCII | re.IGNORECASE)
_NOTHING = Meaning(kind="", name="")
_PASSED = Meaning(kind="stop", name="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value of one of the columns of `values.COLUMNS`, or an order's number."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """
    Words of the question and what they stand for.

    Attributes:
        first: Place of the first word.
        last: Place behind the last word.
        text: The words.
    """

    first: int
    last: int
    text: str
    to: Meaning | Things | Value | Amount | Period

    @property
    def meaning(self) -> Meaning:
        """What it stands for in the lexicon; nothing where it is a value, an amount or a period."""
        return self.to if isinstance(self.to, Meaning) else _NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """
    Attributes:
        text: The question in plain letters.
        links: In its order, without what may be passed over; no two overlap.
        unlinked: Words that stand for nothing here.
    """

    text: str
    words: tuple[str, ...]
    links: tuple[Link, ...]
    unlinked: tuple[str, ...]


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
    settled = tuple(_settle(list(_join(kept, values)), texts))
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


def _join(links: Sequence[Link], values: Values) -> Iterator[Link]:
    """A product and the noun behind it are one: "Squall jackets", "Skerry tents"."""
    waiting: Link | None = None
    for one in links:
        if (
            waiting is not None
            and waiting.last == one.first
            and isinstance(waiting.to, Things)
            and isinstance(one.to, Things)
            and (both := _meet(waiting.to, one.to, values))
        ):
            text = f"{waiting.text} {one.text}"
            label = both[0] if len(both) == 1 else text
            things = Things(label=label, names=both)
            waiting = Link(first=waiting.first, last=one.last, text=text, to=things)
            continue
        if waiting is not None:
            yield waiting
        waiting = one
    if waiting is not None:
        yield waiting


def _settle(links: list[Link], words: Sequence[str]) -> Iterator[Link]:
    """Which of several is meant, by what it goes with: "the Skerry 2 and its footprint"."""
    _settle_sizes(links)
    _settle_plain(links, words)
    named = {one.to.names[0]: one for one in links if isinstance(one.to, Things) and len(one.to.names) == 1}
    gone: set[int] = set()
    for place, one in enumerate(links):
        if not isinstance(one.to, Things) or one.to.category:
            continue
        fitting = [
            (name, other)
            for name in one.to.names
            for whole, other in named.items()
            if _goes_with(name, whole)
        ]
        if len(fitting) == 1 and fitting[0][1] is not one:
            name, other = fitting[0]
            links[place] = Link(
                first=one.first, last=one.last, text=one.text, to=Things(label=name, names=(name,))
            )
            between = [word.lower() for word in words[one.last : other.first]]
            if between and between[0] == "for" and set(between) <= {"for", "the", "a", "my", "your"}:
                gone.add(id(other))
    return (one for one in links if id(one) not in gone)


def _settle_sizes(links: list[Link]) -> None:
    """A size beside a name chooses among its products: "the 450 g gas canister"."""
    for place, one in enumerate(links):
        for near in (place - 1, place + 1):
            if not 0 <= near < len(links) or not isinstance(one.to, Things) or len(one.to.names) == 1:
                continue
            other = links[near]
            size = {stem(word) for word in WORD.findall(other.text)}
            names = tuple(
                name for name in one.to.names if size <= {stem(word) for word in WORD.findall(name)}
            )
            touching = other.last == one.first or one.last == other.first
            sized = isinstance(other.to, Amount) and other.to.figure == "weight" and other.to.sign == "="
            if sized and touching and len(names) == 1:
                first, last = min(one.first, other.first), max(one.last, other.last)
                links[place] = Link(
                    first=first, last=last, text=one.text, to=Things(label=names[0], names=names)
                )
                del links[near]
                return


def _settle_plain(links: list[Link], words: Sequence[str]) -> None:
    """Of those that share a name the one without more to it: "the Drift Wide and the normal Drift mat"."""
    named = {one.to.names for one in links if isinstance(one.to, Things) and len(one.to.names) == 1}
    for place, one in enumerate(links):
        if not isinstance(one.to, Things) or len(one.to.names) == 1:
            continue
        known = {name: {*map(stem, WORD.findall(name))} for name in one.to.names}
        own = stem(WORD.findall(one.text)[0])
        if not all(stem(WORD.findall(name)[0]) == own for name in known):
            continue  # "backpacks" are no name
        before = words[one.first - 1].lower() if one.first else ""
        plain = [name for name in known if before in _PLAIN and all(known[name] <= other for other in known.values())]
        left = [name for name in known if (name,) not in named]
        chosen = plain or (left if len(left) < len(known) else [])
        if len(chosen) == 1:
            to = Things(label=chosen[0], names=(chosen[0],))
            links[place] = Link(first=one.first - bool(plain), last=one.last, text=one.text, to=to)


def _goes_with(name: str, whole: str) -> bool:
    """Whether a product is for another one: `Footprint for Skerry 2` for `Skerry 2 tent`."""
    tail = name.partition(" for ")[2]
    return (
        bool(tail)
        and name != whole
        and set(map(stem, WORD.findall(tail))) <= set(map(stem, WORD.findall(whole)))
    )


def _meet(left: Things, right: Things, values: Values) -> tuple[str, ...]:
    def holds(things: Things, name: str) -> bool:
        return name in things.names or values.categories.get(name) == things.category

    if left.category:  # "the tent Skerry 2"
        return right.names if not right.category and all(holds(left, name) for name in right.names) else ()
    return tuple(name for name in left.names if holds(right, name))
