"""The app's rival: called with the same cases, scored the same way, and kept apart from the app."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import Failure, Output, Sample, Score
from pytest_llmops.runner.app.calls import AppCaller, Called

_NO_ANSWER = "the rival gave no answer to compare with"
_THE_APP = "the app "


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """
    Another app, which answers the same cases.

    Attributes:
        path: Its import path; scores of pairs are signed by it.
    """

    path: str
    caller: AppCaller


def rival_id(case: str) -> str:
    """What the rival's model calls of a case are kept under: no id of a case holds a second `::`."""
    return f"{case}::rival"


def refuse(repeats: Iterable[int], why: str) -> list[Called]:
    """The failures of a rival that is not called."""
    return [(blame_rival(Failure(metric="", stage="app", error=why, repeat=each)), ()) for each in repeats]


def blame_rival(answer: Output | Failure) -> Output | Failure:
    """The answer; a failure that speaks of the app names the rival, which is what was called."""
    if isinstance(answer, Failure) and answer.error.startswith(_THE_APP):
        return replace(answer, error=f"the rival {answer.error.removeprefix(_THE_APP)}")
    return answer


def is_of_pairs(metric: Metric) -> bool:
    """Whether a score compares an answer with another one."""
    return traits_of(metric).compares


def pair_up(
    metric: Metric, samples: Sequence[Sample], rival: Rival | None
) -> tuple[Sequence[Sample], list[Failure]]:
    """The app's samples that a metric may score; of pairs whole ones, no reference in a rival's place."""
    if rival is None or not is_of_pairs(metric):
        return samples, []
    alone = [sample.output.repeat for sample in samples if sample.rival is None]
    failures = [
        Failure(metric=metric.name, stage="rival", error=_NO_ANSWER, repeat=repeat) for repeat in alone
    ]
    return [sample for sample in samples if sample.rival is not None], failures


def sign_pair(metric: Metric, result: Score | Failure, rival: Rival | None) -> Score | Failure:
    """The score with the rival in its signature, since another one would have moved it."""
    if rival is None or not is_of_pairs(metric) or isinstance(result, Failure):
        return result
    return replace(result, signature=f"{result.signature}|rival {rival.path}")


def turn_round(metrics: Mapping[str, Metric], scores: Sequence[Score]) -> list[Score]:
    """The app's scores of pairs as the rival's; their words stay with the app's."""
    return [
        replace(score, value=sum(metric.range) - score.value, reason="", evidence=())
        for score in scores
        if is_of_pairs(metric := metrics[score.metric]) and all(map(math.isfinite, metric.range))
    ]


def texts_of(outputs: Sequence[Output]) -> dict[int, str]:
    """Repeat to what was answered."""
    return {output.repeat: output.text for output in outputs}
