"""Sums over what model calls took, in which an unknown part makes the whole unknown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from pytest_llmops.records import CaseResult, Usage


def sum_known(values: Iterable[Any]) -> Any:
    """The sum, or None when any part is not known: half a bill is no bill."""
    values = list(values)
    return None if any(value is None for value in values) else sum(values)


def sum_usage(usages: Iterable[Usage]) -> Usage:
    """Field by field, over outputs or runs; who stated the parts is said of none."""
    usages = list(usages)
    counts = [each.name for each in fields(Usage) if each.name != "stated"]
    return Usage(**{name: sum_known(getattr(usage, name) for usage in usages) for name in counts})


def sum_outputs(results: Iterable[CaseResult]) -> Usage:
    """Over the outputs of results and the repeats that broke, their rivals' with them: all of it is paid."""
    sides = [side for result in results for side in (result, result.rival) if side is not None]
    outputs = [output.usage for side in sides for output in side.outputs]
    return sum_usage([*outputs, *(failure.usage for side in sides for failure in side.failures)])
