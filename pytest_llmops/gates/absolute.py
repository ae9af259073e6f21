"""Verdicts without a baseline: thresholds of cases and suites, gains over a rival, agreement with people."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pytest_llmops.bounds import bound_of, describe_check, format_bound, holds, invert, is_minimum
from pytest_llmops.calibration.record import Calibration
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.case_results import (
    app_breakage,
    case_means,
    case_scores,
    inapplicable_cases,
    lacks_rival,
    lacks_sight,
    means_by_metric,
    scoring_breakage,
    signatures,
    unscored_cases,
    unseen_cases,
    user_fault,
    values_by_metric,
)
from pytest_llmops.gates.floors import judge_floors
from pytest_llmops.gates.labelled_means import correct_by_labels
from pytest_llmops.gates.paired_runs import Scale, find_scale
from pytest_llmops.gates.passing import judge_passing
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import GAIN, Bound, Case, CaseResult, Check, Outcome, Score, SuiteCheck, Verdict
from pytest_llmops.registry import find_traits, metric_factory, split_turn
from pytest_llmops.statistics.intervals import LEVEL, wilson_interval
from pytest_llmops.statistics.p_values import binomial_p_value
from pytest_llmops.statistics.paired import RESAMPLES, PairedComparison
from pytest_llmops.statistics.summaries import NAMES, NOISE, calculate

PASS_RATE = Bound(comparison=">=", threshold=0.8)
"""The share of repeats that must pass where a check names none."""

USER = "simulated user"
"""The check of a case whose user did something wrong while all that could be judged passed."""

_RARE = 0.05
_NAMED = 5
_FAR = 1_000  # times the cases: more is no advice


def judge_case(case: Case, result: CaseResult) -> tuple[Verdict, ...]:
    """
    One verdict for each check of the case, then one for each missed floor of a judge's criterion; for a case
    without checks, whether the app answered.

    A check of one repeat looks at its score. Of several, a check that asks for the best score counts the
    repeats that pass (`pass_rate`); any other looks at their mean. Where too few pass and chance may explain
    it, the check is `undecided`. It is an `error`, whatever the other repeats scored, when the app broke in
    one, or when one lacks a finite score; `undecided` where a pair lacks the rival's answer. The
    evidence of several repeats that do not pass has each value. A case whose simulated user did something
    wrong in a repeat is `undecided` at best.
    """
    if broken := app_breakage(result):
        checks = [(describe_check(check), check.metric) for check in case.checks] or [("answered", "")]
        return tuple(
            Verdict(check=name, outcome="error", metric=metric, case=result.case, reason=broken)
            for name, metric in checks
        )
    fault = user_fault(result)
    led = (Verdict(check=USER, outcome="undecided", case=result.case, reason=fault),) if fault else ()
    if not case.checks:
        return led or (Verdict(check="answered", outcome="passed", case=result.case),)
    checked = [_judge_check(check, result) for check in case.checks]
    if any(verdict.outcome != "passed" for verdict in checked):
        led = ()  # of a check that could not be judged it is the reason
    return (*checked, *led, *judge_floors(case.checks, result))


def _judge_check(check: Check, result: CaseResult) -> Verdict:
    name = describe_check(check)
    if reason := scoring_breakage(check.metric, result):
        outcome: Outcome = "undecided" if lacks_sight(check.metric, result) else "error"
        return Verdict(check=name, outcome=outcome, metric=check.metric, case=result.case, reason=reason)
    scores, values = case_scores(check.metric, result), values_by_metric(result)[check.metric]
    observed = means_by_metric(result)[check.metric]
    # The reason of the repeat that holds the bound least is the one that people look for.
    worst = min if is_minimum(check) else max
    decisive = scores[values.index(worst(values))]
    alike = len({*values}) == len({score.reason for score in scores}) == 1
    verdict = Verdict(
        check=name,
        outcome="passed" if check.record_only or holds(observed, check) else "failed",
        metric=check.metric,
        case=result.case,
        observed=observed,
        reason=decisive.reason,
        evidence=decisive.evidence if alike else (),
    )
    if alike:
        return verdict
    best = _best_score(check.metric)
    if is_judged_by_rate(check, best) and not check.record_only:
        needed = needed_rate(check, best)
        verdict = _judge_rate(verdict, needed, sum(holds(value, check) for value in values), len(values))
    if verdict.outcome == "passed":
        return verdict
    return replace(verdict, evidence=tuple(map(_describe_repeat, scores)))


def _judge_rate(verdict: Verdict, needed: Bound, held: int, repeats: int) -> Verdict:
    """The verdict by the number of repeats that pass; `undecided` where chance may explain mixed ones."""
    counts = f"{held} of {repeats} repeats pass, pass_rate {format_bound(needed)}"
    if holds(held / repeats, needed):
        return replace(verdict, outcome="passed", advice="" if held == repeats else f"flaky: {counts}")
    reason = f"{counts}; {verdict.reason}".rstrip("; ")
    if held and binomial_p_value(held, repeats, needed.threshold) > _RARE:
        advice = "chance may explain it; more repeats would tell: --llm-repeats auto"
        return replace(verdict, outcome="undecided", reason=f"flaky: {reason}", advice=advice)
    return replace(verdict, outcome="failed", reason=reason)


def _describe_repeat(score: Score) -> dict[str, object]:
    details = {"reason": score.reason, "evidence": list(score.evidence)}
    return {
        "repeat": score.repeat,
        "value": score.value,
        **{name: detail for name, detail in details.items() if detail},
    }


def is_judged_by_rate(check: Check, best: float) -> bool:
    """
    True if several repeats are judged by how many pass, rather than by their mean.

    A mean meets the best score only if every repeat does, so that a case which passes nine times in ten would
    fail for ever. A metric that counts bad things, such as leaks, excuses no repeat.

    Args:
        best: The highest score of the metric.
    """
    if not find_traits(check.metric).excusable:
        return False
    return check.pass_rate is not None or (is_about_passing(check) and check.threshold == best)


def is_about_passing(check: Check) -> bool:
    """True if a repeat that misses the check may be excused by others that pass."""
    return find_traits(check.metric).excusable and is_minimum(check)


def needed_rate(check: Check, best: float) -> Bound:
    """
    The share of repeats that must pass: the check's own, else `PASS_RATE` where every repeat would have to
    reach the best score. Of scores that are 0 or 1 a bound below is that share itself.
    """
    if check.pass_rate is not None or check.threshold == best:
        return check.pass_rate or PASS_RATE
    return Bound(comparison=check.comparison, threshold=check.threshold)


def _best_score(metric: str) -> float:
    """The highest score of a metric; infinite, so that none reaches it, for an unknown metric."""
    try:
        return _best_of(metric, metric_factory(metric))
    except LLMOpsError:
        return math.inf


@lru_cache(maxsize=256)
def _best_of(metric: str, _: object) -> float:
    """By the class, too, since a name may be registered anew."""
    return find_scale(metric).range[1]


def judge_suite(check: SuiteCheck, results: Sequence[CaseResult], *, level: float = LEVEL) -> Verdict:
    """
    A statistic over the cases, each counting once with the mean of its repeats; of a gain, its verdict.

    A case with neither a score nor a failure for the metric has no use for it and is left out. One that
    could not be scored makes the check an `error` that names it: a mean would hide it. One whose outputs have
    nothing that the metric could judge is left out and named; where all are, the check is `undecided`. One
    that shows nothing of what the metric judges makes it `undecided`, but where it is missed however that
    case would score.

    Args:
        level: Coverage of a gain's interval, between 0 and 1.
    """
    verdict = Verdict(check=describe_check(check), outcome="error", metric=check.metric)
    if unscored := unscored_cases(check.metric, results):
        cases = f"{counted(len(unscored), 'case')} ({name_some(list(unscored), _NAMED)})"
        return replace(
            verdict,
            cases=len(unscored),
            reason=f"{cases} could not be scored: {next(iter(unscored.values()))}",
            evidence=tuple(unscored),
        )
    if check.statistic == GAIN or find_traits(check.metric).over_repeats:
        judge = judge_gain if check.statistic == GAIN else judge_passing
        return judge(check, results, level=level)
    values = list(case_means(check.metric, results).values())
    verdict = replace(verdict, cases=len(values))
    unseen = unseen_cases(check.metric, results)
    if unseen and not _misses_anyway(check, values, len(unseen)):
        cases = f"{counted(len(unseen), 'case')} ({name_some(list(unseen), _NAMED)})"
        reason = f"{cases} could not be judged: {next(iter(unseen.values()))}"
        return replace(verdict, outcome="undecided", reason=reason, evidence=tuple(unseen))
    left_out = _describe_left_out(inapplicable_cases(check.metric, results))
    if not values:
        outcome: Outcome = "undecided" if left_out else "error"
        reason = "; ".join(filter(None, (f"nothing was scored by {check.metric}", left_out)))
        return replace(verdict, outcome=outcome, reason=reason)
    if check.statistic not in NAMES:
        reason = f"no statistic is named {check.statistic!r}; known: mean, sum, min, max, p1 … p99"
        return replace(verdict, reason=reason)
    observed = calculate(check.statistic, values)
    bound = None if check.record_only else bound_of(check)
    outcome = "failed" if bound and not holds(observed, bound) else "passed"
    return correct_by_labels(
        replace(verdict, outcome=outcome, observed=observed, reason=left_out), check, results, level=level
    )


def _describe_left_out(cases: Sequence[str]) -> str:
    """Name the cases that a suite leaves out, since their outputs give the metric nothing to judge."""
    return f"not applicable to {counted(len(cases), 'case')}: {name_some(cases, _NAMED)}" if cases else ""


def _misses_anyway(check: SuiteCheck, values: Sequence[float], unseen: int) -> bool:
    """Return whether a mean misses its bound even if the cases that were not seen scored at their best."""
    bound = None if check.record_only or check.statistic != "mean" else bound_of(check)
    if bound is None or not values:
        return False
    low, high = find_scale(check.metric).range
    best = high if is_minimum(bound) else low
    return math.isfinite(best) and not holds(calculate("mean", [*values, *[best] * unseen]), bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """
    The scores of an app above those of its rival, by one metric and in its unit.

    Both answered the same cases, so that each case is a comparison; it counts once, with the mean of its
    repeats on either side. Where no case is left to compare, the numbers from `difference` on mean nothing.

    Attributes:
        app: Case to the mean of the app's repeats; `rival` alike, for the same cases.
        broken: Case to the reason why the rival lacks scores, for cases that the app has all of.
        difference: App less rival, in the mean; `low` and `high` are the ends of its interval at `level`.
        p_value: Of "the app is better"; one-sided.
        wins: Cases in which the app scores better; `ties` and `losses` are the others.
        win_rate: Share won, a tie as half of one, with the ends of Wilson's interval.
    """

    metric: str
    scale: Scale
    level: float
    app: Mapping[str, float]
    rival: Mapping[str, float]
    broken: Mapping[str, str]
    difference: float = 0.0
    low: float = 0.0
    high: float = 0.0
    p_value: float = 1.0
    wins: int = 0
    ties: int = 0
    losses: int = 0
    win_rate: tuple[float, float, float] = (0.0, 0.0, 1.0)

    @property
    def cases(self) -> int:
        return len(self.app)

    @property
    def gain(self) -> float:
        """The difference, positive where the app is better."""
        return self.difference * self.scale.sign

    @property
    def interval(self) -> tuple[float, float]:
        """Of the gain."""
        return (self.low, self.high) if self.scale.higher_is_better else (-self.high, -self.low)


def measure_gain(
    metric: str,
    results: Iterable[CaseResult],
    *,
    options: Mapping[str, object] | None = None,
    level: float = LEVEL,
    seed: int = 0,
) -> Gain:
    """
    The gain by one metric over the cases that both sides have all their scores for.

    Args:
        options: Of the metric, where its direction depends on them.

    Raises:
        LLMOpsError: The metric is not registered.
    """
    scale = find_scale(metric, options)
    sound: list[CaseResult] = []
    broken: dict[str, str] = {}
    for result in sorted(results, key=lambda result: result.case):
        if reason := _find_rival_breakage(metric, result):
            broken[result.case] = reason
        elif case_scores(metric, result) and not scoring_breakage(metric, result):
            sound.append(result)
    app = case_means(metric, sound)
    rival = case_means(metric, [result.rival for result in sound if result.rival is not None])
    gain = Gain(metric=metric, scale=scale, level=level, app=app, rival=rival, broken=broken)
    if not app:
        return gain
    paired = PairedComparison(
        base=[[rival[case]] for case in app],
        new=[[value] for value in app.values()],
        higher_is_better=scale.higher_is_better,
    )
    spread = paired.interval(level=level, seed=seed, draws=RESAMPLES)
    wins, ties = sum(by > 0 for by in paired.gains), paired.gains.count(0.0)
    rate = (wins + ties / 2) / len(app)
    return replace(
        gain,
        difference=paired.difference,
        low=spread.low,
        high=spread.high,
        p_value=paired.turning_p_value(better=True, exact=True, seed=seed),
        wins=wins,
        ties=ties,
        losses=len(app) - wins - ties,
        win_rate=(rate, *wilson_interval(rate, len(app), level)),
    )


def _find_rival_breakage(metric: str, result: CaseResult) -> str:
    """The reason why a rival cannot be compared in a case with scores of the app; empty where it can."""
    if lacks_rival(metric, result):
        own = scoring_breakage("", result.rival) if result.rival and result.rival.failures else ""
        return own or scoring_breakage(metric, result)
    if not case_scores(metric, result) or scoring_breakage(metric, result):
        return ""
    if result.rival is None:
        return "it was not asked"
    if reason := scoring_breakage(metric, result.rival):
        return reason
    app, rival = signatures(metric, result), signatures(metric, result.rival)
    return "" if app == rival else f"it was scored by {' and '.join(rival)}, the app by {' and '.join(app)}"


def judge_gain(check: SuiteCheck, results: Sequence[CaseResult], *, level: float = LEVEL) -> Verdict:
    """
    The verdict of a `min_gain`, over cases that the app has all scores for.

    - `error`: the rival broke, or could not be scored, in a case.
    - `failed`: the whole interval of the gain is below the needed one.
    - `passed`: for a needed gain above 0, one that is as large, and that chance does not explain: its
      interval is above 0, and the exact sign-flip test agrees, since an interval of few cases is too narrow.
      For 0 or less, which asks for not being worse by more, the interval lies above it.
    - `undecided`: neither.
    """
    needed = check.threshold or 0.0
    measured = measure_gain(check.metric, results, options=check.options, level=level)
    verdict = Verdict(check=describe_check(check), outcome="error", metric=check.metric)
    if measured.broken or not measured.cases:
        reason = next(iter(measured.broken.values()), f"nothing was scored by {check.metric}")
        cases = counted(len(measured.broken), "case")
        where = f" in {cases} ({name_some(list(measured.broken), _NAMED)})" if measured.broken else ""
        return replace(
            verdict,
            cases=len(measured.broken),
            reason=f"the rival cannot be compared with{where}: {reason}",
            evidence=tuple(measured.broken),
        )
    low, high = measured.interval
    noise = NOISE * max(abs(measured.gain), abs(needed))
    outcome: Outcome = "undecided"
    if high < needed - noise:
        outcome = "failed"
    elif needed > 0:
        sure = low > 0 and measured.p_value <= 1 - level
        if sure and measured.gain >= needed - noise:
            outcome = "passed"
    elif low >= needed - noise:
        outcome = "passed"
    app, rival = (calculate("mean", list(side.values())) for side in (measured.app, measured.rival))
    return replace(
        verdict,
        outcome=outcome,
        observed=measured.gain,
        interval=(low, high),
        p_value=measured.p_value if needed > 0 else None,
        cases=measured.cases,
        reason=f"the app has {app:.3g} and its rival {rival:.3g}, so the gain is {low:+.3g} to {high:+.3g}",
        advice=_advise(measured, needed) if outcome == "undecided" else "",
    )


def _advise(measured: Gain, needed: float) -> str:
    """The number of cases that might settle it, if they are like the present ones."""
    fewest = math.ceil(math.log2(1 / (1 - measured.level)))
    if needed > 0 and measured.cases < fewest:
        return f"so few cases show no gain, however large: it takes {fewest} at least"
    low, high = measured.interval
    edge = 0.0 if needed > 0 and measured.gain >= needed else needed
    distance = abs(measured.gain - edge)
    reach = measured.gain - low if measured.gain >= edge else high - measured.gain
    if distance * math.sqrt(_FAR) <= reach:
        return "more cases, or more repeats, would narrow it"
    cases = math.ceil(measured.cases * (reach / distance) ** 2)
    return f"about {max(cases, measured.cases + 1):,} such cases would tell"


def require_agreement(
    verdicts: Sequence[Verdict], case: Case, result: CaseResult, calibrations: Mapping[str, Calibration]
) -> tuple[Verdict, ...]:
    """
    The verdicts of a case, where one that passed is `undecided` if its check needs more agreement with
    people than is recorded of its scores: the lower end of kappa's interval counts, at the check's own bound.

    Args:
        calibrations: By the signature of scores.
    """
    by_name = {
        describe_check(check): check
        for check in case.checks
        if check.min_kappa is not None and not check.record_only
    }
    required = []
    for verdict in verdicts:
        check = by_name.get(verdict.check)
        doubt = ""
        if check is not None and verdict.outcome == "passed":
            doubt = _doubt_agreement(check, signatures(check.metric, result), calibrations)
        required.append(replace(verdict, outcome="undecided", advice=doubt) if doubt else verdict)
    return tuple(required)


def _doubt_agreement(check: Check, made: Iterable[str], calibrations: Mapping[str, Calibration]) -> str:
    """The reason why scores of these signatures agree less than the check needs; empty where they do."""
    needed = f"min_kappa {check.min_kappa:g}"
    options = [
        f"--option {shlex.quote(f'{name}={json.dumps(value, default=str)}')}"
        for name, value in check.options.items()
    ]
    metric = split_turn(check.metric)[1]
    command = " ".join(["llmops calibrate", metric, "LABELS.jsonl --label FIELD --save", *options])
    bound = Bound(comparison=check.comparison, threshold=check.threshold)
    for signature in made:
        known = calibrations.get(signature)
        if known is None:
            other = any(calibration.metric == metric for calibration in calibrations.values())
            reason = "no labels are recorded"
            if other:
                reason = "labels were judged otherwise (model, rubric or version)"
            return f"{needed}: {reason}; run: {command}"
        cut = next((cut for cut in known.cuts if cut.bound in {bound, invert(bound)}), None)
        if cut is None:
            missing = f"nothing is recorded for {format_bound(bound)}"
            return f"{needed}: {missing}; run: {command} --threshold {check.threshold:g}"
        if cut.interval[0] < (check.min_kappa or 0):
            kappa = f"{cut.kappa:.2f}, at least {cut.interval[0]:.2f}"
            reason = f"kappa with people is {kappa}, on {counted(known.rows, 'label')} ({known.label})"
            return f"{needed}: {reason}; improve the judge, or label more: {command}"
    return ""
