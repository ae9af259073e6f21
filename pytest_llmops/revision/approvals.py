"""Approvals of loosened items: each is one item as the report prints it, given on the trusted side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from pytest_llmops.errors import hint
from pytest_llmops.printable import printable
from pytest_llmops.revision.loosening import Loosening


class Sorted(NamedTuple):
    """Loosened items by whether they are approved, and a sentence for each approval of none of them."""

    open: list[Loosening]
    approved: list[Loosening]
    unused: list[str]


def sort_by_approval(
    items: Sequence[Loosening], approvals: Iterable[str], *, known: Sequence[Loosening] = ()
) -> Sorted:
    """
    Divide items by the approvals, of which each names one.

    The number of the line in an item is free, for it moves with everything above it.

    Args:
        approvals: Items as they are printed; one text may have several, one on each line.
        known: Further items that an approval may name, and that need none.
    """
    lines = (line.strip() for text in approvals for line in text.splitlines())
    wanted = dict.fromkeys(filter(None, lines))
    approved = {item: [line for line in wanted if _is_of(line, item)] for item in items}
    used = {line for lines in approved.values() for line in lines}
    used |= {line for line in wanted if any(_is_of(line, item) for item in known)}
    texts = [item.text for item in (*items, *known)]
    return Sorted(
        open=[item for item in items if not approved[item]],
        approved=[item for item in items if approved[item]],
        unused=[
            f"approved, but this change loosens no such thing: {printable(line)}.{hint(line, texts)}"
            for line in wanted
            if line not in used
        ],
    )


def _is_of(approval: str, item: Loosening) -> bool:
    if approval == item.text:
        return True
    path, _, line = item.place.rpartition(":")
    place = path if line.isdecimal() else item.place
    bare = replace(item, place=place).text
    return re.sub(rf"\A({re.escape(printable(place))}):\d+(?=: )", r"\1", approval) == bare
