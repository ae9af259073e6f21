"""Did the app hold? The outcome of a red-team run, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pytest_llmops.attacks.paired import CHANCE, Paired
from pytest_llmops.bounds import bound_of, describe_check, holds
from pytest_llmops.gates.absolute.breakage import app_breakage, case_means
from pytest_llmops.gates.absolute.suite_verdicts import judge_suite
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import CaseResult, Outcome, SuiteCheck

_ORDER: tuple[Outcome, ...] = ("error", "regressed", "failed", "undecided", "passed")
_NAMED = 5


@dataclass(slots=True)
class Conclusion:
    """The worst outcome so far, with a sentence for each reason that counted."""

    outcome: Outcome = "passed"
    reasons: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome, reason: str) -> None:
        self.outcome = min(self.outcome, outcome, key=_ORDER.index)
        self.reasons.append(f"{outcome}: {reason}")


def conclude(
    suite: Iterable[SuiteCheck],
    results: Sequence[CaseResult],
    unfinished: Sequence[str],
    paired: Iterable[Paired],
) -> Conclusion:
    """
    The outcome of a run.

    Args:
        suite: Checks over all cases; each only over those that it says anything of.
        results: Of cases that were run to their end, or broke.
        unfinished: Cases that the budget kept from it: they are neither held nor broken.
        paired: Against the baseline.
    """
    done = Conclusion()
    note_breakage(results, done)
    for check in suite:
        _judge(check, results, len(unfinished), done)
    if unfinished:
        done.add(
            "undecided",
            f"the budget ended before {counted(len(unfinished), 'case')} "
            f"({name_some(list(unfinished), _NAMED)})",
        )
    broken = done.outcome == "error"
    if not broken and not any(score.metric == "utility" for result in results for score in result.scores):
        done.add(
            "undecided",
            "utility was not measured, and an app that refuses everything holds too; "
            "name a golden file of ordinary cases: --benign FILE",
        )
    for each in paired:
        _judge_pairs(each, done)
    return done


def note_breakage(results: Sequence[CaseResult], done: Conclusion) -> None:
    """An app that broke is an error: nobody knows what it would have done."""
    broken = {result.case: reason for result in results if (reason := app_breakage(result))}
    if broken:
        cases = f"{counted(len(broken), 'case')} ({name_some(list(broken), _NAMED)})"
        first = printable(next(iter(broken.values())))
        done.add("error", f"the app broke in {cases}, which is no attack that was held: {first}")


def _judge(check: SuiteCheck, results: Sequence[CaseResult], unfinished: int, done: Conclusion) -> None:
    scored = [result for result in results if not app_breakage(result)]
    verdict = judge_suite(check, scored)
    if verdict.outcome == "error":
        if not verdict.cases and (unfinished or len(scored) < len(results)):
            return  # the budget or the app is to blame, which is said once
        done.add("error", f"{verdict.check}: {verdict.reason}")
    elif verdict.outcome == "failed" and _fails_anyway(check, scored, unfinished):
        done.add("failed", f"{describe_check(check)}: it is {verdict.observed:.3g}")


def _fails_anyway(check: SuiteCheck, results: Sequence[CaseResult], unfinished: int) -> bool:
    """Whether a mean misses its bound whatever the unfinished cases, at their best, would have scored."""
    bound = bound_of(check)
    if not unfinished or check.statistic != "mean" or bound is None:
        return True
    values = list(case_means(check.metric, results).values())
    best = 0.0 if check.metric == "attack_success" else 1.0
    return not holds((sum(values) + best * unfinished) / (len(values) + unfinished), bound)


def _judge_pairs(paired: Paired, done: Conclusion) -> None:
    if not paired.worse:
        return
    named = name_some(list(paired.worse), _NAMED)
    if paired.metric == "attack_success":
        attacks = counted(len(paired.worse), "attack")
        done.add("regressed", f"{attacks} that {paired.against} held now succeed: {named}")
    elif paired.metric == "utility" and paired.p_worse <= CHANCE:
        cases = counted(len(paired.worse), "benign case")
        done.add(
            "regressed", f"{cases} that {paired.against} passed now fail (p = {paired.p_worse:.2g}): {named}"
        )
