"""What a person should look at, and what it settles once somebody has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from pytest_llmops.bounds import describe_check, holds
from pytest_llmops.gates.case_results import answer_digests, digest
from pytest_llmops.golden.reviews import Review
from pytest_llmops.printable import printable
from pytest_llmops.records import Case, CaseResult, Check, Run, Score, Source, Verdict
from pytest_llmops.registry import find_traits

_TAGS = ("compliance", "medical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """
    One answer that a person should look at.

    Attributes:
        case: The item's id.
        answer: Digest of the answer; `text` is the answer itself.
        reasons: Why, the weightiest first.
        scores: Of the repeats that gave this answer.
        source: Where the case is written; None, as input and reference, when no golden file holds it.
    """

    case: str
    input_hash: str
    answer: str
    text: str
    input: Any
    reference: str | None
    reasons: tuple[str, ...]
    scores: tuple[Score, ...] = ()
    source: Source | None = None


def list_questions(
    run: Run,
    verdicts: Mapping[str, Sequence[Verdict]],
    cases: Mapping[str, Case],
    reviews: Sequence[Review],
) -> tuple[Question, ...]:
    """
    A question for each distinct answer that nobody has reviewed and that there is a reason to look at.

    The reasons, by weight: a check of the case is undecided; one is flaky; for this answer a judge and a
    comparison with the reference say opposite things; the case is tagged `compliance` or `medical`.
    Time, cost and tokens are no reason. Sorted by the weightiest reason, then by case.

    Args:
        verdicts: By item id, as the gate gave them; none are needed.
        cases: By item id. Of a case that is not there only the verdicts are known.
    """
    reviewed = {(review.case, review.input_hash, review.answer) for review in reviews}
    weighed: list[tuple[int, Question]] = []
    for result in run.results:
        case = cases.get(result.case)
        for text, scores in _scores_by_answer(result).items():
            if (result.case, result.input_hash, digest(text)) in reviewed:
                continue
            reasons = list(_reasons(case, result, verdicts.get(result.case, ()), scores))
            if reasons:
                question = Question(
                    case=result.case,
                    input_hash=result.input_hash,
                    answer=digest(text),
                    text=text,
                    input=case.input if case else None,
                    reference=case.reference if case else None,
                    reasons=tuple(reason for _, reason in reasons),
                    scores=scores,
                    source=case.source if case else None,
                )
                weighed.append((reasons[0][0], question))
    return tuple(question for _, question in sorted(weighed, key=lambda each: (each[0], each[1].case)))


def settle(verdicts: Sequence[Verdict], result: CaseResult, reviews: Sequence[Review]) -> tuple[Verdict, ...]:
    """
    The verdicts of a case, with what people said of its answers.

    Of each answer the latest review counts, if the case asked then what it asks now. One `bad` lowers what
    is undecided or passed to `failed`; `good` of every distinct answer lifts what is undecided to
    `passed`. Nothing lifts `failed`, `regressed` or `error`; a leak, time, cost and tokens are not touched:
    nobody reads them from an answer.
    """
    latest: dict[str, Review] = {}
    for review in reversed(reviews):  # the latest comes first, and stays
        if (review.case, review.input_hash) == (result.case, result.input_hash):
            latest.setdefault(review.answer, review)
    answers = set(answer_digests(result))
    counted = [review for review in latest.values() if review.answer in answers]
    bad = [review for review in counted if review.verdict == "bad"]
    if not bad and (not answers or len(counted) < len(answers)):
        return tuple(verdicts)
    return tuple(
        _settled(verdict, (bad or counted)[0]) if verdict.case == result.case else verdict
        for verdict in verdicts
    )


def _settled(verdict: Verdict, review: Review) -> Verdict:
    is_open = verdict.outcome in {"passed", "undecided"}
    if not (is_open and _is_readable(verdict.metric) and find_traits(verdict.metric).excusable):
        return verdict
    advice = f"reviewed {review.verdict} by {printable(review.who, 60)} on {review.when[:10]}"
    if review.verdict == "bad":
        return replace(verdict, outcome="failed", advice=advice)
    if verdict.outcome == "passed":
        return verdict
    return replace(verdict, outcome="passed", advice=advice)


def _is_readable(metric: str) -> bool:
    """Whether a person can judge the score from the answer; time, cost and tokens are not in it."""
    return find_traits(metric).basis != "run"


def _scores_by_answer(result: CaseResult) -> dict[str, tuple[Score, ...]]:
    """Each distinct answer, in the order of the repeats, with the scores of all repeats that gave it."""
    repeats: dict[str, set[int]] = {}
    for output in sorted(result.outputs, key=lambda each: each.repeat):
        repeats.setdefault(output.text, set()).add(output.repeat)
    return {
        text: tuple(score for score in result.scores if score.repeat in given)
        for text, given in repeats.items()
    }


def _reasons(
    case: Case | None, result: CaseResult, verdicts: Sequence[Verdict], scores: Sequence[Score]
) -> Iterator[tuple[int, str]]:
    """Weight, 0 for the most, and reason."""
    for verdict in verdicts:
        if verdict.outcome == "undecided" and _is_readable(verdict.metric):
            yield 0, f"undecided: {verdict.check}"
    for check, why in _flaky(case, result, verdicts).items():
        yield 1, f"flaky: {check}{why}"
    if case is None:
        return
    if disagreement := _disagreement(case.checks, scores):
        yield 2, disagreement
    for tag in _TAGS:
        if tag in case.tags:
            yield 3, f"tagged {tag}"


def _flaky(case: Case | None, result: CaseResult, verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Check to what else is known of it, for the checks that hold in some repeats and not in others."""
    flaky = {
        verdict.check: ""
        for verdict in verdicts
        if verdict.reason.startswith("flaky") and _is_readable(verdict.metric)
    }
    for check in case.checks if case else ():
        if not _is_readable(check.metric):
            continue
        held = [holds(score.value, check) for score in result.scores if score.metric == check.metric]
        if any(held) and not all(held):
            flaky[describe_check(check)] = f" holds in {sum(held)} of {len(held)} repeats"
    return flaky


def _disagreement(checks: Sequence[Check], scores: Sequence[Score]) -> str:
    """What a judge and the reference say of one answer, where they differ; empty where they do not."""
    held: dict[str, bool] = {}
    for check in checks:
        values = [score.value for score in scores if score.metric == check.metric]
        if values and find_traits(check.metric).basis in {"judge", "reference"}:
            held[check.metric] = held.get(check.metric, True) and holds(fmean(values), check)
    judged = {holding for metric, holding in held.items() if find_traits(metric).basis == "judge"}
    compared = {holding for metric, holding in held.items() if find_traits(metric).basis == "reference"}
    if not judged or not compared or len(judged | compared) == 1:
        return ""
    parts = (f"{metric} {'holds' if holding else 'is missed'}" for metric, holding in held.items())
    return f"judge and reference disagree: {', '.join(parts)}"
