"""Whether the agreement of a judge with people is known well enough for a check that asks for it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_llmops.bounds import describe_check, format_bound, invert
from pytest_llmops.calibration.record import Calibration
from pytest_llmops.gates.paired_runs.index import case_scores
from pytest_llmops.printable import counted
from pytest_llmops.records import Bound, Case, CaseResult, Check, Verdict


def require_agreement(
    verdicts: Sequence[Verdict], case: Case, result: CaseResult, calibrations: Mapping[str, Calibration]
) -> tuple[Verdict, ...]:
    """
    The verdicts of a case, where one that passed is `undecided` if its check asks for more agreement with
    people than is recorded of its scores: the lower end of kappa's interval counts, at the check's own bound.

    Args:
        calibrations: By the signature of scores.
    """
    by_name = {
        describe_check(check): check
        for check in case.checks
        if check.min_kappa is not None and not check.record_only
    }
    if not by_name:
        return tuple(verdicts)
    return tuple(
        replace(verdict, outcome="undecided", advice=doubt)
        if verdict.outcome == "passed"
        and (check := by_name.get(verdict.check))
        and (
            doubt := _doubt(
                check, {each.signature for each in case_scores(check.metric, result)}, calibrations
            )
        )
        else verdict
        for verdict in verdicts
    )


def _doubt(check: Check, signatures: Iterable[str], calibrations: Mapping[str, Calibration]) -> str:
    """Why scores of these signatures are trusted less than the check asks, and the remedy; empty if not."""
    needed = f"min_kappa {check.min_kappa:g}"
    for signature in sorted(signatures):
        known = calibrations.get(signature)
        if known is None:
            other = any(each.metric == check.metric for each in calibrations.values())
            why = (
                "labels were judged otherwise (model, rubric or version)"
                if other
                else "no labels are recorded"
            )
            return f"{needed}: {why}; run: {_calibrate(check)}"
        bound = Bound(comparison=check.comparison, threshold=check.threshold)
        cuts = [cut for cut in known.cuts if cut.bound in {bound, invert(bound)}]
        if not cuts:
            missing = f"nothing is recorded for {format_bound(bound)}"
            return f"{needed}: {missing}; run: {_calibrate(check)} --threshold {check.threshold:g}"
        if cuts[0].interval[0] < (check.min_kappa or 0):
            kappa = f"{cuts[0].kappa:.2f}, at least {cuts[0].interval[0]:.2f}"
            why = f"kappa with people is {kappa}, on {counted(known.rows, 'label')} ({known.label})"
            return f"{needed}: {why}; improve the judge, or label more: {_calibrate(check)}"
    return ""


def _calibrate(check: Check) -> str:
    """The command that would measure the agreement of such scores."""
    options = [
        f"--option {shlex.quote(f'{name}={json.dumps(value, default=str)}')}"
        for name, value in check.options.items()
    ]
    return " ".join(["llmops calibrate", check.metric, "LABELS.jsonl --label FIELD --save", *options])
