"""Differences of two runs other than their answers: prompts, models, data, golden files, metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

_IGNORED = {"repeats", "partial"}
_OF_FILE = {"app", "rival"}
_MET = {"model", "judge", "tools", "metric"}
"""Kinds that no golden file names: their values are those that the cases of a run met."""

_ORDER = ("prompt", "model", "judge", "tools", "data", "golden", "app", "rival", "metric")


def describe_changes(base: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """
    A line for each stamp that differs between two signatures, prompts first.

    A stamp of one side is reported for the files that both runs could name; a baseline of another version
    may lack stamps, and is not blamed for it. A stamp of the base only is not reported where a run has fewer
    cases or golden files, which did not meet it. Neither is a model, a tool schema or a metric of which the
    smaller run met a part and nothing else.
    """
    lines = []
    for name in sorted((base.keys() | new.keys()) - _IGNORED, key=_weight):
        kind, _, about = name.partition(":")
        before, after = base.get(name), new.get(name)
        if before == after or (kind in _OF_FILE and f"golden:{about}" in new.keys() - base.keys()):
            continue  # a new golden file is reported as one
        if kind in _MET and _is_explained_by_size(before, after, base, new):
            continue
        if (before and after) or (kind in _DESCRIBE and (after or not _is_smaller(new, base))):
            lines.append(_DESCRIBE.get(kind, _describe_values)(kind, about, before, after))
    return tuple(lines)


def _weight(name: str) -> tuple[int, str]:
    kind = name.split(":", maxsplit=1)[0]
    return (_ORDER.index(kind) if kind in _ORDER else len(_ORDER), name)


def _golden_files(signature: Mapping[str, str]) -> set[str]:
    return {name for name in signature if name.startswith("golden:")}


def _is_smaller(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """True if a run may have met less than another, since it has fewer cases or golden files."""
    return "partial" in one or bool(_golden_files(other) - _golden_files(one))


def _is_explained_by_size(
    before: str | None, after: str | None, base: Mapping[str, str], new: Mapping[str, str]
) -> bool:
    """True if values may differ only because one run has cases that the other has not."""
    old_files, new_files = _golden_files(base), _golden_files(new)
    apart = bool(old_files and new_files) and not old_files & new_files  # no case is compared
    old, fresh = (set((values or "").split(", ")) - {""} for values in (before, after))
    if not old:  # a model that a change put in place of another, or that only the new cases use
        return apart or "partial" in base
    # A base without golden files in its signature is of a version that did not stamp them.
    new_is_smaller = _is_smaller(new, base)
    base_is_smaller = "partial" in base or bool(old_files and new_files - old_files)
    if new_is_smaller and base_is_smaller:
        return apart or bool(old & fresh)
    return (new_is_smaller and fresh <= old) or (base_is_smaller and old <= fresh)


def _describe_prompt(_: str, path: str, before: str | None, after: str | None) -> str:
    """Of values `NAME VERSION SHA256`; less where a baseline was edited by hand."""
    if before is None or after is None:
        return f"prompt {path} {'is new' if before is None else 'is gone'}"
    (name, old), (_, new) = (f"{value} - -".split(" ", 2)[:2] for value in (before, after))
    if old != new:
        return f"prompt {path}: {name} {old} → {new}"
    return f"prompt {path}: {name} {old} has other content"


def _describe_file(kind: str, path: str, before: str | None, after: str | None) -> str:
    label = "golden file" if kind == "golden" else kind
    state = "is new" if before is None else "is gone" if after is None else "changed"
    return f"{label} {path} {state}"


def _describe_values(kind: str, name: str, before: str | None, after: str | None) -> str:
    if not name:
        return f"{kind}: {before} → {after}"
    return f"{kind} {name}: {before or 'none'} → {after or 'none'}"


_DESCRIBE: Mapping[str, Callable[[str, str, str | None, str | None], str]] = {
    "prompt": _describe_prompt,
    "data": _describe_file,
    "golden": _describe_file,
    "model": _describe_values,
    "app": _describe_values,
    "rival": _describe_values,
}
