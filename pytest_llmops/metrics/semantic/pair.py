"""What an output is compared with: the reference, or the input that it answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pytest_llmops.protocols import Need
    from pytest_llmops.records import Sample

Pair = Literal["reference", "input"]


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
