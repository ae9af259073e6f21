"""Answers that held while what they are measured by did not: references that no longer fit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Protocol

from pytest_llmops.bounds import describe_check, holds
from pytest_llmops.features.drift.causes import Clue
from pytest_llmops.gates.case_results import answer_digests, digest
from pytest_llmops.records import CaseResult
from pytest_llmops.registry import find_traits

AGREEMENT = 0.9
"""Answers as like each other as this are called stable; of `similarity`."""

_TIE = 1e-9


class Reviewed(Protocol):
    """What a person said of an answer, named by its digest; `verdict` is `good` or `bad`."""

    @property
    def case(self) -> str: ...
    @property
    def input_hash(self) -> str: ...
    @property
    def answer(self) -> str: ...
    @property
    def verdict(self) -> str: ...


def find_dropped(base: CaseResult, new: CaseResult, *, edited: bool) -> Iterator[Clue]:
    """
    Scores against the reference that dropped for answers that held.

    An answer that came in both runs, word for word, and scores lower now shows that its measure moved,
    unless a judge gave the score, who may waver. Answers that are only alike are no proof: the one word
    that changed may be the wrong one.

    Args:
        edited: The case's golden file is another one than in the base.
    """
    before, after = _scores(base), _scores(new)
    for made in sorted(before.keys() & after.keys()):
        metric, _ = made
        was, now = before[made], after[made]
        drops = [
            (fmean(was[answer]), fmean(now[answer]))
            for answer in sorted(was.keys() & now.keys())
            if fmean(now[answer]) < fmean(was[answer]) - _TIE
        ]
        if drops:
            evidence = f"{metric} of an equal answer fell from {drops[0][0]:.3g} to {drops[0][1]:.3g}"
            evidence += "; its golden file was edited" if edited else ""
            yield Clue(
                kind="concept", evidence=evidence, sure=edited and find_traits(metric).basis != "judge"
            )
        elif edited and not was.keys() & now.keys() and _mean(now) < _mean(was) - _TIE:
            agreement = similarity(base, new)
            if agreement >= AGREEMENT:
                evidence = f"{metric} fell, its golden file was edited, and answers agree by {agreement:.2f}"
                yield Clue(kind="concept", evidence=evidence, sure=False)


def find_overruled(result: CaseResult, reviews: Sequence[Reviewed]) -> Iterator[Clue]:
    """Checks against the reference that an answer misses which a person called good; the last word counts."""
    last = {
        review.answer: review.verdict
        for review in reviews
        if (review.case, review.input_hash) == (result.case, result.input_hash)
    }
    good = {answer for answer, verdict in last.items() if verdict == "good"}
    for (metric, _), scores in _scores(result).items() if good else ():
        for check in result.checks:
            if check.metric == metric and any(
                not holds(fmean(scores[each]), check) for each in good & scores.keys()
            ):
                evidence = f"a reviewer calls an answer good that misses {describe_check(check)}"
                yield Clue(kind="concept", evidence=evidence)


def similarity(base: CaseResult, new: CaseResult) -> float:
    """
    How much alike the answers of two runs are, from 0 to 1: each new one against the nearest old one.

    The share of characters that are in both, in order: 1 - d / (m + n), d the number of characters to
    insert or delete, m and n the lengths. 0 where a run keeps no texts.

    Source: rapidfuzz, `fuzz.ratio`; the longest common subsequence as in ROUGE-L, of characters.
    """
    from rapidfuzz.fuzz import ratio

    texts = {output.text for output in base.outputs}
    if not texts or not new.outputs:
        return 0.0
    return fmean(max(ratio(output.text, text) for text in texts) / 100 for output in new.outputs)


def _scores(result: CaseResult) -> Mapping[tuple[str, str], Mapping[str, list[float]]]:
    """Metric with its score's signature, to the digest of each answer, to the scores of its repeats."""
    answers = {output.repeat: digest(output.text) for output in result.outputs}
    answers = answers or dict(enumerate(answer_digests(result)))
    scores: defaultdict[tuple[str, str], defaultdict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for score in result.scores:
        if find_traits(score.metric).basis in {"judge", "reference"} and score.repeat in answers:
            scores[score.metric, score.signature][answers[score.repeat]].append(score.value)
    return scores


def _mean(scores: Mapping[str, list[float]]) -> float:
    return fmean(value for values in scores.values() for value in values)
