"""A question as one query, or nothing: the cheap look that needs no model and runs nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reference_app.tools.sql.guard.query import MAX_TABLES
from reference_app.tools.sql.linking.lexicon import Meaning, load_lexicon, stem
from reference_app.tools.sql.linking.links import Value
from reference_app.tools.sql.linking.plain import translate
from reference_app.tools.sql.linking.question import link
from reference_app.tools.sql.linking.values import Things
from reference_app.tools.sql.slots.conditions import NoWayError
from reference_app.tools.sql.slots.tree import write_tree
from reference_app.tools.sql.slots.wording import describe
from reference_app.tools.sql.understanding.groups import compose_groups
from reference_app.tools.sql.understanding.products import compose_products
from reference_app.tools.sql.understanding.reading import CannotTellError, Reading
from reference_app.tools.sql.understanding.sales import compose_sales, is_of_sales
from reference_app.tools.sql.understanding.stores import compose_stores
from reference_app.tools.sql.understanding.subjects import find_subject

if TYPE_CHECKING:
    from datetime import date

    from reference_app.tools.sql.linking.links import Linked
    from reference_app.tools.sql.linking.values import Values
    from reference_app.tools.sql.slots.records import Slots

# Figures that are shown by others, or are what those are counted by.
_SHOWN_WITH = {
    "rating": ("rating", "reviews"), "reviews": ("rating",), "refunds": ("amount",), "quantity": ("sold",),
    "turnover": ("price", "sold", "amount"), "spending": ("price", "turnover"), "sold": ("price",),
    "assortment": ("quantity",), "amount": ("price",),
}  # fmt: skip
_CATALOGUE = ("price", "weight", "released", "quantity", "rating", "sold")
_MAX_UNKNOWN = 2  # words without a meaning here; more of them are another subject
_COMPOSERS = {
    "product": compose_products,
    "store": compose_stores,
    "category": compose_groups,
    "colour": compose_groups,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """
    Every word of a question, read as one query.

    Attributes:
        sql: In the dialect that was wished for.
        units: Of each column: `name`, `£`, `kg`, `date`, `text`, `holds`, or what is counted.
        description: What is looked for, in words for the customer.
        yes_no: What says yes to a question that wants it: that there are `rows`, that pieces are in `stock`
            or `gone`, or the column `holds`; else empty.
        names: Whether the question names a product, category, store or other value of the database.
    """

    sql: str
    units: tuple[str, ...]
    description: str
    yes_no: str
    names: bool


def understand_linked(linked: Linked, dialect: str = "sqlite") -> Understood:
    """
    The query that the links stand for.

    Raises:
        CannotTellError: A word stands for nothing here, or the links do not say one thing only.
    """
    from sqlglot import exp

    slots = compose(linked)
    try:
        tree, units = write_tree(slots)
    except NoWayError as error:
        raise CannotTellError("the tables do not go together") from error
    if len(list(tree.find_all(exp.Table))) > MAX_TABLES:
        raise CannotTellError("more tables than a query may have")
    return Understood(
        sql=tree.sql(dialect=dialect),
        units=units,
        description=describe(slots),
        yes_no=slots.yes_no,
        names=any(not isinstance(one.to, Meaning) for one in linked.links),
    )


def understand(question: str, values: Values, today: date, dialect: str = "sqlite") -> Understood | None:
    """The query of a question; None where a word is unknown or more than one thing can be meant."""
    for text in dict.fromkeys((question, translate(question))):
        try:
            return understand_linked(link(text, values, today), dialect)
        except CannotTellError:
            continue
    return None


def concerns(linked: Linked) -> bool:
    """Whether a question is of the catalogue's figures; what rules and orders are about is not."""
    reading = Reading(linked)
    service = load_lexicon().services & {*map(stem, linked.words)} or reading.says("my", "mine")
    other = any(value.kind not in ("colour", "city") for _, value in reading.all(Value))
    if service or other or len(linked.unlinked) > _MAX_UNKNOWN:
        return False
    named = bool(reading.all(Things) or reading.values("city"))
    figured = reading.has("figure", *_CATALOGUE) or reading.has("noun", "colour")
    ranked = any(one.meaning.name in _CATALOGUE for one in reading.meanings("rank"))
    counted = reading.has("ask", "count") and reading.has("ask", "have", "sold_out")
    return named and (figured or ranked or counted)


def compose(linked: Linked) -> Slots:
    """
    The slots of a question.

    Raises:
        CannotTellError: The links do not say one thing only, or nothing that the database holds.
    """
    if linked.unlinked or not linked.links:
        raise CannotTellError(", ".join(linked.unlinked) or linked.text)
    reading = Reading(linked)
    reading.use_fillers()
    if any(reading.word_before(one) == "per" for one in reading.meanings("figure")):
        raise CannotTellError("one figure per another")
    if reading.has("ask", "share") or (reading.wants_yes and reading.says_of_all):
        raise CannotTellError("a share, or whether all are alike")
    if is_of_sales(reading):
        slots = compose_sales(reading)
    else:
        subject = find_subject(reading)
        slots = _COMPOSERS[subject.name](reading, subject)
    reading.check()
    _check_whole(reading, slots)
    return replace(slots, yes_no=slots.yes_no or _find_yes(slots)) if reading.wants_yes else slots


def _check_whole(reading: Reading, slots: Slots) -> None:
    """Raise where a figure was asked for that the answer would not tell, since the rest is half of it."""
    shown = {*slots.figures} if slots.fold != "count" else set()
    shown |= {column.partition(".")[2] for column in (one.column for one in slots.filters)}
    shown |= {one.figure for one in slots.having}
    shown |= {other for name in shown for other in _SHOWN_WITH.get(name, ())}
    columns = 3 if slots.compared or slots.fold == "range" else len(slots.figures) + bool(slots.subject)
    if slots.fold in ("count", "avg", "sum") or slots.pieces:
        columns = len(slots.figures)
    if reading.requests > columns:
        raise CannotTellError("more is asked than shown")
    counted = slots.fold == "count" or not {*slots.figures} & {"turnover", "spending", "amount", "rating"}
    if reading.has("ask", "count") and not (counted or "reviews" in slots.figures):
        raise CannotTellError("a number beside")
    if reading.has("ask", "average") and "reviews" in slots.figures and "rating" not in slots.figures:
        raise CannotTellError("an average beside")
    if reading.has("ask", "count") and slots.fold == "avg":
        raise CannotTellError("a number and an average")
    if reading.has("ask", "where") and slots.subject != "store":
        raise CannotTellError("the place")
    per = {one.meaning.name for one in reading.meanings("noun") if reading.word_before(one) == "per"}
    if per - {slots.subject, "order" if slots.figures == ("spending",) else ""}:
        raise CannotTellError("one figure per another")
    coloured = {"colour"} if reading.has("noun", "colour") and slots.subject != "colour" else set()
    if missing := ({*reading.figures()} | coloured) - shown:
        raise CannotTellError(f"not shown: {min(missing)}")


def _find_yes(slots: Slots) -> str:
    """What says yes; empty where the end of an order or a figure is the answer."""
    if slots.rank is not None:
        return ""
    if slots.holds or slots.compared:
        return "holds"
    if slots.figures[0] == "quantity" and not slots.having:
        return "stock"
    return "rows" if slots.subject else ""
