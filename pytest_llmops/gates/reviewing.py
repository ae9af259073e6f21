"""Reviews of answers by people: the answers to look at, and the verdicts that a review settles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from pytest_llmops.bounds import describe_check, holds
from pytest_llmops.gates.case_results import answer_digests, case_scores, digest
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
        reasons: The weightiest first.
        scores: Of the repeats that gave this answer.
        source: The place of the case; None, as input and reference, when no golden file holds it.
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
    A question for each distinct answer without a review that there is a reason to look at.

    The reasons, by weight: a check of the case is undecided; one is flaky; for this answer a judge and a
    comparison with the reference disagree; the case is tagged `compliance` or `medical`. Time, cost and
    tokens are no reason. Sorted by the weightiest reason, then by case.

    Args:
        verdicts: By item id, as the gate gave them; none are needed.
        cases: By item id. Of a case that is not there only the verdicts are known.
    """
    reviewed = {(review.case, review.input_hash, review.answer) for review in reviews}
    weighed: list[tuple[int, str, Question]] = []
    for result in run.results:
        case = cases.get(result.case)
        for text, scores in _scores_by_answer(result).items():
            if (result.case, result.input_hash, digest(text)) in reviewed:
                continue
            if reasons := list(_find_reasons(case, result, verdicts.get(result.case, ()), scores)):
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
                weighed.append((reasons[0][0], result.case, question))
    return tuple(question for _, _, question in sorted(weighed, key=lambda row: row[:2]))


def _scores_by_answer(result: CaseResult) -> dict[str, tuple[Score, ...]]:
    """Each distinct answer, in the order of the repeats, with the scores of all repeats that gave it."""
    repeats: dict[str, set[int]] = {}
    for output in sorted(result.outputs, key=lambda output: output.repeat):
        repeats.setdefault(output.text, set()).add(output.repeat)
    return {
        text: tuple(score for score in result.scores if score.repeat in of_text)
        for text, of_text in repeats.items()
    }


def _find_reasons(
    case: Case | None, result: CaseResult, verdicts: Sequence[Verdict], scores: Sequence[Score]
) -> Iterator[tuple[int, str]]:
    """Weight, 0 for the most, and reason."""
    readable = [verdict for verdict in verdicts if _is_readable(verdict.metric)]
    for verdict in readable:
        if verdict.outcome == "undecided":
            yield 0, f"undecided: {verdict.check}"
    flaky = {verdict.check: "" for verdict in readable if verdict.reason.startswith("flaky")}
    for check in case.checks if case else ():
        held = [holds(score.value, check) for score in case_scores(check.metric, result)]
        if any(held) and not all(held) and _is_readable(check.metric):
            flaky[describe_check(check)] = f" holds in {sum(held)} of {len(held)} repeats"
    for name, counts in flaky.items():
        yield 1, f"flaky: {name}{counts}"
    if case is None:
        return
    if disagreement := _describe_disagreement(case.checks, scores):
        yield 2, disagreement
    for tag in _TAGS:
        if tag in case.tags:
            yield 3, f"tagged {tag}"


def _describe_disagreement(checks: Sequence[Check], scores: Sequence[Score]) -> str:
    """A sentence where a judge and the reference disagree on an answer; empty where they do not."""
    held: dict[str, bool] = {}
    for check in checks:
        values = [score.value for score in scores if score.metric == check.metric]
        if values and find_traits(check.metric).basis in {"judge", "reference"}:
            held[check.metric] = held.get(check.metric, True) and holds(fmean(values), check)
    bases = {find_traits(metric).basis for metric in held}
    by_basis = {(find_traits(metric).basis, holding) for metric, holding in held.items()}
    if len(bases) < 2 or len({holding for _, holding in by_basis}) == 1:  # noqa: PLR2004 - judge and reference
        return ""
    parts = (f"{metric} {'holds' if holding else 'is missed'}" for metric, holding in held.items())
    return f"judge and reference disagree: {', '.join(parts)}"


def settle(verdicts: Sequence[Verdict], result: CaseResult, reviews: Sequence[Review]) -> tuple[Verdict, ...]:
    """
    The verdicts of a case, changed by the reviews of its answers.

    Of each answer the latest review counts, if the case had the same input then. One `bad` lowers an
    undecided or passed verdict to `failed`; `good` of every distinct answer lifts an undecided one to
    `passed`. Nothing lifts `failed`, `regressed` or `error`; a leak, time, cost and tokens are not touched:
    they cannot be read from an answer.
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
    decisive = (bad or counted)[0]
    return tuple(
        _settle_verdict(verdict, decisive) if verdict.case == result.case else verdict for verdict in verdicts
    )


def _settle_verdict(verdict: Verdict, review: Review) -> Verdict:
    is_open = verdict.outcome == "undecided" or (verdict.outcome == "passed" and review.verdict == "bad")
    if not (is_open and _is_readable(verdict.metric) and find_traits(verdict.metric).excusable):
        return verdict
    advice = f"reviewed {review.verdict} by {printable(review.who, 60)} on {review.when[:10]}"
    return replace(verdict, outcome="failed" if review.verdict == "bad" else "passed", advice=advice)


def _is_readable(metric: str) -> bool:
    """True if a person can judge the score from the answer; time, cost and tokens are not in it."""
    return find_traits(metric).basis != "run"
