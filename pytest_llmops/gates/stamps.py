"""What is another in two runs than their answers: prompts, models, data, golden files, metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

_UNSAID = {"repeats", "partial"}
_SEEN = {"model", "tools", "metric"}
"""Kinds that are not named by a golden file: their values are those that the cases of a run came across."""
_OF_FILE = {"app", "rival"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reach:
    """
    Which of two runs may have come across less than the other.

    Attributes:
        less: The new one, since it has fewer cases or golden files.
        more: The base, likewise.
        apart: They share no golden file, so that no case is compared.
        begun: The base has not run all of its cases.
    """

    less: bool
    more: bool
    apart: bool
    begun: bool


def describe_changes(base: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """
    A line for each stamp that differs between two signatures, prompts first.

    What only one side has is reported for the files that both runs could name; a baseline of another version
    may lack stamps, and is not blamed for it. What only the base has is not reported where a run has fewer
    cases or golden files, which did not come across it. Neither is a model, a tool schema or a metric of
    which the smaller run met a part and nothing else.
    """
    names = sorted((base.keys() | new.keys()) - _UNSAID, key=_weight)
    reach = _reach(base, new)
    lines = []
    for name in names:
        kind, _, about = name.partition(":")
        was, now = base.get(name), new.get(name)
        if was == now or (kind in _OF_FILE and f"golden:{about}" in new.keys() - base.keys()):
            continue  # a new golden file is reported as one
        if kind in _SEEN and _explains(reach, was, now):
            continue
        if (was and now) or (kind in _LINES and (now or not reach.less)):
            lines.append(_LINES.get(kind, _line)(kind, about, was, now))
    return tuple(lines)


def _reach(base: Mapping[str, str], new: Mapping[str, str]) -> _Reach:
    before, after = ({name for name in side if name.startswith("golden:")} for side in (base, new))
    return _Reach(
        less="partial" in new or bool(before - after),
        more="partial" in base or bool(before and after - before),
        apart=bool(before and after) and not before & after,
        begun="partial" in base,
    )


def _explains(reach: _Reach, was: str | None, now: str | None) -> bool:
    """Whether the runs may differ in these values only because one has cases that the other has not."""
    before, after = (set((side or "").split(", ")) - {""} for side in (was, now))
    if not before:  # a model that a change put in place of another, or that only the new cases use
        return reach.apart or reach.begun
    if reach.less and reach.more:
        return reach.apart or bool(before & after)
    return (reach.less and after <= before) or (reach.more and before <= after)


def _weight(name: str) -> tuple[int, str]:
    order = ("prompt", "model", "tools", "data", "golden", "app", "rival", "metric")
    kind = name.split(":", maxsplit=1)[0]
    return (order.index(kind) if kind in order else len(order), name)


def _prompt(_: str, path: str, was: str | None, now: str | None) -> str:
    """Of values `NAME VERSION SHA256`; less where a baseline was edited by hand."""
    if was is None or now is None:
        return f"prompt {path} {'is new' if was is None else 'is gone'}"
    (name, before), (_, after) = (f"{value} - -".split(" ", 2)[:2] for value in (was, now))
    if before != after:
        return f"prompt {path}: {name} {before} → {after}"
    return f"prompt {path}: {name} {before} has other content"


def _file(kind: str, path: str, was: str | None, now: str | None) -> str:
    what = "golden file" if kind == "golden" else kind
    state = "is new" if was is None else "is gone" if now is None else "changed"
    return f"{what} {path} {state}"


def _line(kind: str, name: str, was: str | None, now: str | None) -> str:
    return f"{kind} {name}: {was or 'none'} → {now or 'none'}" if name else f"{kind}: {was} → {now}"


_LINES: Mapping[str, Callable[[str, str, str | None, str | None], str]] = {
    "prompt": _prompt,
    "data": _file,
    "golden": _file,
    "model": _line,
    "app": _line,
    "rival": _line,
}
