"""
The case channel: did one case get worse, by its own repeats?

A case that is reported here broke, which the mean over many cases may hide. Definitions, and what they
cost, are in docs/decisions/0007-two-channels-one-budget.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_llmops.gates.inference import statistic
from pytest_llmops.gates.inference.pass_rates import PassRates
from pytest_llmops.gates.inference.resampling import NOISE
from pytest_llmops.gates.inference.spending import CASE_SHARE
from pytest_llmops.gates.pairing import (
    Chance,
    Pairs,
    Scales,
    ask_the_same,
    describe_unlike,
    signatures,
    values_by_metric,
)
from pytest_llmops.gates.thresholds import NEVER_EXCUSED, holds, judge_case
from pytest_llmops.records import Case, CaseResult, Change, Check, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    One check of one case beside its baseline.

    Attributes:
        fact: Neither side varies, so that a difference is no chance.
        app_varies: Some case of the baseline does, so that a single miss says little.
    """

    case: str
    check: Check
    rates: PassRates
    before: float
    after: float
    fact: bool
    app_varies: bool = False

    def fell(self, *, level: float, tests: int) -> bool:
        """Whether it got worse beyond chance, corrected for the number of tests (Bonferroni)."""
        if self.fact:
            return self.rates.held_before == self.rates.repeats_before and self.rates.held == 0
        return self.rates.collapsed and self.p_adjusted(tests) <= 1 - level

    def rose(self) -> bool:
        """Whether it is a fact that it was missed and holds now."""
        return self.fact and self.rates.held_before == 0 and self.rates.held == self.rates.repeats

    @property
    def why(self) -> str:
        """Why a fall is no chance."""
        return "no repeat differs, so the app changed here" if self.fact else "the repeats rule out chance"

    def p_adjusted(self, tests: int) -> float:
        """The p-value set against all tests and against the channel's share of the error budget."""
        return min(1.0, self.rates.p_value * max(1, tests) / CASE_SHARE)


def read_case(base: CaseResult, new: CaseResult, chance: Chance) -> Iterable[Reading]:
    """
    The checks of a case that both sides have scores for, made in the same way.

    These are the checks of its golden file; for a metric that was scored and not checked, what the metric
    itself takes for good. Seconds, dollars and tokens are left out.
    """
    before, after = values_by_metric(base), values_by_metric(new)
    fact = not chance.may_explain(base, new)
    for check in checks_of(new, chance.scales):
        metric = check.metric
        if metric in before and metric in after and signatures(metric, base) == signatures(metric, new):
            yield _read(new.case, check, before[metric], after[metric], fact=fact, chance=chance)


def read_pairs(pairs: Pairs, chance: Chance | None = None) -> dict[str, list[Reading]]:
    """Case to its readings; `chance` is what these pairs say of the app, where nothing more is known."""
    chance = chance or Chance([base for base, _ in pairs.shared])
    return {new.case: list(read_case(base, new, chance)) for base, new in pairs.shared}


def checks_of(result: CaseResult, scales: Scales) -> list[Check]:
    """What is asked of each bounded metric, and of leaks, by a case's golden file or by the metric itself."""
    judged = [check for check in result.checks if not check.record_only]
    written = [check for check in judged if (scale := scales[check.metric]) and scale.bounded]
    named = {check.metric for check in result.checks}
    scored = dict.fromkeys(score.metric for score in result.scores if score.metric not in named)
    own = [
        Check(metric=metric, comparison=scale.bound.comparison, threshold=scale.bound.threshold)
        for metric in scored
        if (scale := scales[metric]) is not None and scale.bound is not None
        if scale.bounded or metric == NEVER_EXCUSED
    ]
    return [*written, *own]


def judge_against(  # noqa: PLR0913 - a case, both its sides, and what they are held to
    case: Case,
    result: CaseResult,
    base: CaseResult | None,
    *,
    level: float = 0.95,
    tests: int = 1,
    chance: Chance | None = None,
) -> tuple[Verdict, ...]:
    """
    A verdict for each check of a case: its threshold decides, and the baseline says what that means.

    - It holds now: `passed`; where the baseline missed it the advice says `fixed`.
    - It is missed now, and that is a fact or the repeats show it (`Reading.fell`): `regressed`.
    - It is missed now and was before: `failed`, and `known`.
    - It is missed now, and its repeats both hold and miss it, or other cases show that the app varies:
      `undecided`, chance may explain it.
    - It is missed now: `failed`.

    A case that the baseline lacks, could not score, asked otherwise or scored otherwise is judged by
    its thresholds alone, and the advice says so.

    Args:
        level: One minus the chance of any false alarm, between 0 and 1.
        tests: How many case checks the run has; each p-value counts that many times (Bonferroni).
        chance: What the whole baseline says of the app; by default what this case says.
    """
    verdicts = judge_case(case, result)
    if base is None or not ask_the_same(base, result):
        return tuple(_alone(verdict, "the baseline has no such case") for verdict in verdicts)
    before = judge_case(case, base)
    chance = chance or Chance([base])
    fact = not chance.may_explain(base, result)
    compared = []
    for check, now, then in zip(case.checks, verdicts, before, strict=False):
        beside = now if check.record_only else _compare(check, now, then, base, result)
        if beside.outcome == "failed" and beside.baseline is not None:
            scale = chance.scales[check.metric]
            told = fact and scale is not None and scale.bounded
            old, new = values_by_metric(base)[check.metric], values_by_metric(result)[check.metric]
            reading = _read(result.case, check, old, new, fact=told, chance=chance)
            beside = _call(beside, then, reading, level, tests, result.auto > 0)
        compared.append(beside)
    return tuple(compared) or verdicts


def list_changes(
    pairs: Pairs, *, level: float = 0.95, readings: Mapping[str, Sequence[Reading]] | None = None
) -> tuple[Change, ...]:
    """
    The readings of shared cases that differ from the baseline's, each the mean of its repeats.

    `confirmed` are those that fell or rose beyond chance. Readings that were made in unlike ways are left
    out, and so are metrics without bounds (seconds, dollars, tokens).

    Args:
        readings: Those of the pairs, where they were read before.
    """
    readings = read_pairs(pairs) if readings is None else readings
    tests = sum(map(len, readings.values()))
    changes: dict[tuple[str, str], Change] = {}
    for reading in (reading for of_case in readings.values() for reading in of_case):
        if abs(reading.after - reading.before) <= NOISE:
            continue
        confirmed = reading.fell(level=level, tests=tests) or reading.rose()
        key = (reading.case, reading.check.metric)
        if key not in changes or confirmed:
            changes[key] = Change(
                case=reading.case,
                metric=reading.check.metric,
                before=reading.before,
                after=reading.after,
                confirmed=confirmed,
            )
    return tuple(changes.values())


def _read(  # noqa: PLR0913 - a check, its scores on both sides, and what is known of the app
    case: str,
    check: Check,
    before: Sequence[float],
    after: Sequence[float],
    *,
    fact: bool,
    chance: Chance,
) -> Reading:
    rates = PassRates(
        held_before=sum(holds(value, check) for value in before),
        repeats_before=len(before),
        held=sum(holds(value, check) for value in after),
        repeats=len(after),
    )
    return Reading(
        case=case,
        check=check,
        rates=rates,
        before=statistic.calculate("mean", before),
        after=statistic.calculate("mean", after),
        fact=fact,
        app_varies=chance.app_varies,
    )


def _compare(check: Check, now: Verdict, then: Verdict, base: CaseResult, new: CaseResult) -> Verdict:
    """The verdict with its baseline beside it; what a missed check means is left to `_call`."""
    if now.outcome == "error" or now.observed is None:
        return now
    if then.observed is None:
        return _alone(now, f"the baseline has no score: {then.reason}")
    if unlike := describe_unlike(check.metric, base, new):
        return replace(now, outcome="error", reason=f"{unlike}: not comparable; make the baseline again")
    fixed = now.outcome == "passed" and then.outcome == "failed"
    return replace(
        now,
        baseline=then.observed,
        difference=now.observed - then.observed,
        advice="fixed: failed in the baseline" if fixed else "",
    )


def _call(  # noqa: PLR0913, PLR0917 - both sides of a check, and what they are held to
    verdict: Verdict,
    then: Verdict,
    reading: Reading,
    level: float,
    tests: int,
    auto: bool,  # noqa: FBT001
) -> Verdict:
    """What a missed check means, in the light of its baseline."""
    rates = reading.rates
    excusable = reading.check.metric != NEVER_EXCUSED
    counts = f"{rates.held} of {rates.repeats} repeats hold it"
    counts += f", {rates.held_before} of {rates.repeats_before} in the baseline"
    if not reading.fact:
        verdict = replace(verdict, p_value=rates.p_value, p_adjusted=reading.p_adjusted(tests))
        if rates.repeats + rates.repeats_before > 2:  # noqa: PLR2004 - one on each side has no rate
            verdict = replace(verdict, reason=f"{counts}; {verdict.reason}".rstrip("; "), evidence=())
    if reading.fell(level=level, tests=tests):
        return replace(verdict, outcome="regressed", advice=f"held in the baseline; {reading.why}")
    if then.outcome == "failed":
        return replace(verdict, known=excusable, advice="failed in the baseline too" if excusable else "")
    if (rates.varies or reading.app_varies) and excusable:
        return replace(
            verdict,
            outcome="undecided",
            reason=f"{'flaky' if rates.varies else 'may be chance'}: {verdict.reason}",
            advice="chance may explain it" + ("" if auto else "; ask again while it may: --llm-repeats auto"),
        )
    return replace(verdict, advice="held in the baseline")


def _alone(verdict: Verdict, why: str) -> Verdict:
    """A verdict that stands on the threshold alone; told where somebody will read it."""
    return verdict if verdict.outcome == "error" else replace(verdict, advice=why)
