"""Whether an answer is JSON of the form that was asked for."""

from __future__ import annotations

from pytest_llmops.metrics.lexical.json_schema.json_schema import JsonSchema

__all__ = ["JsonSchema"]
