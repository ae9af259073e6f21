"""
Differences of two runs other than their answers: prompts, models, settings, code, variables, data.

A stamp has one value, or several that one run met, joined by `SEPARATOR`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, permutations
from pathlib import PurePosixPath

from pytest_llmops.printable import name_some, printable

SEPARATOR = ", "
STAMPED = "stamped"
"""The stamp that lists the kinds of which a run has stamps, be there any of a kind or none."""

UNSET = "unset"
VARIES = "varies"
"""The value of a setting with too many: they depend on the cases, and cannot be compared."""

CHANGING = "changed meanwhile"
"""Beside the digest of a file that was written while the run was under way."""

UNFINISHED = "unfinished"
"""The value of `partial` in the file of a run that did not come to its end."""

_IGNORED = {"repeats", "partial", STAMPED}
_OF_FILE = {"app", "rival"}
_MET = {
    "model", "judge", "user", "tools", "metric", "setting", "system",
    "code", "environment", "file", "package", "weights", "service",
}  # fmt: skip
"""Kinds that no golden file names: their values are those that the cases of a run met."""

_SINGLE = {"code", "environment", "file", "package", "weights", "service"}
"""Of these, kinds that have one value in all cases of a run."""

_LISTED = {"code": "code", "environment": "environment", "file": "files", "package": "packages",
           "setting": "model requests", "mcp": "MCP servers", "service": "versions of services"}  # fmt: skip
"""Kinds that `STAMPED` lists, with their names for people."""

_KIND_OF = {"system": "setting", "weights": "file"}
"""Kinds that are listed with another one."""

_ORDER = (
    "prompt", "service", "system", "model", "judge", "user", "weights", "setting", "tools", "mcp",
    "environment", "code", "file", "data", "package", "golden", "app", "rival", "metric",
)  # fmt: skip
_FOLDED = ("environment", "code", "file", "package")
_OF_PATHS = ("prompt", "code", "file", "data", "golden")
_NAMED = 5


def describe_changes(base: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """
    A line for each stamp that differs between two signatures, prompts first.

    A stamp of one side is reported for the files that both runs could name; a baseline of another version
    may lack stamps, and is not blamed for it: `describe_unstamped`. A stamp of the base only is not reported
    where a run has fewer cases or golden files, which did not meet it. Neither is a value of which the
    smaller run met a part and nothing else. Many of one kind are one line.
    """
    lines: list[str] = []
    folded: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name, before, after in _find_changes(base, new):
        kind, _, about = name.partition(":")
        if kind in _FOLDED:
            if (
                kind in {"code", "file"}
                and f"data:{about}" in new
                and base.get(f"data:{about}") != new[f"data:{about}"]
            ):
                continue  # the golden file names it, and it is reported as data
            state = _describe_state(kind, before, after)
            if not folded[kind, state]:
                lines.append(f"{kind}\0{state}")
            folded[kind, state].append(about)
        else:
            lines.append(_DESCRIBE.get(kind, _describe_values)(kind, about, before, after))
    return tuple(_unfold(line, folded) for line in lines)


def changed_files(base: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files and folders of which a stamp differs, from the root, prompts first."""
    paths = [
        name.partition(":")[2]
        for name, _, _ in _find_changes(base, new)
        if name.partition(":")[0] in _OF_PATHS
    ]
    return tuple(dict.fromkeys(paths))


def changed_variables(base: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables that a run had set, and that the base had not or with another value."""
    return tuple(
        name.partition(":")[2]
        for name, _, after in _find_changes(base, new)
        if name.startswith("environment:") and after is not None
    )


def describe_unstamped(base: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """A line for the kinds of which only one run has stamps: whether they changed is unknown."""
    lines = []
    for one, other, which in ((base, new, "the baseline"), (new, base, "this run")):
        lacking = _kinds(other) - _kinds(one)
        if not any(name.startswith("model:") for name in one):
            lacking -= {"setting"}  # it called no model, and that is reported of the models
        if lacking:
            names = ", ".join(name for kind, name in _LISTED.items() if kind in lacking)
            lines.append(f"not stamped in {which}, so whether it changed is unknown: {names}")
    return tuple(lines)


def stamped_kinds(base: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the kinds of which both runs have stamps."""
    return tuple(_LISTED[kind] for kind in _LISTED if kind in _kinds(base) & _kinds(new))


def join_stamps(*parts: Mapping[str, str]) -> dict[str, str]:
    """Join the stamps that several processes of one run saw: a name with several values has all of them."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    for part in parts:
        for name, value in part.items():
            values[name].update(value.split(" " if name == STAMPED else SEPARATOR))
    return {
        name: (" " if name == STAMPED else SEPARATOR).join(sorted(distinct))
        for name, distinct in values.items()
    }


def join_runs(signature: Mapping[str, str], old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """
    Return the signature of a baseline with cases of two runs.

    A stamp that cases met has the values of both, those of metrics where the old run has more golden files. A
    variable that a run without some of the other's files did not ask for is not said to be unset. A kind that
    only one of them stamped is not stamped any more, for nothing is known of the other's cases.

    Args:
        signature: All other stamps.
    """
    both = _kinds(old) & _kinds(new)
    if {True, False} == {"setting" in _kinds(side) for side in (old, new)} and not _shares_model(old, new):
        both.add("setting")  # the run that lacks them called none of the models of which they are
    met = {*both, "metric"} if _golden_files(old) - _golden_files(new) else both
    sides = [{name: value for name, value in side.items() if _kind(name) in met} for side in (old, new)]
    ran = [_golden_files(side) for side in (old, new)]
    for (one, files), (other, more) in permutations(zip(sides, ran, strict=True)):
        for name in other.keys() - one.keys():
            if _is_unset(name, old, new) and (more <= files or _kind(name) != "environment"):
                one[name] = UNSET
    kinds = {*_LISTED, *met, STAMPED}
    others = {name: value for name, value in signature.items() if _kind(name) not in kinds}
    return {**others, **join_stamps(*sides), **({STAMPED: " ".join(sorted(both))} if both else {})}


def find_conflicts(parts: Sequence[Mapping[str, str]]) -> Iterator[tuple[int, int, str]]:
    """
    Yield the places of two signatures, and what differs in words, for each stamp that parts of one run share.

    Parts met other cases, so that one may lack a module, a file or a package of the other. A variable that
    one of them lacks was not set there, if both have the same code. A file that was written meanwhile is not
    compared, and neither is what the answers show: `evaluation/parts.py` does that.
    """
    names = dict.fromkeys(name for part in parts for name in sorted(part, key=_weight))
    for name in names:
        kind, _, about = name.partition(":")
        if kind in _MET - _SINGLE or name in _IGNORED - {"repeats"} or (kind == "file" and about[-1:] == "/"):
            continue
        for one, other in combinations(range(len(parts)), 2):
            values = parts[one].get(name), parts[other].get(name)
            if values[0] != values[1] and _is_conflict(kind, values, parts[one], parts[other]):
                yield one, other, _describe_conflict(name, *values)
                break


def _is_conflict(
    kind: str,
    values: tuple[str | None, str | None],
    one: Mapping[str, str],
    other: Mapping[str, str],
) -> bool:
    """True if unlike values of a stamp are no matter of the cases that a part has."""
    if kind not in _SINGLE:
        return True
    if None not in values:
        return not any(CHANGING in value.split(SEPARATOR) for value in values if value)
    if kind != "environment" or kind not in _kinds(one) & _kinds(other):
        return False
    return _code(one) == _code(other)


def _code(signature: Mapping[str, str]) -> set[str]:
    return {name for name in signature if name.startswith("code:")}


def _describe_conflict(name: str, before: str | None, after: str | None) -> str:
    kind, _, about = name.partition(":")
    if kind in _FOLDED:
        state = _describe_state(kind, before, after) if kind == "package" else "differs"
        return f"{kind} {printable(about)}: {state}".replace(": differs", " differs")
    describe = _DESCRIBE.get(kind, _describe_values)
    return describe(kind, about, before, after).replace(" changed", " differs")


def _shares_model(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return any(name.startswith("model:") for name in one.keys() & other.keys())


def _is_unset(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> bool:
    """True if a stamp that a run lacks says that something was not set, and not that it was not met."""
    kind, _, about = name.partition(":")
    if kind == "environment":
        return True
    model = f"model:{about.partition(':')[2] if kind == 'setting' else about}"
    return kind in {"setting", "system"} and model in old and model in new


def _kind(name: str) -> str:
    """The kind under which a stamp is listed."""
    kind = name.partition(":")[0]
    return _KIND_OF.get(kind, kind)


def _kinds(signature: Mapping[str, str]) -> set[str]:
    return set(signature.get(STAMPED, "").split()) & _LISTED.keys()


def _find_changes(
    base: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[tuple[str, str | None, str | None]]:
    both = _kinds(base) & _kinds(new)
    for name in sorted((base.keys() | new.keys()) - _IGNORED, key=_weight):
        kind, _, about = name.partition(":")
        before, after = base.get(name), new.get(name)
        if before == after or (kind in _OF_FILE and f"golden:{about}" in new.keys() - base.keys()):
            continue  # a new golden file is reported as one
        if _kind(name) in _LISTED and _kind(name) not in both:
            continue
        if kind in {"setting", "system"}:
            if not _is_unset(name, base, new):
                continue  # the model itself is reported
            before, after = before or UNSET, after or UNSET
        is_single = kind in _SINGLE and before is not None and after is not None
        if kind in _MET and not is_single and _is_explained_by_size(before, after, base, new):
            continue
        if kind == "file" and _is_met_by_size(about, base, new):
            continue
        if (before and after) or (kind in _DESCRIBE and (after or not _is_smaller(new, base))):
            yield name, before, after


def _weight(name: str) -> tuple[int, str]:
    kind = name.split(":", maxsplit=1)[0]
    return (_ORDER.index(kind) if kind in _ORDER else len(_ORDER), name)


def _golden_files(signature: Mapping[str, str]) -> set[str]:
    return {name for name in signature if name.startswith("golden:")}


def _is_smaller(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """True if a run may have met less than another, since it has fewer cases or golden files."""
    return "partial" in one or bool(_golden_files(other) - _golden_files(one))


def _is_met_by_size(path: str, base: Mapping[str, str], new: Mapping[str, str]) -> bool:
    """True if the stamp of a file depends on the cases and golden files that a run has."""
    if path.endswith("/"):  # which of a folder's many files were read
        return _is_smaller(new, base) or _is_smaller(base, new)
    one, other = (new, base) if f"file:{path}" in base else (base, new)
    names = {f"prompt:{path}", *(f"data:{part}" for part in (path, *PurePosixPath(path).parents))}
    return f"file:{path}" not in one and bool(names & (one.keys() - other.keys()))  # it has another stamp


def _is_explained_by_size(
    before: str | None, after: str | None, base: Mapping[str, str], new: Mapping[str, str]
) -> bool:
    """True if values may differ only because one run has cases that the other has not."""
    old_files, new_files = _golden_files(base), _golden_files(new)
    apart = bool(old_files and new_files) and not old_files & new_files  # no case is compared
    old, fresh = (set((values or "").split(SEPARATOR)) - {""} for values in (before, after))
    if not old:  # a model that a change put in place of another, or that only the new cases use
        return apart or "partial" in base
    # A base without golden files in its signature is of a version that did not stamp them.
    new_is_smaller = _is_smaller(new, base)
    base_is_smaller = "partial" in base or bool(old_files and new_files - old_files)
    if VARIES in old | fresh and (new_is_smaller or base_is_smaller):
        return True
    if new_is_smaller and base_is_smaller:
        return apart or bool(old & fresh)
    return (new_is_smaller and fresh <= old) or (base_is_smaller and old <= fresh)


def _describe_state(kind: str, before: str | None, after: str | None) -> str:
    if after and CHANGING in after.split(SEPARATOR):
        return "changed while the run was under way"
    if kind == "environment":
        return "is set now" if before is None else "is not set any more" if after is None else "changed"
    if before is None:
        return "is read now" if kind == "file" else "is new"
    if after is None:
        return "is not read any more" if kind == "file" else "is gone"
    return f"{before} → {after}" if kind == "package" else "changed"


def _unfold(line: str, folded: Mapping[tuple[str, str], list[str]]) -> str:
    kind, marked, state = line.partition("\0")
    if not marked:
        return line
    names = [printable(name) for name in folded[kind, state]]
    if "→" in state:
        return f"{kind} {name_some(names, _NAMED)}: {state}"
    return f"{kind} {names[0]} {state}" if len(names) == 1 else f"{kind} {state}: {name_some(names, _NAMED)}"


def _describe_prompt(_: str, path: str, before: str | None, after: str | None) -> str:
    """Of values `NAME VERSION SHA256`; less where a baseline was edited by hand."""
    if before is None or after is None:
        return f"prompt {path} {'is new' if before is None else 'is gone'}"
    (name, old), (_, new) = (f"{value} - -".split(" ", 2)[:2] for value in (before, after))
    if old != new:
        return f"prompt {path}: {name} {old} → {new}"
    return f"prompt {path}: {name} {old} has other content"


def _describe_file(kind: str, path: str, before: str | None, after: str | None) -> str:
    label = {"golden": "golden file", "mcp": "MCP server"}.get(kind, kind)
    state = "is new" if before is None else "is gone" if after is None else "changed"
    return f"{label} {path} {state}"


def _describe_values(kind: str, name: str, before: str | None, after: str | None) -> str:
    if not name:
        return f"{kind}: {before} → {after}"
    return f"{kind} {name}: {before or 'none'} → {after or 'none'}"


def _describe_setting(_: str, name: str, before: str | None, after: str | None) -> str:
    setting, _, model = name.partition(":")
    old, new = (_shown(values) for values in (before, after))
    if old == new:
        return f"{printable(setting)} of {printable(model)} changed"
    return f"{printable(setting)} of {printable(model)}: {old} → {new}"


def _shown(values: str | None) -> str:
    """Digests of texts are not shown."""
    parts = [
        "a text" if value.startswith("#") else printable(value) for value in (values or "").split(SEPARATOR)
    ]
    return SEPARATOR.join(dict.fromkeys(parts))


def _describe_system(_: str, model: str, before: str | None, after: str | None) -> str:
    if UNSET in {before, after}:
        return f"system prompt of {printable(model)} {'is new' if before == UNSET else 'is gone'}"
    old, new = (set((values or "").split(SEPARATOR)) for values in (before, after))
    some = "" if len(old | new) == 2 and not old & new else f" ({len(new - old)} of {len(new)} texts are new)"  # noqa: PLR2004
    return f"system prompt of {printable(model)} changed{some}"


_DESCRIBE: Mapping[str, Callable[[str, str, str | None, str | None], str]] = {
    "prompt": _describe_prompt,
    "system": _describe_system,
    "setting": _describe_setting,
    "data": _describe_file,
    "mcp": _describe_file,
    "golden": _describe_file,
    "model": _describe_values,
    "weights": _describe_values,
    "app": _describe_values,
    "rival": _describe_values,
    "service": _describe_values,
    **dict.fromkeys(_FOLDED, _describe_file),
}
