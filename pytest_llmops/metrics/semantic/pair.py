"""What an output is compared with: the reference, or the input that it answers."""

from __future__ import annotations

import json
from typing import Any, Literal, get_args

from pytest_llmops.errors import MetricOptionError, hint
from pytest_llmops.protocols import Need
from pytest_llmops.records import Sample

Pair = Literal["reference", "input"]


def check_pair(written: Any, metric: str) -> None:
    """
    Raises:
        MetricOptionError: It is none of the two.
    """
    if written not in get_args(Pair):
        near = hint(written, get_args(Pair)) if isinstance(written, str) else ""
        raise MetricOptionError(f"{metric}: pair is reference or input, not {written!r}.{near}")


def needs_of(pair: Pair) -> frozenset[Need]:
    """An input is always there."""
    return frozenset({"reference"}) if pair == "reference" else frozenset()


def partner(sample: Sample, pair: Pair) -> str:
    """The text that the output is compared with; an input that is no text stands as JSON."""
    if pair == "reference":
        return sample.reference or ""
    if isinstance(sample.input, str):
        return sample.input
    return json.dumps(sample.input, ensure_ascii=False, sort_keys=True, default=str)
