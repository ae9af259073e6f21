"""What a question wants, as records that a query and a sentence are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reference_app.tools.sql.linking.values import Things


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """
    A condition of rows.

    Attributes:
        column: With its table; empty where `things` are meant.
        sign: `=`, `<>`, `<`, `>`, `<=`, `>=`, `between` (both ends included).
        values: Of which one has to be met; the two ends of `between`.
        things: Products, of which one has to be met.
        than: A product with whose value of the same column is compared, in place of `values`.
        label: The condition in words, after "products".
    """

    label: str
    column: str = ""
    sign: str = "="
    values: tuple[str | float, ...] = ()
    things: tuple[Things, ...] = ()
    than: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Having:
    """A condition of a figure made of many rows, such as no piece left in any store."""

    figure: str
    fold: str
    sign: str
    value: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """
    The rows with the highest or lowest figure; all rows with an equal figure count as one place.

    Attributes:
        count: Places from the first.
        place: The one place that is meant ("second cheapest"); 0 where all are.
        within: A subject each of which is ranked alone.
        both: Whether the other end is wanted as well.
    """

    high: bool
    count: int = 1
    place: int = 0
    within: str = ""
    both: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """
    Attributes:
        subject: What the rows are about, one of `schema.SUBJECTS`; empty for one figure over all.
        figures: Of `schema.FIGURES`; the first is ranked, ordered and folded.
        filters: All have to be met.
        having: All have to be met.
        rank: The rows kept.
        fold: `count`, `sum`, `avg` or `range` over the rows; empty shows them.
        each: How a figure without a fold becomes one for each subject: `avg`.
        pieces: Of a sum, how many of each product.
        compared: Two products, of which the difference of the first figure is wanted.
        high: Whether the first of them is said to have the higher figure; None where nothing is said.
        descending: Order of the rows by the first figure; None leaves it to the names.
        holds: What a question that wants yes or no says of its one product.
        yes_no: What says yes to a question that wants it: `rows`, pieces in `stock` or `gone`, what `holds`.
    """

    subject: str
    figures: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    having: tuple[Having, ...] = ()
    rank: Rank | None = None
    fold: str = ""
    each: str = ""
    pieces: tuple[tuple[str, int], ...] = ()
    compared: tuple[str, str] | None = None
    high: bool | None = None
    descending: bool | None = None
    holds: Filter | None = None
    yes_no: str = ""
    order_id: str = ""
