"""The reports of a run that is over, besides the terminal: the HTML file and those of GitHub Actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.errors import LLMOpsError, describe_error
from pytest_llmops.evaluation.conclusion import Conclusion, list_next_steps
from pytest_llmops.evaluation.github_actions import is_wanted, report_to_actions
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.evaluation.source import SINCE
from pytest_llmops.gates.outcomes import name_files, worst
from pytest_llmops.golden.files import shown_path
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.printable import counted
from pytest_llmops.records import Outcome, Run, Verdict
from pytest_llmops.settings import Settings

if TYPE_CHECKING:  # with all gates, which a run without a baseline does without
    from pytest_llmops.reports.sides import Sides


def report_run(  # noqa: PLR0913 - what a door knows of its run
    evaluation: Evaluation,
    run: Run,
    conclusion: Conclusion,
    *,
    build: Outcome,
    saved: bool,
    measured: Sequence[Verdict] = (),
    notes: Sequence[str] = (),
) -> None:
    """
    Write the reports that settings and environment ask for, and name the next commands.

    An HTML file that cannot be written fails the build, as any file that somebody asked for.

    Args:
        build: How the build ends: `error`, `failed` or `passed`, whatever the comparison says.
        saved: The run was written to the file that was asked for.
        measured: Verdicts besides those on outputs, such as on mutants, with further lines in `notes`.
    """
    settings, on_actions = evaluation.settings, is_wanted()
    file = shown_path(settings.path(settings.out or settings.last_run), settings.root)
    if saved:
        conclusion.next_steps = list_next_steps(build, file)
    if not (settings.html or on_actions):
        return
    # The comparison has those that are left out.
    problems = [line for line in (*conclusion.problems, *notes) if not line.startswith(SINCE)]
    html: str | None = None
    try:
        sides, outcome = _find_sides(evaluation, run, build, measured)
        if (left := len(sides.cases) - len(run.results)) > 0:
            problems.insert(0, f"a selection: {counted(left, 'case')} of these golden files not run")
        if settings.html:
            _write_html(sides, outcome, problems, settings.path(settings.html), file)
            html = settings.html
    except Exception as error:  # noqa: BLE001 - a report that breaks must not take the verdicts with it
        why = describe_error(error)
        if settings.html:
            conclusion.add(f"the report {settings.html} could not be written: {why}", "error")
        else:
            conclusion.problems.append(f"not reported to GitHub Actions: {why}")
        return
    if on_actions:
        try:
            conclusion.problems += report_to_actions(sides, outcome, settings.root, build=build, html=html)
        except (LLMOpsError, OSError, ValueError) as error:
            conclusion.problems.append(f"not reported to GitHub Actions: {error}")


def forget_report(settings: Settings) -> None:
    """Remove the report of an earlier run, which must not be taken for that of a run that ends early."""
    if settings.html:
        with suppress(OSError):
            settings.path(settings.html).unlink()


def _find_sides(
    evaluation: Evaluation, run: Run, build: Outcome, measured: Sequence[Verdict]
) -> tuple[Sides, Outcome]:
    """
    Return a run and its baseline with the verdicts on its cases and suite checks, and its outcome.

    Of a selection, the cases that were left out are no part of the comparison, as in the summary.
    """
    from pytest_llmops.evaluation.comparing import compare_runs, read_since
    from pytest_llmops.gates.comparison import NOTHING
    from pytest_llmops.reports.sides import Sides, find_outcome

    source, settings, judge = evaluation.source, evaluation.settings, evaluation.judge
    lost = judge.lost_cases()
    skipped = judge.skipped_cases() if source.revision is None else []
    compared_cases = {*lost, *skipped, *(result.case for result in run.results)}
    base = source.base and replace(
        source.base,
        results=tuple(result for result in source.base.results if result.case in compared_cases),
    )
    comparison = compare_runs(
        base, run, release=judge.release, people=judge.people, goldens=evaluation.goldens
    )
    nothing = [verdict for verdict in comparison.verdicts if verdict.check == NOTHING]
    verdicts = (*measured, *_list_verdicts(evaluation, run), *nothing)
    decisive: list[Outcome] = [verdict.outcome for verdict in verdicts if not verdict.excused]
    compared = worst([*decisive, "undecided"] if lost or skipped else decisive)
    named = "" if base is None else settings.baseline or settings.accepted
    base = base or Run(signature={}, results=())
    file = named if source.revision or not named else str(settings.path(named))
    sides = Sides(
        comparison=replace(comparison, outcome=compared, verdicts=verdicts, missing=tuple(lost)),
        base=base,
        named=named,
        run=run,
        cases=cases_by_id(*evaluation.goldens),
        since=read_since(file, base, run, settings, source.revision),
    )
    fails = settings.undecided == "fail"
    return sides, find_outcome(compared, build, undecided_fails=fails)


def _list_verdicts(evaluation: Evaluation, run: Run) -> Iterator[Verdict]:
    """Yield the verdicts of the suites that were run whole, then those of the cases."""
    results = {result.case: result for result in run.results}
    yield from name_files(evaluation.suite_verdicts(results))
    for golden in evaluation.goldens:
        of_file = [(case, results[id_]) for id_, case in cases_by_id(golden).items() if id_ in results]
        evaluation.judge.note_movement(golden, [result for _, result in of_file])
        for case, result in of_file:
            yield from evaluation.judge.judge_case(case, result)


def _write_html(sides: Sides, outcome: Outcome, problems: Sequence[str], path: Path, file: str) -> None:
    from pytest_llmops.reports.html.data import build_data
    from pytest_llmops.reports.html.report_file import write_report

    data = build_data(sides, outcome=outcome, problems=problems, file=file)
    write_report(data, path)
