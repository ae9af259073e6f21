"""Values, groups and kinds of rows as numbers from 0, which can be counted fast."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]
else:
    Floats = Codes = Any


def rank_codes(values: Floats | Codes) -> Codes:
    """Each value's place among the distinct ones, from 0: all that ranks need to know of them."""
    import numpy as np

    codes: Codes = np.unique(values, return_inverse=True)[1].reshape(-1)
    return codes


def group_codes(groups: Sequence[Hashable] | None, rows: int) -> Codes:
    """Each row's group, numbered in the order in which groups occur; without groups each row is one."""
    import numpy as np

    if groups is None:
        return np.arange(rows)
    order: dict[Hashable, int] = {}
    return np.array([order.setdefault(group, len(order)) for group in groups], dtype=np.intp)


def find_kinds(*columns: Codes) -> tuple[Codes, Codes]:
    """
    Rows that are alike in all columns are of one kind: a row of each kind, and the kind of each row.

    Kinds count up in the order of the first column, then of the second, and so on.
    """
    import numpy as np

    kinds = np.zeros(len(columns[0]), dtype=np.intp)
    for column in columns:
        kinds = rank_codes(kinds * (column.max(initial=0) + 1) + column)
    return np.unique(kinds, return_index=True)[1], kinds


def sum_weights(codes: Codes, weights: Floats, size: int) -> Floats:
    """The sum of the weights of the rows of each code, for the codes 0 … size - 1."""
    import numpy as np

    sums: Any = np.bincount(codes, weights, minlength=size)  # numpy's stubs say integers
    return sums  # type: ignore[no-any-return]  # as above
