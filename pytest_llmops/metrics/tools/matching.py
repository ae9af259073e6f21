"""Which of the calls made are which of the calls expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def equal_json(wanted: Any, made: Any, *, partial: bool = False) -> bool:
    """
    Whether two JSON values are one: 1 is 1.0 and not true, keys have no order, lists have.

    Args:
        partial: Objects made may have further keys.
    """
    if isinstance(wanted, Mapping):
        return (
            isinstance(made, Mapping)
            and (partial or len(made) == len(wanted))
            and all(key in made and equal_json(wanted[key], made[key], partial=partial) for key in wanted)
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(made, list | tuple)
            and len(made) == len(wanted)
            and all(equal_json(one, other, partial=partial) for one, other in zip(wanted, made, strict=True))
        )
    if isinstance(wanted, bool) or isinstance(made, bool):
        return isinstance(wanted, bool) and isinstance(made, bool) and wanted == made
    return bool(wanted == made)


def match(fits: Sequence[Sequence[bool]]) -> dict[int, int]:
    """Row to column, as many pairs that fit as there can be, each row and each column once."""
    if not any(map(any, fits)):
        return {}
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    columns = maximum_bipartite_matching(csr_array(fits, dtype=bool), perm_type="column")
    return {row: int(column) for row, column in enumerate(columns) if column >= 0}


def align(fits: Sequence[Sequence[bool]]) -> dict[int, int]:
    """Row to column, as many pairs that fit as there can be with both rising."""
    columns = len(fits[0]) if fits else 0
    longest = [[0] * (columns + 1) for _ in range(len(fits) + 1)]
    for row in reversed(range(len(fits))):
        for column in reversed(range(columns)):
            longest[row][column] = (
                longest[row + 1][column + 1] + 1
                if fits[row][column]
                else max(longest[row + 1][column], longest[row][column + 1])
            )
    pairs, row, column = {}, 0, 0
    while row < len(fits) and column < columns:
        if fits[row][column]:
            pairs[row] = column
            row, column = row + 1, column + 1
        elif longest[row + 1][column] >= longest[row][column + 1]:
            row += 1
        else:
            column += 1
    return pairs
