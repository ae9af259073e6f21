"""
The release baseline: an anchor beside the last baseline, which accepting a run never moves.

Ten changes that each lose two points pass one by one where the baseline follows them. Against a baseline that
stays they add up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_llmops.gates.anchors import JudgeMove, correct_suite, find_moves
from pytest_llmops.gates.baseline import rescore_run
from pytest_llmops.gates.case_results import (
    count_repeats,
    like_metrics,
    means_by_metric,
    unscored_cases,
)
from pytest_llmops.gates.error_budget import find_varying
from pytest_llmops.gates.paired_runs import CONFIRMED, Chance, Scales, pair_cases
from pytest_llmops.gates.repeats import RepeatPlanner, drops_to_confirm
from pytest_llmops.gates.suite_channel.paired_scores import results_of, tolerated_drop
from pytest_llmops.gates.suite_channel.progress import Progress
from pytest_llmops.gates.suite_channel.verdicts import (
    judge_and_track,
    judge_new_suite,
    track_suites,
)
from pytest_llmops.golden.identity import file_of
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import CaseResult, Golden, Run, SuiteCheck, Verdict
from pytest_llmops.statistics.summaries import NOISE, mean

RELEASE_SHARE = 0.25
"""The part of the suites' error budget for drops since the release; the last baseline has the rest."""

_NAMED = 3
_LIKELY = 0.2  # the largest p-value of a drop beyond `max_drop` that is looked into
_NAME_ANEW = "if the drop is wanted, name a new release: llmops accept RUN.json --all --release NAME"

RELEASE = "llmops accept RUN.json --release NAME"
"""The command that names a release."""


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
    return replace(release, run=rescore_run(goldens, release.run, results))


def judge_suites(  # noqa: PLR0913 - both baselines, and the rest of the run
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Sequence[CaseResult],
    base_results: Sequence[CaseResult],
    *,
    release: Release | None,
    moves: Mapping[str, Mapping[str, JudgeMove]],
    anchors: Iterable[CaseResult],
    share: float,
    chance: Chance | None,
    files: Collection[str] = (),
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[Verdict, ...]]:
    """
    The verdicts of suite checks against the last baseline, then those against the release, by golden file.

    A file that is new to the baseline is judged by its thresholds, as a new case is.

    Args:
        moves: Golden file to the metrics whose judge moved since the last baseline.
        anchors: Stored outputs scored in this run: a move of the judge since the release is no drop.
        share: Of the error budget, for each file's suite as a whole.
        chance: Of the last baseline as a whole.
        files: All golden files of the run; by default those of the suite.
    """
    known = {path: checks for path, checks in suite.items() if results_of(path, base_results)}
    of_last = last_share(share, release)
    compared = judge_and_track(
        known, results, base_results, level=level, seed=seed, share=of_last, chance=chance
    )
    verdicts = {
        path: correct_suite([verdict for verdict, _ in compared[path]], checks, moves.get(path, {}))
        if path in known
        else tuple(map(_note_new, judge_new_suite(checks, results_of(path, results))))
        for path, checks in suite.items()
    }
    if release is None:
        return verdicts
    files = {*files} or {*suite}
    since = _judge_since(release, suite, results, anchors, files=files, share=share, level=level, seed=seed)
    first = min(files, default="")
    if first in since:  # once for all files, in whichever of them
        since[first] += _judge_gone(release, files, [*base_results, *results])
    return {path: (*of_file, *since[path]) for path, of_file in verdicts.items()}


def _note_new(verdict: Verdict) -> Verdict:
    advice = verdict.advice or "the baseline has no case of this file"
    return verdict if verdict.outcome == "error" else replace(verdict, advice=advice)


def _judge_since(  # noqa: PLR0913 - both sides, and the rest of the run
    release: Release,
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Sequence[CaseResult],
    anchors: Iterable[CaseResult],
    *,
    files: Collection[str],
    share: float,
    level: float,
    seed: int,
) -> dict[str, tuple[Verdict, ...]]:
    """
    The suite checks by which a run is worse than the release, by golden file.

    Only the suite channel looks so far back, over the cases that both have: that single cases were added,
    edited or given up since is what a release is followed by. Checks that hold are left out. A file of which
    nothing can be compared is `undecided`, unless it is new beside files that the release has.
    """
    pairs = pair_cases(release.run.results, results).shared
    before, after = [old for old, _ in pairs], [new for _, new in pairs]
    scored = {path: _scored(results_of(path, after)) for path in suite}
    watched = {
        path: [check for check in _watched(checks) if check.metric in scored[path]]
        for path, checks in suite.items()
    }
    judged = judge_and_track(
        watched,
        after,
        before,
        share=share * RELEASE_SHARE,
        chance=Chance(release.run.results),
        level=level,
        seed=seed,
    )
    moves = find_moves(release.run.anchors, anchors)
    has_one = any(results_of(path, release.run.results) for path in files)
    verdicts = {}
    for path, of_file in judged.items():
        corrected = correct_suite([verdict for verdict, _ in of_file], watched[path], moves.get(path, {}))
        verdicts[path] = tuple(
            _name_release(verdict, release.name)
            for verdict, (first, progress) in zip(corrected, of_file, strict=True)
            if _is_about_release(verdict, first, progress, results)
        )
        known = results_of(path, release.run.results)
        is_compared = any(verdict.baseline is not None or verdict.outcome == "error" for verdict in corrected)
        if not is_compared and (known or not has_one) and _watched(suite[path]):
            verdicts[path] = (_judge_unshared(release.name, len(known)),)
    return verdicts


def _name_release(verdict: Verdict, name: str) -> Verdict:
    return replace(
        verdict,
        check=f"{verdict.check}, since release {printable(name)}",
        reason=verdict.reason.replace("than the baseline", f"than release {printable(name)}"),
        advice="; ".join(filter(None, (verdict.advice, _NAME_ANEW))),
    )


def _judge_gone(release: Release, files: Collection[str], known: Iterable[CaseResult]) -> tuple[Verdict, ...]:
    """
    An undecided verdict on files of the release that nothing of the run follows, nor the last baseline.

    Args:
        known: Results of the run and of the last baseline, by which files were left out of the run alone.
    """
    kept = {*files, *(file_of(result.case) for result in known)}
    gone = Counter(path for result in release.run.results if (path := file_of(result.case)) not in kept)
    if not gone or not any(results_of(path, release.run.results) for path in files):
        return ()
    named = name_some([printable(path) for path in sorted(gone)], _NAMED)
    return (_judge_unshared(release.name, gone.total(), f"of {named}, which is gone, "),)


def _judge_unshared(name: str, cases: int, of_files: str = "") -> Verdict:
    reason = (
        f"none of its {counted(cases, 'case')} {of_files}can be compared"
        if cases
        else "it has no case of this run"
    )
    return Verdict(
        check=f"release {printable(name)}",
        outcome="undecided",
        cases=0,
        reason=reason,
        advice=f"name a new one: {RELEASE}",
    )


def _scored(results: Iterable[CaseResult]) -> set[str]:
    return {score.metric for result in results for score in result.scores}


def _is_open(progress: Progress) -> bool:
    """
    True if the drop is likely to be more than the tolerated one.

    Two baselines are off by chance twice as often as one, and that is no drift: a mean that is a little below
    a release's is shown in the summary, and asks for no repeats.
    """
    if not progress.is_beyond_tolerance:
        return False
    return progress.scores.excess_p_value(progress.scores.at(None), seed=0) <= _LIKELY


def _is_about_release(
    verdict: Verdict, first: Verdict, progress: Progress | None, results: Sequence[CaseResult]
) -> bool:
    """
    False for a check that holds, that the release has no score of, or that this run could not score.

    Args:
        first: The verdict before it was corrected by anchors.
    """
    if verdict.outcome == "error":
        return not unscored_cases(verdict.metric, results)
    if verdict.outcome == "undecided" and first.outcome == "undecided":
        return progress is not None and _is_open(progress)
    return verdict.outcome in {"regressed", "undecided"}


def _watched(checks: Sequence[SuiteCheck]) -> list[SuiteCheck]:
    """The checks that watch for a drop, without their thresholds, which the release does not move."""
    scales = Scales()
    watched = {
        (check.metric, check.statistic): replace(check, comparison=None, threshold=None)
        for check in checks
        if (scale := scales[check.metric]) is not None and tolerated_drop(check, scale) is not None
    }
    return list(watched.values())


def describe_drift(
    release: Release, suite: Mapping[str, Sequence[SuiteCheck]], results: Sequence[CaseResult]
) -> str:
    """
    A sentence on how far the means of a run are from the release's, the largest drops first, and on what of
    the release was not compared; empty where nothing was.
    """
    pairs = pair_cases(release.run.results, results).shared
    scales = Scales()
    named = {check.metric for checks in suite.values() for check in _watched(checks)}
    scored = _scored(old for old, _ in pairs)
    moves, fewer, left_out = [], [], []
    metrics = sorted(named | set(filter(scales.is_bounded, scored)))
    for metric in metrics:
        scale = scales[metric]
        concerned = [
            (old, new)
            for old, new in pairs
            if old.breakages or metric in {**means_by_metric(old), **means_by_metric(new)}
        ]
        like = [pair for pair in pairs if metric in like_metrics(*pair)]
        if scale is None or not like:
            left_out.append(printable(metric))
            continue
        if len(like) < len(concerned):
            fewer.append(f"{printable(metric)} in {len(like)} of {len(concerned)}")
        before, after = (
            mean([means_by_metric(case)[metric] for case in side]) for side in zip(*like, strict=True)
        )
        if abs(after - before) > NOISE:
            moves.append((scale.sign * (after - before), f"{printable(metric)} {before:.3g} → {after:.3g}"))
    if len(left_out) == len(metrics):
        return ""
    all_cases = len(release.run.results)
    parts = [
        ", ".join(text for _, text in sorted(moves)) or "no mean moved",
        f"compared in {len(pairs)} of its {counted(all_cases, 'case')}" if len(pairs) < all_cases else "",
        f"compared: {', '.join(fewer)} cases" if fewer else "",
        f"not compared: {', '.join(left_out)}" if left_out else "",
    ]
    return f"since release {printable(release.name)}: {'; '.join(filter(None, parts))}"


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
    _base: Mapping[str, CaseResult] = field(init=False)
    _chance: Chance = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_base", {result.case: result for result in self.release.run.results})
        object.__setattr__(self, "_chance", Chance(self.release.run.results))

    def rescored(self, results: Sequence[CaseResult]) -> ReleasePlanner:
        """A planner whose baselines are scored as the results are, where their outputs were kept."""
        release = rescore_release(self.release, self.last.goldens, results)
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
        varying = [result.case for result in find_varying(shared, self._base, self._chance)]
        step = max((progress.wants for progress in tracked if _is_open(progress)), default=0)
        confirmed = drops_to_confirm(tracked, every=self.last.is_part)
        steps = dict.fromkeys(confirmed, CONFIRMED) | dict.fromkeys(varying, step)
        for result in shared:
            step = min(steps.get(result.case, 0), self.last.most)
            if result.auto and not result.breakages and count_repeats(result) < step:
                wanted[result.case] = max(step, wanted.get(result.case, 0))
        return wanted
