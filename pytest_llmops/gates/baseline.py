"""The baseline: accepting a run into it, merging repeats of several runs, and making its scores again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TypeVar

from pytest_llmops.errors import AcceptanceError, LLMOpsError
from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.gates.case_results import (
    LARGEST,
    answer_digests,
    case_scores,
    signatures,
    tried_again,
    user_fault,
)
from pytest_llmops.gates.copies import mark_copies, without_copies
from pytest_llmops.gates.error_budget import BASELINE_REPEATS
from pytest_llmops.gates.paired_runs import STEADY, Chance, Scales, have_same_input
from pytest_llmops.gates.renames import follow_renames
from pytest_llmops.gates.spending import spent_on, sum_usage
from pytest_llmops.gates.stamps import UNFINISHED, join_runs
from pytest_llmops.golden.identity import case_id, file_of
from pytest_llmops.judges.floors import criteria_alone
from pytest_llmops.metrics.sources import sign_source
from pytest_llmops.printable import counted, printable
from pytest_llmops.protocols import traits_of
from pytest_llmops.records import (
    ANCHORS,
    Case,
    CaseResult,
    Check,
    Golden,
    Output,
    Run,
    Sample,
    Score,
    SuiteCheck,
    Usage,
)
from pytest_llmops.registry import create_metric, find_traits

_NAMED = 5

ACCEPT = "pytest --llm-golden --llm-repeats auto --llm-accept"
"""The command that makes a baseline."""

_UNLIKE = "its metrics are others than the baseline's, or score otherwise; take the run's by --all"
_OF_FILES = ("golden:", "app:")

Repeated = TypeVar("Repeated", Output, Score)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """
    A run merged into a baseline; cases are item ids, sorted.

    Attributes:
        baseline: The new baseline, its cases sorted.
        changed: Whether it differs from the baseline before.
        added: Cases that the baseline did not have.
        replaced: Cases whose scores are now the run's.
        edited: Cases with another input than before: their old scores could never be compared again, so the
            run's take their place even where nothing is replaced.
        missed: Of these three, those that miss a check of theirs, a leak aside: known failures from now on.
        fewer: Of the replaced, those that had more repeats before.
        unscored: Metric to the replaced cases that it scored before, and that the run did not score by it.
        short: Of the added and edited, those with fewer repeats than a baseline has of an app that varies.
        renamed: Ids of cases that ask the same under another id now, old to new; they keep their evidence.
        kept: Cases that stay as they were, but for the unused ones.
        stale: Of the kept, those with a metric that the baseline lacks or that made its scores otherwise.
        unused: Cases of the baseline that their golden file no longer has, or whose file is gone.
        pruned: Such cases that were taken out.
        refused: (case, reason) of results that cannot be a baseline; an older entry stays.
    """

    baseline: Run
    changed: bool
    added: tuple[str, ...]
    replaced: tuple[str, ...]
    edited: tuple[str, ...]
    missed: tuple[str, ...]
    fewer: tuple[str, ...]
    unscored: Mapping[str, tuple[str, ...]]
    short: tuple[str, ...]
    renamed: Mapping[str, str]
    kept: tuple[str, ...]
    stale: tuple[str, ...]
    unused: tuple[str, ...]
    pruned: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptOptions:
    """
    Further cases to accept than those that are new to a baseline.

    Attributes:
        replace: Take the run's scores also of cases that the baseline has.
        prune: Take out cases that are in no golden file any more. A run shows that only of the files
            that it covers completely; `gone` of the others.
        with_outputs: Keep the outputs of the cases that are taken, as those are whose outputs were kept.
        merge: Add the run's repeats to those of cases that the baseline has, scored in the same way: with
            three runs the gate knows how far a run in general may be off (`RunMeans`).
        gone: Golden files of the baseline that do not exist any more.
    """

    replace: bool = False
    prune: bool = False
    with_outputs: bool = False
    merge: bool = False
    gone: frozenset[str] = frozenset()


NEW_ALONE = AcceptOptions()


def accept(baseline: Run | None, run: Run, options: AcceptOptions = NEW_ALONE) -> Acceptance:
    """
    Take the cases of a run into a baseline.

    Raises:
        AcceptanceError: The run has no result, no score, or no case that could be taken, or its repeats
            were merged before.
    """
    run = replace(run, results=tuple(mark_copies(run.results)))
    renamed: dict[str, str] = {}
    if baseline is not None:
        asked = {result.case: result.input_hash for result in run.results}
        lost = set(_find_unused((entry.case for entry in baseline.results), run))
        lost |= {entry.case for entry in baseline.results if file_of(entry.case) in options.gone}
        baseline, renamed = follow_renames(baseline, asked, lost)
    old = {entry.case: entry for entry in baseline.results} if baseline else {}
    results = _without_unwatched_costs(run)
    varies = Chance([*old.values(), *(result for result in results if not result.breakages)]).app_varies
    taken, stale, refused = _sort_results(results, old, options, varies=varies)
    _require_acceptable(run, refused)
    if options.merge and _has_run(old, results):
        raise AcceptanceError("the baseline holds this run already; merge a run of another day or server")
    gone_files = options.gone - {file_of(result.case) for result in run.results}
    no_file = {case for case in old if file_of(case) in gone_files}
    unused = tuple(sorted({*_find_unused(old, run), *no_file}))
    gone = set(unused) if options.prune else set()
    entries = {case: entry for case, entry in {**old, **taken}.items() if case not in gone}
    # A baseline is not partial for being made of a partial run.
    signed = {name: value for name, value in run.signature.items() if name != "partial"}
    signature: Mapping[str, str] = signed
    if baseline is not None:
        signature = baseline.signature
        of_run = set(taken)
        if options.replace:  # entries that are as they were, too
            of_run |= {result.case for result in results} - {case for case, _ in refused}
        is_mixed = options.merge or bool(entries.keys() - of_run)
        if options.replace:  # the run's, but for files that it left out
            kept = signature.items() if is_mixed else ()
            left_out = {name: value for name, value in signature.items() if name.startswith(_OF_FILES)}
            signature = {**left_out, **dict(kept), **signed}
        elif taken:
            signature = {**signed, **signature}
        if of_run:
            signature = join_runs(signature, baseline.signature if is_mixed else signed, signed)
    edited = {case for case in taken if case in old and not have_same_input(old[case], taken[case])}
    replaced = tuple(case for case in taken if case in old and case not in edited)
    anchors = _take_anchors(baseline, run, replaces=options.replace)
    if options.prune:
        kept_files = {f"{file_of(case)}{ANCHORS}" for case in entries}
        anchors = tuple(anchor for anchor in anchors if file_of(anchor.case) in kept_files)
    return Acceptance(
        baseline=Run(
            signature=signature,
            results=tuple(entries[case] for case in sorted(entries)),
            anchors=anchors,
        ),
        changed=baseline is None
        or bool(taken or gone or renamed)
        or anchors != baseline.anchors
        or dict(signature) != dict(baseline.signature),
        added=tuple(case for case in taken if case not in old),
        replaced=replaced,
        edited=tuple(sorted(edited)),
        missed=tuple(result.case for result in run.results if result.case in taken and _misses(result)),
        fewer=tuple(case for case in replaced if len(taken[case].answers) < len(old[case].answers)),
        unscored=_find_unscored(old, taken, replaced),
        short=tuple(
            case
            for case in taken
            if case not in replaced and varies and len(taken[case].answers) < BASELINE_REPEATS
        ),
        renamed=renamed,
        kept=tuple(sorted(old.keys() - taken.keys() - set(unused))),
        stale=tuple(stale),
        unused=() if options.prune else unused,
        pruned=unused if options.prune else (),
        refused=tuple(refused),
    )


def _find_unscored(
    old: Mapping[str, CaseResult], taken: Mapping[str, CaseResult], replaced: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    lost: dict[str, tuple[str, ...]] = {}
    for case in replaced:
        before, after = ({score.metric for score in entry[case].scores} for entry in (old, taken))
        for metric in sorted(before - after):
            lost[metric] = (*lost.get(metric, ()), case)
    return lost


def _take_anchors(baseline: Run | None, run: Run, *, replaces: bool) -> tuple[CaseResult, ...]:
    """The flawless anchors of a run beside those that are known, or in the place of those of its files."""
    known = {entry.case: entry for entry in baseline.anchors} if baseline else {}
    new = {result.case: make_entry(result) for result in run.anchors if not find_flaw(result)}
    there = {result.case for result in run.anchors}
    files = set(map(file_of, there))
    if replaces:
        known = {case: entry for case, entry in known.items() if case in there or file_of(case) not in files}
    kept = {**known, **new} if replaces else {**new, **known}
    return tuple(kept[case] for case in sorted(kept))


def _without_unwatched_costs(run: Run) -> list[CaseResult]:
    """
    The results without seconds, dollars and tokens that nothing compares: they differ in every run, and in
    every diff of the baseline.
    """
    scales = Scales()
    watched = {
        check.metric for checks in run.suite.values() for check in checks if check.max_drop is not None
    }
    reduced = []
    for result in run.results:
        wanted = watched | {check.metric for check in result.checks}
        kept = tuple(
            score
            for score in result.scores
            if score.metric in wanted or scales[score.metric] is None or scales.is_bounded(score.metric)
        )
        reduced.append(replace(result, scores=kept))
    return reduced


def _sort_results(
    results: Iterable[CaseResult], old: Mapping[str, CaseResult], options: AcceptOptions, *, varies: bool
) -> tuple[dict[str, CaseResult], list[str], list[tuple[str, str]]]:
    """
    Case to its new entry; the cases that are stale; the cases that are refused, with the reason.

    Args:
        varies: The app gave unlike answers to one question, in the run or in the baseline.
    """
    taken: dict[str, CaseResult] = {}
    stale: list[str] = []
    refused: list[tuple[str, str]] = []
    for result in sorted(results, key=lambda result: result.case):
        if reason := find_flaw(result):
            refused.append((result.case, reason))
            continue
        before = old.get(result.case)
        keeps_outputs = options.with_outputs or (before is not None and bool(before.outputs))
        entry = make_entry(result, with_outputs=keeps_outputs)
        if before is None or not have_same_input(before, entry):
            taken[entry.case] = entry
        elif options.merge:
            if _signed_metrics(before) == _signed_metrics(entry):
                taken[entry.case] = _merge_entries(before, entry)
            else:
                refused.append((result.case, _UNLIKE))
        elif options.replace and entry != before:
            if reason := _find_loss(before, entry, varies=varies):
                refused.append((result.case, reason))
            else:
                taken[entry.case] = entry
        elif _signed_metrics(entry) - _signed_metrics(before):
            stale.append(entry.case)
    return taken, stale, refused


def _find_loss(before: CaseResult, entry: CaseResult, *, varies: bool) -> str:
    """The reason why an entry would be worth less than the one before; empty where it would not."""
    repeats, wanted = len(entry.answers), BASELINE_REPEATS if varies else STEADY
    if repeats >= min(len(before.answers), wanted):
        return ""
    app = "an app that varies" if varies else "an app that does not vary"
    or_merge = ", or add the run's repeats by --merge"
    return (
        f"it has {counted(repeats, 'repeat')} where the baseline has {len(before.answers)}, and {app} needs "
        f"{wanted}: run it with --llm-repeats {wanted}"
        f"{or_merge if _signed_metrics(before) == _signed_metrics(entry) else ''}"
    )


def _signed_metrics(entry: CaseResult) -> set[tuple[str, str]]:
    return {(score.metric, score.signature) for score in entry.scores}


def _require_acceptable(run: Run, refused: list[tuple[str, str]]) -> None:
    if not run.results:
        raise AcceptanceError("the run has no result; nothing was accepted")
    if run.signature.get("partial") == UNFINISHED:
        raise AcceptanceError(
            "the run did not come to its end; go on with it: pytest --llm-golden --llm-resume"
        )
    if len(refused) == len(run.results):
        lines = [f"  {printable(case)}: {printable(reason)}" for case, reason in refused[:_NAMED]]
        if len(refused) > _NAMED:
            lines.append(f"  and {len(refused) - _NAMED} more")
        raise AcceptanceError(
            "\n".join(("no case of the run can be accepted; fix these and run again:", *lines))
        )
    if not any(result.scores for result in run.results):
        raise AcceptanceError("nothing in the run was scored; give the golden file checks, and run again")


def _has_run(old: Mapping[str, CaseResult], results: Iterable[CaseResult]) -> bool:
    """True if a run of the baseline gave all cases that vary the same answers in the same order."""
    varying = [
        (old[result.case], answer_digests(without_copies(result))) for result in results if result.case in old
    ]
    varying = [(before, answers) for before, answers in varying if len(set(answers)) > 1]
    return bool(varying) and all(
        answers
        in {
            before.answers[start:stop]
            for start, stop in pairwise(accumulate(_repeats_by_run(before), initial=0))
        }
        for before, answers in varying
    )


def _find_unused(old: Iterable[str], run: Run) -> tuple[str, ...]:
    """Cases that a golden file of the baseline no longer has, as far as a run can show."""
    if "partial" in run.signature:
        return ()
    there = {result.case for result in run.results}
    files = {name.removeprefix("golden:") for name in run.signature if name.startswith("golden:")}
    files |= set(map(file_of, there))
    there |= run.skipped.keys()
    return tuple(sorted(case for case in old if case not in there and file_of(case) in files))


def _misses(result: CaseResult) -> bool:
    verdicts = judge_case(Case(id=result.case, input="", checks=result.checks), result)
    return any(verdict.outcome == "failed" and find_traits(verdict.metric).excusable for verdict in verdicts)


def find_flaw(result: CaseResult) -> str:
    """The reason why a result cannot be in a baseline; empty when every repeat has its answer and scores."""
    for failure in result.breakages:
        return f"repeat {failure.repeat}: {failure.metric or 'the app'}: {failure.error}"
    if fault := user_fault(result):
        return fault
    repeats = range(len(answer_digests(result)))
    if not repeats:
        return "the app gave no output"
    if result.outputs and sorted(output.repeat for output in result.outputs) != list(repeats):
        return "the repeats of the outputs are not counted from 0"
    scored = {score.metric for score in result.scores}
    inapplicable = {failure.metric for failure in result.failures}
    metrics = scored | ({check.metric for check in result.checks} - inapplicable)
    flaws = (_find_score_flaw(metric, result, repeats) for metric in sorted(metrics))
    return next(filter(None, flaws), "")


def _find_score_flaw(metric: str, result: CaseResult, repeats: range) -> str:
    scores = case_scores(metric, result)
    scored = [score.repeat for score in scores]
    if missing := [repeat for repeat in repeats if repeat not in scored]:
        return f"{metric} gave no score in repeat {missing[0]}"
    if scored != list(repeats):
        return f"{metric} gave {counted(len(scores), 'score')} for {counted(len(repeats), 'repeat')}"
    for score in scores:
        if not abs(score.value) <= LARGEST:  # true of NaN, too
            return f"{metric} gave {score.value}, which is no finite number that can be judged"
    ways = signatures(metric, result)
    return f"{metric} made its scores in several ways: {' and '.join(ways)}" if len(ways) > 1 else ""


def make_entry(result: CaseResult, *, with_outputs: bool = False) -> CaseResult:
    """
    The part of a flawless result that a baseline keeps, in one order whatever the result's.

    Of an output it keeps the answer, passages and tool calls, which another metric, or another version of
    one, would need. Its seconds are kept as scores only, its calls and tokens as one sum.
    """
    result = without_copies(result)
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
        scores=_sort_scores(
            replace(score, reason="", evidence=criteria_alone(score)) for score in result.scores
        ),
        answers=answer_digests(result),
        runs=result.runs,
        left_out=result.left_out,
        tried_again=tried_again(result),
        spent=_keep_spent(spent_on(result)),
    )


def _keep_spent(usage: Usage | None) -> Usage | None:
    """Return what is kept of a usage: not how its calls were answered, which the next run does otherwise."""
    return replace(usage, replayed=0, failed=0, stated=False) if usage and usage.calls else None


def _merge_entries(before: CaseResult, entry: CaseResult) -> CaseResult:
    """The repeats of both runs as one entry, those of the baseline first, with their number by run."""
    shift = len(before.answers)
    both_kept = bool(before.outputs and entry.outputs)
    return replace(
        before,
        outputs=(*before.outputs, *_shift(entry.outputs, shift)) if both_kept else (),
        scores=_sort_scores((*before.scores, *_shift(entry.scores, shift))),
        answers=(*before.answers, *entry.answers),
        runs=(*_repeats_by_run(before), len(entry.answers)),
        left_out=before.left_out + entry.left_out,
        tried_again=before.tried_again + entry.tried_again,
        spent=sum_usage([before.spent, entry.spent]) if before.spent and entry.spent else None,
    )


def _repeats_by_run(entry: CaseResult) -> tuple[int, ...]:
    return entry.runs or (len(entry.answers),)


def _shift(records: Iterable[Repeated], by: int) -> tuple[Repeated, ...]:
    return tuple(replace(record, repeat=record.repeat + by) for record in records)


def _sort_scores(scores: Iterable[Score]) -> tuple[Score, ...]:
    return tuple(sorted(scores, key=lambda score: (score.metric, score.repeat)))


def rescore(case: Case, base: CaseResult, new: CaseResult, suite: Iterable[SuiteCheck] = ()) -> CaseResult:
    """
    The baseline's result of a case, comparable with the new one as far as its outputs allow.

    Scores with another signature than the new run's are made again. They stay as they are where no outputs
    were kept, where a metric looks at traces, which never are, or asks a judge, and where scoring breaks:
    the gate then reports the difference.
    """
    if not base.outputs or not have_same_input(base, new):
        return base
    checks: list[Check | SuiteCheck] = [*suite, *case.checks]  # a case's own options weigh more
    for check in {check.metric: check for check in checks}.values():
        before = signatures(check.metric, base)
        if before and before != signatures(check.metric, new):
            base = _score_again(check, case, base)
    return base


def rescore_all(
    goldens: Iterable[Golden], base: Mapping[str, CaseResult], results: Iterable[CaseResult]
) -> dict[str, CaseResult]:
    """The baseline, case to result, as far as it can be made comparable with new results."""
    written = {case_id(golden, case): (case, golden.suite) for golden in goldens for case in golden.cases}
    again = dict(base)
    for new in results:
        if new.case in base and new.case in written:
            case, suite = written[new.case]
            again[new.case] = rescore(case, base[new.case], new, suite)
    return again


def rescore_run(goldens: Iterable[Golden], base: Run, results: Iterable[CaseResult]) -> Run:
    """A baseline, as far as it can be made comparable with new results."""
    again = rescore_all(goldens, {result.case: result for result in base.results}, results)
    return replace(base, results=tuple(again.values()))


def _score_again(check: Check | SuiteCheck, case: Case, base: CaseResult) -> CaseResult:
    try:
        metric = create_metric(check.metric, check.options)
    except LLMOpsError:  # it needs an option that only other cases give
        return base
    measured = not all(math.isfinite(end) for end in metric.range)  # time and cost, which no answer shows
    waits = traits_of(metric).waits  # a judge: who compares two runs pays for no call
    if (
        measured or waits or "spans" in metric.needs or case.is_conversation
    ):  # of whose turns a baseline keeps no answer
        return base
    samples = [
        Sample(output=output, input=case.input, reference=case.reference, relevant=case.relevant)
        for output in base.outputs
    ]
    try:
        results = list(metric.score(samples))
    except Exception:  # noqa: BLE001 - a metric is anybody's code
        return base
    if len(results) != len(samples) or not all(isinstance(result, Score) for result in results):
        return base
    scores = [
        sign_source(metric, replace(result, metric=check.metric, repeat=sample.output.repeat))
        for sample, result in zip(samples, results, strict=True)
        if isinstance(result, Score)
    ]
    kept = [score for score in base.scores if score.metric != check.metric]
    return replace(base, scores=(*kept, *scores))
