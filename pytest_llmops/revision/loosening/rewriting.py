"""What a change took out of a baseline, or made worse in it: there is no drop from what was low before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.case_results import answer_digests, signatures, values_by_metric
from pytest_llmops.gates.paired_runs import find_scale, have_same_input
from pytest_llmops.golden.identity import case_id, file_of, input_hash
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import CaseResult
from pytest_llmops.revision.loosening.record import GateFiles, Loosening
from pytest_llmops.statistics.summaries import calculate


def list_rewritten(old: GateFiles, new: GateFiles, place: str) -> Iterator[Loosening]:
    """
    The readings of the old baseline that the new one lacks, or holds as worse ones, or made otherwise.

    What no golden file asks any longer is left out: that a case or a check went is reported for its file, and
    the answer to a question that was edited serves nobody.

    Args:
        place: The file of the baseline.
    """
    if old.baseline is None:
        return
    if new.baseline is None:
        yield Loosening(place=place, what="the baseline was removed")
        return
    known = {golden.path for golden in (*old.goldens, *new.goldens)}
    questions = {case_id(golden, case): (golden, case) for golden in new.goldens for case in golden.cases}
    results = {result.case: result for result in new.baseline.results}
    for was in old.baseline.results:
        metrics = None
        if was.case in questions:
            golden, case = questions[was.case]
            metrics = {check.metric for check in case.checks} | {check.metric for check in golden.suite}
            if was.input_hash not in {"", input_hash(case)}:
                continue
        elif file_of(was.case) in known:
            continue
        now = results.get(was.case)
        if now is None:
            yield Loosening(place=place, case=was.case, what="the case was taken out of the baseline")
        elif not have_same_input(was, now):
            what = "the baseline holds the answer to another question"
            yield Loosening(place=place, case=was.case, what=what)
        else:
            yield from _compare(was, now, metrics, place)


def _compare(was: CaseResult, now: CaseResult, metrics: set[str] | None, place: str) -> Iterator[Loosening]:
    """The readings by those metrics, or by all, that are not as good as they were."""
    rewritten = partial(Loosening, place=place, case=was.case)
    before, after = values_by_metric(was), values_by_metric(now)
    failed = {failure.metric for failure in now.failures} - {failure.metric for failure in was.failures}
    for metric, old in before.items():
        new = after.get(metric, [])
        if metrics is not None and metric not in metrics:
            continue
        if not new or failed & {metric, ""}:
            what = "holds no whole score any longer"
        elif sorted(old) == sorted(new):
            continue
        elif signatures(metric, was) != signatures(metric, now):
            what = "was recorded again, and scored in another way"
        elif len(new) < len(old):
            what = "was recorded again with fewer repeats"
        elif not _are_as_good(metric, new, old):
            what = "was recorded again with worse scores"
        else:
            continue
        yield rewritten(
            what=f"{printable(metric)} in the baseline {what}",
            before=_describe_scores(old),
            after=_describe_scores(new),
        )
    if len(set(answer_digests(was))) == 1 < len(set(answer_digests(now))):
        # A fall from answers that never varied is a fact; from others it must be more than chance explains.
        yield rewritten(what="the answers in the baseline, once all alike, vary")


def _are_as_good(metric: str, new: Sequence[float], old: Sequence[float]) -> bool:
    """
    Whether for every score at least as large a share of the new repeats reaches it.

    This is first-order stochastic dominance. Where it is not known which side is good, nothing is as good.
    """
    try:
        sign = find_scale(metric).sign
    except LLMOpsError:
        return False
    return all(_reaching(new, each, sign) * len(old) >= _reaching(old, each, sign) * len(new) for each in old)


def _reaching(values: Sequence[float], bound: float, sign: float) -> int:
    return sum(sign * value >= sign * bound for value in values)


def _describe_scores(values: Sequence[float]) -> str:
    if not values:
        return ""
    repeats = counted(len(values), "repeat")
    return f"{calculate('mean', values):.4g} over {repeats}"
