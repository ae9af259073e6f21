"""Tokens and costs of model calls: sums that are unknown where a part of them is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_llmops.gates.spending import sum_known, sum_usage
from pytest_llmops.recorder import Call, CallLog
from pytest_llmops.recorder.providers import WORDLESS
from pytest_llmops.records import CaseResult, Output, Usage

_MILLION = 1_000_000


def sum_outputs(results: Iterable[CaseResult]) -> Usage:
    """Sum over outputs and the repeats that broke, of app and rival: all of it is paid."""
    sides = [side for result in results for side in (result, result.rival) if side is not None]
    outputs = [output.usage for side in sides for output in side.outputs]
    return sum_usage([*outputs, *(failure.usage for side in sides for failure in side.failures)])


def sum_stated(usages: Sequence[Usage]) -> Usage:
    """Sum what an app stated of each turn; unknown where it is silent on one."""
    total = sum_usage(usages)
    if all(usage.stated for usage in usages):
        return replace(total, stated=True)
    silent = not any(usage.stated for usage in usages)
    return total if silent else replace(total, prompt_tokens=None, completion_tokens=None, cost_usd=None)


def usage_of(log: CallLog, prices: Mapping[str, tuple[float, float]]) -> Usage:
    """Count calls by their outcome, and sum over the answered ones; unknown where one may be missing."""
    calls = [call for call in log.calls if call.asks_model]
    answered = [call for call in calls if call.answered]
    failed = sum(call.outcome == "failed" for call in calls)
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


def price_stated(output: Output, prices: Mapping[str, tuple[float, float]]) -> Output:
    """The output with the cost of the tokens that the app counted itself, where it gave no cost."""
    usage, price = output.usage, find_price(prices, output.model)
    if not usage.stated or usage.cost_usd or price is None:
        return output
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return output
    cost_usd = _price(price, usage.prompt_tokens, usage.completion_tokens)
    return replace(output, usage=replace(usage, cost_usd=cost_usd))


def find_price(prices: Mapping[str, tuple[float, float]], *models: str | None) -> tuple[float, float] | None:
    """Find the price of the first name in the table; gateways put providers before it: `openai/gpt-4o`."""
    names = [name for model in models if model for name in (model, model.rpartition("/")[2])]
    return next((prices[name] for name in names if name in prices), None)


def _price(price: tuple[float, float], prompt_tokens: int, completion_tokens: int) -> float:
    return (price[0] * prompt_tokens + price[1] * completion_tokens) / _MILLION


def _completion_tokens(call: Call) -> int | None:
    return 0 if call.kind in WORDLESS else call.completion_tokens


def cost_usd(call: Call, prices: Mapping[str, tuple[float, float]]) -> float | None:
    """Price a call by the table; without an entry there, a model of this machine costs nothing."""
    price = find_price(prices, call.model_reported, call.model)
    if price is None:
        return 0.0 if call.provider == "loopback" else None
    completion_tokens = _completion_tokens(call)
    if call.prompt_tokens is None or completion_tokens is None:
        return None
    return _price(price, call.prompt_tokens, completion_tokens)
