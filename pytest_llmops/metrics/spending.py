"""
`latency_s`, `first_token_s`, `cost_usd`, `tokens`, `model_calls`: what an output took, and cost.

These have no natural limit, so a golden file writes one. `true` and `none` mean "nothing at all": a
check without a limit fails rather than passes unseen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Output, Sample, Score

_NOT_STREAMED = (
    "nobody saw the first text come: the app has to answer by a generator or async generator, or by a URL "
    "with `stream`, and no model call of the case may be replayed (`live: true`)"
)


def _declare(name: str) -> MetricTraits:
    return MetricTraits(
        name=name,
        basis="run",
        range=(0.0, math.inf),
        higher_is_better=False,
        bound=Bound(comparison="<=", threshold=0.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyS(DeclaredMetric):
    """Wall time of the app's answer in seconds; a replayed model call counts with the time it once took."""

    traits = _declare("latency_s")

    def measure(self, sample: Sample) -> Score | Failure:
        return _read(self, sample, sample.output.latency_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstTokenS(DeclaredMetric):
    """Seconds until the first text of a streamed answer came, without waiting for limits of providers."""

    traits = _declare("first_token_s")

    def measure(self, sample: Sample) -> Score | Failure:
        first_s = sample.output.first_token_s
        return _read(self, sample, _NOT_STREAMED if first_s is None else first_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostUsd(DeclaredMetric):
    """US dollars for the model calls of an output, replayed ones at their recorded price."""

    traits = _declare("cost_usd")

    def measure(self, sample: Sample) -> Score | Failure:
        return _read(self, sample, _cost(sample.output))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens(DeclaredMetric):
    """Prompt and completion tokens of an output's model calls, as the provider counted them."""

    traits = _declare("tokens")

    def measure(self, sample: Sample) -> Score | Failure:
        return _read(self, sample, _tokens(sample.output))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCalls(DeclaredMetric):
    """Model calls of an output, answered or not; each attempt of a client that retries is one."""

    traits = _declare("model_calls")

    def measure(self, sample: Sample) -> Score | Failure:
        usage = sample.output.usage
        if usage.stated and not usage.calls and (usage.prompt_tokens or usage.completion_tokens):
            return _read(self, sample, "the app states its tokens, and not how many model calls they are of")
        return _read(self, sample, _calls(sample.output))


def _read(metric: DeclaredMetric, sample: Sample, amount: float | str) -> Score | Failure:
    """The amount as a score; a failure where it is the text of an error."""
    if isinstance(amount, float) and not math.isfinite(amount):
        amount = f"{amount} is no amount; the app or [tool.pytest-llmops.prices] gave it"
    return fail(metric, sample, amount) if isinstance(amount, str) else metric.give(sample, amount)


def _calls(output: Output) -> float | str:
    if output.usage.calls == 0 and not output.usage.stated:
        return (
            "no model call was seen; the app must reach its model over HTTP in the same process, with "
            "--llm-proxy in another one, or return its `usage`: {calls: 0} where it made none"
        )
    return float(output.usage.calls)


def _tokens(output: Output) -> float | str:
    usage, calls = output.usage, _calls(output)
    if isinstance(calls, str):
        return calls
    if usage.calls == usage.failed and usage.failed:
        return f"no model call was answered: {usage.failed} failed"
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return "the provider reported no usage; ask it to, or take this check out"
    return float(usage.prompt_tokens + usage.completion_tokens)


def _cost(output: Output) -> float | str:
    tokens = _tokens(output)
    if isinstance(tokens, str) and not (output.usage.stated and output.usage.cost_usd):
        return tokens
    if output.usage.cost_usd is None:
        model = output.model or "the model's name"
        return (
            f'the price of {model!r} is not known; give it in [tool.pytest-llmops.prices] as "{model}" = '
            "[prompt, completion], in US dollars for a million tokens"
        )
    return output.usage.cost_usd
