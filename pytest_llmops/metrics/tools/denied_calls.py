"""`denied_calls`: what the app's model asked for and its policy refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmops.metrics.tools.calls import SHOWN, check_names, show_call
from pytest_llmops.printable import name_some
from pytest_llmops.records import Bound, Failure, Sample, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmops.protocols import Need


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedCalls:
    """
    How many tool calls the app's own policy denied: calls whose `decision` is `denied`.

    Attributes:
        names: Only calls of these tools count; all by default.
    """

    names: tuple[str, ...] = ()

    name: ClassVar[str] = "denied_calls"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[Need]] = frozenset()
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    higher_is_better: ClassVar[bool] = False
    bound: ClassVar[Bound] = Bound(comparison="<=", threshold=0.0)

    def __post_init__(self) -> None:
        check_names("denied_calls: names", self.names)

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        return [self._count(sample) for sample in batch]

    def _count(self, sample: Sample) -> Score:
        denied = [
            call
            for call in sample.output.tool_calls
            if call.decision == "denied" and (not self.names or call.name in self.names)
        ]
        shown = [show_call(call.name, call.arguments) for call in denied]
        return Score(
            metric=self.name,
            value=float(len(denied)),
            repeat=sample.output.repeat,
            reason=f"denied: {name_some(shown, SHOWN)}" if denied else "",
            evidence=({"denied": shown},) if denied else (),
            signature=f"denied_calls|v{self.version}",
        )
