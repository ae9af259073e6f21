"""The case channel of two runs: a verdict for each check that single cases got worse by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_llmops.bounds import describe_check
from pytest_llmops.gates.absolute.case_verdicts import judge_case
from pytest_llmops.gates.case_channel.changes import judge_against
from pytest_llmops.gates.case_channel.check_reading import Reading
from pytest_llmops.gates.case_channel.collapses import count_p_value, has_collapsed
from pytest_llmops.gates.case_channel.movement import Movement
from pytest_llmops.gates.case_channel.paired_readings import case_budget, read_pairs
from pytest_llmops.gates.error_budget import COUNT_SHARE, CaseBudget
from pytest_llmops.gates.paired_runs.pairing import Chance, Pairs
from pytest_llmops.printable import name_some
from pytest_llmops.records import Case, CaseResult, Outcome, Verdict
from pytest_llmops.registry import find_traits

_NAMED = 10


def judge_single_cases(  # noqa: PLR0913 - what the channel is held to
    pairs: Pairs,
    *,
    budget: CaseBudget | None = None,
    tolerated: Mapping[str, float] | None = None,
    chance: Chance | None = None,
    readings: Mapping[str, Sequence[Reading]] | None = None,
    unchecked: bool = False,
) -> tuple[Verdict, ...]:
    """
    A verdict for each check that single cases got worse by; they are named in its evidence.

    What a golden file checks of a case is judged as `judge_against` does. Of a metric that it does not
    check only what dropped beyond chance, and by more than the suite lets pass, is reported; and every leak.
    Where the number of repeats was fixed, so is a check by which more cases collapsed than chance explains,
    each of them with too few repeats to say.

    Args:
        budget: By default that of a run which has the readings of the pairs alone.
        tolerated: Metric to the drop that its suite check lets pass, in the metric's unit.
        readings: Those of the pairs, where they were read before.
        unchecked: Look only at metrics that are not checked; with the others the case itself has a verdict.
    """
    chance = chance or Chance([base for base, _ in pairs.shared])
    readings = read_pairs(pairs, chance) if readings is None else readings
    budget = budget or case_budget(readings)
    moved = next((each.moved for of_case in readings.values() for each in of_case), None) or Movement()
    worse: dict[tuple[str, str, Outcome], list[Verdict]] = {}
    for base, new in pairs.shared:
        case = Case(id=new.case, input=None, checks=() if unchecked else new.checks)
        read = readings[new.case]
        judged: tuple[Verdict, ...] = ()
        if case.checks and not _is_plain(case, new, read, budget):
            judged = judge_against(case, new, base, budget=budget, chance=chance, moved=moved, readings=read)
        own = {check.metric for check in new.checks}
        further = [
            _judge_unchecked(each, budget, tolerated or {}) for each in read if each.check.metric not in own
        ]
        for verdict in (*judged, *filter(None, further)):
            if verdict.outcome != "passed" and not verdict.known:
                worse.setdefault((verdict.metric, verdict.check, verdict.outcome), []).append(verdict)
    counted = _count_collapsed([each for of_case in readings.values() for each in of_case], budget.level)
    for (metric, check), collapsed in counted.items():
        named = {each.case for each in collapsed}
        for key in [key for key in worse if key[:2] == (metric, check) and key[2] != "error"]:
            worse[key] = [each for each in worse[key] if each.case not in named]
        worse.setdefault((metric, check, "regressed"), []).extend(collapsed)
    return tuple(_join(verdicts) for _, verdicts in sorted(worse.items()) if verdicts)


def _is_plain(case: Case, new: CaseResult, read: Sequence[Reading], budget: CaseBudget) -> bool:
    """Whether each check passes and nothing dropped, so that no more is to be asked of a case."""
    return (
        {check.metric for check in case.checks} <= {each.check.metric for each in read}
        and all(each.state(budget) == "clear" for each in read)
        and all(verdict.outcome == "passed" for verdict in judge_case(case, new))
    )


def _count_collapsed(readings: Sequence[Reading], level: float) -> dict[tuple[str, str], list[Verdict]]:
    """By metric and check, the cases that collapsed where they are more than chance explains."""
    by_check: dict[tuple[str, str], list[Reading]] = {}
    for each in readings:
        if not each.most and not each.fact and each.by_rate:
            by_check.setdefault((each.check.metric, describe_check(each.check)), []).append(each)
    verdicts = {}
    for key, of_check in by_check.items():
        p_value = count_p_value([each.rates for each in of_check])
        p_adjusted = min(1.0, p_value * len(by_check) / COUNT_SHARE)
        if p_adjusted > 1 - level:
            continue
        collapsed = [each for each in of_check if has_collapsed(each.rates)]
        verdicts[key] = [
            Verdict(
                check=key[1],
                outcome="regressed",
                metric=key[0],
                case=each.case,
                baseline=each.mean_before,
                observed=each.mean_after,
                p_value=p_value,
                p_adjusted=p_adjusted,
                advice=f"{len(collapsed)} of {len(of_check)} cases collapsed, more than chance explains",
            )
            for each in collapsed
        ]
    return verdicts


def _judge_unchecked(reading: Reading, budget: CaseBudget, tolerated: Mapping[str, float]) -> Verdict | None:
    """The verdict on a reading that nobody checks; None where there is nothing to report."""
    metric = reading.check.metric
    beyond = abs(reading.mean_after - reading.mean_before) > tolerated.get(metric, 0.0)
    dropped = beyond and reading.state(budget) == "regressed"
    leaks = not find_traits(metric).excusable and reading.rates.held < reading.rates.repeats
    if not dropped and not leaks:
        return None
    return Verdict(
        check=describe_check(reading.check),
        outcome="regressed" if dropped else "failed",
        metric=metric,
        case=reading.case,
        observed=reading.mean_after,
        baseline=reading.mean_before,
        p_value=None if reading.fact else reading.p_value(),
        p_adjusted=None if reading.fact else budget.adjust(reading.p_value()),
        advice=reading.why if dropped else "",
    )


_WORSE: Mapping[Outcome, str] = {
    "regressed": "worse than in the baseline",
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
