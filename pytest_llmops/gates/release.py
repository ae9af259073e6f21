"""
The release baseline: an anchor beside the last baseline, which accepting a run never moves.

Ten changes that each lose two points pass one by one where the baseline follows them. Against a baseline that
stays they add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_llmops.bounds import describe_check
from pytest_llmops.gates.anchors import correct_suite, find_moves
from pytest_llmops.gates.baseline import rescore_all
from pytest_llmops.gates.case_results import case_means, count_repeats, unscored_cases
from pytest_llmops.gates.error_budget import find_varying
from pytest_llmops.gates.paired_runs import CONFIRMED, Chance, Scales, pair_cases
from pytest_llmops.gates.repeats import RepeatPlanner
from pytest_llmops.gates.suite_channel.paired_scores import results_of
from pytest_llmops.gates.suite_channel.progress import Progress
from pytest_llmops.gates.suite_channel.verdicts import judge_suites_against, track_suites
from pytest_llmops.printable import printable
from pytest_llmops.records import GAIN, CaseResult, Golden, Run, SuiteCheck, Verdict
from pytest_llmops.statistics.summaries import NOISE, mean

RELEASE_SHARE = 0.25
"""The part of the suites' error budget for drops since the release; the last baseline has the rest."""

_LIKELY = 0.2  # the largest p-value of a drop beyond `max_drop` that is looked into
_NAME_ANEW = "if the drop is wanted, name a new release: llmops accept RUN.json --all --release NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """
    A baseline that stays until another one is named.

    Attributes:
        name: As it was named when it was accepted, `1.4`.
    """

    name: str
    run: Run


def last_share(share: float, release: Release | None) -> float:
    """The part of a suite's error budget that the comparison with the last baseline has."""
    return share if release is None else share * (1 - RELEASE_SHARE)


def rescore_release(release: Release, goldens: Sequence[Golden], results: Sequence[CaseResult]) -> Release:
    """A release that is scored as the results are, where its outputs were kept."""
    again = rescore_all(goldens, {result.case: result for result in release.run.results}, results)
    return replace(release, run=replace(release.run, results=tuple(again.values())))


def judge_since_release(  # noqa: PLR0913 - both sides, and the rest of the run
    release: Release,
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Sequence[CaseResult],
    anchors: Iterable[CaseResult] = (),
    *,
    share: float,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[Verdict, ...]]:
    """
    The suite checks by which a run is worse than the release, by golden file.

    Only the suite channel looks so far back, over the cases that both have: that single cases were added,
    edited or given up since is what a release is followed by. Checks that hold are left out.

    Args:
        anchors: Stored outputs scored in this run: a move of the judge since the release is no drop.
        share: Of the error budget, for each file's suite as a whole.
    """
    pairs = pair_cases(release.run.results, results).shared
    before, after = [old for old, _ in pairs], [new for _, new in pairs]
    scored = {path: _scored(results_of(path, after)) for path in suite}
    watched = {
        path: tuple(check for check in _watched(checks) if check.metric in scored[path])
        for path, checks in suite.items()
    }
    chance = Chance(release.run.results)
    verdicts = judge_suites_against(
        watched, after, before, share=share * RELEASE_SHARE, chance=chance, level=level, seed=seed
    )
    moves = find_moves(release.run.anchors, anchors)
    verdicts = {
        path: correct_suite(of_file, watched[path], moves.get(path, {})) for path, of_file in verdicts.items()
    }
    open_checks = {
        (path, describe_check(progress.scores.check))
        for path in watched
        for progress in track_suites(
            {path: watched[path]}, after, before, share=share * RELEASE_SHARE, chance=chance, level=level
        )
        if _is_open(progress)
    }
    since = f"since release {printable(release.name)}"
    return {
        path: tuple(
            replace(
                verdict,
                check=f"{verdict.check}, {since}",
                reason=verdict.reason.replace("than the baseline", f"than release {printable(release.name)}"),
                advice="; ".join(filter(None, (verdict.advice, _NAME_ANEW))),
            )
            for verdict in of_file
            if _is_about_release(verdict, results)
            and (verdict.outcome != "undecided" or (path, verdict.check) in open_checks)
        )
        for path, of_file in verdicts.items()
    }


def _scored(results: Iterable[CaseResult]) -> set[str]:
    return {score.metric for result in results for score in result.scores}


def _is_open(progress: Progress) -> bool:
    """
    True if the drop is likely to be more than the tolerated one.

    Two baselines are off by chance twice as often as one, and that is no drift: a mean that is a little below
    a release's is shown in the summary, and asks for no repeats.
    """
    scores = progress.scores
    compared = scores.at(None)
    return not scores.is_tolerated(compared) and scores.excess_p_value(compared, seed=0) <= _LIKELY


def _is_about_release(verdict: Verdict, results: Sequence[CaseResult]) -> bool:
    """False for a check that holds, that the release has no score of, or that this run could not score."""
    if verdict.outcome == "error":
        return not unscored_cases(verdict.metric, results)
    return verdict.outcome in {"regressed", "undecided"} and verdict.baseline is not None


def _watched(checks: Sequence[SuiteCheck]) -> tuple[SuiteCheck, ...]:
    """The checks that watch for a drop, without their thresholds, which the release does not move."""
    return tuple(
        {
            (check.metric, check.statistic): replace(check, comparison=None, threshold=None)
            for check in checks
            if check.statistic != GAIN and not check.record_only
        }.values()
    )


def describe_drift(
    release: Release, suite: Mapping[str, Sequence[SuiteCheck]], results: Sequence[CaseResult]
) -> str:
    """A sentence on how far the means of a run are from the release's, the largest drops first."""
    pairs = pair_cases(release.run.results, results).shared
    scales = Scales()
    moves = []
    named = {check.metric for checks in suite.values() for check in _watched(checks)}
    scored = {score.metric for old, _ in pairs for score in old.scores}
    for metric in sorted(named | set(filter(scales.is_bounded, scored))):
        scale = scales[metric]
        before, after = (case_means(metric, side) for side in zip(*pairs, strict=True)) if pairs else ({}, {})
        cases = before.keys() & after.keys()
        if scale is None or not cases:
            continue
        old, new = (mean([side[case] for case in sorted(cases)]) for side in (before, after))
        if abs(new - old) > NOISE:
            moves.append((scale.sign * (new - old), f"{printable(metric)} {old:.3g} → {new:.3g}"))
    name = f"since release {printable(release.name)}"
    if not pairs:
        return f"{name}: no case of it is left; name a new release: llmops accept RUN.json --release NAME"
    return f"{name}: {', '.join(text for _, text in sorted(moves)) if moves else 'no mean moved'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePlanner:
    """
    Plans repeats until the verdicts against the last baseline and those against the release are closed.

    Attributes:
        last: The planner of the comparison with the last baseline.
        share: Of the error budget, for each file's suite as a whole.
    """

    last: RepeatPlanner
    release: Release
    share: float
    goldens: tuple[Golden, ...] = ()
    _base: Mapping[str, CaseResult] = field(init=False)
    _chance: Chance = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_base", {result.case: result for result in self.release.run.results})
        object.__setattr__(self, "_chance", Chance(self.release.run.results))

    def rescored(self, results: Sequence[CaseResult]) -> ReleasePlanner:
        """A planner whose baselines are scored as the results are, where their outputs were kept."""
        release = rescore_release(self.release, self.goldens, results)
        return replace(self, last=self.last.rescored(results), release=release)

    def next_repeats(self, results: Sequence[CaseResult]) -> dict[str, int]:
        """Case to the repeats that it should have next; without entries every verdict is closed."""
        wanted = dict(self.last.next_repeats(results))
        pairs = pair_cases(self._base.values(), results).shared
        shared = [new for _, new in pairs]
        tracked = track_suites(
            {path: _watched(checks) for path, checks in self.last.suite.items()},
            shared,
            [old for old, _ in pairs],
            share=self.share * RELEASE_SHARE,
            chance=self._chance,
        )
        varying = find_varying(shared, self._base, self._chance)
        step = max((progress.wants for progress in tracked if _is_open(progress)), default=0)
        steps = dict.fromkeys((result.case for result in varying), step)
        for progress in tracked:
            scores = progress.scores
            beyond = scores.check.max_drop is not None and not scores.is_tolerated(scores.at(None))
            if beyond or progress.state == "regressed":
                steps |= dict.fromkeys(scores.dropped - steps.keys(), CONFIRMED)
        for result in shared:
            step = min(steps.get(result.case, 0), self.last.most)
            if result.auto and not result.failures and count_repeats(result) < step:
                wanted[result.case] = max(step, wanted.get(result.case, 0))
        return wanted
