"""Whether the numbers, dates, codes, names and negations of an answer are those of its sources."""

from __future__ import annotations

from pytest_llmops.metrics.facts.facts import Facts

__all__ = ["Facts"]
