"""The parts of SQL that a query may be made of, by the names of sqlglot's tree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp

# What is not here is refused, so a new version of sqlglot that knows more of the language opens nothing.
# Functions stand here only where their name in the tree is not the one of SQLite.
NODES = frozenset(  # one list is easier to read than eighty quoted words
    """
    Select Subquery With CTE Union Intersect Except From Table TableAlias Join Where Group Having Order
    Ordered Limit Offset Distinct Column Identifier Star Alias Paren Tuple
    Literal Null Boolean Neg Add Sub Mul Div Mod DPipe
    And Or Not EQ NEQ GT GTE LT LTE Is In Between Like Escape Exists Case If Cast DataType
    Count Sum Avg Min Max Round Abs Lower Upper Length Substring Trim StrPosition Coalesce Nullif
    Window WindowSpec RowNumber Rank DenseRank
    TimeToStr TsOrDsToTimestamp Date
    """.split()  # noqa: SIM905
)
CASTS = frozenset({"INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "TEXT", "VARCHAR", "DATE"})


def name_of(node: exp.Expr) -> str:
    """The name of a part in words a person who writes SQL knows: `GroupConcat` becomes `GROUP CONCAT`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper()
