"""Looks at the links of a question, and keeps account of which of them were used."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from reference_app.tools.sql.linking.amounts import OPPOSITE, Amount
from reference_app.tools.sql.linking.lexicon import Meaning
from reference_app.tools.sql.linking.periods import Period
from reference_app.tools.sql.linking.question import Link, Linked, Value
from reference_app.tools.sql.linking.values import COLUMNS, Things
from reference_app.tools.sql.understanding.schema import FIGURES
from reference_app.tools.sql.understanding.slots import Filter
from reference_app.tools.sql.understanding.wording import (
    say_amount,
    say_period,
    say_than,
    say_things,
    say_value,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

To = TypeVar("To")
# What may stand in a question without changing what is wanted, once the rest has been understood.
_IDLE = {"noun", "figure"}
_IDLE_ASKS = {"have", "when", "where", "much", "each", "both", "everywhere", "count", "come"}
_PRONOUNS = ("it", "its", "this", "they", "them", "their", "those", "these", "one", "he", "she")
_YES_NO = {"is", "are", "do", "does", "did", "can", "could", "have", "has", "was", "were", "any", "got", "will", "would"}


class CannotTellError(Exception):
    """The links do not say one thing only."""


class Reading:
    """
    Args:
        linked: Without unlinked words.
    """

    def __init__(self, linked: Linked) -> None:
        self.linked, self.links = linked, linked.links
        self._used: set[int] = set()
        self._elsewhere: set[int] = set()

    # What stands in the question

    def all(self, kind: type[To]) -> list[tuple[Link, To]]:
        """Links to things of a kind, in their order."""
        return [(one, one.to) for one in self.links if isinstance(one.to, kind)]

    def meanings(self, kind: str, *names: str) -> list[Link]:
        """Links to words of a kind."""
        return [
            one
            for one in self.links
            if isinstance(one.to, Meaning) and one.to.kind == kind and (not names or one.to.name in names)
        ]

    def asks(self, *names: str) -> bool:
        """Whether one of these stands there; it counts as used."""
        found = self.meanings("ask", *names)
        self.use(*found)
        return bool(found)

    def has(self, kind: str, *names: str) -> bool:
        """Whether one of these stands there."""
        return bool(self.meanings(kind, *names))

    def figures(self, *names: str) -> list[str]:
        """The figures that the question names, once each."""
        return list(dict.fromkeys(one.to.name for one in self.meanings("figure", *names) if isinstance(one.to, Meaning)))

    def values(self, kind: str) -> list[Link]:
        """Links to values of a kind."""
        return [one for one, value in self.all(Value) if value.kind == kind]

    def before(self, one: Link) -> Link | None:
        """The link before this one."""
        place = self.links.index(one)
        return self.links[place - 1] if place else None

    def after(self, one: Link) -> Link | None:
        """The link behind this one."""
        place = self.links.index(one) + 1
        return self.links[place] if place < len(self.links) else None

    def word_before(self, one: Link) -> str:
        """The word that stands before the link, whether it was linked or passed over."""
        return self.linked.words[one.first - 1] if one.first else ""

    def says(self, *words: str) -> bool:
        """Whether one of the words stands anywhere."""
        return bool({*words} & {*self.linked.words})

    @property
    def wants_yes(self) -> bool:
        """Whether the question can be answered by yes or no."""
        return self.linked.words[0] in _YES_NO and not (
            self.has("ask", "count", "much", "when", "where") or self.says("which", "what", "how")
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

    def use_fillers(self) -> None:
        """Count words as used that say nothing more beside their neighbours."""
        if self.has("figure", "released"):
            self.asks("new")
        if self.has("noun", "category") or any(things.category for _, things in self.all(Things)):
            self.asks("contain")
        for one, amount in self.all(Amount):  # "which of your two headlamps"
            after = self.after(one)
            if (
                amount.bare
                and after is not None
                and isinstance(after.to, Things)
                and len(after.to.names) == amount.low
                and self.word_before(one) in ("your", "the", "those", "these")
                and (self.has("comparative") or self.has("ask", "difference", "same"))
            ):
                self.use(one)
        for one in self.meanings("ask", "under"):  # "what you sell under Electronics"
            after = self.after(one)
            if after is not None and isinstance(after.to, Things) and after.to.category:
                self.use(one)

    def refers_back(self) -> bool:
        """Whether a pronoun stands for something that was said before."""
        words = self.linked.words
        relative = {"does", "do", "did", "is", "was", "would", "for", "with", "about", "and"}
        return self.says(*_PRONOUNS) or any(
            word == "that" and (place == 0 or words[place - 1] in relative) for place, word in enumerate(words)
        )

    def check(self) -> None:
        """Raise where a part of the question has changed nothing, since then something else was meant."""
        for one in self.links:
            if id(one) in self._used:
                continue
            if isinstance(one.to, Meaning) and (
                one.to.kind in _IDLE or (one.to.kind == "ask" and one.to.name in _IDLE_ASKS)
            ):
                continue
            raise CannotTellError(one.text)

    # Conditions

    def filters(self, figure: str, period_figure: str) -> Iterator[Filter]:
        """
        Conditions of all values, amounts and periods that were not used otherwise.

        Args:
            figure: What an amount without a unit is compared with; empty if nothing.
            period_figure: What a period narrows; empty if nothing.
        """
        yield from self._filter_things()
        for kind in COLUMNS:
            yield from self._filter_values(kind)
        for one, amount in self.all(Amount):
            if not self.is_used(one):
                yield self._filter_amount(one, amount, figure)
        for one, period in self.all(Period):
            if self.is_used(one):
                continue
            column = FIGURES[period_figure].day if period_figure else ""
            if not column:
                raise CannotTellError(one.text)
            self.use(one)
            yield from _filter_period(period, period_figure, column)

    def _filter_things(self) -> Iterator[Filter]:
        for excepted in (False, True):
            same = [
                (one, things)
                for one, things in self.all(Things)
                if not self.is_used(one) and self._is_excepted(one) is excepted
            ]
            if same:
                self.use(*(one for one, _ in same))
                things = tuple(each for _, each in same)
                yield Filter(things=things, sign="<>" if excepted else "=", label=say_things(things, excepted))

    def _filter_values(self, kind: str) -> Iterator[Filter]:
        for excepted in (False, True):
            same = [one for one in self.values(kind) if not self.is_used(one) and self._is_excepted(one) is excepted]
            if same:
                self.use(*same)
                texts = tuple(one.to.text for one in same if isinstance(one.to, Value))
                label = say_value(kind, texts, excepted)
                yield Filter(column=COLUMNS[kind], sign="<>" if excepted else "=", values=texts, label=label)

    def _is_excepted(self, one: Link) -> bool:
        """Whether "not" or "except" stands before the link, or before the value that it is joined to by "or"."""
        before = self.before(one)
        if before is None or id(before) in self._elsewhere:
            return False
        if isinstance(before.to, Meaning) and before.to.kind == "ask":
            negating = before.to.name == "except" or (
                before.to.name == "not" and isinstance(one.to, Value) and one.to.kind == "colour"
            )
            if negating:
                self.use(before)
            return negating
        joined = self.word_before(one) in ("or", "and", "nor") and type(before.to) is type(one.to)
        return joined and self._is_excepted(before)

    def _filter_amount(self, one: Link, amount: Amount, figure: str) -> Filter:
        before, sign = self.before(one), amount.sign
        name = amount.figure
        if before is not None and isinstance(before.to, Meaning) and before.to.kind == "comparative":
            self.use(before)
            if sign != "=" or name not in ("", before.to.name):
                raise CannotTellError(one.text)
            sign, name = ">" if before.to.high else "<", before.to.name
            before = self.before(before)
        if amount.bare and not (before is not None and isinstance(before.to, Meaning) and before.to.kind == "figure"):
            raise CannotTellError(one.text)
        name = name or self._nearest_figure(one) or figure
        while before is not None and isinstance(before.to, Meaning) and before.to.kind == "figure":
            before = self.before(before)
        if before is not None and before in self.meanings("ask", "not"):
            self.use(before)
            if sign == "between":
                raise CannotTellError(one.text)
            sign = OPPOSITE[sign]
        if self.asks("budget"):
            sign = "<=" if sign == "=" else sign
        if name not in ("price", "weight", "rating"):
            raise CannotTellError(one.text)
        self.use(one)
        values = (amount.low, amount.high) if sign == "between" else (amount.low,)
        label = say_amount(name, sign, values)
        return Filter(column=FIGURES[name].value, sign=sign, values=values, label=label)

    def _nearest_figure(self, one: Link) -> str:
        """The figure word before an amount, or the one behind it: "weigh under 2", "under 2 in weight"."""
        places = [(abs(each.first - one.first), each.first > one.first, each) for each in self.meanings("figure")]
        found = min(places, key=lambda place: place[:2], default=None)
        return found[2].to.name if found and isinstance(found[2].to, Meaning) else ""

    def filter_than(self, comparative: Link, product: Link, name: str) -> Filter:
        """A condition such as "cheaper than the Skerry 3 tent"."""
        meaning = comparative.to
        assert isinstance(meaning, Meaning)  # noqa: S101 - a comparative is one
        figure = "released" if meaning.name == "age" else meaning.name
        if FIGURES[figure].fold:
            raise CannotTellError(comparative.text)
        self.use(comparative, product)
        sign = ">" if meaning.high else "<"
        return Filter(column=FIGURES[figure].value, sign=sign, than=name, label=say_than(figure, sign, name))


def _filter_period(period: Period, figure: str, column: str) -> Iterator[Filter]:
    sides = ((">=", period.first), ("<", period.end))
    label = say_period(figure, period.first, period.end)
    for sign, day in sides:
        if day is not None:
            yield Filter(column=column, sign=sign, values=(day.isoformat(),), label=label)
            label = ""
