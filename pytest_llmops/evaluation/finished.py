"""
Runs that are over, judged as when they were made: their golden files, their baseline, and what was not run.

A run file has all that a verdict rests on but the golden files. These are read here, and must be the ones
that the run had; of one that is not here the run's own record of its checks counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_llmops.errors import RunFileError
from pytest_llmops.evaluation.baseline import find_baseline
from pytest_llmops.evaluation.run import Evaluation, open_planner
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.gates.copies import leave_out_copies, mark_copies
from pytest_llmops.gates.error_budget import BASELINE_REPEATS
from pytest_llmops.gates.release import Release
from pytest_llmops.gates.stamps import UNFINISHED
from pytest_llmops.gates.suite_channel.verdicts import watch_means
from pytest_llmops.golden.identity import cases_by_id, file_of
from pytest_llmops.golden.loader import load_golden
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import Case, CaseResult, Golden, Run
from pytest_llmops.reports.files.baseline_file import load_base
from pytest_llmops.reports.files.run_file import without_old_checks
from pytest_llmops.reports.sides import CUT_SHORT
from pytest_llmops.revision.merging import AS_BEFORE, has_old_checks
from pytest_llmops.revision.revision import is_revision
from pytest_llmops.settings import NO_BASELINE, Settings

_NAMED = 5
_LONGEST = 4_000  # characters of a sentence
_STAMP = "golden:"


def open_finished(run: Run, settings: Settings, approvals: Iterable[str]) -> tuple[Evaluation, Run]:
    """
    Open the evaluation of a run that is over, to be closed; no app is called or imported.

    Args:
        approvals: Loosened items of the change that the pipeline approves.

    Returns:
        The evaluation, and the run as it is judged.

    Raises:
        RunFileError: A golden file is not the one that the run had.
        LLMOpsError: A golden file, the baseline or the revision cannot be read.
    """
    notes = []
    errors, kept = (tuple(printable(line, _LONGEST) for line in lines) for lines in (run.errors, run.notes))
    run = replace(run, errors=errors, notes=kept)  # a file of another machine is printed
    if _is_own_base(run, settings):
        notes.append(
            f"compared with nothing: {printable(settings.baseline or '')} is this run itself, so thresholds "
            "alone decide"
        )
        settings = replace(settings, baseline=NO_BASELINE)
    settings = replace(settings, shard=run.shard or None, **_planned(run))
    paths = list_golden_files(run)
    here = [path for path in paths if settings.path(path).is_file()]
    goldens = [load_golden(path, root=settings.root, stamps=False) for path in here]
    check_golden_files(run, goldens)
    if not is_revision(settings.baseline or ""):  # else the target may have what is not here
        for path in paths:
            if path not in here:
                notes.append(f"{printable(path)} is not here: its checks are those that the run has")
                goldens.append(recall_golden(run, path))
    source = find_baseline(settings, goldens, named=paths, approvals=approvals)
    run, source = _match_old_checks(run, source)
    check_golden_files(run, source.goldens)
    if absent := sorted({*paths} - {golden.path for golden in source.goldens}):
        raise RunFileError(f"{name_some(absent, _NAMED)}: the run has cases of it, and it is not here")
    evaluation = Evaluation.open(settings, naming="", listens=False)
    evaluation.problems += notes
    try:
        evaluation.take_over(run, source)
    except BaseException:
        evaluation.close()
        raise
    return evaluation, run


def _planned(run: Run) -> dict[str, Any]:
    """Return the settings by which further repeats of a run were planned."""
    most = max((result.auto for result in run.results), default=0)
    return {"repeats": "auto", "max_repeats": most} if most else {}


def _is_own_base(run: Run, settings: Settings) -> bool:
    """Return whether the baseline that was named is the run itself, which would excuse all that it missed."""
    named = settings.baseline
    if named is None or named == NO_BASELINE or is_revision(named) or not run.results:
        return False
    return load_base(settings.path(named)).results == leave_out_copies(run).results


def list_golden_files(run: Run) -> list[str]:
    """Return the paths of the golden files of a run, sorted; those of its cases where none is stamped."""
    stamped = {name.removeprefix(_STAMP) for name in run.signature if name.startswith(_STAMP)}
    return sorted(stamped or {file_of(result.case) for result in run.results if "::" in result.case})


def check_golden_files(run: Run, goldens: Iterable[Golden]) -> None:
    """
    Check that golden files are those of a run.

    Raises:
        RunFileError: One of them was changed, or the run does not have it.
    """
    stamps = {name.removeprefix(_STAMP): value for name, value in run.signature.items()}
    for golden in goldens:
        stamp = stamps.get(golden.path) if any(name.startswith(_STAMP) for name in run.signature) else None
        if stamp is None and not any(file_of(result.case) == golden.path for result in run.results):
            raise RunFileError(f"{printable(golden.path)} is no golden file of this run: run it with it")
        if stamp is not None and stamp != golden.sha256:
            revision = run.environment.get("revision", "").rstrip("+")
            place = f", of revision {printable(revision)}" if revision else ""
            raise RunFileError(
                f"{printable(golden.path)} is not the file that the run had: judge a run in the checkout "
                f"that it was made in{place}, or run it again"
            )


def recall_golden(run: Run, path: str) -> Golden:
    """Make a golden file of what a run has of it: its cases with their checks, and its suite checks."""
    return Golden(
        path=path,
        cases=tuple(
            Case(
                id=result.case.partition("::")[2],
                input=result.input,
                checks=result.checks,
                group=result.group,
                xfail=result.xfail,
            )
            for result in run.results
            if file_of(result.case) == path
        ),
        suite=run.suite.get(path, run.suite.get("", ())),
        sha256=run.signature.get(f"{_STAMP}{path}", ""),
    )


def _match_old_checks(run: Run, source: BaselineSource) -> tuple[Run, BaselineSource]:
    """
    Have checks as they were at the merge base either in the run and its golden files, or in neither.

    Where the run was not scored by them, the edits that they excuse loosen the gate.
    """
    if not source.edited:
        return without_old_checks(run), source
    if has_old_checks(run):
        return run, source

    def own(checks: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(check for check in checks if not check.metric.endswith(AS_BEFORE))

    goldens = tuple(
        replace(
            golden,
            cases=tuple(replace(case, checks=own(case.checks)) for case in golden.cases),
            suite=own(golden.suite),
        )
        for golden in source.goldens
    )
    loosened = (*source.loosened, *source.edited)
    return run, replace(source, goldens=goldens, loosened=loosened, edited=())


def describe_undecided(evaluation: Evaluation, run: Run) -> Iterator[str]:
    """Yield a sentence for each reason why the verdict of a run that is over is undecided at best."""
    if run.signature.get("partial") == UNFINISHED:
        yield f"undecided: {CUT_SHORT}"
    cases = cases_by_id(*evaluation.goldens)
    ran = {result.case for result in run.results}
    lacking = [case for case in cases if case not in ran]
    if lacking or run.shard:
        what = f"this is shard {run.shard} alone" if run.shard else "this is a part"
        named = f": {name_some(list(map(printable, lacking)), _NAMED)}" if lacking else ""
        count = f"{len(lacking):,} of {counted(len(cases), 'case')}"
        yield f"undecided: {what}: no verdict on checks over all cases, and {count} not run{named}"
    source = evaluation.source
    if waiting := find_open_cases(run, source.base, source.goldens, evaluation.settings, source.release):
        yield f"undecided: {describe_open_cases(waiting)}"


def find_open_cases(
    run: Run,
    base: Run | None,
    goldens: Sequence[Golden],
    settings: Settings,
    release: Release | None = None,
) -> list[str]:
    """
    Return the cases of a merged run that would have been run again, had one process looked at all of them.

    A shard runs a case again by what its own cases show, and some verdicts are on all of them.
    """
    if not run.parts or not any(result.auto for result in run.results):
        return []
    settings = replace(settings, **_planned(run), shard=None)
    results: Mapping[str, CaseResult] = {result.case: result for result in mark_copies(run.results)}
    goldens = [watch_means(golden, base) for golden in goldens]
    waiting: list[str] = []
    for golden in goldens:
        of_file = [results[case] for case in cases_by_id(golden) if case in results]
        planner = open_planner(golden, goldens, base, settings, release).rescored(of_file)
        waiting += planner.next_repeats(of_file)
    return waiting


def describe_open_cases(waiting: Sequence[str]) -> str:
    """Return a sentence on cases that would have been run again, with what to do."""
    named = name_some(list(map(printable, waiting)), _NAMED)
    return (
        f"{counted(len(waiting), 'case')} would have been run again by one machine with all cases: give all "
        f"shards one number of repeats (--llm-repeats {BASELINE_REPEATS}), or run all on one machine: {named}"
    )
