"""Renamed cases: a case with another id that asks what a lost one asked keeps its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from pytest_llmops.golden.identity import file_of
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import ANCHORS, CaseResult, Run

_NAMED = 3
_NONE: Mapping[str, str] = {}


def follow_renames(base: Run, cases: Mapping[str, str], lost: Collection[str]) -> tuple[Run, dict[str, str]]:
    """
    Give lost cases of a baseline the ids under which their questions are asked now.

    Args:
        cases: Id to input hash of the cases that there are.
        lost: Ids of the baseline's cases that are in no golden file any more.

    Returns:
        The baseline, and its renamed ids, old to new.
    """
    known = {result.case for result in base.results}
    gone = {result.case: result.input_hash for result in base.results if result.case in lost}
    new = {case: asked for case, asked in cases.items() if case not in known}
    renamed = find_renames(gone, new)
    moved = _find_moved(gone, renamed, kept={*map(file_of, (*cases, *(known - gone.keys())))})
    taken = known | {*renamed.values()}
    ids = {case: id_ for case in gone if (id_ := rename_case(case, moved)) not in taken} | renamed
    return rename_cases(base, ids, moved), renamed


def _find_moved(gone: Iterable[str], renamed: Mapping[str, str], *, kept: Collection[str]) -> dict[str, str]:
    """
    Golden files that are gone, to the one other file that half of their cases or more are in.

    Args:
        gone: Ids of lost cases.
        kept: Files that still have a case.
    """
    cases = Counter(map(file_of, gone))
    shared = Counter((file_of(old), file_of(new)) for old, new in renamed.items())
    targets = Counter(old for old, _ in shared)
    return {
        old: new
        for (old, new), times in shared.items()
        if old not in kept and targets[old] == 1 and 2 * times >= cases[old]
    }


def follow_between_runs(base: Run, run: Run) -> tuple[Run, dict[str, str]]:
    """
    Give cases of a baseline the ids that they have in a run, where no golden file can be looked at.

    A case of a file that the run lacks is lost, or was not run. It is taken for renamed if the case that asks
    the same was scored by all its metrics, and so is a file of which half of the cases are.
    """
    asked = {result.case: result.input_hash for result in run.results}
    metrics = {result.input_hash: _metrics(result) for result in run.results}
    files = set(map(file_of, asked))
    lost = {
        result.case
        for result in base.results
        if result.case not in asked
        and (file_of(result.case) in files or _metrics(result) <= metrics.get(result.input_hash, set()))
    }
    found = Counter(map(file_of, lost))
    times = Counter(file_of(result.case) for result in base.results)
    missing = {result.case for result in base.results} - asked.keys()
    lost |= {case for case in missing if 2 * found[file_of(case)] >= times[file_of(case)]}
    return follow_renames(base, asked, lost)


def _metrics(result: CaseResult) -> set[str]:
    return {score.metric for score in result.scores}


def find_renames(gone: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """
    The ids of lost cases, to the new ones that ask the same.

    A question that several lost or several new cases ask is left alone: which became which is unknown.

    Args:
        gone: Id to input hash of lost cases; `new` of new ones.
    """
    times_gone, times_new = Counter(gone.values()), Counter(new.values())
    ids = {asked: case for case, asked in new.items() if asked and times_new[asked] == 1}
    return {case: ids[asked] for case, asked in gone.items() if asked in ids and times_gone[asked] == 1}


def rename_cases(run: Run, renamed: Mapping[str, str], moved: Mapping[str, str] = _NONE) -> Run:
    """
    A baseline with the new ids of renamed cases, and of the anchors of golden files that moved.

    Args:
        moved: Paths, old to new.
    """
    if not (renamed or moved):
        return run
    paths = {f"{old}{ANCHORS}": f"{new}{ANCHORS}" for old, new in moved.items()}
    anchors = {anchor.case: rename_case(anchor.case, paths) for anchor in run.anchors}
    return replace(run, results=_rename(run.results, renamed), anchors=_rename(run.anchors, anchors))


def rename_case(case: str, moved: Mapping[str, str]) -> str:
    """The id that a case of a renamed golden file has now."""
    path = file_of(case)
    return f"{moved[path]}{case.removeprefix(path)}" if path in moved else case


def _rename(results: Iterable[CaseResult], renamed: Mapping[str, str]) -> tuple[CaseResult, ...]:
    """Results under their new ids; of one that was accepted under both ids, the new one counts."""
    by_age = sorted(results, key=lambda result: renamed.get(result.case, result.case) == result.case)
    ids = {renamed.get(result.case, result.case): result for result in by_age}
    return tuple(replace(ids[case], case=case) for case in sorted(ids))


def describe_renames(renamed: Mapping[str, str]) -> str:
    """A sentence on renamed cases; empty where there is none."""
    if not renamed:
        return ""
    named = name_some(
        [f"{printable(old)} → {printable(new)}" for old, new in sorted(renamed.items())], _NAMED
    )
    return f"{counted(len(renamed), 'case')} renamed since the baseline, and compared as before: {named}"
