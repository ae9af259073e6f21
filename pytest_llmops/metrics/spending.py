"""
`latency_s`, `cost_usd`, `tokens`: what an output took.

These have no natural limit, so a golden file writes one. `true` and `none` mean "nothing at all": a
check without a limit fails rather than passes unseen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmops.records import Bound, Failure, Output, Sample, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmops.protocols import Need

_NOTHING = Bound(comparison="<=", threshold=0.0)
_UNBOUNDED = (0.0, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spending:
    """What the three share; each says what it reads off an output."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[Need]] = frozenset()
    range: ClassVar[tuple[float, float]] = _UNBOUNDED
    higher_is_better: ClassVar[bool] = False
    bound: ClassVar[Bound] = _NOTHING

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        """Scores where the reading is a number; a failure where it says why there is none."""
        results: list[Score | Failure] = []
        for sample in batch:
            value, repeat = self.read(sample.output), sample.output.repeat
            if isinstance(value, float) and not math.isfinite(value):
                value = f"{value} is no amount; the app or [tool.pytest-llmops.prices] gave it"
            if isinstance(value, str):
                results.append(Failure(metric=self.name, stage="score", error=value, repeat=repeat))
            else:
                signature = f"{self.name}|v{self.version}"
                results.append(Score(metric=self.name, value=value, repeat=repeat, signature=signature))
        return results

    def read(self, output: Output) -> float | str:
        """The amount, or a sentence that says why there is none."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyS(_Spending):
    """Wall time of the app's answer in seconds; a replayed model call counts with the time it once took."""

    name: ClassVar[str] = "latency_s"

    def read(self, output: Output) -> float | str:
        return output.latency_s


@dataclass(frozen=True, slots=True, kw_only=True)
class CostUsd(_Spending):
    """US dollars for the model calls of an output, replayed ones at what they once cost."""

    name: ClassVar[str] = "cost_usd"

    def read(self, output: Output) -> float | str:
        return _cost(output)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens(_Spending):
    """Prompt and completion tokens of an output's model calls, as the provider counted them."""

    name: ClassVar[str] = "tokens"

    def read(self, output: Output) -> float | str:
        return _tokens(output)


def _tokens(output: Output) -> float | str:
    usage = output.usage
    if usage.calls == 0 and not usage.stated:
        return "no model call was seen; the app must reach its model over HTTP in the same process"
    if usage.calls == usage.failed and usage.failed:
        return f"no model call was answered: {usage.failed} failed"
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return "the provider reported no usage; ask it to, or take this check out"
    return float(usage.prompt_tokens + usage.completion_tokens)


def _cost(output: Output) -> float | str:
    tokens = _tokens(output)
    if isinstance(tokens, str):
        return tokens
    if output.usage.cost_usd is None:
        model = output.model or "the model's name"
        return (
            f'the price of {model!r} is not known; give it in [tool.pytest-llmops.prices] as "{model}" = '
            "[prompt, completion], in US dollars for a million tokens"
        )
    return output.usage.cost_usd
