"""DeepEval's metrics as checks of ours, and ours as DeepEval's; the library is imported when one is made."""

from __future__ import annotations

from pytest_llmops.metrics.deepeval.check import DeepEval
from pytest_llmops.metrics.deepeval.wrapped import as_deepeval

__all__ = ["DeepEval", "as_deepeval"]
