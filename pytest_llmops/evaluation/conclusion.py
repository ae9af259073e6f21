"""The end of a golden run: writes, accepts and reports it, and decides whether the build fails."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import RunFileError
from pytest_llmops.evaluation.anchors import describe_unscored_anchors
from pytest_llmops.evaluation.baseline import accept_into_baseline
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.gates.case_results import (
    describe_empty_answers,
    describe_left_out,
    describe_unscored,
    describe_users,
)
from pytest_llmops.gates.copies import describe_copies, mark_copies
from pytest_llmops.gates.labelled_means import describe_corrections
from pytest_llmops.gates.outcomes import count, name_files, worst
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import CaseResult, Golden, LimitWait, Outcome, Run, Status, Verdict
from pytest_llmops.reports.document import write_terminal
from pytest_llmops.reports.files.run_file import write_run
from pytest_llmops.reports.loosening import render_loosened
from pytest_llmops.reports.rivals import rivals_document
from pytest_llmops.reports.terminal import render_summary
from pytest_llmops.revision.approvals import sort_by_approval
from pytest_llmops.revision.loosening import Loosening
from pytest_llmops.revision.merging import leave_out_old_checks
from pytest_llmops.runner.app.call_notes import describe_calls, describe_equal_answers, describe_remote
from pytest_llmops.runner.app.failed_calls import describe_unanswered
from pytest_llmops.runner.readiness import app_path
from pytest_llmops.runner.signature import describe_tool_lock, sign_run
from pytest_llmops.runner.usage import sum_outputs
from pytest_llmops.settings import Settings

_NAMED = 5


@dataclass(slots=True, kw_only=True)
class Conclusion:
    """
    The summary of a run, apart from its cases and suite checks.

    Attributes:
        problems: Sentences for the summary, in their order.
        suite: The suite's verdicts, for the table.
        outcomes: Further outcomes than those of cases and suite checks, to be counted with them.
        red: True where one of the sentences fails the build; `broken` where it is an error.
        next_steps: Commands for the person who reads it, each with its purpose.
    """

    run: Run
    settings: Settings
    problems: list[str] = field(default_factory=list)
    suite: list[Verdict] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    red: bool = False
    broken: bool = False
    next_steps: Sequence[tuple[str, str]] = ()

    def add(self, problem: str, outcome: Outcome, *, counted: bool = False) -> None:
        """Add a sentence that decides on the build as such an outcome does."""
        self.problems.append(problem)
        self.red |= is_red(outcome, self.settings)
        self.broken |= outcome == "error"
        if counted:
            self.outcomes.append(outcome)

    def end(self, *, red: bool, broken: bool) -> Outcome:
        """
        Return how the build ends: `error`, `failed` or `passed`.

        Args:
            red: A verdict fails it; `broken` where one of those is an error.
        """
        if self.broken or broken:
            return "error"
        return "failed" if self.red or red else "passed"

    def render(self, statuses: Iterable[Status] | None = None, wall_s: float | None = None) -> list[str]:
        """
        Return the closing lines of the run.

        Args:
            statuses: Of cases and suite checks, to be counted; None where others count them.
        """
        counts = None if statuses is None else count([*statuses, *self.outcomes])
        lines = render_summary(self.run, counts, self.problems, suite=self.suite, wall_s=wall_s)
        rivals = write_terminal(rivals_document(self.run))
        lines += ["", *rivals] if rivals else []
        widest = max((len(command) for command, _ in self.next_steps), default=0)
        steps = [
            f"  {at}. {command:<{widest}}  {why}" for at, (command, why) in enumerate(self.next_steps, 1)
        ]
        return [*lines, *(["next:", *steps] if steps else [])]


def conclude(  # noqa: PLR0913 - facts that a door has of its run
    evaluation: Evaluation,
    run: Run | None,
    *,
    notes: Iterable[str] = (),
    judged: Collection[str] | None = None,
    accept: bool = False,
    loosened: Iterable[Loosening] = (),
    permission: str,
) -> Conclusion:
    """
    Accept a run that was written, and list its problems.

    Args:
        run: None where no case was run.
        notes: Sentences of the door itself.
        judged: Ids of the cases whose verdicts the door reports; those with a result by default.
        loosened: Further loosenings than those of the files, which the run itself showed.
        permission: The flag by which whoever runs the pipeline approves a loosened item.
    """
    settings, source = evaluation.settings, evaluation.source
    conclusion = Conclusion(run=run or Run(signature={}, results=()), settings=settings)
    for error in evaluation.all_errors() if run is None else run.errors:
        conclusion.add(error, "error", counted=True)
    resumed = evaluation.journal.describe(conclusion.run.results) if evaluation.journal else ""
    affected = evaluation.affected.describe(conclusion.run.results) if evaluation.affected else ""
    conclusion.problems += filter(None, [resumed, affected, *notes, *evaluation.all_problems()])
    conclusion.problems += describe_calls(evaluation.goldens, conclusion.run.results, source.base)
    apps = [(golden, app_path(golden, evaluation.settings)) for golden in evaluation.goldens]
    conclusion.problems += describe_remote(apps, conclusion.run.results)
    if run is not None:
        if accept:
            line, accepted = accept_into_baseline(run, settings)
            conclusion.add(line, "passed" if accepted else "failed")
        _judge_run(evaluation, run, conclusion)
        conclusion.problems += filter(None, [describe_tool_lock(settings.root)])
        conclusion.problems += describe_unscored_anchors(evaluation.goldens, settings)
    if judged is None:
        judged = [result.case for result in conclusion.run.results]
    if source.missing:
        conclusion.add(
            f"{source.missing.outcome}: {source.missing.reason}", source.missing.outcome, counted=True
        )
    if settings.shard:
        conclusion.problems.insert(0, _describe_shard(evaluation, run))
    # The old form of an edited check sees all cases where the shards are judged together.
    unasked = [] if settings.shard else source.unasked(judged)
    conclusion.problems += source.describe(conclusion.run, settings, unasked, evaluation.judge.release)
    missed = source.recordings.list_missed(conclusion.run.results)
    loosenings = [*source.loosened, *unasked, *missed, *loosened]
    if source.revision and evaluation.budget and evaluation.budget.ended:
        # A smaller budget leaves more undecided, which lets more pass.
        place = "--llm-budget" if "budget" in settings.flagged else "the setting budget"
        what = "the budget was spent before every verdict was decided, and what is undecided fails no build"
        loosenings.append(Loosening(place=place, what=what, after=f"budget {settings.budget}"))
    items = sort_by_approval(loosenings, source.approvals, known=source.edited)
    conclusion.problems += [*render_loosened(items.approved, approved=True), *items.unused]
    conclusion.problems += render_loosened(items.open)
    if items.open:
        line = f"that is red, unless whoever runs the pipeline approves each of them: {permission} 'ITEM'"
        conclusion.add(line, "failed")
    return conclusion


def _describe_shard(evaluation: Evaluation, run: Run | None) -> str:
    """Return how much of the golden set a shard is, and where the rest of the verdict is made."""
    shard, all_cases = evaluation.settings.shard, cases_by_id(*evaluation.goldens)
    part = counted(len(run.results) if run else 0, "case")
    line = f"shard {shard}: {part} of {len(all_cases):,}; the verdict is that of all shards: llmops merge, "
    line += "llmops judge"
    if any(golden.suite for golden in evaluation.goldens):
        line += ", where the checks over all cases are judged"
    return line


def list_next_steps(build: Outcome, saved: str) -> list[tuple[str, str]]:
    """
    List what to do after a red run, command by command.

    Args:
        build: How it ends: `error`, `failed` or `passed`.
        saved: The file of the run, from the root.
    """
    if build == "passed":
        return []
    return [
        (f"llmops report {shlex.quote(saved)}", "what changed, and in which cases"),
        ("pytest --llm-golden --lf", "the red items again"),
    ]


def is_red(outcome: Outcome, settings: Settings) -> bool:
    """True for an outcome that fails the build."""
    return outcome in {"failed", "regressed", "error"} or (
        outcome == "undecided" and settings.undecided == "fail"
    )


def red_verdicts(verdicts: Iterable[Verdict], settings: Settings) -> list[Verdict]:
    """List the verdicts that fail the build; known failures only under the setting for them."""
    known_fail = settings.known_failures == "fail"
    return [
        verdict
        for verdict in verdicts
        if is_red(verdict.outcome, settings) and (known_fail or not verdict.known) and not verdict.xfail
    ]


def find_status(verdicts: Sequence[Verdict], settings: Settings) -> Status:
    """Return the word by which a case or suite check is counted: by what fails the build, if anything."""
    red = red_verdicts(verdicts, settings)
    if not red and (expected := [verdict for verdict in verdicts if verdict.xfail]):
        return "xpassed" if all(verdict.outcome == "passed" for verdict in expected) else "xfailed"
    if not red and any(verdict.known for verdict in verdicts):
        return "known"
    return worst(verdict.outcome for verdict in red or verdicts)


def make_run(  # noqa: PLR0913 - all that a run is made of
    goldens: Sequence[Golden],
    results: Iterable[CaseResult],
    settings: Settings,
    *,
    anchors: Iterable[CaseResult] = (),
    stamps: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    errors: Iterable[str] = (),
    notes: Iterable[str] = (),
    limits: Mapping[str, LimitWait] | None = None,
    skipped: Mapping[str, str] | None = None,
) -> Run:
    """
    Sign the results and sum their usage, ready to be written.

    Args:
        goldens: Without the cases that are skipped.
        stamps: Of the apps, `Evaluation.stamps`; without them the run says that its code is not stamped.
        errors: As of a run, and so `notes`.
    """
    results = mark_copies(sorted(results, key=lambda result: result.case))
    return Run(
        signature=sign_run(
            goldens,
            results,
            app=settings.app if "app" in settings.flagged else None,
            otherwise=settings.app,
            root=settings.root,
            repeats=settings.repeats,
            shard=settings.shard,
            stamps=stamps or {},
        ),
        results=tuple(results),
        suite={golden.path: golden.suite for golden in goldens},
        usage=sum_outputs(results),
        anchors=tuple(sorted(anchors, key=lambda result: result.case)),
        environment=environment or {},
        shard=settings.shard or "",
        errors=tuple(map(mask, errors)),
        notes=tuple(map(mask, notes)),
        limits=limits or {},
        skipped=dict(sorted((skipped or {}).items())),
    )


def sum_up(
    evaluation: Evaluation,
    results: Iterable[CaseResult],
    *,
    goldens: Sequence[Golden] | None = None,
    settings: Settings | None = None,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """
    Make the run of an evaluation: results, with what it knows besides.

    Args:
        goldens: By default its own; with `settings` as they stamp the run where a fixture gave the app.
    """
    return make_run(
        evaluation.goldens if goldens is None else goldens,
        results,
        settings or evaluation.settings,
        anchors=evaluation.anchors(),
        stamps=evaluation.stamps(),
        environment=environment,
        errors=evaluation.all_errors(),
        notes=evaluation.all_problems(),
        limits=evaluation.limits(),
        skipped=evaluation.skipped,
    )


def save_run(run: Run, path: Path) -> str:
    """
    Write a run, return a sentence where it could not be written, else an empty string.

    Checks as they were at a merge base are left out: no later command knows their metrics. Those of a shard
    are kept, since they are judged with the other shards.
    """
    try:
        write_run(run if run.shard else leave_out_old_checks(run), path)
    except OSError as error:
        return f"{path} could not be written: {error.strerror}"
    except RunFileError as error:
        return str(error)
    return ""


def _judge_skipped(evaluation: Evaluation, conclusion: Conclusion) -> None:
    """
    Name the skipped cases that the baseline has, by their reasons.

    They are undecided. Against a revision, a skip that is new there is listed as loosening, and one that is
    as old as the baseline decides nothing.
    """
    by_reason: dict[str, list[str]] = {}
    for case in evaluation.judge.skipped_cases():
        by_reason.setdefault(evaluation.skipped[case], []).append(printable(case))
    for reason, cases in by_reason.items():
        line = f"skipped, and in the baseline: {name_some(cases, _NAMED)} ({reason})"
        if evaluation.source.revision is not None:
            conclusion.problems.append(f"warning: {line}")
            continue
        conclusion.add(f"undecided: {line}", "undecided")
        conclusion.outcomes += ["undecided"] * len(cases)


def _judge_run(evaluation: Evaluation, run: Run, conclusion: Conclusion) -> None:
    """Add verdicts of no item, and all that is undecided or missing in the run as a whole."""
    verdicts = evaluation.suite_verdicts({result.case: result for result in run.results})
    conclusion.suite = name_files(verdicts)
    conclusion.problems += describe_corrections(conclusion.suite)
    if lost := evaluation.judge.lost_cases():
        named = name_some(lost, _NAMED)
        line = f"undecided: in the baseline, and in no golden file any more: {named}"
        conclusion.add(line, "undecided")
        conclusion.outcomes += ["undecided"] * len(lost)
    _judge_skipped(evaluation, conclusion)
    for golden in evaluation.goldens:
        checked = {check.metric for check in golden.suite}
        conclusion.problems += describe_left_out(sorted(checked), golden.path, run.results)
        for verdict in verdicts[golden.path]:
            if verdict.outcome != "passed" and verdict.metric not in checked:
                why = f"{verdict.reason}; {verdict.advice}".rstrip("; ")
                line = f"{verdict.outcome}: {golden.path}: {verdict.check}: {why}"
                conclusion.add(line, verdict.outcome, counted=True)
    conclusion.problems += filter(
        None, (describe_empty_answers(run), describe_users(run), describe_copies(run.results))
    )
    for golden in evaluation.goldens:
        conclusion.problems += describe_equal_answers(golden, run.results)
    unscored = "" if evaluation.is_empty_shard else describe_unscored(run)
    for lack in (unscored, describe_unanswered(evaluation.goldens, run.results)):
        if lack:
            conclusion.add(lack, "error")
