"""Links to slots: what a question about orders, refunds, reviews, customers and points wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.linking.links import Value
from reference_app.tools.sql.linking.values import Things
from reference_app.tools.sql.slots.records import Filter, Having, Rank, Slots
from reference_app.tools.sql.slots.wording import say_amount
from reference_app.tools.sql.understanding.filtering import read_filters
from reference_app.tools.sql.understanding.ranks import MAX_COUNT
from reference_app.tools.sql.understanding.reading import CannotTellError

if TYPE_CHECKING:
    from reference_app.tools.sql.linking.links import Link
    from reference_app.tools.sql.understanding.reading import Reading

_NOUNS = {
    "order": "orders", "refund": "refunds", "review": "reviews", "customer": "customers", "parcel": "parcels",
}  # fmt: skip
_FIGURES = ("point", "rating", "amount", "turnover", "sold")
_COUNTED = ("orders", "customers", "parcels", "refunds", "reviews")
_SUBJECTS = (
    "product", "store", "category", "colour", "status", "country", "level", "carrier", "reason", "month",
    "year",
)  # fmt: skip
_RANKS = ("sold", "rating", "reviews")
_OF_VALUES = {
    "country": "customers", "level": "customers", "status": "orders", "carrier": "parcels",
    "reason": "refunds",
}  # fmt: skip
_VERBS = {"refunds": "paid", "amount": "paid", "customers": "joined", "reviews": "earned", "rating": "earned"}
_PERSONAL = ("i", "my", "mine")
_POINTING = ("it", "that", "this", "these", "those", "they", "them")
_RULES = (
    "if",
    "may",
    "can",
    "could",
    "should",
    "must",
    "will",
    "would",
    "hold",
)  # "how many items may an order have?"
_GROUPING = ("by", "per", "each", "every", "which", "what")


def is_of_sales(reading: Reading) -> bool:
    """Whether the question is about what was ordered, refunded or reviewed, not about the catalogue."""
    return (
        reading.has("noun", *_NOUNS)
        or reading.has("figure", *_FIGURES)
        or reading.has("rank", *_RANKS)
        or any(value.kind not in ("colour", "city") for _, value in reading.all(Value))
    )


def compose_sales(reading: Reading) -> Slots:
    """The slots; raises CannotTellError."""
    if orders := reading.values("order"):
        return _compose_order(reading, orders)
    # "My points" are of one customer, whom the database does not tell apart.
    unread = reading.has("comparative") or reading.has(
        "ask", "where", "sold_out", "range", "difference", "same"
    )
    pointing = () if reading.named else _POINTING
    unread = unread or bool(reading.values("city"))  # an order is of no store
    unread = unread or any(reading.word_before(one) == "which" for one in reading.meanings("noun", *_NOUNS))
    if unread or reading.says(*_PERSONAL, *_RULES, *pointing):
        raise CannotTellError("of whom, or compared with what")
    rank, figure = _read_rank(reading), _read_figure(reading)
    money = figure in ("turnover", "spending", "amount")
    if not money and reading.has("figure", "price", "weight", "released", "quantity", "opened"):
        raise CannotTellError("another figure beside")
    grouped = any(reading.word_before(one) in ("by", "per") for one in reading.meanings("noun"))
    if figure in _COUNTED and not (rank or grouped or reading.has("ask", "count", "each")):
        raise CannotTellError("a list of orders or customers")
    subject = _find_subject(reading, figure, ranked=rank is not None)
    nouns = {one.meaning.name for one in reading.meanings("noun")}
    if figure == "point" and (rank or nouns & {"order", "review", "refund", "parcel"}):
        raise CannotTellError("the points that something earns")
    beside = nouns & {"store", "product", "category"} - {subject} or {"order", "parcel"} <= nouns
    counted = [one for one in reading.meanings("noun", "customer") if reading.is_after(one, "ask", "count")]
    if (figure == "sold" and counted) or (figure in ("customers", "orders", "parcels") and beside):
        raise CannotTellError("another noun beside")
    counting = reading.asks("count", "much", "total", "average")
    having = _read_rating(reading) if figure == "rating" and subject == "product" else ()
    own = _read_points(reading) if figure == "point" else ()
    reading.asks(_VERBS.get(figure, ""))
    filters = (*own, *read_filters(reading, "rating" if figure == "reviews" else "", figure))
    wanted = counting or subject or rank or figure in ("rating", "turnover")
    if not wanted or (figure == "rating" and not (subject or filters)):
        raise CannotTellError("nothing is wanted of the sales")
    figures = ("reviews", "rating") if _wants_both(reading, figure) and not (subject or rank) else (figure,)
    return Slots(subject=subject, figures=figures, filters=filters, having=having, rank=rank)


def _wants_both(reading: Reading, figure: str) -> bool:
    """Whether number and average of reviews are asked: "how many rated it, and what is the average?"."""
    average = reading.has("ask", "average") or any(
        "average" in one.text for one in reading.meanings("figure")
    )
    shown = average or len(reading.meanings("figure", "rating") + reading.meanings("noun", "review")) > 1
    starred = any(amount.figure == "rating" for _, amount in reading.all(Amount))
    if figure == "reviews" and shown and starred and reading.requests > 1:
        raise CannotTellError("the average of some reviews")
    return figure == "reviews" and reading.has("ask", "count") and shown and not starred


def _compose_order(reading: Reading, orders: list[Link]) -> Slots:
    """The goods of one order, or what they cost together."""
    total = reading.asks("total", "much") or reading.has("figure", "price")
    other = bool(reading.all(Things)) or {*reading.figures()} - {"price"} != set()
    other = other or reading.has("noun", "customer", "carrier", "parcel", "status", "refund")
    noun = reading.before(orders[0])
    named = noun if noun is not None and noun.meaning.name == "order" else orders[0]
    listed = reading.has("noun", "product") or reading.word_before(named) == "in"
    one = orders[0].to
    if len(orders) > 1 or other or not (total or listed) or not isinstance(one, Value):
        raise CannotTellError("what of the order")
    reading.use(*orders)
    return Slots(subject="", figures=("turnover",), order_id=one.text, fold="sum" if total else "")


def _read_figure(reading: Reading) -> str:
    ranked = {one.meaning.name for one in reading.meanings("rank", *_RANKS)}
    if len(ranked) > 1:
        raise CannotTellError("more than one end")
    nouns = {one.meaning.name for one in reading.meanings("noun", *_NOUNS)}
    named = {*reading.figures(*_FIGURES)}
    counted = reading.has("ask", "count")
    if "review" in nouns or "rating" in named:
        starred = any(amount.figure == "rating" for _, amount in reading.all(Amount))
        named.add("reviews" if counted or (starred and "review" in nouns) else "rating")
        named -= {"rating"} if "reviews" in named else set()
    if "refund" in nouns or "amount" in named:
        often = any(
            {"common", "commonest", "often", "frequent"} & {*one.text.split()}
            for one in reading.meanings("rank")
        )
        only_counted = (counted or often) and not reading.has("ask", "much")
        named = {*named, "refunds" if only_counted else "amount"} - ({"amount"} if only_counted else set())
    if (
        "order" in nouns
        and not counted
        and (reading.has("figure", "price") or reading.has("ask", "average", "total"))
    ):
        named.add("spending" if reading.has("ask", "average") else "turnover")
    found = [*ranked, *(name for name in (*_FIGURES, "reviews", "refunds", "spending") if name in named)]
    found += [_NOUNS[noun] for noun in ("order", "parcel", "customer") if noun in nouns]
    found += [_OF_VALUES[value.kind] for _, value in reading.all(Value) if value.kind in _OF_VALUES]
    if not found:
        raise CannotTellError("which figure")
    return found[0]


def _find_subject(reading: Reading, figure: str, *, ranked: bool) -> str:
    found = []
    for one in reading.meanings("noun", *_SUBJECTS):
        name = one.meaning.name
        if any(value.kind == name for _, value in reading.all(Value)):
            continue  # "the status shipped" is a condition
        grouped = reading.is_after(one, "ask", "each") or reading.word_before(one) in _GROUPING
        if _NOUNS.get(name) != figure and (grouped or ranked):
            found.append(name)
    kinds = [value.kind for _, value in reading.all(Value)]
    if (
        len(reading.meanings("ask", "count")) > 1 and len(kinds) > 1
    ):  # "how many are cancelled, how many returned"
        found += {*kinds} & {*_SUBJECTS}
    if len(set(found)) > 1:
        raise CannotTellError("more than one subject")
    several = reading.has("noun", "product") or any(len(one.names) > 1 for _, one in reading.all(Things))
    each = several and figure == "rating" and not reading.says("across", "overall", "together")
    if not found and (ranked or each):
        return "product"
    return found[0] if found else ""


def _read_rank(reading: Reading) -> Rank | None:
    ranks = reading.meanings("rank")
    tops = reading.meanings("ask", "top")
    if not ranks and not tops:
        return None
    highs = {one.meaning.high for one in ranks}
    money = {"price"} if reading.has("figure", "turnover") else set()  # "brought in the most money"
    names = {one.meaning.name for one in ranks} - {"any", *_RANKS} - money
    if len(highs) > 1 or names:
        raise CannotTellError("rank")
    reading.use(*ranks, *tops)
    numbers = [(one, amount) for one, amount in reading.free(Amount) if amount.bare]
    reading.use(*(one for one, _ in numbers))
    count = int(numbers[0][1].low) if numbers else 1
    if len(numbers) > 1 or not 0 < count <= MAX_COUNT:
        raise CannotTellError("how many places")
    return Rank(high=highs.pop() if highs else True, count=count)


def _read_points(reading: Reading) -> tuple[Filter, ...]:
    if reading.asks("spent"):
        return (Filter(column="points.points", sign="<", values=(0.0,), label="that were spent"),)
    reading.asks("earned")
    return (Filter(column="points.points", sign=">", values=(0.0,), label="that were earned"),)


def _read_rating(reading: Reading) -> tuple[Having, ...]:
    """An amount is of the average of a product's reviews, not of each of them."""
    found = []
    for one, amount in reading.free(Amount):
        if amount.figure in ("", "rating") and amount.sign != "between":
            reading.use(one)
            label = say_amount("rating", amount.sign, (amount.low,))
            found.append(Having(figure="rating", fold="avg", sign=amount.sign, value=amount.low, label=label))
    return tuple(found)
