"""The case channel's verdicts: the thresholds of single cases, compared with their baseline."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_llmops.bounds import describe_check, holds
from pytest_llmops.gates.absolute import judge_case, needed_rate
from pytest_llmops.gates.anchors import JudgeMove, correct_cases
from pytest_llmops.gates.case_channel.pass_rates import Movement, count_p_value, has_collapsed
from pytest_llmops.gates.case_channel.pooled import pool_readings
from pytest_llmops.gates.case_channel.reading import Reading, case_budget, read_check, read_pairs
from pytest_llmops.gates.copies import may_vary_unseen
from pytest_llmops.gates.error_budget import COUNT_SHARE, SUITE_SHARE, CaseBudget
from pytest_llmops.gates.floors import judge_floors
from pytest_llmops.gates.paired_runs import Chance, Pairs, describe_fact, describe_unlike, have_same_input
from pytest_llmops.gates.people import People
from pytest_llmops.golden.identity import file_of
from pytest_llmops.printable import name_some
from pytest_llmops.records import Case, CaseResult, Change, Check, Outcome, Verdict
from pytest_llmops.registry import find_traits
from pytest_llmops.statistics.summaries import NOISE

_AGAIN = "chance may explain it; run it again while it may: --llm-repeats auto"
_COPIES = "a cache answered each repeat with one answer, in the baseline too: turn it off for golden runs"
_WHOLE = "all checks together leave it open"
_SELDOM = 0.05  # the p-value of a case from which on its misses are not excused by those of the baseline
_NAMED = 10
_WORSE: Mapping[Outcome, str] = {
    "regressed": "worse than in the baseline",
    "failed": "missed now",
    "undecided": "missed now, which chance may explain",
}


def judge_against(  # noqa: PLR0913 - a case, both its sides, and the rest of the run
    case: Case,
    result: CaseResult,
    base: CaseResult | None,
    *,
    budget: CaseBudget | None = None,
    chance: Chance | None = None,
    moved: Movement | None = None,
    readings: Sequence[Reading] = (),
) -> tuple[Verdict, ...]:
    """
    A verdict for each check of a case: its threshold decides, and the baseline gives that a meaning.

    - It got worse, and that is a fact or the repeats show it (`Reading.state`): `regressed`.
    - It is an attack that succeeds now, in any repeat, and that the baseline held: `regressed`.
    - It holds now: `passed`; where the baseline missed it the advice is `fixed`.
    - It is missed now by one answer, held before by one, and all other repeats are copies: `undecided`,
      unless the models are known to have answered the same.
    - It is missed now, in an app whose answers do not vary: `failed`, and `known` where it was before;
      `undecided` where it was and is worse in too few repeats to be a fact.
    - It is missed now, and is a metric without bounds (seconds, dollars): `failed`, and `known` as above.
    - It is missed now, in one whose answers vary: `undecided` where further repeats would decide, or
      where the scores dropped by less than counts; `passed` where both sides together hold it often enough;
      else `failed` and `known`, as bad as before as far as chance lets see, if the baseline missed it in
      some repeat; `undecided` if it never did.

    A case that the baseline lacks, could not score, asked otherwise or scored otherwise is judged by
    its thresholds, and the advice names the reason.

    Args:
        chance: Of the whole baseline; by default of this case.
        moved: The movement of other cases, as in `Reading`.
        readings: Those of these checks, where they were read before.
    """
    verdicts = judge_case(case, result)
    if base is None or not have_same_input(base, result):
        return tuple(_without_baseline(verdict, "the baseline has no such case") for verdict in verdicts)
    budget, chance = budget or CaseBudget(), chance or Chance([base])
    known = {id(reading.check): reading for reading in readings}
    compared = []
    for check, now, then in zip(case.checks, verdicts, judge_case(case, base), strict=False):
        verdict = now if check.record_only else _compare(check, now, then, base, result)
        if verdict.baseline is not None and verdict.outcome != "error":
            reading = known.get(id(check)) or read_check(base, result, check, chance, moved)
            verdict = _interpret(verdict, then, reading, chance, budget)
            is_new = (then.outcome, verdict.outcome) == ("passed", "failed") and reading.scale.bounded
            if is_new and may_vary_unseen(base, result):
                verdict = replace(verdict, outcome="undecided", advice=_COPIES)
        compared.append(verdict)
    failed_before = {verdict.metric for verdict in compared if verdict.known}
    return (*compared, *judge_floors(case.checks, result, base, known=failed_before)) or verdicts


def _without_baseline(verdict: Verdict, reason: str) -> Verdict:
    if verdict.outcome == "error":
        return verdict
    return replace(verdict, advice="; ".join(filter(None, (reason, verdict.advice))))


def _compare(check: Check, now: Verdict, then: Verdict, base: CaseResult, new: CaseResult) -> Verdict:
    """The verdict with its baseline; the meaning of a missed check is left to `_interpret`."""
    if now.outcome == "error" or now.observed is None:
        return now
    if then.observed is None:
        return _without_baseline(now, f"the baseline has no score: {then.reason}")
    if unlike := describe_unlike(check.metric, base, new):
        return replace(now, outcome="error", reason=f"{unlike}: not comparable; make the baseline again")
    fixed = now.outcome == "passed" and then.outcome == "failed"
    return replace(
        now,
        baseline=then.observed,
        difference=now.observed - then.observed,
        advice="fixed: failed in the baseline" if fixed else now.advice,
    )


def _interpret(  # noqa: PLR0911 - a return a meaning
    verdict: Verdict, then: Verdict, reading: Reading, chance: Chance, budget: CaseBudget
) -> Verdict:
    """The meaning of a check in the light of its baseline."""
    state = reading.state(budget)
    failed_before = then.outcome == "failed"
    if state == "regressed":
        held = "held in the baseline" if then.outcome == "passed" else "worse than in the baseline"
        verdict = replace(_add_counts(verdict, reading, budget), outcome="regressed")
        return replace(verdict, advice=f"{held}; {_describe_proof(reading)}")
    if verdict.outcome == "passed":
        if reading.check.max_drop is None or state not in {"suspect", "called"}:
            return verdict
        reason = f"dropped by {reading.mean_before - reading.mean_after:.3g} in too few repeats to be sure"
        return replace(verdict, outcome="undecided", reason=reason, advice=_AGAIN)
    varies = chance.app_varies or reading.rates.varies
    if not _is_weighed(reading.check.metric, varies=varies):  # whose reason has its place
        outcome: Outcome = "failed" if failed_before or not reading.scale.bounded else "regressed"
        return replace(verdict, outcome=outcome, advice="" if failed_before else "held in the baseline")
    verdict = replace(_add_counts(verdict, reading, budget), outcome="failed")
    if not reading.scale.bounded:  # seconds and dollars always vary, and have no share of repeats
        advice = f"{'failed' if failed_before else 'held'} in the baseline"
        return replace(verdict, known=failed_before, advice=advice)
    if reading.fact or not varies:
        once = "; seen once, --llm-repeats auto runs it again" if state == "called" else ""
        if not failed_before:
            return replace(verdict, advice=f"held in the baseline{once}")
        if state == "called":
            return replace(verdict, outcome="undecided", advice=f"worse than in the baseline{once}")
        return replace(verdict, known=True, advice="failed in the baseline too")
    return _interpret_varying(verdict, reading, budget, held=then.outcome == "passed")


def _is_weighed(metric: str, *, varies: bool) -> bool:
    """Return whether chance may explain a miss; of a leak it never may."""
    traits = find_traits(metric)
    return traits.excusable or (traits.weighed and varies)


def _interpret_varying(  # noqa: PLR0911 - a return a meaning
    verdict: Verdict, reading: Reading, budget: CaseBudget, *, held: bool
) -> Verdict:
    """The meaning of a missed check that chance may explain; `held` by the baseline."""
    rates, state = reading.rates, reading.state(budget)
    if reading.is_dead or state in {"suspect", "called"} or (state == "refuted" and reading.was_steady):
        label = "flaky" if rates.varies else "may be chance"
        advice = "chance may explain it" if reading.most else _AGAIN
        return replace(verdict, outcome="undecided", reason=f"{label}: {verdict.reason}", advice=advice)
    if not held:
        return replace(verdict, known=True, advice="failed in the baseline too")
    if reading.dropped_at_all(budget.bound):
        advice = f"dropped by less than {reading.size:.3g}, the drop of a case that counts; see max_drop"
        if reading.by_rate:
            advice = "holds less often, beyond chance, and still too often for a case that broke"
        return replace(verdict, outcome="undecided", advice=advice)
    if not reading.most:  # it was not run again while that might decide
        return replace(verdict, outcome="undecided", reason=f"flaky: {verdict.reason}", advice=_AGAIN)
    both = (rates.held_before + rates.held) / (rates.repeats_before + rates.repeats)
    if reading.by_rate and holds(both, needed_rate(reading.check, reading.scale.range[1])):
        return replace(verdict, outcome="passed", advice=f"flaky: {verdict.reason}")
    if reading.was_steady and (reading.by_rate or reading.deviates):
        advice = "held in each repeat of a baseline that does not vary"
        return replace(verdict, outcome="undecided", advice=advice)
    if rates.held_before == rates.repeats_before or rates.p_value <= _SELDOM:
        advice = f"chance gives so few in {rates.p_value:.2g} of runs; {_WHOLE}"
        return replace(verdict, outcome="undecided", advice=advice)
    return replace(verdict, known=True, advice="not worse than the baseline beyond chance")


def _add_counts(verdict: Verdict, reading: Reading, budget: CaseBudget) -> Verdict:
    """The verdict with its test and, of more than one repeat on each side, the number that hold."""
    if reading.fact:
        return verdict
    rates = reading.rates
    p_value = reading.p_value()
    verdict = replace(verdict, p_value=p_value, p_adjusted=budget.adjust(p_value))
    if rates.repeats + rates.repeats_before <= 2:  # noqa: PLR2004 - one on each side has no rate
        return verdict
    counts = f"{rates.held} of {rates.repeats} repeats hold it"
    counts += f", {rates.held_before} of {rates.repeats_before} in the baseline"
    return replace(verdict, reason=counts, evidence=())


def _describe_proof(reading: Reading) -> str:
    return describe_fact(reading.days) if reading.fact else "the repeats rule out chance"


def list_changes(readings: Mapping[str, Sequence[Reading]], budget: CaseBudget) -> tuple[Change, ...]:
    """
    The readings of shared cases that differ from the baseline's, each the mean of its repeats.

    `confirmed` are those that dropped or improved beyond chance. Readings that were made in unlike ways are
    left out, and so are metrics without bounds (seconds, dollars, tokens).
    """
    changes: dict[tuple[str, str], Change] = {}
    for reading in (reading for of_case in readings.values() for reading in of_case):
        if abs(reading.mean_after - reading.mean_before) <= NOISE:
            continue
        rates = reading.rates
        improved = reading.fact and rates.held_before == 0 and rates.held == rates.repeats
        confirmed = improved or reading.state(budget) == "regressed"
        key = (reading.case, reading.check.metric)
        if key not in changes or confirmed:
            changes[key] = Change(
                case=reading.case,
                metric=reading.check.metric,
                before=reading.mean_before,
                after=reading.mean_after,
                confirmed=confirmed,
            )
    return tuple(changes.values())


def judge_single_cases(  # noqa: PLR0913 - both sides, and the rest of the run
    pairs: Pairs,
    *,
    budget: CaseBudget | None = None,
    tolerated: Mapping[str, float] | None = None,
    recorded: Collection[str] = (),
    chance: Chance | None = None,
    readings: Mapping[str, Sequence[Reading]] | None = None,
    unchecked: bool = False,
    share: float = SUITE_SHARE,
    moves: Mapping[str, Mapping[str, JudgeMove]] | None = None,
    new: Iterable[CaseResult] = (),
    people: People | None = None,
) -> tuple[Verdict, ...]:
    """
    A verdict for each check that single cases got worse by; they are named in its evidence.

    The checks of a case's golden file are judged as by `judge_against`. Of a metric that it does not
    check only a drop beyond chance, and by more than the suite tolerates, is reported; and every leak.
    So is a check by which several cases dropped together by more than chance explains, each of them with too
    few repeats to prove it.

    Args:
        budget: By default that of a run which has the readings of the pairs only.
        tolerated: Metric to the drop that its suite check tolerates, in the metric's unit.
        recorded: Metrics that fail no build where a case does not check them.
        readings: Those of the pairs, where they were read before.
        unchecked: Look only at metrics that are not checked; with the others the case itself has a verdict.
        share: Of the error budget, for the suite of each golden file.
        moves: Golden file to the metrics whose judge moved, which explains a drop as large.
        new: Results that are compared with nothing, and that their thresholds decide on.
        people: Labels and reviews, which may change the verdicts of a case.
    """
    moves = moves or {}
    chance = chance or Chance([base for base, _ in pairs.shared])
    readings = read_pairs(pairs, chance) if readings is None else readings
    budget = budget or case_budget(readings)
    moved = next((reading.moved for of_case in readings.values() for reading in of_case), None) or Movement()
    worse: dict[tuple[str, str, Outcome], list[Verdict]] = {}
    checked = {after.case: {check.metric for check in after.checks} for _, after in pairs.shared}
    for before, after in [*pairs.shared, *((None, result) for result in new)]:
        case = Case(id=after.case, input=None, checks=() if unchecked else after.checks)
        read = readings.get(after.case, ())
        judged: list[Verdict] = []
        concerned = people is not None and people.may_change(case)
        if case.checks and (concerned or not _is_plain(case, after, read, budget)):
            judged += judge_against(
                case, after, before, budget=budget, chance=chance, moved=moved, readings=read
            )
        for reading in read:
            if reading.check.metric not in {*recorded, *checked[after.case]}:
                judged += _judge_unchecked(reading, budget, tolerated or {})
        corrected = correct_cases(judged, moves.get(file_of(after.case), {}))
        for verdict in people.settle(corrected, case, after) if people else corrected:
            if verdict.outcome != "passed" and not verdict.known:
                worse.setdefault((verdict.metric, verdict.check, verdict.outcome), []).append(verdict)
    listed = [reading for of_case in readings.values() for reading in of_case]
    together = _count_collapsed(listed, budget.level) | _judge_pooled(readings, budget, share)
    for (metric, check), found in together.items():
        dropped = [
            verdict
            for one in found
            if metric not in recorded or metric in checked[one.case or ""]
            for verdict in correct_cases([one], moves.get(file_of(one.case or ""), {}))
            if verdict.outcome == "regressed"
        ]
        own = worse.setdefault((metric, check, "regressed"), [])
        sure = {verdict.case for verdict in own}  # by the test of the case itself, which is shown
        named = {verdict.case for verdict in dropped}
        for key in [key for key in worse if key[:2] == (metric, check) and key[2] in {"failed", "undecided"}]:
            worse[key] = [verdict for verdict in worse[key] if verdict.case not in named]
        own.extend(verdict for verdict in dropped if verdict.case not in sure)
    return tuple(_join(verdicts) for _, verdicts in sorted(worse.items()) if verdicts)


def _is_plain(case: Case, new: CaseResult, read: Sequence[Reading], budget: CaseBudget) -> bool:
    """True if each check passes and nothing dropped, so that `judge_against` has nothing to add."""
    return (
        {check.metric for check in case.checks} <= {reading.check.metric for reading in read}
        and all(reading.state(budget) == "clear" for reading in read)
        and all(verdict.outcome == "passed" for verdict in judge_case(case, new))
    )


def _judge_unchecked(reading: Reading, budget: CaseBudget, tolerated: Mapping[str, float]) -> list[Verdict]:
    """The verdict on a metric that the case does not check; none where there is nothing to report."""
    metric = reading.check.metric
    beyond = abs(reading.mean_after - reading.mean_before) > tolerated.get(metric, 0.0)
    dropped = beyond and reading.state(budget) == "regressed"
    traits = find_traits(metric)
    leaks = not (traits.excusable or traits.weighed) and reading.rates.held < reading.rates.repeats
    if not dropped and not leaks:
        return []
    p_value = None if reading.fact else reading.p_value()
    return [
        Verdict(
            check=describe_check(reading.check),
            outcome="regressed" if dropped else "failed",
            metric=metric,
            case=reading.case,
            observed=reading.mean_after,
            baseline=reading.mean_before,
            p_value=p_value,
            p_adjusted=None if p_value is None else budget.adjust(p_value),
            advice=_describe_proof(reading) if dropped else "",
        )
    ]


def _count_collapsed(readings: Sequence[Reading], level: float) -> dict[tuple[str, str], list[Verdict]]:
    """By metric and check, the cases that collapsed where they are more than chance explains."""
    by_check: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings:
        if not reading.most and not reading.fact and reading.by_rate:
            key = (reading.check.metric, describe_check(reading.check))
            by_check.setdefault(key, []).append(reading)
    verdicts = {}
    for (metric, check), of_check in by_check.items():
        p_value = count_p_value([reading.rates for reading in of_check])
        p_adjusted = min(1.0, p_value * len(by_check) / COUNT_SHARE)
        if p_adjusted > 1 - level:
            continue
        collapsed = [reading for reading in of_check if has_collapsed(reading.rates)]
        verdicts[metric, check] = [
            Verdict(
                check=check,
                outcome="regressed",
                metric=metric,
                case=reading.case,
                baseline=reading.mean_before,
                observed=reading.mean_after,
                p_value=p_value,
                p_adjusted=p_adjusted,
                advice=f"{len(collapsed)} of {len(of_check)} cases collapsed, more than chance explains",
            )
            for reading in collapsed
        ]
    return verdicts


def _judge_pooled(
    readings: Mapping[str, Sequence[Reading]], budget: CaseBudget, share: float
) -> dict[tuple[str, str], list[Verdict]]:
    """By metric and check, the cases that dropped together by more than chance explains."""
    verdicts: dict[tuple[str, str], list[Verdict]] = {}
    for pool in pool_readings(readings, budget=budget, share=share):
        found = pool.found
        if found.state != "regressed":
            continue
        check = pool.readings[0].check
        verdicts.setdefault((check.metric, describe_check(check)), []).extend(
            Verdict(
                check=describe_check(check),
                outcome="regressed",
                metric=check.metric,
                case=reading.case,
                baseline=reading.mean_before,
                observed=reading.mean_after,
                p_value=found.p_value,
                p_adjusted=found.p_adjusted,
                advice=f"{len(found.named)} of {len(pool.readings)} cases dropped, more than chance explains",
            )
            for reading in found.named
        )
    return verdicts


def _join(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for all cases of one check and outcome."""
    first = min(verdicts, key=lambda verdict: 1.0 if verdict.p_value is None else verdict.p_value)
    reason = first.reason if first.outcome == "error" else _WORSE[first.outcome]
    return Verdict(
        check=f"{first.check}, case by case",
        outcome=first.outcome,
        metric=first.metric,
        cases=len(verdicts),
        p_value=first.p_value,
        p_adjusted=first.p_adjusted,
        reason=f"{reason}: {name_some([verdict.case or '' for verdict in verdicts], _NAMED)}",
        evidence=tuple(
            {"case": verdict.case, "before": verdict.baseline, "after": verdict.observed}
            for verdict in verdicts
        ),
        advice=first.advice,
    )
