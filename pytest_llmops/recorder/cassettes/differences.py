"""What differs between a call that is wanted and the nearest one that is recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_llmops.printable import printable
from pytest_llmops.recorder.cassettes.cassette import Recorded
from pytest_llmops.recorder.identity import kind_of

_MOST = 8
_EXCERPT = 60
# A leaf and its type, for 1, 1.0 and True are not the same setting.
_Leaf = tuple[type, Any]


def explain_miss(wanted: Recorded, calls: Iterable[Recorded], name: str) -> tuple[str, list[str]]:
    """Why none of a cassette's calls is the wanted one, and in what the nearest of them differs."""
    nearest = nearest_call(wanted, calls)
    if nearest is None:
        return f"{name} holds no call of its kind", []
    return f"the nearest call in {name} differs in", differences(nearest, wanted)


def nearest_call(wanted: Recorded, calls: Iterable[Recorded]) -> Recorded | None:
    """The recorded call of the same kind that shares most parts with the wanted one."""
    parts = _parts(wanted)
    best, best_score = None, (False, 0.0)
    for call in calls:
        if kind_of(call.path) != kind_of(wanted.path):
            continue
        other = _parts(call)
        shared = sum(_likeness(leaf, other.get(name)) for name, leaf in parts.items())
        score = (call.key == wanted.key, 2 * shared - len(parts) - len(other))
        if best is None or score > best_score:
            best, best_score = call, score
    return best


def differences(recorded: Recorded, wanted: Recorded) -> list[str]:
    """Which parts of the identity differ, one line each: `temperature: 0.0 -> 0.7`."""
    before, after = _parts(recorded), _parts(wanted)
    names = [name for name in {**after, **before} if before.get(name) != after.get(name)]
    lines = [f"{printable(name)}: {_change(before.get(name), after.get(name))}" for name in names]
    if len(lines) > _MOST:
        lines[_MOST:] = [f"and {len(lines) - _MOST} more"]
    if not lines and recorded.key != wanted.key:
        lines = ["only in text that is redacted"]
    return lines


def _parts(call: Recorded) -> dict[str, _Leaf]:
    parts: dict[str, _Leaf] = {}
    _flatten({"provider": call.provider, "path": call.path}, "", parts)
    _flatten(call.request, "" if isinstance(call.request, Mapping) else "body", parts)
    _flatten({"repeat": call.repeat, "nth": call.nth}, "", parts)
    return parts


def _flatten(value: Any, name: str, parts: dict[str, _Leaf]) -> None:
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            _flatten(value[key], f"{name}.{key}" if name else key, parts)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            _flatten(item, f"{name}[{number}]", parts)
    else:
        parts[name] = (type(value), value)


def _likeness(one: _Leaf, other: _Leaf | None) -> float:
    """From 0 to 1: of texts that differ, the share of letters they begin and end with alike."""
    if one == other:
        return 1.0
    if other is None or not (one[0] is other[0] is str):
        return 0.0
    start = _common(one[1], other[1])
    end = _common(one[1][start:][::-1], other[1][start:][::-1])
    return (start + end) / (max(len(one[1]), len(other[1])) + 1)


def _common(one: str, other: str) -> int:
    """How many letters two texts begin with alike."""
    ends = min(len(one), len(other))
    return next((at for at in range(ends) if one[at] != other[at]), ends)


def _change(before: _Leaf | None, after: _Leaf | None) -> str:
    start = 0
    if before and after and before[0] is after[0] is str:
        start = _common(before[1], after[1])
    return f"{_excerpt(before, start)} -> {_excerpt(after, start)}"


def _excerpt(leaf: _Leaf | None, at: int) -> str:
    """A leaf as it is shown; of a long text what stands around the first letter that differs."""
    if leaf is None:
        return "absent"
    if leaf[0] is not str:
        return repr(leaf[1])
    start = max(0, at - _EXCERPT // 3)
    part = leaf[1][start : start + _EXCERPT]
    return f"{'…' if start else ''}{part!r}{'…' if start + _EXCERPT < len(leaf[1]) else ''}"
