"""
The judge separated from the app: stored outputs, scored in both runs, show how far the judge moved.

A judge behind an alias may be a little stricter today. Where the anchors' scores move, the difference of the
app's scores is corrected by theirs. A drop that their move may explain, as far as so many anchors tell, is
`undecided` with that cause.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from pytest_llmops.gates.case_results import answer_digests, like_metrics, means_by_metric
from pytest_llmops.gates.paired_runs import Scales, pair_cases
from pytest_llmops.gates.suite_channel.paired_scores import tolerated_drop
from pytest_llmops.golden.identity import file_of
from pytest_llmops.printable import counted
from pytest_llmops.records import ANCHORS, CaseResult, SuiteCheck, Verdict
from pytest_llmops.statistics.p_values import student_quantile
from pytest_llmops.statistics.summaries import NOISE, sample_variance

_LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeMove:
    """
    The move of a metric on outputs that did not change.

    Attributes:
        by: Mean difference, new less base, positive where the judge scores better, in the metric's unit.
        half_width: Half the width of its interval at 95 %, by Student's t.
    """

    by: float
    half_width: float
    anchors: int


def find_moves(base: Iterable[CaseResult], new: Iterable[CaseResult]) -> dict[str, dict[str, JudgeMove]]:
    """Golden file to the metrics that scored its anchors otherwise than in the baseline."""
    scales = Scales()
    drops: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for before, after in pair_cases(base, new).shared:
        if answer_digests(before) != answer_digests(after):
            continue
        path = file_of(after.case).removesuffix(ANCHORS)
        for metric in sorted(like_metrics(before, after)):
            pair = means_by_metric(before)[metric], means_by_metric(after)[metric]
            drops.setdefault((path, metric), []).append(pair)
    moves: dict[str, dict[str, JudgeMove]] = {}
    for (path, metric), pairs in drops.items():
        scale = scales[metric]
        if scale is not None and (move := _find_move(pairs, scale.sign)):
            moves.setdefault(path, {})[metric] = move
    return moves


def _find_move(pairs: Sequence[tuple[float, float]], sign: float) -> JudgeMove | None:
    gains = [sign * (new - old) for old, new in pairs]
    variance = sample_variance(gains)
    if variance is None or max(map(abs, gains)) <= NOISE:
        return None  # one anchor tells nothing of how much the others would move
    half_width = student_quantile((1 - _LEVEL) / 2, len(gains) - 1) * math.sqrt(variance / len(gains))
    return JudgeMove(by=fmean(gains), half_width=half_width, anchors=len(gains))


def correct_suite(
    verdicts: Sequence[Verdict], checks: Sequence[SuiteCheck], moves: Mapping[str, JudgeMove]
) -> tuple[Verdict, ...]:
    """Correct the verdicts of suite checks, in their order, by the moves of their metrics."""
    scales = Scales()
    corrected = []
    for check, verdict in zip(checks, verdicts, strict=True):
        move, scale = moves.get(check.metric), scales[check.metric]
        if move is None or scale is None or verdict.difference is None or check.statistic != "mean":
            corrected.append(verdict)
            continue
        tolerated = tolerated_drop(check, scale) or 0.0
        drop = -scale.sign * verdict.difference + move.by
        corrected.append(_correct(verdict, drop, tolerated, move))
    return tuple(corrected)


def correct_cases(verdicts: Iterable[Verdict], moves: Mapping[str, JudgeMove]) -> tuple[Verdict, ...]:
    """Correct the verdicts on single cases: one that dropped little more than the judge did not regress."""
    scales = Scales()
    corrected = []
    for verdict in verdicts:
        move, scale = moves.get(verdict.metric), scales[verdict.metric]
        if move is None or scale is None or verdict.outcome != "regressed" or verdict.baseline is None:
            corrected.append(verdict)
            continue
        drop = scale.sign * (verdict.baseline - (verdict.observed or 0.0)) + move.by
        corrected.append(_correct(verdict, drop, abs(move.by), move))
    return tuple(corrected)


def _correct(verdict: Verdict, drop: float, tolerated: float, move: JudgeMove) -> Verdict:
    """
    The verdict of a drop that the judge's move is taken out of.

    Args:
        drop: Corrected, positive where the app is worse.
    """
    explained = drop - move.half_width <= tolerated + NOISE
    direction = "better" if move.by > 0 else "worse"
    verb = "moved" if abs(move.by) > move.half_width else "may have moved"
    cause = (
        f"the judge {verb}: {counted(move.anchors, 'stored output')} scored {abs(move.by):.3g} {direction} "
        f"than in the baseline, ± {move.half_width:.2g}; without that the drop is {drop:.3g}"
    )
    if verdict.outcome == "regressed" and explained:
        advice = (
            "accept a baseline of this judge" if verb == "moved" else "add anchors: these are too few to tell"
        )
        return replace(verdict, outcome="undecided", reason=cause, advice=advice)
    if verdict.outcome == "passed" and drop > tolerated + NOISE and not explained:
        advice = f"a more lenient judge hides a drop of {drop:.3g}: see whether the app is worse"
        return replace(verdict, outcome="undecided", reason=cause, advice=advice)
    if verdict.outcome in {"regressed", "undecided"} and verb == "moved":
        return replace(verdict, advice="; ".join(filter(None, (verdict.advice, cause))))
    return verdict
