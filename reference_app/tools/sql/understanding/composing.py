"""Links to slots: what a question about the catalogue, its stores and its stock wants."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.linking.lexicon import Meaning
from reference_app.tools.sql.linking.values import Things
from reference_app.tools.sql.understanding.reading import CannotTellError, Reading
from reference_app.tools.sql.understanding.sales import compose_sales, is_of_sales
from reference_app.tools.sql.understanding.schema import FIGURES
from reference_app.tools.sql.understanding.slots import Filter, Having, Rank, Slots
from reference_app.tools.sql.understanding.subjects import Subject, find_subject

if TYPE_CHECKING:
    from reference_app.tools.sql.linking.question import Link, Linked

_PLAIN = ("price", "weight", "released")
_MUCH = {"is", "are", "for", "does", "do", "would", "will", "the", "a", "an", "did", "was", "were", "your", "can"}
_MAX_PIECES, _MAX_COUNT = 8, 50
SOLD_OUT = Having(figure="quantity", fold="sum", sign="=", value=0, label="sold out")
IN_STOCK = Having(figure="quantity", fold="sum", sign=">", value=0, label="in stock")
ALL_IN_STOCK = Having(figure="quantity", fold="min", sign=">", value=0, label="in stock in every store")


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
    if reading.has("ask", "share") or (reading.wants_yes and reading.says("all", "every", "both", "only")):
        raise CannotTellError("a share, or whether all are alike")
    if is_of_sales(reading):
        slots = compose_sales(reading)
    else:
        subject = find_subject(reading)
        slots = _COMPOSERS[subject.name](reading, subject)
    reading.check()
    return replace(slots, yes_no=_read_verdict(reading, slots))


def _read_verdict(reading: Reading, slots: Slots) -> str:
    if not reading.wants_yes or slots.rank is not None:
        return ""
    if slots.holds or slots.compared:
        return "holds"
    return "stock" if slots.figures[0] == "quantity" and not slots.having else "rows" if slots.subject else ""


# Products


def _compose_products(reading: Reading, subject: Subject) -> Slots:
    named = _named(reading) or _name_two(reading)
    if reading.has("comparative") or reading.has("ask", "difference", "same") or (
        len(named) == 2 and reading.has("rank")  # noqa: PLR2004
    ):
        if len(named) == 2 and not _has_amount_behind(reading) and not _read_both_ends(reading):  # noqa: PLR2004
            return _compare(reading, named)
        reading = _narrow_by_product(reading, named)
        if isinstance(reading, tuple):
            reading, than = reading
            return _compose_list(reading, subject, (than,))
    if pieces := _read_pieces(reading, named):
        return _sum(reading, pieces)
    return _compose_list(reading, subject, ())


def _named(reading: Reading) -> list[tuple[Link, str]]:
    """Links that name one product."""
    return [(one, things.names[0]) for one, things in reading.all(Things) if len(things.names) == 1]


def _name_two(reading: Reading) -> list[tuple[Link, str]]:
    """Both products of a name that two of them share, where they are compared: "by how much is it lighter"."""
    found = reading.all(Things)
    if len(found) != 1 or len(found[0][1].names) != 2 or not reading.has("ask", "much", "difference"):  # noqa: PLR2004
        return []
    link, things = found[0]
    before = reading.before(link)
    if before is not None and isinstance(before.to, Amount) and before.to.bare and before.to.low == 2:  # noqa: PLR2004
        reading.use(before)
    return [(link, name) for name in things.names]


def _has_amount_behind(reading: Reading) -> bool:
    followed = [reading.after(one) for one in reading.meanings("comparative")]
    return any(one is not None and isinstance(one.to, Amount) for one in followed)


def _compare(reading: Reading, named: list[tuple[Link, str]]) -> Slots:
    """Two products beside each other; with the first one's end where the question says one."""
    if len(reading.all(Things)) > len(named):
        raise CannotTellError("compared")
    ends = reading.meanings("comparative") + reading.meanings("rank")
    figures = {one.to.name for one in ends if isinstance(one.to, Meaning)} - {"any"}
    figures = {"released" if name == "age" else name for name in figures} or {*reading.figures()}
    if reading.asks("much") and not figures:
        figures = {"price"}
    figures = figures or ({"price"} if reading.has("ask", "difference") and reading.says("save") else set())
    reading.asks("much", "difference", "same", "count")
    reading.use(*ends, *(one for one, _ in named))
    figure = figures.pop() if len(figures) == 1 else ""
    if figure not in _PLAIN:
        raise CannotTellError("compared")
    highs = {one.to.high for one in ends if isinstance(one.to, Meaning)}
    high = highs.pop() if len(highs) == 1 else None
    (_, left), (_, right) = named
    return Slots(subject="product", figures=(figure,), compared=(left, right), high=high)


def _narrow_by_product(
    reading: Reading, named: list[tuple[Link, str]]
) -> tuple[Reading, Filter] | Reading:
    """A comparison with one product narrows the others: "tents lighter than the Skerry 3"."""
    ends = reading.meanings("comparative")
    behind = [(one, name) for one, name in named if ends and one.first > ends[0].first]
    if len(ends) == 1 and not named and not reading.all(Amount) and len(reading.all(Things)) == 1:
        return reading  # "which backpack is lighter?"
    if len(ends) == 1 and len(behind) == 1 and not _has_amount_behind(reading):
        if len(named) > 1 or reading.has("ask", "much", "difference"):
            raise CannotTellError(ends[0].text)
        return reading, reading.filter_than(ends[0], *behind[0])
    same = reading.meanings("ask", "same")
    if len(same) == 1 and len(named) == 1 and len(reading.figures(*_PLAIN)) == 1:
        figure, (one, name) = reading.figures(*_PLAIN)[0], named[0]
        reading.use(same[0], one)
        label = f"with the same {FIGURES[figure].label} as {name}"
        return reading, Filter(column=FIGURES[figure].value, sign="=", than=name, label=label)
    return reading


def _read_pieces(reading: Reading, named: list[tuple[Link, str]]) -> tuple[tuple[str, int], ...]:
    """How many of each named product make a sum; empty if the question wants none."""
    counts: dict[str, int] = {}
    numbers: list[Link] = []
    for one, name in named:
        before = reading.before(one)
        count = 1
        if before is not None and isinstance(before.to, Amount) and before.to.bare and before.last <= one.first:
            count = int(before.to.low)
            numbers.append(before)
        counts[name] = counts.get(name, 0) + count
    plain = {*reading.figures()} <= {"price", "weight"} and len(reading.figures()) <= 1
    wanted = bool(numbers) or (len(named) > 1 and reading.has("ask", "total"))
    priced = reading.has("figure", "price", "weight") or reading.has("ask", "much", "total")
    stocked = reading.has("ask", "count", "sold_out") or reading.values("city") or reading.has("noun", "store")
    if not (wanted and plain and priced) or stocked or reading.has("ask", "average", "each"):
        return ()
    if len(named) < len(reading.all(Things)) or len(named) > _MAX_PIECES:
        raise CannotTellError("sum")
    if any(not 0 < count <= _MAX_COUNT for count in counts.values()):
        raise CannotTellError("sum")
    reading.use(*numbers, *(one for one, _ in named))
    return tuple(counts.items())


def _sum(reading: Reading, pieces: tuple[tuple[str, int], ...]) -> Slots:
    figure = (reading.figures("price", "weight") or ["price"])[0]
    reading.asks("much", "total")
    return Slots(subject="product", figures=(figure,), pieces=pieces)


def _compose_list(reading: Reading, subject: Subject, more: tuple[Filter, ...]) -> Slots:
    both_ends = _read_both_ends(reading)
    rank, ranked = _read_rank(reading, "released")
    having, stocked = _read_stock(reading, subject)
    count = reading.has("ask", "count") and rank is None
    if count and stocked and not having and not reading.all(Things) and not reading.has("noun", "piece"):
        having = () if reading.has("ask", "total") else (IN_STOCK,)
    if rank is not None and not ranked:
        raise CannotTellError("the end of what")
    figures = _read_figures(reading, stocked=bool(having) or stocked)
    if ranked:
        figures = (ranked, *(name for name in figures if name not in (ranked, "quantity")))
    average = reading.asks("average")
    ends = reading.asks("range") or bool(both_ends)
    if ends and not figures:
        figures = (both_ends or ("weight" if reading.says("weight") else "price"),)
    holds = None if having or ranked else _read_claim(reading)
    amount_figure = next((name for name in figures if name in ("price", "weight")), "")
    period = "released" if reading.has("figure", "released") or ranked == "released" else ""
    if rank and len(reading.all(Things)) > 1:
        reading.use(*(one for one, things in reading.all(Things) if len(things.names) == 1))  # "is X the cheapest tent?"
    filters = (*reading.filters(amount_figure, period), *more)
    fold, descending = "", _read_order(reading)
    single = len(_named(reading)) == len(reading.all(Things)) > 0 and not more
    if average or ends:
        if not figures or figures[0] not in ("price", "weight") or rank or having:
            raise CannotTellError("average")
        fold = "avg" if average else "range"
    elif reading.has("ask", "total") and not (stocked or count or rank or single) and figures:
        reading.asks("total", "much")
        fold = "sum"
    elif count or (reading.has("ask", "total") and stocked and not rank):
        reading.asks("count", "total", "much")
        pieces = stocked and not having
        if pieces:
            return _count_pieces(filters)
        if single and not reading.says("sell", "offer", "different"):
            raise CannotTellError("count")  # "how many pegs are in the set" is in no column
        fold = "count"
    if holds and holds.column == FIGURES["colour"].value:
        figures = ("colour",)
    narrowing = {one.column for one in filters}
    if figures in (("weight",), ("released",)) and not (fold or ranked) and FIGURES[figures[0]].value in narrowing:
        figures = (*figures, "price")
    if not figures:
        figures = _default_figure(reading, single=single, narrowed=bool(filters or having), fold=fold)
    if fold == "count" and figures[0] in FIGURES and FIGURES[figures[0]].fold:
        figures = ("price",)
    if FIGURES[figures[0]].fold and not having and not rank and not filters:
        raise CannotTellError("everything")  # the stock of all products is a list of hundreds
    return Slots(
        subject="product", figures=figures, filters=filters, having=having, rank=rank, fold=fold,
        descending=descending, holds=holds,
    )  # fmt: skip


def _read_both_ends(reading: Reading) -> str:
    """The figure of which both ends are compared: "between your cheapest and your dearest tent"."""
    ranks = [one for one in reading.meanings("rank") if isinstance(one.to, Meaning)]
    ends = {(one.to.name, one.to.high) for one in ranks if isinstance(one.to, Meaning)}
    names = {name for name, _ in ends}
    if len(ends) != 2 or len(names) != 1 or not names <= {"price", "weight"}:  # noqa: PLR2004
        return ""
    reading.use(*ranks)
    reading.asks("difference", "much")
    return names.pop()


def _count_pieces(filters: tuple[Filter, ...]) -> Slots:
    return Slots(subject="", figures=("quantity",), filters=filters)


def _default_figure(reading: Reading, *, single: bool, narrowed: bool, fold: str) -> tuple[str, ...]:
    much = reading.meanings("ask", "much")
    if much:
        behind = reading.linked.words[much[0].last : much[0].last + 1]
        if not {*behind} <= _MUCH or not behind or reading.has("ask", "have"):
            raise CannotTellError(much[0].text)
    elif single and not fold and not reading.says("have", "sell", "got", "stock", "offer") and not reading.wants_yes:
        raise CannotTellError("nothing is wanted of the product")
    elif not narrowed and not fold:
        raise CannotTellError("everything")
    if reading.has("ask", "where", "when") and "released" not in reading.figures():
        raise CannotTellError("place or day")
    return ("price",)


def _read_figures(reading: Reading, *, stocked: bool) -> tuple[str, ...]:
    """What is to be shown of each product."""
    figures = [name for name in reading.figures() if name in ("price", "weight", "released", "colour")]
    if reading.has("noun", "colour") and not reading.values("colour"):
        figures.append("colour")
    if reading.has("noun", "category") and not any(things.category for _, things in reading.all(Things)):
        figures.append("category")
    if reading.has("ask", "when") and "released" not in figures:
        raise CannotTellError("day")
    return ("quantity", *figures) if stocked else tuple(figures)


def _read_claim(reading: Reading) -> Filter | None:
    """What a question that wants yes or no says of one product: "is the Plover under £80?"."""
    named = _named(reading)
    if not (reading.wants_yes and len(named) == len(reading.all(Things)) == 1):
        return None
    amounts = [one for one, amount in reading.all(Amount) if not amount.bare]
    colours = reading.values("colour")
    if len(amounts) + len(colours) != 1:
        return None
    reading.use(named[0][0])
    claim = next(iter(reading.filters("price", "")))
    reading.forget(named[0][0])
    return claim


def _read_order(reading: Reading) -> bool | None:
    """Which end of the list comes first, where the question says it."""
    firsts = reading.meanings("ask", "first", "descending")
    reading.use(*firsts)
    if reading.has("ask", "descending"):
        return True
    if any("by" in first.text.lower().split() for first in firsts):
        return False
    if any(reading.word_before(one) == "by" for one in reading.meanings("figure")):
        return False
    ends = [one for one in reading.meanings("rank") if any(reading.before(first) is one for first in firsts)]
    return ends[0].to.high if ends and isinstance(ends[0].to, Meaning) else None


# Ranks


def _read_rank(reading: Reading, age: str) -> tuple[Rank | None, str]:
    """The end that is wanted, and of which figure."""
    firsts = reading.meanings("ask", "first")
    ordering = [one for one in reading.meanings("rank") if any(reading.before(first) is one for first in firsts)]
    reading.use(*ordering)
    ranks = [one for one in reading.meanings("rank") if one not in ordering and not reading.is_used(one)]
    figures = {one.to.name for one in ranks if isinstance(one.to, Meaning)} - {"any"}
    highs = {one.to.high for one in ranks if isinstance(one.to, Meaning)}
    tops = reading.meanings("ask", "top")
    ends = [one for one in reading.meanings("comparative") if isinstance(one.to, Meaning) and one.to.name != "any"]
    if not ranks and ends and not reading.all(Amount) and [len(things.names) for _, things in reading.all(Things)] == [2]:
        ranks, figures, highs = ends, {one.to.name for one in ends if isinstance(one.to, Meaning)}, {
            one.to.high for one in ends if isinstance(one.to, Meaning)
        }  # of two, the cheaper one is the cheapest
    if not ranks and any(one.text.lower() == "first" for one in firsts) and not ordering:
        reading.use(*firsts)
        ranks, figures, highs = firsts, {"age"}, {False}
    if not ranks and not tops:
        if ordering and isinstance(ordering[0].to, Meaning):
            return None, ordering[0].to.name
        return None, ""
    if len(figures) > 1 or len(highs) > 1:
        raise CannotTellError("more than one end")
    named = [name for name in reading.figures() if name in (*_PLAIN, "quantity", "opened")]
    figure = figures.pop() if figures else (named[0] if len(named) == 1 else "")
    figure = age if figure == "age" else figure
    reading.use(*ranks, *tops)
    count, place = _read_count(reading, [*ranks, *tops])
    return Rank(high=highs.pop() if highs else True, count=count, place=place), figure


def _read_count(reading: Reading, ranks: list[Link]) -> tuple[int, int]:
    """How many places are wanted ("the three cheapest"), or which one ("second cheapest")."""
    ordinals = {"second": 2, "third": 3, "fourth": 4}
    for one in ranks:
        before = reading.before(one)
        if before is not None and before in reading.meanings("ask", "ordinal"):
            reading.use(before)
            return ordinals[before.text.lower()], ordinals[before.text.lower()]
        for near in (reading.before(one), reading.after(one)):
            if near is not None and isinstance(near.to, Amount) and near.to.bare and not reading.is_used(near):
                if near.first not in (one.last, one.first - 1):
                    continue
                reading.use(near)
                if not 0 < near.to.low <= _MAX_COUNT:
                    raise CannotTellError(near.text)
                return int(near.to.low), 0
    for one, amount in reading.all(Amount):  # "which three products are the cheapest"
        if amount.bare and not reading.is_used(one) and _names_products(reading.after(one)):
            reading.use(one)
            return int(amount.low), 0
    return 1, 0


def _names_products(one: Link | None) -> bool:
    return one is not None and (isinstance(one.to, Things) or one.to == Meaning(kind="noun", name="product"))


# Stock


def _read_stock(reading: Reading, subject: Subject) -> tuple[tuple[Having, ...], bool]:
    """Conditions of the pieces in stock, and whether the question is about them at all."""
    stocked = reading.has("figure", "quantity") or bool(reading.values("city")) or reading.has("ask", "everywhere")
    out = reading.asks("sold_out")
    having: list[Having] = []
    if out and (reading.has("figure", "quantity") or len(reading.values("city")) > 1):
        raise CannotTellError("in stock here and sold out there")
    if subject.name == "store":  # "a store without Snowshoes"
        missing = [one for one in reading.meanings("ask", "except") if one.text.lower() == "without"]
        reading.use_elsewhere(*missing)
        out = out or bool(missing)
    for one in reading.meanings("ask", "not"):
        after = reading.after(one)
        while after is not None and isinstance(after.to, Things):
            after = reading.after(after)
        behind = after is not None and isinstance(after.to, Meaning) and after.to.name in ("quantity", "have")
        if behind or (subject.name == "store" and reading.all(Things)):
            reading.use_elsewhere(one)
            out = True
    for one, amount in reading.all(Amount):
        if amount.figure or reading.is_used(one) or not (stocked or subject.name == "store"):
            continue
        if amount.sign in ("<", ">", "<=", ">=") and not reading.has("figure", "price", "weight"):
            reading.use(one)
            words = {"<": "fewer than", ">": "more than", "<=": "at most", ">=": "at least"}[amount.sign]
            having.append(
                Having(figure="quantity", fold="sum", sign=amount.sign, value=amount.low, label=f"with {words} {amount.low:g} pieces")
            )
    places = [(one, {*one.text.lower().split()}) for one in reading.meanings("ask", "everywhere")]
    somewhere = [one for one, words in places if {"any", "anywhere"} & words]
    every = [one for one, words in places if not {"across", "over", "together", "any", "anywhere"} & words]
    if out and somewhere:
        raise CannotTellError(somewhere[0].text)
    if out:
        return (SOLD_OUT,), True
    if every and not reading.has("ask", "total", "count") and subject.name == "product":
        return (ALL_IN_STOCK,), True
    if having:
        return tuple(having), True
    listing = stocked and not reading.has("ask", "count", "total", "much") and not reading.has("figure", "quantity_")
    single = len(_named(reading)) == len(reading.all(Things)) > 0
    wanted = listing and not (single and subject.name == "product")
    return ((IN_STOCK,) if wanted else ()), stocked


def _is_out(having: tuple[Having, ...]) -> bool:
    return SOLD_OUT in having


# Stores


def _compose_stores(reading: Reading, subject: Subject) -> Slots:
    things, products = reading.all(Things), reading.has("noun", "product")
    if not (things or products or reading.has("figure", "quantity") or reading.has("ask", "sold_out")):
        return _compose_openings(reading, subject)
    rank, figure = _read_rank(reading, "")
    if figure not in ("", "quantity"):
        raise CannotTellError(figure)
    having, _ = _read_stock(reading, subject)
    wide = subject.each or rank is not None
    reading.asks("both")
    several = len(things) > 1 and not reading.says("or")
    if several and not having and not wide:
        having = (replace(ALL_IN_STOCK, label="all in stock"),)
    counted = _counts(reading, subject)
    figures = ("quantity",)
    if products and not things and (wide or _is_out(having)):
        figures = ("assortment",)  # of products, not of pieces
        sign = "=" if _is_out(having) else ">"
        more: tuple[Filter, ...] = (Filter(column="stock.quantity", sign=sign, values=(0.0,), label="sold out" if sign == "=" else "in stock"),)
        having = ()
    else:
        more = ()
        if having in ((), (IN_STOCK,)):
            having = () if wide else (IN_STOCK,)
    if reading.has("figure", *_PLAIN) or reading.has("ask", "average"):
        raise CannotTellError("price in a store")
    filters = (*reading.filters("", ""), *more)
    if not filters and not rank and not subject.each:
        raise CannotTellError("stores")
    if not products and not things and not rank and not subject.each:
        raise CannotTellError("stores")
    reading.asks("much", "count", "total")
    return Slots(subject="store", figures=figures, filters=filters, having=having, rank=rank, fold="count" if counted else "")


def _compose_openings(reading: Reading, subject: Subject) -> Slots:
    rank, figure = _read_rank(reading, "opened")
    opens = [one for one in reading.meanings("figure", "opened") if one.text.lower() == "open"]
    past = reading.says("did", "first", "since", "when's") or rank is not None or reading.values("period")
    if opens and not past:
        raise CannotTellError("open")  # today's hours are in no column
    if rank is not None and figure != "opened":
        raise CannotTellError("rank")
    if reading.has("figure") and not reading.has("figure", "opened"):
        raise CannotTellError("figure")
    dated = reading.has("figure", "opened") or rank is not None
    if reading.has("ask", "when") and not dated:
        raise CannotTellError("day")
    filters = tuple(reading.filters("", "opened" if dated else ""))
    counted = _counts(reading, subject)
    reading.asks("total")
    if reading.has("ask", "much") or not (dated or counted or reading.says("which", "list", "what", "name", "all", "where")):
        raise CannotTellError("stores")
    if reading.values("city") and not dated:
        raise CannotTellError("stores")
    return Slots(subject="store", figures=("opened",), filters=filters, rank=rank, fold="count" if counted else "")


def _counts(reading: Reading, subject: Subject) -> bool:
    """Whether the subject itself is counted: "how many stores"."""
    counts = reading.meanings("ask", "count")
    return any(reading.after(one) is subject.link for one in counts) and not subject.each


# Categories and colours


def _compose_groups(reading: Reading, subject: Subject) -> Slots:
    rank, ranked = _read_rank(reading, "released")
    counted = _counts(reading, subject)
    average = reading.asks("average")
    plain = [name for name in reading.figures() if name in ("price", "weight")]
    if ranked in ("price", "weight") and not average and rank is not None:
        if not subject.each:
            raise CannotTellError("end of a group")
        filters = tuple(reading.filters(ranked, ""))
        return Slots(subject="product", figures=(ranked,), filters=filters, rank=replace(rank, within=subject.name))
    having, stocked = _read_stock(reading, subject)
    if _is_out(having) or reading.values("city"):
        raise CannotTellError("stock of a group")
    if subject.name == "category" and reading.has("noun", "product"):
        for one, amount in reading.all(Amount):
            if not amount.figure and amount.sign != "between" and not reading.is_used(one) and not amount.bare:
                reading.use(one)
                label = f"with {amount.sign} {amount.low:g} products"
                having = (Having(figure="products", fold="count", sign=amount.sign, value=amount.low, label=label),)
    filters = tuple(reading.filters(plain[0] if plain else "", ""))
    reading.asks("total", "count", "much")
    plain = plain or [ranked] if ranked in ("price", "weight") else plain
    if average and plain:
        return Slots(subject=subject.name, figures=(plain[0],), each="avg", filters=filters, rank=rank)
    if average:
        raise CannotTellError("average")
    if reading.has("figure", "quantity"):
        return Slots(subject=subject.name, figures=("quantity",), filters=filters, rank=rank)
    if stocked or (plain and not filters) or reading.has("figure", "released", "opened"):
        raise CannotTellError("figure of a group")
    if counted and not filters:
        figures = ("categories",) if subject.name == "category" else ("products",)
        if subject.name == "category":
            return Slots(subject="", figures=figures)
        return Slots(subject=subject.name, figures=figures, fold="count")
    return Slots(
        subject=subject.name, figures=("products",), filters=filters, having=having, rank=rank,
        fold="count" if counted else "",
    )  # fmt: skip


_COMPOSERS = {
    "product": _compose_products,
    "store": _compose_stores,
    "category": _compose_groups,
    "colour": _compose_groups,
}
