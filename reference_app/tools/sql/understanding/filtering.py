"""Values, amounts and periods of a question as conditions of rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import OPPOSITE, Amount
from reference_app.tools.sql.linking.links import Value
from reference_app.tools.sql.linking.periods import Period
from reference_app.tools.sql.linking.values import COLUMNS, Things
from reference_app.tools.sql.slots.records import Filter
from reference_app.tools.sql.slots.schema import FIGURES
from reference_app.tools.sql.slots.wording import say_amount, say_period, say_than, say_things, say_value
from reference_app.tools.sql.understanding.reading import CannotTellError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_app.tools.sql.linking.links import Link
    from reference_app.tools.sql.understanding.reading import Reading

# "Released in February" may be of any year; of orders the last February is meant.
_WITH_YEAR = ("products.released", "stores.opened")
_YEAR = re.compile(r"20\d\d|year|month|week|day", re.ASCII)
# "I've got 40 quid", "with only £50", but not "that you sell for £139".
_OWNED = ("have", "ve", "got")
_OWNERS = ("i", "we", "ve", "have", "only", "just")
_HELD = (*_OWNED, "for", "with", "spend", "up", "aside")
_ONLY = ("only", "just", "the", "these", "my")
_PRICED = ("sell", "sold", "selling", "priced", "going", "cost", "costs", "listed")
_GETTING = ("get", "buy", "have", "afford", "pick", "give", "spend")
_MEASURED = ("price", "weight", "rating")


def read_filters(reading: Reading, figure: str = "", period: str = "") -> tuple[Filter, ...]:
    """
    Conditions of all values, amounts and periods that were not used otherwise.

    Args:
        reading: Counts them as used.
        figure: What an amount without a unit is compared with; empty if nothing.
        period: The figure whose day a period narrows; empty if none.
    """
    return tuple(_read_all(reading, figure, period))


def read_than(reading: Reading, comparative: Link, product: Link, name: str) -> Filter:
    """A condition such as "cheaper than the Skerry 3 tent"."""
    figure = "released" if comparative.meaning.name == "age" else comparative.meaning.name
    if figure == "any":  # "for less than the Skerry 2"
        plain = reading.figures("price", "weight")
        figure = "price" if not plain and reading.word_before(comparative) == "for" else "".join(plain)
    if figure not in FIGURES or FIGURES[figure].fold:
        raise CannotTellError(comparative.text)
    reading.use(comparative, product)
    sign = ">" if comparative.meaning.high else "<"
    return Filter(column=FIGURES[figure].value, sign=sign, than=name, label=say_than(figure, sign, name))


def _read_all(reading: Reading, figure: str, period_figure: str) -> Iterator[Filter]:
    kept: set[str] = set()
    for excepted in (False, True):
        same = [(one, to) for one, to in reading.free(Things) if reading.is_excepted(one) is excepted]
        if same:
            reading.use(*(one for one, _ in same))
            things = tuple(to for _, to in same)
            names = {name for to in things for name in to.names}
            if excepted and kept and not kept & names:
                raise CannotTellError("a product without another one")  # "the Gannet 1 without the pegs"
            kept = names
            yield Filter(
                things=things, sign="<>" if excepted else "=", label=say_things(things, excepted=excepted)
            )
    for kind, column in COLUMNS.items():
        for excepted in (False, True):
            found = [
                (one, to.text)
                for one, to in reading.free(Value)
                if to.kind == kind and reading.is_excepted(one) is excepted
            ]
            if found:
                reading.use(*(one for one, _ in found))
                texts = tuple(text for _, text in found)
                label = say_value(kind, texts, excepted=excepted)
                yield Filter(column=column, sign="<>" if excepted else "=", values=texts, label=label)
    for one, amount in reading.free(Amount):
        yield _read_amount(reading, one, amount, figure)
    yield from _read_periods(reading, period_figure)


def _read_periods(reading: Reading, figure: str) -> Iterator[Filter]:
    periods = reading.free(Period)
    if len({(period.first is None, period.end is None) for _, period in periods}) < len(periods):
        raise CannotTellError("two periods")
    for one, period in periods:
        day = FIGURES[figure].day if figure else ""
        past = day == "products.released" and reading.is_after(one, "figure", "price", "weight")
        if past or not day or (day in _WITH_YEAR and not _YEAR.search(one.text)):
            raise CannotTellError(one.text)
        reading.use(one)
        yield from _read_period(period, figure)


def _read_amount(reading: Reading, one: Link, amount: Amount, figure: str) -> Filter:
    before, sign, name = reading.before(one), amount.sign, amount.figure
    if _is_part(reading, one):
        raise CannotTellError(one.text)
    if before is not None and before.meaning.kind == "comparative":
        reading.use(before)
        if sign != "=" or name not in ("", before.meaning.name):
            raise CannotTellError(one.text)
        sign, name = ">" if before.meaning.high else "<", before.meaning.name
        before = reading.before(before)
    if amount.bare and (before is None or before.meaning.kind != "figure"):
        raise CannotTellError(one.text)
    plain = "price" if reading.word_before(one) == "for" and sign in ("<", "<=") else ""
    name = name or _find_nearest_figure(reading, one) or figure or plain
    while before is not None and before.meaning.kind == "figure":
        before = reading.before(before)
    if before is not None and before in reading.meanings("ask", "not"):
        reading.use(before)
        if sign == "between":
            raise CannotTellError(one.text)
        sign = OPPOSITE[sign]
    sign = _limit(reading, one, name, sign)
    if name not in _MEASURED or (name == "weight" and _is_load(reading, one, sign)):
        raise CannotTellError(one.text)
    reading.use(one)
    values = (amount.low, amount.high) if sign == "between" else (amount.low,)
    return Filter(column=FIGURES[name].value, sign=sign, values=values, label=say_amount(name, sign, values))


def _is_part(reading: Reading, one: Link) -> bool:
    """Whether an amount is only a step to what is meant: "£40 a month", "£20 less than the poncho"."""
    after = reading.after(one)
    if after is None:
        return False
    times = after in reading.meanings("noun", "month", "year") and after.first - one.last <= 1
    return times or (after.meaning.kind == "comparative" and after.first == one.last)


def _limit(reading: Reading, one: Link, name: str, sign: str) -> str:
    """The sign; of a plain amount that somebody can spend that of a limit."""
    if not _is_limit(reading, one, name) or sign != "=":
        return sign
    if reading.names_only and not (reading.wants_yes or reading.has("rank") or reading.has("comparative")):
        raise CannotTellError(one.text)  # "I've got £100. How much is the Squall?"
    return "<="


def _is_limit(reading: Reading, one: Link, name: str) -> bool:
    """Whether an amount is what somebody can spend: "what can I get for £50"."""
    words, at = reading.words, one.first
    while at and words[at - 1] in _ONLY:
        at -= 1
    held, holder = words[at - 1] if at else "", words[at - 2] if at > 1 else ""
    owned = held in _OWNED and holder in _OWNERS
    spent = owned or (held in _HELD and holder not in _PRICED and reading.says(*_GETTING))
    exact = reading.says("exactly", "precisely")
    return reading.asks("budget") or (name == "price" and spent and not exact)


def _is_load(reading: Reading, one: Link, sign: str) -> bool:
    """Whether a weight may be what something carries: "can the table hold 50 kg"."""
    weighed = reading.has("figure", "weight") or reading.has("comparative", "weight")
    loaded = reading.says("carry", "hold", "take") or reading.word_before(one) == "for"
    return not weighed and (sign == "=" or loaded)


def _find_nearest_figure(reading: Reading, one: Link) -> str:
    """The figure word before an amount, or the one behind it: "weigh under 2", "under 2 in weight"."""
    figures = reading.meanings("figure")
    nearest = min(
        figures, key=lambda each: (abs(each.first - one.first), each.first > one.first), default=None
    )
    return nearest.meaning.name if nearest else ""


def _read_period(period: Period, figure: str) -> Iterator[Filter]:
    label = say_period(figure, period.first, period.end)
    for sign, day in ((">=", period.first), ("<", period.end)):
        if day is not None:
            yield Filter(column=FIGURES[figure].day, sign=sign, values=(day.isoformat(),), label=label)
            label = ""
