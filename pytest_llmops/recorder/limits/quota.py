"""Headers by which providers name their limits, read with suspicion: numbers of anybody, in any unit."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_RESET_S = 120.0
"""Of a quota that is waited for before it is exceeded; a limit of a day says so by its refusals."""

_LIMITED, _OVERLOADED = 429, frozenset({503, 529})
REFUSALS = _OVERLOADED | {_LIMITED}
"""Statuses of refusals; of those but 429 only with a pause."""

_EPOCH_S = 1e9  # numbers above are points in time
_MILLI = 1_000
_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SPAN = re.compile(r"(?:\d{1,12}(?:\.\d{1,12})?(?:ms|[dhms]))+")
_PART = re.compile(r"([\d.]+)(ms|[dhms])")
# Of OpenAI and those that copied it, then Anthropic's.
_NAMES = ("x-ratelimit-{what}-{of}", "anthropic-ratelimit-{of}-{what}")
_REQUESTS = ("requests", "tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """
    What an answer says is left.

    Attributes:
        calls: Requests; infinite where none are named.
        tokens: Of prompts and answers, likewise.
        reset_s: Seconds until there are more.
    """

    calls: float = math.inf
    tokens: float = math.inf
    reset_s: float = 0.0


def is_refusal(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether a provider takes no call now: 429, or 503 and 529 that name a pause."""
    return status == _LIMITED or (status in _OVERLOADED and pause_of(headers) is not None)


def pause_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that a refusal names; None where it names none that can be understood."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / _MILLI
    return read_pause_s(headers.get("retry-after"))


def quota_of(headers: Mapping[str, str]) -> Quota | None:
    """Return what an answer's headers leave; None where they say nothing, or nothing that can be."""
    left: dict[str, float] = {}
    resets = []
    for of in _REQUESTS:
        for name in _NAMES:
            number = _number(headers.get(name.format(what="remaining", of=of)))
            reset_s = read_pause_s(headers.get(name.format(what="reset", of=of)))
            if number is None or reset_s is None or reset_s > LONGEST_RESET_S:
                continue
            left[of] = number
            resets.append((number, reset_s))
    if not left:
        return None
    _, reset_s = min(resets)
    return Quota(calls=left.get("requests", math.inf), tokens=left.get("tokens", math.inf), reset_s=reset_s)


def read_pause_s(written: str | None) -> float | None:
    """
    Read seconds, `6m0s`, or a date as HTTP (RFC 9110, 10.2.3) or ISO 8601 has it.

    None where there is no finite time; 0 where it is over.
    """
    if not written:
        return None
    written = written.strip()
    if (number := _number(written)) is not None:
        return max(number - time.time(), 0.0) if number > _EPOCH_S else number
    if _SPAN.fullmatch(written):
        return sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(written))
    return _seconds_to(written)


def _seconds_to(written: str) -> float | None:
    try:
        when = parsedate_to_datetime(written)
    except (ValueError, TypeError, IndexError, OverflowError):
        try:
            when = datetime.fromisoformat(written)
        except ValueError:
            return None
    try:
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    except OverflowError:
        return None


def _number(written: str | None) -> float | None:
    """Read a number that is finite; a negative one counts as 0."""
    try:
        number = float(written or "")
    except ValueError:
        return None
    return max(number, 0.0) if math.isfinite(number) else None
