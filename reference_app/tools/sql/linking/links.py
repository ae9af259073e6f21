"""Parts of a question and what they stand for; of several products those that their neighbours say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.linking.lexicon import WORD, Meaning, stem
from reference_app.tools.sql.linking.values import Things

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reference_app.tools.sql.linking.periods import Period
    from reference_app.tools.sql.linking.values import Values

_PLAIN = {"normal", "regular", "standard", "plain", "ordinary", "basic", "simple", "usual"}
_NOTHING = Meaning(kind="", name="")


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


def choose(links: Sequence[Link], words: Sequence[str], values: Values) -> Iterator[Link]:
    """The links with fewer products where their neighbours say which are meant; some become one."""
    return _settle(list(_join(links, values)), words)


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
            waiting = replace(waiting, last=one.last, text=text, to=things)
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
            links[place] = replace(one, to=Things(label=name, names=(name,)))
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
                links[place] = replace(one, first=first, last=last, to=Things(label=names[0], names=names))
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
        plain = [
            name
            for name in known
            if before in _PLAIN and all(known[name] <= other for other in known.values())
        ]
        left = [name for name in known if (name,) not in named]
        chosen = plain or (left if len(left) < len(known) else [])
        if len(chosen) == 1:
            to = Things(label=chosen[0], names=(chosen[0],))
            links[place] = replace(one, first=one.first - bool(plain), to=to)


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
