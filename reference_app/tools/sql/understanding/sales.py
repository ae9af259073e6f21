"""Links to slots: what a question about orders, refunds, reviews, customers and points wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.linking.question import Value
from reference_app.tools.sql.linking.values import Things
from reference_app.tools.sql.understanding.filtering import read_filters
from reference_app.tools.sql.understanding.ranks import MAX_COUNT
from reference_app.tools.sql.understanding.reading import CannotTellError
from reference_app.tools.sql.slots.records import Filter, Having, Rank, Slots
from reference_app.tools.sql.slots.wording import say_amount

if TYPE_CHECKING:
    from reference_app.tools.sql.linking.question import Link
    from reference_app.tools.sql.understanding.reading import Reading

_NOUNS = {
    "order": "orders", "refund": "refunds", "review": "reviews", "customer": "customers", "parcel": "parcels",
}  # fmt: skip
_FIGURES = ("turnover", "sold", "point", "amount", "rating")
_SUBJECTS = ("product", "store", "category", "colour", "status", "country", "level", "carrier", "reason", "month", "year")
_RANKS = ("sold", "rating", "reviews")


def is_of_sales(reading: Reading) -> bool:
    """Whether the question is about what was ordered, refunded or reviewed, not about the catalogue."""
    return (
        reading.has("noun", *_NOUNS)
        or reading.has("figure", *_FIGURES)
        or reading.has("rank", *_RANKS)
        or any(isinstance(one.to, Value) and one.to.kind not in ("colour", "city") for one in reading.links)
    )


def compose_sales(reading: Reading) -> Slots:
    """The slots; raises CannotTellError."""
    if orders := reading.values("order"):
        return _compose_order(reading, orders)
    personal = reading.says("i", "my", "mine", "it", "that", "this", "these", "those", "they", "them")
    if personal or reading.has("comparative") or reading.has("ask", "where", "sold_out", "range", "difference", "same"):
        raise CannotTellError("sales")
    rank = _read_rank(reading)
    figure = _read_figure(reading)
    if figure not in ("turnover", "spending", "amount") and reading.has("figure", "price", "weight", "released", "quantity", "opened"):
        raise CannotTellError("another figure beside")
    if figure in ("orders", "customers", "parcels", "refunds", "reviews") and not (rank or reading.has("ask", "count", "each")):
        if not any(reading.word_before(one) in ("by", "per") for one in reading.meanings("noun")):
            raise CannotTellError("a list")
    subject = _find_subject(reading, figure, ranked=rank is not None)
    counting = reading.asks("count", "much", "total", "average")
    if not (counting or subject or rank or figure in ("rating", "turnover")):
        raise CannotTellError("a list of orders or customers")
    having = _read_rating(reading) if figure == "rating" and subject == "product" else ()
    filters = (*_read_own_filters(reading, figure), *read_filters(reading, "rating" if figure == "reviews" else "", figure))
    if rank is not None and subject not in ("product", "category", "store", "country", "colour", "carrier", "reason", "month", "status"):
        raise CannotTellError("rank")
    if not subject and figure == "rating" and not filters:
        raise CannotTellError("rating")
    return Slots(subject=subject, figures=(figure,), filters=filters, having=having, rank=rank)


def _compose_order(reading: Reading, orders: list[Link]) -> Slots:
    """The goods of one order, or what they cost together."""
    total = reading.asks("total", "much") or reading.has("figure", "price")
    if len(orders) > 1 or reading.all(Things) or reading.has("noun", "customer", "carrier", "parcel", "status"):
        raise CannotTellError("order")
    reading.use(*orders)
    one = orders[0].to
    if not isinstance(one, Value) or not (total or reading.has("noun", "product") or reading.says("what's", "what", "in")):
        raise CannotTellError("order")
    return Slots(subject="", figures=("turnover",), order_id=one.text, fold="sum" if total else "")


def _read_figure(reading: Reading) -> str:
    named = [name for name in reading.figures() if name in _FIGURES]
    ranked = {one.meaning.name for one in reading.meanings("rank", *_RANKS)}
    nouns = [one.meaning.name for one in reading.meanings("noun", *_NOUNS)]
    valued = {"country": "customers", "level": "customers", "status": "orders", "carrier": "parcels", "reason": "refunds"}
    kinds = [one.to.kind for one in reading.links if isinstance(one.to, Value)]
    if ranked:
        return ranked.pop() if len(ranked) == 1 else _refuse("ranks")
    if "point" in named:
        return "point"
    if "rating" in named or "review" in nouns:
        starred = any(amount.figure == "rating" for _, amount in reading.all(Amount))
        counted = reading.has("ask", "count") or (starred and "review" in nouns)
        return "reviews" if counted else "rating"
    if "amount" in named or "refund" in nouns:
        counted = reading.has("ask", "count") and not reading.has("ask", "much")
        return "refunds" if counted else "amount"
    if "turnover" in named:
        return "turnover"
    if "sold" in named:
        return "sold"
    if "order" in nouns and (reading.has("figure", "price") or reading.has("ask", "average") or reading.has("ask", "total")):
        if reading.has("ask", "average"):
            return "spending"
        return "orders" if reading.has("ask", "count") else "turnover"
    for noun in ("order", "parcel", "customer"):
        if noun in nouns:
            return _NOUNS[noun]
    return next((valued[kind] for kind in kinds if kind in valued), "") or _refuse("figure")


def _find_subject(reading: Reading, figure: str, *, ranked: bool) -> str:
    own = {"orders": "order", "refunds": "refund", "customers": "customer", "parcels": "parcel"}.get(figure, "")
    found = []
    for one in reading.meanings("noun", *_SUBJECTS):
        name = one.meaning.name
        if any(isinstance(each.to, Value) and each.to.kind == name for each in reading.links):
            continue  # "the status shipped" is a condition
        each = reading.is_after(one, "ask", "each")
        if name != own and (each or ranked or reading.word_before(one) in ("by", "per", "each", "every", "which", "what")):
            found.append(name)
    if not found and ranked and reading.all(Things):
        found = ["product"]
    if len(set(found)) > 1:
        raise CannotTellError("subject")
    several = reading.has("noun", "product") or any(len(things.names) != 1 for _, things in reading.all(Things))
    if not found and several and figure == "rating":
        return "product"
    return found[0] if found else "product" if ranked else ""


def _read_rank(reading: Reading) -> Rank | None:
    ranks = reading.meanings("rank")
    tops = reading.meanings("ask", "top")
    if not ranks and not tops:
        return None
    highs = {one.meaning.high for one in ranks}
    names = {one.meaning.name for one in ranks} - {"any", *_RANKS}
    if len(highs) > 1 or names:
        raise CannotTellError("rank")
    reading.use(*ranks, *tops)
    numbers = [(one, amount) for one, amount in reading.all(Amount) if amount.bare]
    if len(numbers) > 1:
        raise CannotTellError("numbers")
    count = 1
    for one, amount in numbers:
        reading.use(one)
        count = int(amount.low)
    if not 0 < count <= MAX_COUNT:
        raise CannotTellError("number")
    return Rank(high=highs.pop() if highs else True, count=count)


def _read_own_filters(reading: Reading, figure: str) -> tuple[Filter, ...]:
    if figure == "point":
        if reading.asks("spent"):
            return (Filter(column="points.points", sign="<", values=(0.0,), label="that were spent"),)
        reading.asks("earned")
        return (Filter(column="points.points", sign=">", values=(0.0,), label="that were earned"),)
    return ()


def _read_rating(reading: Reading) -> tuple[Having, ...]:
    """An amount is of the average of a product's reviews, not of each of them."""
    found = []
    for one, amount in reading.free(Amount):
        if amount.figure in ("", "rating") and amount.sign != "between":
            reading.use(one)
            label = say_amount("rating", amount.sign, (amount.low,))
            found.append(Having(figure="rating", fold="avg", sign=amount.sign, value=amount.low, label=label))
    return tuple(found)


def _refuse(reason: str) -> str:
    raise CannotTellError(reason)
