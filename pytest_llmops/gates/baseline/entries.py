"""What a baseline keeps of a result, what keeps a result out, and how repeats of two runs become one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from pytest_llmops.gates.paired_runs.answers import answer_digests
from pytest_llmops.gates.paired_runs.index import LARGEST
from pytest_llmops.gates.paired_runs.pairing import signatures
from pytest_llmops.printable import counted
from pytest_llmops.records import CaseResult, Output, Score

Repeated = TypeVar("Repeated", Output, Score)


def find_flaw(result: CaseResult) -> str:
    """Why a result cannot stand in a baseline; empty when every repeat has its answer and its scores."""
    for failure in result.failures:
        return f"repeat {failure.repeat}: {failure.metric or 'the app'}: {failure.error}"
    repeats = range(len(answer_digests(result)))
    if not repeats:
        return "the app gave no output"
    if result.outputs and sorted(output.repeat for output in result.outputs) != list(repeats):
        return "the repeats of the outputs are not counted from 0"
    metrics = {score.metric for score in result.scores} | {check.metric for check in result.checks}
    flaws = (_find_score_flaw(metric, result, repeats) for metric in sorted(metrics))
    return next(filter(None, flaws), "")


def _find_score_flaw(metric: str, result: CaseResult, repeats: range) -> str:
    scores = [score for score in result.scores if score.metric == metric]
    scored = sorted(score.repeat for score in scores)
    if missing := [repeat for repeat in repeats if repeat not in scored]:
        return f"{metric} gave no score in repeat {missing[0]}"
    if scored != list(repeats):
        return f"{metric} gave {counted(len(scores), 'score')} for {counted(len(repeats), 'repeat')}"
    for score in scores:
        if not abs(score.value) <= LARGEST:  # true of NaN, too
            return f"{metric} gave {score.value}, which is no finite number that can be judged"
    made = signatures(metric, result)
    return f"{metric} made its scores in several ways: {' and '.join(made)}" if len(made) > 1 else ""


def make_entry(result: CaseResult, *, with_outputs: bool = False) -> CaseResult:
    """
    The part of a flawless result that a baseline keeps, in one order whatever the result's.

    Of an output it keeps the answer, passages and tool calls: what another metric, or another version of
    one, would have to see. What it took stands in the scores alone.
    """
    return CaseResult(
        case=result.case,
        input_hash=result.input_hash,
        outputs=tuple(
            Output(
                text=output.text,
                repeat=output.repeat,
                passages=output.passages,
                tool_calls=output.tool_calls,
            )
            for output in sorted(result.outputs, key=lambda output: output.repeat)
            if with_outputs
        ),
        scores=tuple(
            replace(score, reason="", evidence=())
            for score in sorted(result.scores, key=lambda score: (score.metric, score.repeat))
        ),
        answers=answer_digests(result),
        runs=result.runs,
    )


def merge_entries(before: CaseResult, entry: CaseResult) -> CaseResult:
    """Both runs' repeats as one entry, those of the baseline first, that says how many each run gave."""
    shift = len(before.answers)
    both_kept = bool(before.outputs and entry.outputs)
    return replace(
        before,
        outputs=(*before.outputs, *_shifted(entry.outputs, shift)) if both_kept else (),
        scores=tuple(
            sorted(
                (*before.scores, *_shifted(entry.scores, shift)),
                key=lambda score: (score.metric, score.repeat),
            )
        ),
        answers=(*before.answers, *entry.answers),
        runs=(*repeats_by_run(before), len(entry.answers)),
    )


def repeats_by_run(entry: CaseResult) -> tuple[int, ...]:
    return entry.runs or (len(entry.answers),)


def _shifted(records: Iterable[Repeated], by: int) -> tuple[Repeated, ...]:
    return tuple(replace(record, repeat=record.repeat + by) for record in records)


def scoring_ways(entry: CaseResult) -> set[tuple[str, str]]:
    """Metric and signature of the entry's scores."""
    return {(score.metric, score.signature) for score in entry.scores}
