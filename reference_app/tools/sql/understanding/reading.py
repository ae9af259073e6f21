"""Looks at the links of a question, and keeps account of which of them were used."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.linking.links import Value
from reference_app.tools.sql.linking.periods import Period
from reference_app.tools.sql.linking.values import Things

if TYPE_CHECKING:
    from reference_app.tools.sql.linking.links import Link, Linked

To = TypeVar("To")
# What may stand in a question without changing what is wanted, once the rest has been understood.
_IDLE = {"noun", "figure"}
_IDLE_ASKS = {"have", "when", "where", "much", "each", "both", "everywhere", "count"}
_PRONOUNS = ("it", "its", "this", "they", "them", "their", "those", "these", "one", "he", "she")
_BEFORE_PRONOUN = {"does", "do", "did", "is", "was", "would", "for", "with", "about", "and"}
_ASKING = ("how", "what", "which", "when", "where")
_WISHES = ("which", "what", "how", "tell", "show", "give", "list", "know")
_BETWEEN = ("in", "from", "at", "of", "for", "also", "then", "by")
_YES_NO = {
    "is", "are", "do", "does", "did", "can", "could", "have", "has", "was", "were", "any", "got", "will",
    "would",
}  # fmt: skip


class CannotTellError(Exception):
    """The links do not say one thing only."""


class Reading:
    """
    Args:
        linked: Without unlinked words.
    """

    def __init__(self, linked: Linked) -> None:
        self.words, self.links = linked.words, linked.links
        self._used: set[int] = set()
        self._elsewhere: set[int] = set()

    # What stands in the question

    def all(self, kind: type[To]) -> list[tuple[Link, To]]:
        """Links to things of a kind, in their order."""
        return [(one, one.to) for one in self.links if isinstance(one.to, kind)]

    def free(self, kind: type[To]) -> list[tuple[Link, To]]:
        """Those of them that were not used yet."""
        return [(one, to) for one, to in self.all(kind) if id(one) not in self._used]

    def meanings(self, kind: str, *names: str) -> list[Link]:
        """Links to words of a kind."""
        return [
            one for one in self.links if one.meaning.kind == kind and (not names or one.meaning.name in names)
        ]

    def has(self, kind: str, *names: str) -> bool:
        """Whether one of these stands there."""
        return bool(self.meanings(kind, *names))

    def asks(self, *names: str) -> bool:
        """Whether the question asks for one of these; it counts as used."""
        found = self.meanings("ask", *names)
        self.use(*found)
        return bool(found)

    def figures(self, *names: str) -> list[str]:
        """The figures that the question names, once each."""
        return list(dict.fromkeys(one.meaning.name for one in self.meanings("figure", *names)))

    def values(self, kind: str) -> list[Link]:
        """Links to values of a kind."""
        return [one for one, value in self.all(Value) if value.kind == kind]

    @property
    def named(self) -> list[tuple[Link, str]]:
        """Links that name one product, with its name."""
        return [(one, things.names[0]) for one, things in self.all(Things) if len(things.names) == 1]

    @property
    def names_only(self) -> bool:
        """Whether the question names products, each by a name that only one has."""
        return len(self.named) == len(self.all(Things)) > 0

    def before(self, one: Link) -> Link | None:
        """The link before this one."""
        place = self.links.index(one)
        return self.links[place - 1] if place else None

    def after(self, one: Link) -> Link | None:
        """The link behind this one."""
        place = self.links.index(one) + 1
        return self.links[place] if place < len(self.links) else None

    def is_after(self, one: Link, kind: str, *names: str) -> bool:
        """Whether a word of the kind is the link before this one."""
        before = self.before(one)
        return before is not None and before in self.meanings(kind, *names)

    def word_before(self, one: Link) -> str:
        """The word that stands before the link, whether it was linked or passed over."""
        return self.words[one.first - 1] if one.first else ""

    def says(self, *words: str) -> bool:
        """Whether one of the words stands anywhere."""
        return bool({*words} & {*self.words})

    @property
    def wants_yes(self) -> bool:
        """Whether the question can be answered by yes or no."""
        asks = self.has("ask", "count", "much", "when", "where") or self.says(*_WISHES)
        return self.words[0] in _YES_NO and not asks

    @property
    def requests(self) -> int:
        """How many things are asked for: "how many are there, and what do they cost?" asks for two."""
        words = [word for word in self.words if word not in _BETWEEN]
        asked = [place for place, word in enumerate(words) if word in _ASKING]
        later = sum(place > 0 and words[place - 1] == "and" for place in asked)
        return later + 1  # before the first "and" something else was said or asked

    @property
    def asks_weight(self) -> bool:
        """Whether the unit of what is asked is one of weight: "how many grams"."""
        units = ("gram", "grams", "kilo", "kilos", "kilogram", "kilograms")
        return any({*units} & {*one.text.lower().split()} for one in self.meanings("ask", "much"))

    @property
    def says_of_all(self) -> bool:
        """Whether a question is of all of several, or of one alone."""
        return self.says("every", "both", "only") or any(
            word == "all" and not (place and self.words[place - 1] == "at")
            for place, word in enumerate(self.words)
        )

    @property
    def refers_back(self) -> bool:
        """Whether a pronoun stands for something that was said before."""
        return self.says(*_PRONOUNS) or any(
            word == "that" and (place == 0 or self.words[place - 1] in _BEFORE_PRONOUN)
            for place, word in enumerate(self.words)
        )

    # Which links were used

    def use(self, *links: Link) -> None:
        """Count links as used."""
        self._used |= {id(one) for one in links}

    def use_elsewhere(self, *links: Link) -> None:
        """Count "not" or "without" as used, and not of the value behind it."""
        self.use(*links)
        self._elsewhere |= {id(one) for one in links}

    def forget(self, one: Link) -> None:
        """Count a link as not used after all."""
        self._used.discard(id(one))

    def is_used(self, one: Link) -> bool:
        """Whether the link was used."""
        return id(one) in self._used

    def is_excepted(self, one: Link) -> bool:
        """Whether "not" or "except" stands before the link, or before what it is joined to by "or"."""
        before = self.before(one)
        if before is None or id(before) in self._elsewhere:
            return False
        colour = isinstance(one.to, Value) and one.to.kind == "colour"
        if before in self.meanings("ask", *(("except", "not") if colour else ("except",))):
            self.use(before)
            return True
        joined = self.word_before(one) in ("or", "and", "nor") and type(before.to) is type(one.to)
        return joined and self.is_excepted(before)

    def use_fillers(self) -> None:
        """Count words as used that say nothing more beside their neighbours."""
        if self.has("figure", "released"):
            self.asks("new")
        if self.has("noun", "colour", "country") or self.values("colour") or self.values("country"):
            self.asks("come")
        if self.has("figure", "rating"):
            self.asks("how")
        if self.has("noun", "category") or any(things.category for _, things in self.all(Things)):
            self.asks("contain")
        compared = self.has("comparative") or self.has("ask", "difference", "same")
        for one, amount in self.all(Amount):  # "which of your two headlamps"
            things = _things_behind(self, one)
            counted = things is not None and len(things.names) == amount.low and amount.bare
            before = self.word_before(one)
            if counted and compared and before in ("your", "the", "those", "these"):
                self.use(one)
            after = self.after(one)
            if before in ("which", "what") and after is not None and not self.has("rank") and amount.bare:
                self.use(one)  # "which two products cost £199"
        self._use_today()
        for one in self.meanings("ask", "under"):  # "what you sell under Electronics"
            things = _things_behind(self, one)
            if things is not None and things.category:
                self.use(one)

    def _use_today(self) -> None:
        """What is in stock is so today."""
        placed = self.values("city") or self.has("ask", "where", "sold_out")
        if (placed or self.has("figure", "quantity")) and not self.has(
            "figure", "released", "opened", "sold"
        ):
            self.use(*(one for one, _ in self.all(Period) if one.text.lower() == "today"))

    def check(self) -> None:
        """Raise where a part of the question has changed nothing, since then something else was meant."""
        for one in self.links:
            idle = one.meaning.kind in _IDLE or (one.meaning.kind == "ask" and one.meaning.name in _IDLE_ASKS)
            if not idle and id(one) not in self._used:
                raise CannotTellError(one.text)


def _things_behind(reading: Reading, one: Link) -> Things | None:
    after = reading.after(one)
    return after.to if after is not None and isinstance(after.to, Things) else None
