"""The case channel of two runs: a verdict for each check that single cases got worse by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_llmops.gates.changes import Reading, judge_against, read_pairs
from pytest_llmops.gates.pairing import Chance, Pairs
from pytest_llmops.gates.thresholds import NEVER_EXCUSED, describe_check
from pytest_llmops.printable import name_some
from pytest_llmops.records import Case, Outcome, Verdict

_NAMED = 10


def judge_single_cases(  # noqa: PLR0913 - what the channel is held to
    pairs: Pairs,
    *,
    level: float = 0.95,
    tests: int | None = None,
    tolerated: Mapping[str, float] | None = None,
    chance: Chance | None = None,
    readings: Mapping[str, Sequence[Reading]] | None = None,
    unchecked: bool = False,
) -> tuple[Verdict, ...]:
    """
    A verdict for each check that single cases got worse by; they are named in its evidence.

    What a golden file checks of a case is judged as `judge_against` does. Of a metric that it does not
    check only what fell beyond chance, and by more than the suite lets pass, is told; and every leak.

    Args:
        tests: How many readings of cases the run has; by default those of the pairs.
        tolerated: Metric to the drop that its suite check lets pass, in the metric's unit.
        readings: Those of the pairs, where they were read before.
        unchecked: Look only at metrics that are not checked; with the others the case itself has a verdict.
    """
    chance = chance or Chance([base for base, _ in pairs.shared])
    readings = read_pairs(pairs, chance) if readings is None else readings
    tests = sum(map(len, readings.values())) if tests is None else tests
    worse: dict[tuple[str, str, Outcome], list[Verdict]] = {}
    for base, new in pairs.shared:
        case = Case(id=new.case, input=None, checks=() if unchecked else new.checks)
        found = judge_against(case, new, base, level=level, tests=tests, chance=chance) if case.checks else ()
        own = {check.metric for check in new.checks}
        told = [
            _tell(each, level, tests, tolerated or {})
            for each in readings[new.case]
            if each.check.metric not in own
        ]
        for verdict in (*found, *filter(None, told)):
            if verdict.outcome != "passed" and not verdict.known:
                worse.setdefault((verdict.metric, verdict.check, verdict.outcome), []).append(verdict)
    return tuple(_join(verdicts) for _, verdicts in sorted(worse.items()))


def _tell(reading: Reading, level: float, tests: int, tolerated: Mapping[str, float]) -> Verdict | None:
    """The verdict on a reading that nobody checks; None where there is nothing to tell."""
    metric = reading.check.metric
    beyond = abs(reading.after - reading.before) > tolerated.get(metric, 0.0)
    fell = beyond and reading.fell(level=level, tests=tests)
    leaks = metric == NEVER_EXCUSED and reading.rates.held < reading.rates.repeats
    if not fell and not leaks:
        return None
    return Verdict(
        check=describe_check(reading.check),
        outcome="regressed" if fell else "failed",
        metric=metric,
        case=reading.case,
        observed=reading.after,
        baseline=reading.before,
        p_value=None if reading.fact else reading.rates.p_value,
        p_adjusted=None if reading.fact else reading.p_adjusted(tests),
        advice=reading.why if fell else "",
    )


_WORSE: Mapping[Outcome, str] = {
    "regressed": "held in the baseline, missed now",
    "failed": "missed now",
    "undecided": "missed now, which chance may explain",
}


def _join(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for all cases that a check says the same of."""
    first = min(verdicts, key=lambda each: 1.0 if each.p_value is None else each.p_value)
    named = name_some([each.case or "" for each in verdicts], _NAMED)
    broken = first.outcome == "error"
    return Verdict(
        check=f"{first.check}, case by case",
        outcome=first.outcome,
        metric=first.metric,
        cases=len(verdicts),
        p_value=first.p_value,
        p_adjusted=first.p_adjusted,
        reason=f"{first.reason if broken else _WORSE[first.outcome]}: {named}",
        evidence=tuple(
            {"case": each.case, "before": each.baseline, "after": each.observed} for each in verdicts
        ),
        advice=first.advice,
    )
