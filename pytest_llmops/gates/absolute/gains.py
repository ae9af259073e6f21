"""
Is the app better than its rival? Both answered the same cases, so each case is its own comparison.

A gain is what the app scores above its rival, in the direction that is good for the metric; a case counts
once, with the mean of its repeats on either side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmops.bounds import describe_check
from pytest_llmops.gates.absolute.breakage import case_means, lacks_rival, scoring_breakage
from pytest_llmops.gates.paired_runs.pairing import Scale, find_scale, signatures
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import CaseResult, Outcome, SuiteCheck, Verdict
from pytest_llmops.statistics.bootstrap import paired_interval
from pytest_llmops.statistics.intervals import LEVEL, wilson_interval
from pytest_llmops.statistics.significance.permutation import RESAMPLES, paired_p_value
from pytest_llmops.statistics.summaries import NOISE, calculate

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
