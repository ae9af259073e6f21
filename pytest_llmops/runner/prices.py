"""What calls used and cost: sums that are unknown where a part of them is."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_llmops.recorder import Call, CallLog
from pytest_llmops.records import Usage
from pytest_llmops.runner.usage import sum_known

_MILLION = 1_000_000


def usage_of(log: CallLog, prices: Mapping[str, tuple[float, float]]) -> Usage:
    """Sums over the answered calls; not known where a call may be missing."""
    answered = [call for call in log.calls if call.outcome != "failed"]
    if not log.is_whole:
        return Usage(calls=len(answered), prompt_tokens=None, completion_tokens=None, cost_usd=None)
    return Usage(
        calls=len(answered),
        replayed=sum(call.outcome == "replayed" for call in answered),
        prompt_tokens=sum_known(call.prompt_tokens for call in answered),
        completion_tokens=sum_known(_completion_tokens(call) for call in answered),
        cost_usd=sum_known(cost_usd(call, prices) for call in answered),
    )


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
