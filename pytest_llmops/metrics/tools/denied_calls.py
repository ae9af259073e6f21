"""`denied_calls`: what the app's model asked for and its policy refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pytest_llmops.documents.reading import list_of, read_name
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.metrics.tools.calls import SHOWN, show_call
from pytest_llmops.printable import name_some
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedCalls(DeclaredMetric):
    """
    How many tool calls the app's own policy denied: calls whose `decision` is `denied`.

    Attributes:
        names: Only calls of these tools count; all by default.
    """

    names: Annotated[tuple[str, ...], list_of(read_name)] = ()

    traits = MetricTraits(
        name="denied_calls",
        family="tool_calls",
        range=(0.0, math.inf),
        higher_is_better=False,
        bound=Bound(comparison="<=", threshold=0.0),
    )

    def measure(self, sample: Sample) -> Score:
        denied = [
            call
            for call in sample.output.tool_calls
            if call.decision == "denied" and (not self.names or call.name in self.names)
        ]
        shown = [show_call(call.name, call.arguments) for call in denied]
        return self.give(
            sample,
            float(len(denied)),
            f"denied: {name_some(shown, SHOWN)}" if denied else "",
            evidence=({"denied": shown},) if denied else (),
        )
