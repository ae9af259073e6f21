"""Questions about stores: which have something, and when they opened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.periods import Period
from reference_app.tools.sql.linking.values import Things
from reference_app.tools.sql.slots.records import Filter, Slots
from reference_app.tools.sql.understanding.comparisons import PLAIN
from reference_app.tools.sql.understanding.filtering import read_filters
from reference_app.tools.sql.understanding.ranks import read_rank
from reference_app.tools.sql.understanding.reading import CannotTellError
from reference_app.tools.sql.understanding.stock import ALL_IN_STOCK, IN_STOCK, SOLD_OUT, read_stock

if TYPE_CHECKING:
    from reference_app.tools.sql.understanding.reading import Reading
    from reference_app.tools.sql.understanding.subjects import Subject

_LISTING = ("which", "list", "what", "name", "all", "where")


def compose_stores(reading: Reading, subject: Subject) -> Slots:
    """The slots of a question whose rows are stores."""
    products = (
        reading.has("noun", "product") or reading.has("figure", "quantity") or reading.has("ask", "sold_out")
    )
    if not (reading.all(Things) or products):
        return _compose_openings(reading, subject)
    things, goods = reading.all(Things), reading.has("noun", "product")
    rank, figure = read_rank(reading, "")
    if figure not in ("", "quantity") or reading.has("figure", *PLAIN) or reading.has("ask", "average"):
        raise CannotTellError("a figure of products by store")
    having, _ = read_stock(reading, subject)
    wide = subject.each or rank is not None  # every store is shown, or can be the first
    if not (things or goods or wide):
        raise CannotTellError("stock of what")
    reading.asks("both", "much", "total")
    fold = "count" if subject.is_counted(reading) else ""
    out = SOLD_OUT in having
    if goods and not things and (wide or out):
        sign, label = ("=", "sold out") if out else (">", "in stock")
        shown = Filter(column="stock.quantity", sign=sign, values=(0.0,), label=label)
        filters = (*read_filters(reading), shown)
        return Slots(subject="store", figures=("assortment",), filters=filters, rank=rank, fold=fold)
    if having in ((), (IN_STOCK,)):
        having = () if wide else (IN_STOCK,)
        if len(things) > 1 and not wide and not reading.says("or"):
            having = (replace(ALL_IN_STOCK, label="all in stock"),)
    filters = read_filters(reading)
    if having and having[0].fold == "min":
        filters = tuple(replace(one, label=one.label.replace(" or ", " and ")) for one in filters)
    if not (filters or wide):
        raise CannotTellError("stock of what")
    return Slots(subject="store", figures=("quantity",), filters=filters, having=having, rank=rank, fold=fold)


def _compose_openings(reading: Reading, subject: Subject) -> Slots:
    rank, figure = read_rank(reading, "opened")
    opens = any(one.text.lower() == "open" for one in reading.meanings("figure", "opened"))
    past = reading.says("did", "since") or rank is not None or bool(reading.all(Period))
    if opens and not past:
        raise CannotTellError("opening hours")  # they are in no column
    since = any("since" in one.text.lower().split() for one in reading.meanings("ask", "when"))
    founded = since or (
        reading.has("ask", "when") and reading.has("ask", "have")
    )  # "when did it get its store"
    stands = founded and reading.has("noun", "store") and bool(reading.values("city"))
    dated = reading.has("figure", "opened") or rank is not None or stands
    if (rank is not None and figure != "opened") or [name for name in reading.figures() if name != "opened"]:
        raise CannotTellError("a figure of stores")
    exists = reading.wants_yes and reading.has("noun", "store")  # "do you have a store in Corveth?"
    if not dated and (reading.has("ask", "when", "much") or (reading.values("city") and not exists)):
        raise CannotTellError("the day of what")
    filters = read_filters(reading, "", "opened" if dated else "")
    counted = subject.is_counted(reading)
    reading.asks("total")
    if reading.has("ask", "much") or not (dated or counted or exists or reading.says(*_LISTING)):
        raise CannotTellError("nothing is wanted of the stores")
    return Slots(
        subject="store", figures=("opened",), filters=filters, rank=rank, fold="count" if counted else ""
    )
