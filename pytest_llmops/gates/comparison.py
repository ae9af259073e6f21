"""The comparison of two runs: verdicts of both channels, and the cases that came, went or changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from pytest_llmops.gates.anchors import find_moves
from pytest_llmops.gates.baseline import rescore_run
from pytest_llmops.gates.case_channel.reading import case_budget, read_pairs
from pytest_llmops.gates.case_channel.verdicts import judge_single_cases, list_changes
from pytest_llmops.gates.case_results import EXCUSED_STAGES, unscored_cases
from pytest_llmops.gates.copies import leave_out_copies, mark_copies
from pytest_llmops.gates.error_budget import CaseBudget, count_tests_of, divide_suite_share
from pytest_llmops.gates.expected import judge_all_expected, leave_out_of_release
from pytest_llmops.gates.floors import judge_suite_floors
from pytest_llmops.gates.labelled_means import with_labels
from pytest_llmops.gates.outcomes import name_files, worst
from pytest_llmops.gates.paired_runs import Chance, pair_cases
from pytest_llmops.gates.people import People
from pytest_llmops.gates.release import Release, describe_drift, judge_suites, rescore_release
from pytest_llmops.gates.renames import describe_renames, follow_between_runs
from pytest_llmops.gates.spending import describe_spending
from pytest_llmops.gates.stamps import describe_changes, describe_unstamped, stamped_kinds
from pytest_llmops.gates.suite_channel.paired_scores import results_of
from pytest_llmops.gates.suite_channel.verdicts import (
    add_means,
    recorded_metrics,
    tolerated_drops,
    watch_mean,
)
from pytest_llmops.gates.taken import doubt_taken
from pytest_llmops.golden.identity import file_of
from pytest_llmops.records import CaseResult, Check, Comparison, Golden, Outcome, Run, SuiteCheck, Verdict

NOTHING = "comparison"
"""The check of a verdict that nothing could be compared."""


def compare(  # noqa: PLR0913 - the public door
    base: Run,
    run: Run,
    *,
    suite: Mapping[str, Sequence[SuiteCheck]] | None = None,
    release: Release | Run | None = None,
    people: People | None = None,
    goldens: Iterable[Golden] = (),
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """
    Is `run` worse than `base`?

    The verdicts are those of both channels, `judge_suites` and `judge_single_cases`, and an error
    for each further metric that could not score a case, and for each error of the run that is of no case. The
    outcome is the worst of them, in the order error, regressed, failed, undecided, passed, where a failure
    that the baseline had too does not count.
    A run that lacks cases of the baseline, or skips them, is undecided at best.

    Args:
        suite: Golden file to its suite checks; by default the new run's own. A file without any is judged
            by the mean of each metric that the baseline scored its cases by.
        release: A second baseline, which the suite checks are compared with as well; a run has no name there.
        people: Reviews of the run's answers, and labels for its judges.
        goldens: Files by which outputs that a baseline kept are scored as the run is, where it was not.
        level: Coverage of the intervals, between 0 and 1; one minus the chance of any false `regressed`.
        seed: Fixes every resample.

    Raises:
        ValueError: The level is not between 0 and 1, or a run has a case twice.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level!r}")
    for side in (base, run):
        counts = Counter(result.case for result in side.results)
        if twice := [case for case, times in counts.items() if times > 1]:
            raise ValueError(f"a run has a case once, but {twice[0]!r} occurs twice")
    people = people or People()
    goldens = list(goldens)
    base, renamed = follow_between_runs(leave_out_copies(base), run)
    unjudged = tuple(sorted(result.case for result in base.results if result.case in run.skipped))
    base = replace(base, results=tuple(one for one in base.results if one.case not in run.skipped))
    base = rescore_run(goldens, base, run.results)
    checks = _with_means(run.suite if suite is None else suite, base.results, run.results)
    checks = {path: with_labels(of_file, people.calibrations) for path, of_file in checks.items()}
    run = replace(run, results=tuple(mark_copies(run.results)))
    if isinstance(release, Run):
        release = Release(name="(unnamed)", run=release)
    if release is not None:
        release = replace(release, run=follow_between_runs(release.run, run)[0])
        release = leave_out_of_release(release, run.skipped)
        release = rescore_release(release, goldens, run.results)
    pairs = pair_cases(base.results, run.results)
    compared = pair_cases(base.results, [result for result in run.results if result.xfail is None])
    chance = Chance(base.results)
    share = divide_suite_share(checks.values())
    moves = find_moves(base.anchors, run.anchors)
    of_files = judge_suites(
        checks,
        run.results,
        base.results,
        release=release,
        moves=moves,
        anchors=run.anchors,
        share=share,
        chance=chance,
        level=level,
        seed=seed,
    )
    verdicts = name_files(
        {path: doubt_taken(of_file, results_of(path, run.results)) for path, of_file in of_files.items()}
    )
    readings = read_pairs(compared, chance)
    tests = max(case_budget(readings).tests, count_tests_of(run.results, checks))
    budget = CaseBudget(tests=tests, level=level)
    verdicts += judge_single_cases(
        compared,
        budget=budget,
        tolerated=tolerated_drops(checks),
        recorded=recorded_metrics(chain(*checks.values())),
        chance=chance,
        readings=readings,
        share=share,
        moves=moves,
        new=[result for result in run.results if result.case in compared.new],
        people=people,
    )
    verdicts += judge_all_expected(run.results, people)
    for path, of_file in checks.items():
        verdicts += judge_suite_floors(of_file, results_of(path, run.results), base.results)
    reported = {verdict.metric for verdict in verdicts if verdict.outcome == "error"}
    verdicts += _judge_unscored(run.results, reported)
    verdicts += [Verdict(check="the run", outcome="error", cases=0, reason=error) for error in run.errors]
    if not pairs.shared or not verdicts:
        reason = "no metric scored a case in both runs" if pairs.shared else "the runs share no case"
        is_other = bool(base.results and run.results and not pairs.shared)  # all cases are new or edited
        nothing = Verdict(check=NOTHING, outcome="undecided" if is_other else "error", cases=0, reason=reason)
        verdicts = _judge_nothing(verdicts, nothing)
    outcomes: list[Outcome] = [verdict.outcome for verdict in verdicts if not verdict.excused]
    if pairs.missing or unjudged:
        outcomes.append("undecided")
    return Comparison(
        outcome=worst(outcomes),
        verdicts=tuple(verdicts),
        level=level,
        new=pairs.new,
        missing=pairs.missing,
        skipped=run.skipped,
        unjudged=unjudged,
        changed=list_changes(readings, budget),
        differs=(
            *describe_changes(base.signature, run.signature),
            *describe_spending(base.results, run.results),
            *filter(None, [describe_renames(renamed)]),
        ),
        not_stamped=describe_unstamped(base.signature, run.signature),
        stamped=stamped_kinds(base.signature, run.signature),
        since_release="" if release is None else describe_drift(release, checks, run.results),
    )


def _judge_nothing(verdicts: list[Verdict], nothing: Verdict) -> list[Verdict]:
    """Return what thresholds decide where nothing is compared; and that nothing is, if nothing broke."""
    return verdicts if any(verdict.outcome == "error" for verdict in verdicts) else [*verdicts, nothing]


def _with_means(
    checks: Mapping[str, Sequence[SuiteCheck]],
    base_results: Sequence[CaseResult],
    results: Sequence[CaseResult],
) -> Mapping[str, Sequence[SuiteCheck]]:
    """
    The checks, with that of the mean of each metric that the baseline scored and that they leave open.

    Those of a file without checks are of unbounded metrics as well, to be shown: one that vanished is missed.
    """
    recorded = recorded_metrics(_checks_of(results))  # a baseline has no checks: the run's decide
    if not any(checks.values()):
        return {"": tuple(map(watch_mean, sorted(_scored(base_results) - recorded)))}
    before, now = ({file_of(result.case) for result in side} for side in (base_results, results))
    means = {}
    for path in [""] if checks.get("") else sorted(before & now):
        own = checks.get(path, ())
        named = {check.metric for check in own if not check.record_only}
        metrics = _scored(results_of(path, base_results)) - (recorded - named)
        if own:
            of_file = results_of(path, results)
            left_open = recorded_metrics([*own, *_checks_of(of_file)])
            means[path] = add_means(own, sorted((metrics & _scored(of_file)) - left_open))
        else:
            means[path] = tuple(map(watch_mean, sorted(metrics)))
    return {**checks, **means}


def _scored(results: Iterable[CaseResult]) -> set[str]:
    return {score.metric for result in results for score in result.scores}


def _checks_of(results: Iterable[CaseResult]) -> Iterator[Check]:
    return (check for result in results for check in result.checks)


def _judge_unscored(results: Sequence[CaseResult], reported: set[str]) -> list[Verdict]:
    """An error, unless reported, for each metric that left a case unscored, and for an app that broke."""
    failed: dict[str, list[CaseResult]] = {}
    for result in results:
        for metric in {failure.metric for failure in result.failures}:
            failed.setdefault(metric, []).append(result)
    failures = (failure for result in results for failure in result.failures)
    metrics = {failure.metric for failure in failures if failure.stage not in EXCUSED_STAGES} - reported
    verdicts = []
    for metric in sorted(metrics - {""} if reported else metrics):  # an app that broke is in every error
        cases = unscored_cases(metric, failed[metric])
        reason = f"could not score {len(cases)} of the cases: {next(iter(cases.values()))}"
        verdicts.append(
            Verdict(
                check=metric or "answered",
                outcome="error",
                cases=len(cases),
                reason=reason,
                evidence=tuple(cases),
            )
        )
    return verdicts
