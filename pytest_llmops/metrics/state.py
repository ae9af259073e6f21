"""`state`: what a case leaves behind in the world, compared with what is expected of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from pytest_llmops.detect.mask import mask_recorded
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.tools import equal_json
from pytest_llmops.printable import printable
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Sample, Score

_NAMED = 3
_KEPT = 20
_SHOWN = 60  # characters of a key or a value
_NONE = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class State(DeclaredMetric):
    """
    1 if the state after the last answer equals the expected one; else 0.

    Both are JSON values, compared whole, so that what was changed by mistake counts as what was not done: 1
    equals 1.0 and not true, keys have no order, lists have. The evidence is each difference, by JSON pointer.

    Source: tau-bench (Yao et al. 2024) compares the database after a conversation with that of the right
    actions.
    """

    traits = MetricTraits(
        name="state",
        needs=frozenset({"expected"}),
        basis="reference",
        bound=Bound(comparison=">=", threshold=1.0),
    )

    def measure(self, sample: Sample) -> Score | Failure:
        if sample.state is None:
            return fail(self, sample, "no function reads the state here; it is read in golden runs")
        if sample.state.error:
            return fail(self, sample, sample.state.error)
        # No leak check sees the state, so what is personal in it is masked here.
        differences = [mask_recorded(line) for line in _find_differences(sample.expected, sample.state.value)]
        more = len(differences) - _NAMED
        reason = "; ".join(differences[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
        return self.give(sample, float(not differences), reason, evidence=tuple(differences[:_KEPT]))


def _find_differences(wanted: Any, found: Any, place: str = "") -> Iterator[str]:
    """Yield what differs between two JSON values, in the order of the expected one."""
    shown = place or "the state"
    if wanted is _NONE:
        yield f"{shown} is {_show(found)}, and is not expected"
    elif found is _NONE:
        yield f"{shown} is missing; expected: {_show(wanted)}"
    elif isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key in dict.fromkeys((*wanted, *found)):
            pointer = str(key).replace("~", "~0").replace("/", "~1")
            yield from _find_differences(
                wanted.get(key, _NONE), found.get(key, _NONE), f"{place}/{printable(pointer, _SHOWN)}"
            )
    elif isinstance(wanted, list) and isinstance(found, list):
        for at, (one, other) in enumerate(zip_longest(wanted, found, fillvalue=_NONE)):
            yield from _find_differences(one, other, f"{place}/{at}")
    elif not equal_json(wanted, found):
        yield f"{shown} is {_show(found)}, not {_show(wanted)}"


def _show(value: Any) -> str:
    return printable(json.dumps(value, ensure_ascii=False), _SHOWN)
