"""Comparison of a run file with a baseline in a file or a revision."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from pathlib import Path

from pytest_llmops.calibration.record import load_calibrations
from pytest_llmops.errors import RunFileError
from pytest_llmops.gates.baseline import ACCEPT
from pytest_llmops.gates.comparison import NOTHING, compare
from pytest_llmops.gates.outcomes import worst
from pytest_llmops.gates.people import People
from pytest_llmops.gates.release import Release
from pytest_llmops.gates.renames import follow_between_runs
from pytest_llmops.gates.stamps import UNFINISHED, changed_files
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.golden.loader import load_goldens_of
from pytest_llmops.golden.reviews import load_reviews
from pytest_llmops.records import Comparison, Golden, Run, Verdict
from pytest_llmops.reports.files.baseline_file import (
    describe_left_out,
    load_base,
    load_release,
    parse_baseline,
    parse_release,
    release_path,
)
from pytest_llmops.reports.files.run_file import load_run
from pytest_llmops.reports.sides import CUT_SHORT, Sides
from pytest_llmops.revision.changed_files import Since, find_since
from pytest_llmops.revision.revision import Revision, is_revision, open_revision
from pytest_llmops.settings import NO_BASELINE, Settings

_NO_RUN = Run(signature={}, results=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """
    Two files that were compared.

    Attributes:
        base: By the ids that its cases have in the run.
        goldens: The golden files of the run, as far as they are here.
    """

    base: Run
    run: Run
    goldens: list[Golden]
    comparison: Comparison


def compare_files(base: str, run: str, settings: Settings) -> Compared:
    """
    Compare a run file with a baseline: a file, or `git:REF`; empty for none, where only thresholds decide.

    Raises:
        RunFileError, RevisionError: One of them cannot be read, or the revision has no baseline.
    """
    with _without_collector():
        new = load_run(run)
        old, release, left_out = _read_base(base, settings) if base else (None, None, "")
        people = People(
            reviews=load_reviews(settings.path(settings.reviews)),
            calibrations=load_calibrations(settings.path(settings.calibration)),
        )
        # A missing golden file is another project's, or was moved: its cases are compared as they are.
        goldens, _ = load_goldens_of(new, settings.root)
        compare_ = partial(compare_runs, release=release, people=people, goldens=goldens)
        comparison = _compare_part(old, new, compare_) if "partial" in new.signature else compare_(old, new)
        comparison = replace(comparison, since_release=comparison.since_release or left_out)
    base_now = _NO_RUN if old is None else follow_between_runs(old, new)[0]
    if new.parts:
        comparison = _doubt_parts(comparison, old and base_now, new, release, goldens, settings)
    return Compared(base=base_now, run=new, goldens=goldens, comparison=comparison)


def _compare_part(
    base: Run | None, run: Run, compare_: Callable[[Run | None, Run], Comparison]
) -> Comparison:
    """
    Compare a part of the cases: with the same ones of the baseline, and without checks over all cases.

    It is undecided at best, whatever the part shows.
    """
    ran, asked = (
        {of(result) for result in run.results} for of in (attrgetter("case"), attrgetter("input_hash"))
    )
    ran |= run.skipped.keys()
    met = [one for one in (base.results if base else ()) if one.case in ran or one.input_hash in asked]
    comparison = compare_(base and replace(base, results=tuple(met)), replace(run, suite={}))
    missing = {result.case for result in base.results} - ran - {*comparison.missing} if base else set()
    state = run.signature["partial"]
    reason = CUT_SHORT if state == UNFINISHED else f"{state} were run"
    rest = Verdict(check="the rest of the run", outcome="undecided", cases=0, reason=reason)
    return replace(
        comparison,
        outcome=worst([comparison.outcome, rest.outcome]),
        verdicts=(*comparison.verdicts, rest),
        missing=(*comparison.missing, *sorted(missing)),
    )


def _doubt_parts(  # noqa: PLR0913, PLR0917 - what the planner of repeats needs
    comparison: Comparison,
    base: Run | None,
    run: Run,
    release: Release | None,
    goldens: Sequence[Golden],
    settings: Settings,
) -> Comparison:
    """Return the comparison of a merged run, undecided at best where its parts ended too early."""
    from pytest_llmops.evaluation.finished import (
        describe_open_cases,
        find_open_cases,
        list_golden_files,
        recall_golden,
    )

    here = {golden.path for golden in goldens}
    absent = [recall_golden(run, path) for path in list_golden_files(run) if path not in here]
    waiting = find_open_cases(run, base, [*goldens, *absent], settings, release)
    if not waiting:
        return comparison
    verdict = Verdict(
        check="the repeats of its parts",
        outcome="undecided",
        cases=len(waiting),
        reason=describe_open_cases(waiting),
    )
    return replace(
        comparison,
        outcome=worst([comparison.outcome, verdict.outcome]),
        verdicts=(*comparison.verdicts, verdict),
    )


def open_sides(run: str, baseline: str | None, settings: Settings) -> Sides:
    """
    Compare a run file with a baseline, for a report.

    Args:
        baseline: A file, `git:REF`, or `none`; by default the accepted baseline, if there is one.

    Raises:
        RunFileError, RevisionError: As `compare_files`.
    """
    accepted = settings.path(settings.accepted)
    named = baseline or (settings.accepted if accepted.exists() else NO_BASELINE)
    base = "" if named == NO_BASELINE else baseline or str(accepted)
    compared = compare_files(base, run, settings)
    revision = open_revision(base, settings.root) if is_revision(base) else None
    return Sides(
        comparison=compared.comparison,
        base=compared.base,
        named=named if base else "",
        run=compared.run,
        cases=cases_by_id(*compared.goldens),
        since=read_since(base, compared.base, compared.run, settings, revision),
    )


def read_since(named: str, base: Run, run: Run, settings: Settings, revision: Revision | None) -> Since:
    """Return what git knows of the time since a baseline: a file, or that of a revision; empty for none."""
    if not named:
        return Since()
    file = settings.path(settings.accepted) if revision else Path(named)
    return find_since(
        file.absolute(),
        changed_files(base.signature, run.signature),
        settings.root,
        ran=run.environment.get("revision", ""),
        at=revision.commit if revision else None,
    )


def compare_runs(
    base: Run | None, run: Run, *, release: Release | None, people: People, goldens: Sequence[Golden]
) -> Comparison:
    """Compare a run with a baseline, if there is one; else only thresholds decide."""
    if base is not None:
        return compare(base, run, release=release, people=people, goldens=goldens)
    comparison = compare(_NO_RUN, run, people=people, goldens=goldens)
    scored = any(result.scores for result in run.results)
    return _without_base(comparison) if scored else comparison  # which is an error


def _without_base(comparison: Comparison) -> Comparison:
    """Return the comparison with nothing as what it is: undecided, unless a threshold is missed."""
    reason = "there is no baseline"
    nothing = Verdict(check=NOTHING, outcome="undecided", cases=0, reason=reason, advice=ACCEPT)
    verdicts = [verdict for verdict in comparison.verdicts if verdict.check != nothing.check]
    decisive = (verdict.outcome for verdict in verdicts if not verdict.excused)
    outcome = worst([nothing.outcome, *decisive])
    return replace(
        comparison, outcome=outcome, verdicts=(*verdicts, nothing), new=(), differs=(), not_stamped=()
    )


def _read_base(named: str, settings: Settings) -> tuple[Run, Release | None, str]:
    """
    Return the baseline, the release beside it, and a sentence where the release is beside another one.

    Args:
        named: A file, or `git:REF`: the accepted baseline at the merge base of REF and HEAD.

    Raises:
        RunFileError, RevisionError: It cannot be read, or the revision has none.
    """
    if not is_revision(named):
        path = Path(named)
        return load_base(path), load_release(path), describe_left_out(path, settings.path(settings.accepted))
    revision = open_revision(named, settings.root)
    accepted = settings.accepted
    files = revision.read_all([accepted, str(release_path(Path(accepted)))])
    content, release = files.values()
    if content is None:
        raise RunFileError(
            f"{named}: there is no {accepted} at {revision.commit[:12]}, where this branch began; "
            f"commit one there ({ACCEPT}), or name a baseline file"
        )
    shown = f"{accepted} at {named}"
    return (
        parse_baseline(content, shown),
        None if release is None else parse_release(release, f"the release of {shown}"),
        "",
    )


@contextmanager
def _without_collector() -> Iterator[None]:
    """Disable garbage collection: records have no cycles, and the search takes a fifth of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
