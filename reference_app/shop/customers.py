"""Who is signed in: the number of a customer, as whoever runs the shop's site knows it."""

from __future__ import annotations

from reference_app.errors import QuestionError

HEADER = "Customer-Number"
"""Of a call about an order: whose order it has to be; without it, anybody's."""
MAX_CUSTOMER = 2**31 - 1


def read_customer(value: object) -> int:
    """
    The number, if it can be one; whether there is such a customer is not asked.

    Raises:
        QuestionError: It is no whole number, or out of range.
    """
    if type(value) is not int or not 1 <= value <= MAX_CUSTOMER:
        raise QuestionError(f"The customer must be a whole number from 1 to {MAX_CUSTOMER}, like 7.")
    return value
