"""
What a change made easier to pass by the project's settings.

Each setting is compared, but for those that decide nothing; one that has no rule here counts as looser
whatever its new value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from pytest_llmops.printable import printable
from pytest_llmops.revision.loosening.cases import is_fewer
from pytest_llmops.revision.loosening.listing import show_change
from pytest_llmops.revision.loosening.record import Loosening
from pytest_llmops.settings import REVISION, Settings

_DECIDES_NOTHING = {"root", "flagged", "golden", "out", "concurrency", "export"}
"""`golden` does, and is seen by the golden files that are no longer there."""
WATCHED = tuple(each.name for each in fields(Settings) if each.name not in _DECIDES_NOTHING)

_WEIGHT: Mapping[object, int] = {"pass": 0, "warn": 1, "fail": 2}
_LEAVES: Mapping[object, int] = {"refuse": 0, "masked": 1, "forward": 2}
_AMOUNT = re.compile(r"\s*([0-9.]+)\s*(calls?|usd|)\s*\Z", re.IGNORECASE)


def compare_settings(old: Settings, new: Settings, path: str) -> Iterator[Loosening]:
    """
    Settings that are looser than they were.

    Args:
        path: The file that a reader will look into.
    """
    for name in WATCHED:
        was, now = getattr(old, name), getattr(new, name)
        loosened = partial(Loosening, place=path)
        rule = _IS_AS_STRICT.get(name)
        if was == now or (rule is not None and rule(was, now)):
            continue
        if name == "app":
            yield loosened(what="the setting app names another app", **show_change(name, was, now))
        elif name in _NAME_A_PLACE:
            what = f"the setting {name} names another place"
            yield loosened(what=what, **show_change(name, _path(was), _path(now)))
        elif isinstance(was, Mapping) or isinstance(now, Mapping):
            yield loosened(what=f"the setting {name} changed: {printable(_differing(was, now))}")
        elif rule is not None:
            shown = [", ".join(each) if isinstance(each, tuple) else each for each in (was, now)]
            yield loosened(what=f"the setting {name} asks for less", **show_change(name, *shown))
        else:
            yield loosened(what=f"the setting {name} changed", **show_change(name, was, now))


def _differing(was: object, now: object) -> str:
    """The keys whose values differ between two mappings."""
    before, after = (value if isinstance(value, Mapping) else {} for value in (was, now))
    return ", ".join(
        str(key) for key in {**before, **after} if key not in before or before[key] != after.get(key)
    )


def _path(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _is_as_large(was: object, now: object) -> bool:
    """Whether a budget lets as much be decided as it did."""
    if now is None:
        return True
    amounts = [_AMOUNT.match(str(each)) for each in (was, now)]
    if was is None or amounts[0] is None or amounts[1] is None:
        return False
    units = [each[2].casefold().rstrip("s").replace("usd", "") for each in amounts if each]
    return units[0] == units[1] and float(amounts[1][1]) >= float(amounts[0][1])


_IS_AS_STRICT: Mapping[str, Callable[[Any, Any], bool]] = {
    "repeats": lambda was, now: not is_fewer(now, was),
    "max_repeats": lambda was, now: not is_fewer(now, was),
    "undecided": lambda was, now: _WEIGHT[now] >= _WEIGHT[was],
    "known_failures": lambda was, now: _WEIGHT[now] >= _WEIGHT[was],
    "timeout_s": lambda was, now: now <= was,
    "budget": _is_as_large,
    "baseline": lambda was, _: not str(was or "").startswith(REVISION),
    "metrics": lambda was, now: set(was) <= set(now),
    "record": lambda _, now: now == "all",
    "collect": lambda _, now: now is True,
    "receive": lambda was, now: set(was) <= set(now),
    "langsmith_forward": lambda was, now: _LEAVES[now] <= _LEAVES[was],
}
_NAME_A_PLACE = {"accepted", "reviews", "calibration", "cassettes", "home", "metrics"}
