"""What calls used and cost: sums that are unknown where a part of them is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytest_llmops.recorder import Call, CallLog
from pytest_llmops.records import Usage
from pytest_llmops.runner.usage import sum_known

_MILLION = 1_000_000


def usage_of(log: CallLog, prices: Mapping[str, tuple[float, float]]) -> Usage:
    """Calls by what became of them, and sums over the answered ones, unknown where one may be missing."""
    answered = [call for call in log.calls if call.answered]
    failed = sum(call.outcome == "failed" for call in log.calls)
    usage = Usage(
        calls=len(answered) + failed,
        replayed=sum(call.outcome == "replayed" for call in answered),
        failed=failed,
        prompt_tokens=sum_known(call.prompt_tokens for call in answered),
        completion_tokens=sum_known(_completion_tokens(call) for call in answered),
        cost_usd=sum_known(cost_usd(call, prices) for call in answered),
    )
    if log.is_whole:
        return usage
    return replace(usage, prompt_tokens=None, completion_tokens=None, cost_usd=None)


def _completion_tokens(call: Call) -> int | None:
    return 0 if call.kind == "embeddings" else call.completion_tokens


def cost_usd(call: Call, prices: Mapping[str, tuple[float, float]]) -> float | None:
    """By the table of prices; without an entry there, a model of this machine costs nothing."""
    price = prices.get(call.model_reported or "") or prices.get(call.model or "")
    if price is None:
        return 0.0 if call.provider == "loopback" else None
    completion_tokens = _completion_tokens(call)
    if call.prompt_tokens is None or completion_tokens is None:
        return None
    return (price[0] * call.prompt_tokens + price[1] * completion_tokens) / _MILLION
