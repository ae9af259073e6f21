"""A question as one query, or nothing: the cheap look that needs no model and runs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.question import link
from reference_app.tools.sql.understanding.composing import compose
from reference_app.tools.sql.understanding.query import NoWayError, write_tree
from reference_app.tools.sql.understanding.reading import CannotTellError
from reference_app.tools.sql.understanding.wording import describe

if TYPE_CHECKING:
    from datetime import date

    from reference_app.tools.sql.linking.question import Linked
    from reference_app.tools.sql.linking.values import Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """
    Every word of a question, read as one query.

    Attributes:
        sql: In the dialect that was wished for.
        units: Of each column: `name`, `£`, `kg`, `date`, `text`, `holds`, or what is counted.
        description: What is looked for, in words for the customer.
        yes_no: What says yes to a question that wants it: that there are `rows`, that pieces are in `stock`,
            or the column `holds`; else empty.
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
    from reference_app.tools.sql.linking.lexicon import Meaning

    slots = compose(linked)
    try:
        tree, units = write_tree(slots)
    except NoWayError as error:
        raise CannotTellError("the tables do not go together") from error
    return Understood(
        sql=tree.sql(dialect=dialect),
        units=units,
        description=describe(slots),
        yes_no=slots.yes_no,
        names=any(not isinstance(one.to, Meaning) for one in linked.links),
    )


def understand(question: str, values: Values, today: date, dialect: str = "sqlite") -> Understood | None:
    """The query of a question; None where a word is unknown or more than one thing can be meant."""
    try:
        return understand_linked(link(question, values, today), dialect)
    except CannotTellError:
        return None
