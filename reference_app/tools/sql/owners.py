"""Whose orders an answer of the database is about; a customer who is signed in gets none about another's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reference_app.tools.registry import NOT_OWN, DeniedCallError
from reference_app.tools.sql import execution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

AT_ONCE = 100  # of the orders in one query, which has a limit of characters
_TEXT = re.compile(r"'((?:[^']|'')*)'")  # of a query
_NUMBER = re.compile(r"(?<!\d)\d{5}(?!\d)", re.ASCII)  # a query may compare with a part of `FW-10427`


def keep_own(answer: dict[str, Any], customer: int, run: Callable[[str], execution.Answer]) -> dict[str, Any]:
    """
    The answer, if it is about no single order of another customer; figures of many orders are open to all.

    Args:
        answer: As `SqlAgent.ask` returns it.
        customer: Who asks.
        run: Runs a query on the same database.

    Raises:
        DeniedCallError: The query or a row names the order of another customer.
    """
    named = sorted(set(_list_orders(answer)))
    try:
        foreign = any(
            _find_foreign(named[start : start + AT_ONCE], customer, run)
            for start in range(0, len(named), AT_ONCE)
        )
    except (execution.TooSlowError, execution.UnavailableError) as error:
        return {"error": "unavailable", "reason": str(error)}
    if foreign:
        raise DeniedCallError(NOT_OWN)
    return answer


def _list_orders(answer: dict[str, Any]) -> Iterator[str]:
    """The digits of all order numbers in texts of the query and of the rows; a figure is none."""
    cells = (value for row in answer.get("rows", []) for value in row if isinstance(value, str))
    for text in (*_TEXT.findall(answer.get("sql", "")), *cells):
        yield from _NUMBER.findall(text)


def _find_foreign(numbers: Sequence[str], customer: int, run: Callable[[str], execution.Answer]) -> bool:
    """Whether one of the orders is another customer's; an order that does not exist is nobody's."""
    listed = ", ".join(f"'FW-{number}'" for number in numbers)
    query = f"SELECT order_id FROM orders WHERE order_id IN ({listed}) AND customer_id <> {customer}"  # noqa: S608 - digits
    return bool(run(query).rows)
