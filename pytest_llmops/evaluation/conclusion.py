"""The end of a golden run: what is written, accepted and reported, and whether the build fails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llmops.errors import RunFileError
from pytest_llmops.evaluation.acceptance import accept_into_baseline
from pytest_llmops.evaluation.evaluation import Evaluation
from pytest_llmops.gates.absolute.breakage import describe_empty_answers, describe_unscored
from pytest_llmops.gates.outcomes import count, name_files
from pytest_llmops.printable import name_some
from pytest_llmops.records import OUTCOMES, CaseResult, Golden, Outcome, Run, Verdict
from pytest_llmops.reports.document import write_terminal
from pytest_llmops.reports.files.run_file import write_run
from pytest_llmops.reports.loosening import render_loosened
from pytest_llmops.reports.rivals import rivals_document
from pytest_llmops.reports.terminal import render_summary
from pytest_llmops.revision.loosening.record import Loosening
from pytest_llmops.runner.app.failed_calls import describe_failed_calls, describe_unanswered
from pytest_llmops.runner.budget import Budget
from pytest_llmops.runner.signature import sign_run
from pytest_llmops.runner.usage import sum_outputs
from pytest_llmops.settings import Settings

_NAMED = 5


@dataclass(slots=True, kw_only=True)
class Conclusion:
    """
    What is said at the end of a run, apart from its cases and suite checks.

    Attributes:
        problems: Sentences for the summary, in their order.
        suite: The suite's verdicts, for the table.
        outcomes: Of what is no case and no suite check, for the counts.
        red: Whether one of these outcomes, or one of the sentences, fails the build; `broken` where it is an
            error.
    """

    run: Run
    problems: list[str] = field(default_factory=list)
    suite: list[Verdict] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    red: bool = False
    broken: bool = False

    def add(self, problem: str, outcome: Outcome, settings: Settings, *, counted: bool = False) -> None:
        """A sentence that decides on the build as such an outcome does."""
        self.problems.append(problem)
        self.red |= is_red(outcome, settings)
        self.broken |= outcome == "error"
        if counted:
            self.outcomes.append(outcome)

    def render(self, counts: Mapping[Outcome, int], wall_s: float | None = None) -> list[str]:
        """
        The closing lines of the run.

        Args:
            counts: Outcomes of cases and suite checks.
        """
        further = count(self.outcomes)
        counts = {outcome: counts.get(outcome, 0) + further[outcome] for outcome in OUTCOMES}
        lines = render_summary(self.run, counts, self.problems, suite=self.suite, wall_s=wall_s)
        rivals = write_terminal(rivals_document(self.run))
        return [*lines, *(["", *rivals] if rivals else [])]


def conclude(  # noqa: PLR0913 - what a door knows of its run
    evaluation: Evaluation,
    run: Run | None,
    *,
    notes: Iterable[str] = (),
    accept: bool = False,
    loosened: Iterable[Loosening] = (),
    permission: str,
    permitted: bool,
) -> Conclusion:
    """
    Accept a run that was written, and say what is missing in it.

    Args:
        run: None where no case was run.
        notes: Sentences of the door itself.
        loosened: What the run itself showed of the change, in addition to its files.
        permission: What whoever runs the pipeline gives to let a change loosen its own gate.
    """
    session, source = evaluation.session, evaluation.source
    settings = session.settings
    done = Conclusion(run=run or Run(signature={}, results=()))
    for error in session.all_errors():
        done.add(error, "error", settings, counted=True)
    done.problems += [*notes, *session.all_problems()]
    done.problems += describe_failed_calls(evaluation.goldens, done.run.results)
    if run is not None:
        if accept:
            line, accepted = accept_into_baseline(run, settings)
            done.add(line, "passed" if accepted else "failed", settings)
        _judge_whole(evaluation, run, done)
    done.problems += source.describe(done.run, settings)
    undecided = _list_undecided(session.budget, settings) if source.revision else []
    lines = render_loosened([*source.loosened, *loosened, *undecided])
    done.problems += lines
    if lines and not permitted:
        done.add(f"that is red, unless whoever runs the pipeline gives {permission}", "failed", settings)
    return done


def is_red(outcome: Outcome, settings: Settings) -> bool:
    """Whether an outcome fails the build."""
    return outcome in {"failed", "regressed", "error"} or (
        outcome == "undecided" and settings.undecided == "fail"
    )


def red_verdicts(verdicts: Iterable[Verdict], settings: Settings) -> list[Verdict]:
    """The verdicts that fail the build: a known failure only where the settings say so."""
    known_fail = settings.known_failures == "fail"
    return [each for each in verdicts if is_red(each.outcome, settings) and (known_fail or not each.known)]


def make_run(goldens: Sequence[Golden], results: Iterable[CaseResult], settings: Settings) -> Run:
    """The results with what made them, ready to be written."""
    results = sorted(results, key=lambda result: result.case)
    return Run(
        signature=sign_run(goldens, results, app=settings.app, root=settings.root, repeats=settings.repeats),
        results=tuple(results),
        suite={golden.path: golden.suite for golden in goldens},
        usage=sum_outputs(results),
    )


def save_run(run: Run, path: Path) -> str:
    """Write a run; a sentence on why it could not be written, else nothing."""
    try:
        write_run(run, path)
    except OSError as error:
        return f"{path} could not be written: {error.strerror}"
    except RunFileError as error:
        return str(error)
    return ""


def _judge_whole(evaluation: Evaluation, run: Run, done: Conclusion) -> None:
    """What the run as a whole is undecided on or lacks, and the verdicts of no item."""
    settings = evaluation.session.settings
    verdicts = evaluation.suite_verdicts({result.case: result for result in run.results})
    done.suite = name_files(verdicts)
    if lost := evaluation.judge.lost_cases():
        named = name_some(lost, _NAMED)
        line = f"undecided: in the baseline, and in no golden file any more: {named}"
        done.add(line, "undecided", settings)
        done.outcomes += ["undecided"] * len(lost)
    for golden in evaluation.goldens:
        checked = {check.metric for check in golden.suite}
        for verdict in verdicts[golden.path]:
            if verdict.outcome != "passed" and verdict.metric not in checked:
                why = f"{verdict.reason}; {verdict.advice}".rstrip("; ")
                line = f"{verdict.outcome}: {golden.path}: {verdict.check}: {why}"
                done.add(line, verdict.outcome, settings, counted=True)
    done.problems += filter(None, [describe_empty_answers(run)])
    for lack in (describe_unscored(run), describe_unanswered(evaluation.goldens, run.results)):
        if lack:
            done.add(lack, "error", settings)


def _list_undecided(budget: Budget | None, settings: Settings) -> list[Loosening]:
    """What a budget that was too small for it left undecided: less of it lets more pass."""
    if budget is None or not budget.ended:
        return []
    what = "the budget was spent before every verdict was decided, and what is undecided fails no build"
    place = "--llm-budget" if "budget" in settings.flagged else "the setting budget"
    return [Loosening(place=place, what=what, after=f"budget {settings.budget}")]
