"""What is another in two runs than their answers: prompts, models, data, golden files, metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

_UNSAID = {"repeats", "partial"}


def describe_changes(base: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """
    A line for each stamp that differs between two signatures, prompts first.

    What only one side has is reported for the files that both runs could name; a baseline of another version
    may lack stamps, and is not blamed for it. What only the base has is not reported where a run has fewer
    cases or golden files, which did not come across it.
    """
    names = sorted((base.keys() | new.keys()) - _UNSAID, key=_weight)
    whole = "partial" not in new and not any(name.startswith("golden:") for name in base.keys() - new.keys())
    lines = []
    for name in names:
        kind, _, about = name.partition(":")
        was, now = base.get(name), new.get(name)
        if was != now and ((was and now) or (kind in _LINES and (now or whole))):
            lines.append(_LINES.get(kind, _line)(kind, about, was, now))
    return tuple(lines)


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
