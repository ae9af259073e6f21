"""What differs between a call that is wanted and the nearest one that is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_llmops.recorder.cassette import Recorded
from pytest_llmops.recorder.identity import kind_of

_MOST = 8
_EXCERPT = 60
_ABSENT = object()


def nearest_call(wanted: Recorded, calls: Iterable[Recorded]) -> Recorded | None:
    """The recorded call of the same kind that shares most parts with the wanted one."""
    parts = _parts(wanted)
    best, best_score = None, (False, 0)
    for call in calls:
        if kind_of(call.path) != kind_of(wanted.path):
            continue
        other = _parts(call)
        shared = sum(other.get(name, _ABSENT) == value for name, value in parts.items())
        score = (call.key == wanted.key, 2 * shared - len(parts) - len(other))
        if best is None or score > best_score:
            best, best_score = call, score
    return best


def differences(recorded: Recorded, wanted: Recorded) -> list[str]:
    """Which parts of the identity differ, one line each: `temperature: 0.0 -> 0.7`."""
    before, after = _parts(recorded), _parts(wanted)
    names = [name for name in {**after, **before} if before.get(name, _ABSENT) != after.get(name, _ABSENT)]
    lines = [f"{name}: {_change(before.get(name, _ABSENT), after.get(name, _ABSENT))}" for name in names]
    if len(lines) > _MOST:
        lines[_MOST:] = [f"and {len(lines) - _MOST} more"]
    if not lines and recorded.key != wanted.key:
        lines = ["only in text that is redacted"]
    return lines


def _parts(call: Recorded) -> dict[str, Any]:
    parts: dict[str, Any] = {"provider": call.provider, "path": call.path}
    _flatten(call.request, "" if isinstance(call.request, Mapping) else "body", parts)
    return {**parts, "repeat": call.repeat, "nth": call.nth}


def _flatten(value: Any, name: str, parts: dict[str, Any]) -> None:
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            _flatten(value[key], f"{name}.{key}" if name else key, parts)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            _flatten(item, f"{name}[{number}]", parts)
    else:
        parts[name] = json.dumps(value) if isinstance(value, (bool, float)) else value


def _change(before: Any, after: Any) -> str:
    start = 0
    if isinstance(before, str) and isinstance(after, str):
        ends = min(len(before), len(after))
        start = next((at for at in range(ends) if before[at] != after[at]), ends)
    return f"{_excerpt(before, start)} -> {_excerpt(after, start)}"


def _excerpt(value: Any, at: int) -> str:
    if value is _ABSENT:
        return "absent"
    if not isinstance(value, str):
        return repr(value)
    start = max(0, at - _EXCERPT // 3)
    part = value[start : start + _EXCERPT]
    # repr shows control and direction characters by number, so that a text cannot act on a terminal
    return f"{'…' if start else ''}{part!r}{'…' if start + _EXCERPT < len(value) else ''}"
