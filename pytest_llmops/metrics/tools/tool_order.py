"""`tool_order`: the tools that the app should call, in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.tools.calls import NO_CALL, check_names
from pytest_llmops.metrics.tools.matching import align
from pytest_llmops.metrics.words import quote
from pytest_llmops.printable import printable
from pytest_llmops.records import Bound, Failure, Sample, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmops.protocols import Need


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOrder:
    """
    The longest part of the expected order that the app's calls follow, as a share of it; other calls may
    come between.

    Attributes:
        expected: Names of tools.
    """

    expected: tuple[str, ...]

    name: ClassVar[str] = "tool_order"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[Need]] = frozenset()
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    higher_is_better: ClassVar[bool] = True
    bound: ClassVar[Bound] = Bound(comparison=">=", threshold=1.0)

    def __post_init__(self) -> None:
        check_names("tool_order: expected", self.expected)
        if not self.expected:
            raise MetricOptionError("tool_order: expected is empty; name the tools in their order")

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        return [self._follow(sample) for sample in batch]

    def _follow(self, sample: Sample) -> Score:
        made = [call.name for call in sample.output.tool_calls]
        pairs = align([[name == each for each in made] for name in self.expected])
        reason = ""
        if left := [name for at, name in enumerate(self.expected) if at not in pairs]:
            absent = [name for name in left if name not in made]
            told = f"not called: {quote(absent)}" if absent else f"not in its place: {quote(left)}"
            reason = f"{told}; {f'called were {quote(made)}' if made else NO_CALL}"
        return Score(
            metric=self.name,
            value=len(pairs) / len(self.expected),
            repeat=sample.output.repeat,
            reason=reason,
            evidence=({"called": [printable(name) for name in made], "left": left},) if left else (),
            signature=f"tool_order|v{self.version}",
        )
