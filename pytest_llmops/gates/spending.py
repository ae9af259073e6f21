"""Model calls, tokens, dollars and seconds of results, and how much a case takes more than it did."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from pytest_llmops.gates.case_results import count_repeats
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import CaseResult, Usage

_NOTED = 1.25  # times as much; agents take a call more or less from one run to the next
_MUCH = 3.0  # times as much of one case
_NAMED = 3
_SLOWER, _SLOWER_S = 2.0, 0.3  # times as long, and seconds; one machine is slower than another


def sum_known(values: Iterable[Any]) -> Any:
    """Return the sum, or None when any part is not known: half a bill is no bill."""
    values = list(values)
    if any(value is None for value in values):
        return None
    exact = any(isinstance(value, float) for value in values)  # and the same in whatever order they come
    return math.fsum(values) if exact else sum(values)


def sum_usage(usages: Iterable[Usage]) -> Usage:
    """Sum field by field, over outputs or runs; a sum is never `stated` by an app."""
    usages = list(usages)
    counts = [count.name for count in fields(Usage) if count.name != "stated"]
    return Usage(**{name: sum_known(getattr(usage, name) for usage in usages) for name in counts})


def spent_on(result: CaseResult) -> Usage | None:
    """Return what all repeats of a case used; None for a baseline of a version that did not keep it."""
    if result.spent is not None:
        return result.spent
    if result.answers:
        return None
    usages = [output.usage for output in result.outputs]
    return sum_usage([*usages, *(failure.usage for failure in result.failures)])


def _seconds(result: CaseResult) -> float:
    """Return the seconds that a repeat took on average; 0 in a baseline, which is alike on every machine."""
    return math.fsum(each.latency_s for each in result.outputs) / (len(result.outputs) or 1)


def describe_spending(base: Iterable[CaseResult], new: Iterable[CaseResult]) -> Iterator[str]:
    """
    Yield `model calls per case: 1 → 6`, and so for tokens, dollars and seconds, where a case takes others.

    Only cases that ask what they asked in the baseline count; a small difference is no sentence.
    """
    before = {result.case: result for result in base}
    pairs = [
        (before[result.case], result)
        for result in new
        if result.case in before and before[result.case].input_hash == result.input_hash
    ]
    pairs = [(old, result) for old, result in pairs if spent_on(old) is not None]
    for name, amount, shown, least in _AMOUNTS:
        means = [(_mean(old, amount), _mean(result, amount)) for old, result in pairs]
        if not means or any(None in pair for pair in means):
            continue
        old, now = (math.fsum(filter(None, side)) / len(means) for side in zip(*means, strict=True))
        if max(old, now) > 0 and max(old, now) >= _NOTED * min(old, now):
            yield f"{name} per case: {shown(old)} → {shown(now)}"
        elif costly := [
            f"{printable(result.case)} {shown(before or 0)} → {shown(after)}"
            for (_, result), (before, after) in zip(pairs, means, strict=True)
            if after and after >= _MUCH * (before or 0) and after - (before or 0) >= least
        ]:
            yield f"{name} of {counted(len(costly), 'case')}: {name_some(costly, _NAMED)}"
    times = [(_seconds(old), _seconds(result)) for old, result in pairs]
    known = [pair for pair in times if all(pair)]
    if known:
        old_s, new_s = (math.fsum(side) / len(known) for side in zip(*known, strict=True))
        if abs(new_s - old_s) >= _SLOWER_S and max(old_s, new_s) >= _SLOWER * min(old_s, new_s):
            yield f"time per case: {old_s:.2g} s → {new_s:.2g} s"


def _mean(result: CaseResult, amount: Callable[[Usage], float | None]) -> float | None:
    usage, repeats = spent_on(result), count_repeats(result)
    total = None if usage is None else amount(usage)
    return None if total is None or not repeats else total / repeats


def _tokens(usage: Usage) -> float | None:
    total: float | None = sum_known([usage.prompt_tokens, usage.completion_tokens])
    return total


_AMOUNTS: Sequence[tuple[str, Callable[[Usage], float | None], Callable[[float], str], float]] = (
    ("model calls", lambda usage: usage.calls, lambda mean: f"{mean:,.3g}", 3),
    ("tokens", _tokens, lambda mean: f"{mean:,.0f}", 1_000),
    ("cost", lambda usage: usage.cost_usd, lambda mean: f"${mean:.3g}", 0.01),
)
"""Name, amount of a usage, how a mean of it is shown, and how much more of one case is named."""
