"""
Rows of a JSONL file, or mappings alike, scored without an app: inputs and outputs are in them.

A row may hold `id, input, output, outputs, reference, references, contexts, retrieved, relevant`; what else
it holds, such as labels, is left alone.
"""

from __future__ import annotations

from pytest_llmops.runner.rows.reading import Row, RowError, check_rows, number_repeats, read_rows
from pytest_llmops.runner.rows.scoring import make_metric, metric_of, score, score_rows, stem_of

__all__ = [
    "Row",
    "RowError",
    "check_rows",
    "make_metric",
    "metric_of",
    "number_repeats",
    "read_rows",
    "score",
    "score_rows",
    "stem_of",
]
