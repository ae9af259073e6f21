"""`tool_order`: the tools that the app should call, in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pytest_llmops.documents.reading import list_of, read_name
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.metrics.tools.calls import NO_CALL
from pytest_llmops.metrics.tools.matching import align
from pytest_llmops.metrics.words import quote
from pytest_llmops.printable import printable
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOrder(DeclaredMetric):
    """
    The longest part of the expected order that the app's calls follow, as a share of it; other calls may
    come between.

    Attributes:
        expected: Names of tools.
    """

    expected: Annotated[tuple[str, ...], list_of(read_name)]

    traits = MetricTraits(
        name="tool_order",
        family="tool_calls",
        bound=Bound(comparison=">=", threshold=1.0),
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        if not self.expected:
            raise MetricOptionError("tool_order: expected is empty; name the tools in their order")

    def measure(self, sample: Sample) -> Score:
        made = [call.name for call in sample.output.tool_calls]
        pairs = align([[name == each for each in made] for name in self.expected])
        reason = ""
        if left := [name for at, name in enumerate(self.expected) if at not in pairs]:
            absent = [name for name in left if name not in made]
            what = f"not called: {quote(absent)}" if absent else f"not in its place: {quote(left)}"
            reason = f"{what}; {f'called were {quote(made)}' if made else NO_CALL}"
        return self.give(
            sample,
            len(pairs) / len(self.expected),
            reason,
            evidence=({"called": [printable(name) for name in made], "left": left},) if left else (),
        )
