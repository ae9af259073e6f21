"""Facts of an answer compared with its sources: values with units, names and negations."""

from __future__ import annotations

from pytest_llmops.metrics.facts.facts import Facts

__all__ = ["Facts"]
