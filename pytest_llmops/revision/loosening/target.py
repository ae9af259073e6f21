"""
Golden files as they will be once a change is merged: its own, with what its target got since it began.

A change that began before a case was added would otherwise never be asked it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

from pytest_llmops.records import Case, Golden, SuiteCheck
from pytest_llmops.revision.loosening.strictness import is_as_strict
from pytest_llmops.revision.loosening.suites import compare_suite_checks

_OF_THE_CHANGE = {"path", "cases", "suite", "suite_lines", "sha256", "app", "rival", "prompts", "data"}
"""The app and its files are those that the change has: the target's may not be there at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """
    Golden files to run.

    Attributes:
        carried: What came from the target, as people name it: item ids, and suite checks of a file.
    """

    goldens: tuple[Golden, ...]
    carried: tuple[str, ...] = ()


def merge_target(
    old: Sequence[Golden], now: Sequence[Golden], target: Sequence[Golden], *, run: Sequence[str]
) -> Merged:
    """
    The golden files of the change, with cases, checks and keys that the target added or changed since.

    Where both changed one check, both are asked. What the target removed stays, as the change still has it.

    Args:
        old: Where the change began.
        now: Those of the change.
        target: Those of the revision that it is compared with, as they are by now.
        run: Paths of those files of the target that this run is about.
    """
    before = {golden.path: golden for golden in old}
    theirs = {golden.path: golden for golden in target}
    merged, carried = [], list[str]()
    for golden in now:
        base = before.get(golden.path) or replace(golden, cases=(), suite=())
        if golden.path in theirs:
            result = _merge_file(base, golden, theirs[golden.path])
            carried += _list_carried(golden, result)
            merged.append(result)
        else:
            merged.append(golden)
    known = {*before, *(golden.path for golden in now)}
    for path in run:
        if path in theirs and path not in known:
            merged.append(theirs[path])
            carried.append(path)
    return Merged(goldens=tuple(merged), carried=tuple(carried))


def _merge_file(base: Golden, ours: Golden, theirs: Golden) -> Golden:
    if _bare_file(base) == _bare_file(theirs):
        return ours
    taken = {
        each.name: getattr(theirs, each.name)
        for each in fields(Golden)
        if each.name not in _OF_THE_CHANGE and getattr(ours, each.name) == getattr(base, each.name)
    }
    return replace(
        ours,
        **taken,
        cases=tuple(_merge_cases(base, ours, theirs)),
        suite=tuple(_merge_suites(base, ours, theirs)),
        suite_lines={**theirs.suite_lines, **ours.suite_lines},
    )


_APART = {"checks", "source", "input", "attached"}


def _merge_cases(base: Golden, ours: Golden, theirs: Golden) -> Iterator[Case]:
    was, new = ({case.id: case for case in golden.cases} for golden in (base, theirs))
    for case in ours.cases:
        before, after = was.get(case.id), new.get(case.id)
        if after is None or _is_same(after, before) or _is_same(after, case):
            yield case
        elif _is_same(case, before):
            yield after
        else:
            yield _merge_case(before or case, case, after)
    kept = {case.id for case in ours.cases} | was.keys()
    yield from (case for case in theirs.cases if case.id not in kept)


def _merge_case(base: Case, ours: Case, theirs: Case) -> Case:
    """
    A case that both changed: each key by whoever changed it, and the checks of both; of a metric with unlike
    options the target's, since a metric scores a case in one way.
    """
    taken = {
        each.name: getattr(theirs, each.name)
        for each in fields(Case)
        if each.name not in _APART and getattr(ours, each.name) == getattr(base, each.name)
    }
    if (ours.input, ours.attached) == (base.input, base.attached):
        taken |= {"input": theirs.input, "attached": theirs.attached}
    added = [check for check in theirs.checks if not any(is_as_strict(own, check) for own in ours.checks)]
    options = {check.metric: check.options for check in added}
    own = [check for check in ours.checks if options.get(check.metric, check.options) == check.options]
    return replace(ours, **taken, checks=(*own, *added))


def _merge_suites(base: Golden, ours: Golden, theirs: Golden) -> Iterator[SuiteCheck]:
    """Of a check that both changed the target's, unless the other is as strict: each has one verdict."""
    was, new = ({_place(check): check for check in golden.suite} for golden in (base, theirs))
    for check in ours.suite:
        before, after = was.get(_place(check)), new.get(_place(check))
        if after is None or after == before:
            yield check
        else:
            lacking = check == before or any(compare_suite_checks(after, theirs, ours))
            yield after if lacking else check
    kept = {_place(check) for check in ours.suite} | was.keys()
    yield from (check for check in theirs.suite if _place(check) not in kept)


def _list_carried(ours: Golden, merged: Golden) -> list[str]:
    own = {case.id: case for case in ours.cases}
    cases = [case.id for case in merged.cases if own.get(case.id) != case]
    suite = dict.fromkeys(check.metric for check in merged.suite if check not in ours.suite)
    return [f"{ours.path}::{name}" for name in (*cases, *(f"suite[{metric}]" for metric in suite))]


def _place(check: SuiteCheck) -> tuple[str, str]:
    return check.metric, check.statistic


def _is_same(one: Case, other: Case | None) -> bool:
    return other is not None and _bare(one) == _bare(other)


def _bare(case: Case) -> Case:
    """Without the line, which moves by what stands above."""
    return replace(case, source=None)


def _bare_file(golden: Golden) -> Golden:
    return replace(golden, sha256="", cases=tuple(map(_bare, golden.cases)))
