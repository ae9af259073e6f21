"""Questions about products: lists, counts, figures and ends of an order."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.linking.values import Things
from reference_app.tools.sql.slots.records import Filter, Slots
from reference_app.tools.sql.slots.schema import FIGURES
from reference_app.tools.sql.understanding.comparisons import read_comparison, read_reference, read_sum
from reference_app.tools.sql.understanding.filtering import read_filters
from reference_app.tools.sql.understanding.ranks import read_both_ends, read_order, read_rank
from reference_app.tools.sql.understanding.reading import CannotTellError
from reference_app.tools.sql.understanding.stock import IN_STOCK, SOLD_OUT, read_stock

if TYPE_CHECKING:
    from reference_app.tools.sql.slots.records import Having
    from reference_app.tools.sql.understanding.reading import Reading
    from reference_app.tools.sql.understanding.subjects import Subject

# What may stand behind "how much" where it asks for the price: "how much is", not "how much fits".
_MUCH = {
    "is",
    "are",
    "for",
    "does",
    "do",
    "would",
    "will",
    "the",
    "a",
    "an",
    "did",
    "was",
    "were",
    "your",
    "can",
}
_JOINING = {"have", "has", "go", "goes", "need", "needs", "fit", "fits", "come", "comes", "match", "include"}
_SELLING = ("have", "sell", "got", "stock", "offer")


def compose_products(reading: Reading, subject: Subject) -> Slots:
    """The slots of a question whose rows are products."""
    if (compared := read_comparison(reading)) is not None:
        return compared
    reference = read_reference(reading)
    if not reference and (total := read_sum(reading)) is not None:
        return total
    return _compose_list(reading, subject, reference)


def _compose_list(reading: Reading, subject: Subject, reference: tuple[Filter, ...]) -> Slots:
    both_ends = read_both_ends(reading)
    rank, ranked = read_rank(reading, "released")
    several = reading.names_only and len(reading.named) > 1  # of them the first one would be meant
    if rank is not None and (ranked not in FIGURES or several or reading.has("ask", "total")):
        raise CannotTellError("the end of what")
    loads = reading.has("figure", "weight") and reading.says("carry", "hold", "take", "max", "maximum")
    news = reading.names_only and any(one.text.lower() == "new in" for one in reading.meanings("figure"))
    if loads or news or reading.has("figure", "opened"):
        raise CannotTellError("a figure that is in no column")
    having, stocked = read_stock(reading, subject)
    judged = _judges(reading) and not (rank or reference)
    if judged or (_relates(reading) and not (rank or having or stocked)):
        raise CannotTellError("how one product is to another")
    gone = having == (SOLD_OUT,) and reading.wants_yes and reading.names_only
    having = () if gone else having  # "is the Bergfell Pro sold out?" wants the pieces
    figures = _read_figures(reading, ranked or both_ends, stocked=bool(having) or stocked)
    holds = None if having or ranked else _read_claim(reading)
    if rank and (len(reading.all(Things)) > 1 or reading.has("noun", "product")):
        reading.use(*(one for one, _ in reading.named))  # "is the Skerry 3 the cheapest tent?"
    elif rank and reading.names_only:
        raise CannotTellError("the first of one")
    amount_figure = next((name for name in figures if name in ("price", "weight")), "")
    period = "released" if reading.has("figure", "released") or ranked == "released" else ""
    filters = (*read_filters(reading, amount_figure, period), *reference)
    single = reading.names_only and not reference
    fold = (
        "range"
        if both_ends
        else _read_fold(reading, figures, stocked=stocked, single=single, ranked=rank is not None)
    )
    if fold == "count" and stocked and not having:
        if reading.all(Things) or reading.has("noun", "piece") or reading.has("ask", "total"):
            reading.asks("total")
            return Slots(subject="", figures=("quantity",), filters=filters)
        having = (IN_STOCK,)  # "how many products are in stock in Corveth"
    if fold in ("avg", "range") and (having or rank or not figures or figures[0] not in ("price", "weight")):
        raise CannotTellError("the average of what")
    if fold == "count" and single and not stocked and not reading.says("sell", "offer", "different"):
        raise CannotTellError("how many of it are where")  # "how many pegs are in the set" is in no column
    reading.asks("count", "total", "much")
    figures = _settle_figures(
        reading, figures, filters, having, holds, fold=fold, listed=rank is None, single=single
    )
    return Slots(
        subject="product", figures=figures,
        filters=filters, having=having, rank=rank, fold=fold, descending=read_order(reading), holds=holds,
        yes_no="gone" if gone else "",
    )  # fmt: skip


def _relates(reading: Reading) -> bool:
    """Whether it is asked how products go together: "does the Skerry 2 have a footprint?"."""
    found = [one for one, _ in reading.all(Things)]
    between = {word for left, right in pairwise(found) for word in reading.words[left.last : right.first]}
    if between & _JOINING:
        return True
    asked = reading.words[0] in ("is", "are", "does") and not reading.says("there", "any")
    return reading.wants_yes and asked and len(reading.all(Things)) > 1


def _judges(reading: Reading) -> bool:
    """Whether yes or no is wanted of a figure alone: "is the Gannet 1 worth its price?"."""
    figured = reading.names_only and reading.has("figure", "price", "weight") and not reading.all(Amount)
    return reading.words[0] in ("is", "are") and reading.wants_yes and figured


def _read_figures(reading: Reading, first: str, *, stocked: bool) -> tuple[str, ...]:
    """What is shown of each product, the figure that orders first."""
    figures = reading.figures("price", "weight", "released", "colour")
    if not figures and reading.asks_weight:
        figures.append("weight")
    if reading.has("noun", "colour") and not reading.values("colour"):
        figures.append("colour")
    if reading.has("noun", "category") and not any(things.category for _, things in reading.all(Things)):
        figures.append("category")
    if reading.has("ask", "when") and "released" not in figures:
        raise CannotTellError("the day of what")
    if reading.asks("range") and not figures:
        figures = ["weight" if reading.says("weight") else "price"]
    if first:
        return (first, *(name for name in figures if name != first))
    return ("quantity", *figures) if stocked else tuple(figures)


def _read_fold(
    reading: Reading, figures: tuple[str, ...], *, stocked: bool, single: bool, ranked: bool
) -> str:
    if reading.asks("average"):
        return "avg"
    if reading.has("ask", "range"):
        return "range"
    if ranked:
        return ""
    counted, total = reading.has("ask", "count"), reading.has("ask", "total")
    if counted or (total and stocked):
        return "count"
    return "sum" if total and figures and not single else ""


def _settle_figures(  # noqa: PLR0913 - each of them decides
    reading: Reading, figures: tuple[str, ...], filters: tuple[Filter, ...], having: tuple[Having, ...],
    holds: Filter | None, *, fold: str, listed: bool, single: bool,
) -> tuple[str, ...]:  # fmt: skip
    if holds:
        return (next(name for name, figure in FIGURES.items() if figure.value == holds.column),)
    if fold == "count":
        return ("price",)  # any column of a row does
    if not figures:
        weighed = any(one.column == FIGURES["weight"].value for one in filters)
        default = _read_default(reading, single=single, narrowed=bool(filters or having))
        return ("weight", *default) if weighed else default
    if figures[0] == "quantity" and not (having or filters):
        raise CannotTellError("the stock of everything")
    narrowing = {one.column for one in filters}
    if (
        listed
        and not fold
        and figures in (("weight",), ("released",))
        and FIGURES[figures[0]].value in narrowing
    ):
        return (*figures, "price")
    return figures


def _read_default(reading: Reading, *, single: bool, narrowed: bool) -> tuple[str, ...]:
    """The price, where the question can only want that or a list."""
    much = reading.meanings("ask", "much")
    if much:
        behind = {*reading.words[much[0].last : much[0].last + 1]}
        if not behind or not behind <= _MUCH or reading.has("ask", "have"):
            raise CannotTellError(much[0].text)
    elif single and not reading.wants_yes and not (reading.says(*_SELLING) and reading.words[0] != "what"):
        raise CannotTellError("nothing is wanted of the product")
    elif not narrowed:
        raise CannotTellError("everything")
    if reading.has("ask", "where", "when"):
        raise CannotTellError("place or day")
    return ("price",)


def _read_claim(reading: Reading) -> Filter | None:
    """What a question that wants yes or no says of one product: "is the Plover under £80?"."""
    if not (reading.wants_yes and reading.names_only and len(reading.named) == 1):
        return None
    amounts = [one for one, amount in reading.free(Amount) if not amount.bare]
    if len(amounts) + len(reading.values("colour")) != 1:
        return None
    product = reading.named[0][0]
    reading.use(product)
    claim = read_filters(reading, "price")
    reading.forget(product)
    return claim[0] if len(claim) == 1 else None
