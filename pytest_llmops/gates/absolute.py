"""Does a case score well enough by itself?"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pytest_llmops.bounds import bound_of, describe_check, format_bound, holds, invert, is_minimum
from pytest_llmops.calibration.record import Calibration
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.case_results import (
    app_breakage,
    case_means,
    case_scores,
    lacks_rival,
    means_by_metric,
    scoring_breakage,
    unscored_cases,
    values_by_metric,
)
from pytest_llmops.gates.paired_runs import Scale, find_scale, signatures
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import GAIN, Bound, Case, CaseResult, Check, Outcome, Score, SuiteCheck, Verdict
from pytest_llmops.registry import find_traits, metric_factory
from pytest_llmops.statistics.bootstrap import paired_interval
from pytest_llmops.statistics.intervals import LEVEL, wilson_interval
from pytest_llmops.statistics.p_values import binomial_p_value
from pytest_llmops.statistics.paired import RESAMPLES, paired_p_value
from pytest_llmops.statistics.summaries import NAMES, NOISE, calculate

PASS_RATE = Bound(comparison=">=", threshold=0.8)
"""The share of repeats that must pass where a check names none."""


def is_judged_by_rate(check: Check, best: Callable[[], float]) -> bool:
    """
    Whether several repeats are judged by how many pass, rather than by their mean.

    A mean meets the best score only if every repeat does, so that a case which passes nine times in ten would
    fail for ever. What counts bad things, leaks among them, is excused in no repeat.

    Args:
        best: The highest score of the metric, looked up where it is needed.
    """
    if not find_traits(check.metric).excusable:
        return False
    return check.pass_rate is not None or (is_about_passing(check) and check.threshold == best())


def is_about_passing(check: Check) -> bool:
    """Whether a repeat that misses the check may be excused by others that pass."""
    return find_traits(check.metric).excusable and is_minimum(check)


def needed_rate(check: Check, best: float) -> Bound:
    """
    The share of repeats that must pass: the check's own, else `PASS_RATE` where every repeat would have to
    reach the best score. Of scores that are 0 or 1 a bound below is that share itself.
    """
    if check.pass_rate is not None or check.threshold == best:
        return check.pass_rate or PASS_RATE
    return Bound(comparison=check.comparison, threshold=check.threshold)


def best_score(metric: str) -> float:
    """The highest score of a metric; none can be reached where nobody knows it."""
    try:
        return _best_of(metric, metric_factory(metric))
    except LLMOpsError:
        return math.inf


@lru_cache(maxsize=256)
def _best_of(metric: str, _: object) -> float:
    """By the class, too, since a name may be registered anew."""
    return find_scale(metric).range[1]


_RARE = 0.05


def judge_case(case: Case, result: CaseResult) -> tuple[Verdict, ...]:
    """
    One verdict for each check of the case; for a case without checks, whether the app answered.

    A check of one repeat looks at its score. Of several, a check that asks for the best score asks how many
    of them pass (`pass_rate`); any other looks at their mean. Where too few pass and chance may explain it,
    the check is `undecided`. It is an `error`, whatever the other repeats scored, when the app broke in one,
    or when one has no score or one that is not finite; `undecided` where a pair lacks the rival's answer.
    With several repeats that do not pass the evidence holds each value.
    """
    if broken := app_breakage(result):
        return tuple(
            Verdict(check=name, outcome="error", metric=metric, case=result.case, reason=broken)
            for name, metric in (
                [(describe_check(check), check.metric) for check in case.checks] or [("answered", "")]
            )
        )
    if not case.checks:
        return (Verdict(check="answered", outcome="passed", case=result.case),)
    return tuple(_judge_check(check, result) for check in case.checks)


def _judge_check(check: Check, result: CaseResult) -> Verdict:
    name = describe_check(check)
    if reason := scoring_breakage(check.metric, result):
        outcome: Outcome = "undecided" if lacks_rival(check.metric, result) else "error"
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
    if is_judged_by_rate(check, lambda: best_score(check.metric)):
        needed = needed_rate(check, best_score(check.metric))
        verdict = _judge_rate(verdict, needed, sum(holds(value, check) for value in values), len(values))
    if verdict.outcome == "passed":
        return verdict
    return replace(verdict, evidence=tuple(_repeat(score) for score in scores))


def _judge_rate(verdict: Verdict, needed: Bound, held: int, repeats: int) -> Verdict:
    """The verdict by how many repeats pass; mixed ones that chance may explain are `undecided`."""
    counts = f"{held} of {repeats} repeats pass, pass_rate {format_bound(needed)}"
    if holds(held / repeats, needed):
        return replace(verdict, outcome="passed", advice="" if held == repeats else f"flaky: {counts}")
    reason = f"{counts}; {verdict.reason}".rstrip("; ")
    if held and binomial_p_value(held, repeats, needed.threshold) > _RARE:
        advice = "chance may explain it; more repeats would tell: --llm-repeats auto"
        return replace(verdict, outcome="undecided", reason=f"flaky: {reason}", advice=advice)
    return replace(verdict, outcome="failed", reason=reason)


def _repeat(score: Score) -> dict[str, object]:
    details = {"reason": score.reason, "evidence": list(score.evidence)}
    return {
        "repeat": score.repeat,
        "value": score.value,
        **{key: each for key, each in details.items() if each},
    }


_NAMED = 5
_FAR = 1_000  # times the cases: more is no advice


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """
    How an app scores against its rival, by one metric and in its unit. Where no case is left to compare, the
    numbers from `difference` on say nothing.

    Attributes:
        app: Case to the mean of the app's repeats; `rival` alike, for the same cases.
        broken: Case to why the rival has no whole set of scores, for cases that the app has one for.
        difference: App less rival, in the mean; `low` and `high` are the ends of its interval at `level`.
        p_value: How often chance alone makes an app look as much better; one-sided.
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
        LLMOpsError: Nobody registered the metric.
    """
    scale = find_scale(metric, options)
    sound: list[CaseResult] = []
    broken: dict[str, str] = {}
    for result in sorted(results, key=lambda each: each.case):
        if why := _find_breakage(metric, result):
            broken[result.case] = why
        elif metric in {score.metric for score in result.scores} and not scoring_breakage(metric, result):
            sound.append(result)
    app = case_means(metric, sound)
    rival = case_means(metric, [each.rival for each in sound if each.rival is not None])
    if not app:
        return Gain(metric=metric, scale=scale, level=level, app={}, rival={}, broken=broken)
    mine, theirs = list(app.values()), [rival[case] for case in app]
    sign = scale.sign
    spread = paired_interval("mean", theirs, mine, level=level, seed=seed, draws=RESAMPLES)
    pairs = list(zip(mine, theirs, strict=True))
    ties = sum(abs(a - b) <= NOISE * max(abs(a), abs(b)) for a, b in pairs)
    wins = sum(sign * (a - b) > NOISE * max(abs(a), abs(b)) for a, b in pairs)
    rate = (wins + ties / 2) / len(pairs)
    return Gain(
        metric=metric,
        scale=scale,
        level=level,
        app=app,
        rival=rival,
        broken=broken,
        difference=calculate("mean", mine) - calculate("mean", theirs),
        low=spread.low,
        high=spread.high,
        p_value=paired_p_value(
            "mean",
            [sign * b for b in theirs],
            [sign * a for a in mine],
            worse="greater",
            seed=seed,
            exact=True,
        ),
        wins=wins,
        ties=ties,
        losses=len(pairs) - wins - ties,
        win_rate=(rate, *wilson_interval(rate, len(pairs), level)),
    )


def judge_gain(check: SuiteCheck, results: Sequence[CaseResult], *, level: float = LEVEL) -> Verdict:
    """
    The verdict of a `min_gain`, over cases that the app has all scores for.

    - `error`: the rival broke, or could not be scored, in a case.
    - `failed`: the whole interval of the gain is below what is asked.
    - `passed`: for a gain above 0, one that is as large as asked, and that chance does not explain: its
      interval is above 0, and so says the exact sign-flip test, since an interval of few cases is too
      narrow. For 0 or less, which asks for not being worse by more, the interval lies above it.
    - `undecided`: neither.
    """
    name, needed = describe_check(check), check.threshold or 0.0
    measured = measure_gain(check.metric, results, options=check.options, level=level)
    if measured.broken or not measured.cases:
        why = next(iter(measured.broken.values()), f"nothing was scored by {check.metric}")
        cases = counted(len(measured.broken), "case")
        where = f" in {cases} ({name_some(list(measured.broken), _NAMED)})" if measured.broken else ""
        return Verdict(
            check=name,
            outcome="error",
            metric=check.metric,
            cases=len(measured.broken),
            reason=f"the rival cannot be compared with{where}: {why}",
            evidence=tuple(measured.broken),
        )
    low, high = measured.interval
    noise = NOISE * max(abs(measured.gain), abs(needed))
    if high < needed - noise:
        outcome: Outcome = "failed"
    elif needed > 0:
        sure = low > 0 and measured.p_value <= 1 - level
        outcome = "passed" if sure and measured.gain >= needed - noise else "undecided"
    else:
        outcome = "passed" if low >= needed - noise else "undecided"
    app, rival = (calculate("mean", list(side.values())) for side in (measured.app, measured.rival))
    reason = f"the app has {app:.3g} and its rival {rival:.3g}, so the gain is {low:+.3g} to {high:+.3g}"
    return Verdict(
        check=name,
        outcome=outcome,
        metric=check.metric,
        observed=measured.gain,
        interval=(low, high),
        p_value=measured.p_value if needed > 0 else None,
        cases=measured.cases,
        reason=reason,
        advice=_advise(measured, needed) if outcome == "undecided" else "",
    )


def _find_breakage(metric: str, result: CaseResult) -> str:
    """Why the rival cannot be compared in a case that the app was scored in; empty where it can."""
    if lacks_rival(metric, result):
        own = scoring_breakage("", result.rival) if result.rival and result.rival.failures else ""
        return own or scoring_breakage(metric, result)
    if metric not in {score.metric for score in result.scores} or scoring_breakage(metric, result):
        return ""
    if result.rival is None:
        return "it was not asked"
    if why := scoring_breakage(metric, result.rival):
        return why
    made, was = signatures(metric, result), signatures(metric, result.rival)
    return "" if made == was else f"it was scored by {' and '.join(was)}, the app by {' and '.join(made)}"


def _advise(measured: Gain, needed: float) -> str:
    """How many cases might settle it, if they are like those there are."""
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


def judge_suite(check: SuiteCheck, results: Sequence[CaseResult], *, level: float = 0.95) -> Verdict:
    """
    A statistic over the cases, each counting once with the mean of its repeats; of a gain, its verdict.

    A case with neither a score nor a failure for the metric has no use for it and is left out. One that
    could not be scored makes the whole check an `error` that names it: a mean would hide it.

    Args:
        level: Coverage of a gain's interval, between 0 and 1.
    """
    name = describe_check(check)
    if unscored := unscored_cases(check.metric, results):
        return Verdict(
            check=name,
            outcome="error",
            metric=check.metric,
            cases=len(unscored),
            reason=f"{_counted(unscored)} could not be scored: {next(iter(unscored.values()))}",
            evidence=tuple(unscored),
        )
    if check.statistic == GAIN:
        return judge_gain(check, results, level=level)
    values = list(case_means(check.metric, results).values())
    if not values:
        reason = f"nothing was scored by {check.metric}"
        return Verdict(check=name, outcome="error", metric=check.metric, cases=0, reason=reason)
    if check.statistic not in NAMES:
        reason = f"no statistic is named {check.statistic!r}; known: mean, sum, min, max, p1 … p99"
        return Verdict(check=name, outcome="error", metric=check.metric, cases=len(values), reason=reason)
    observed = calculate(check.statistic, values)
    bound = None if check.record_only else bound_of(check)
    outcome: Outcome = "failed" if bound and not holds(observed, bound) else "passed"
    return Verdict(check=name, outcome=outcome, metric=check.metric, observed=observed, cases=len(values))


def _counted(cases: Mapping[str, str]) -> str:
    return f"{counted(len(cases), 'case')} ({name_some(list(cases), _NAMED)})"


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
