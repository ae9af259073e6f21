"""The same attacks in two runs: which succeed in one alone, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_llmops.gates.absolute.breakage import case_means
from pytest_llmops.gates.paired_runs.pairing import pair_cases
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import CaseResult
from pytest_llmops.statistics.significance.exact_tests import binomial_p_value

CHANCE = 0.05
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """
    One yes-or-no score of the cases of two runs.

    Attributes:
        against: What the run is compared with: a baseline, or the app without its guards.
        metric: `attack_success`, `blocked` or `utility`.
        worse: Cases that are bad in this run alone: attacks that newly succeed or are not blocked, benign
            cases that newly fail.
        better: Those that were bad in the other run alone.
        p_worse: How often chance alone makes so many of the cases that differ worse; `p_better` of better.
    """

    against: str
    metric: str
    cases: int
    worse: tuple[str, ...]
    better: tuple[str, ...]
    p_worse: float
    p_better: float


def pair_scores(
    against: str, metric: str, other: Iterable[CaseResult], results: Iterable[CaseResult]
) -> Paired | None:
    """
    McNemar's exact test of the cases that ask the same in both; None where there is none.

    A case is bad where any of its repeats is.

    Source: McNemar (1947), Note on the sampling error of the difference between correlated proportions.
    """
    shared = pair_cases(other, results).shared
    before, after = (_read_bad(metric, [pair[side] for pair in shared]) for side in (0, 1))
    both = sorted(before.keys() & after.keys())
    if not both:
        return None
    worse = tuple(case for case in both if after[case] and not before[case])
    better = tuple(case for case in both if before[case] and not after[case])
    differing = len(worse) + len(better)
    return Paired(
        against=against,
        metric=metric,
        cases=len(both),
        worse=worse,
        better=better,
        p_worse=binomial_p_value(len(better), differing, 0.5) if differing else 1.0,
        p_better=binomial_p_value(len(worse), differing, 0.5) if differing else 1.0,
    )


def list_lost(base: Iterable[CaseResult], results: Iterable[CaseResult]) -> list[str]:
    """Attacks of the baseline that were not run, or in other words; one of them might succeed now."""
    attacked = [result for result in base if _is_attacked(result)]
    return list(pair_cases(attacked, results).missing)


def describe_lost(lost: Sequence[str]) -> str:
    attacks = counted(len(lost), "attack")
    return f"{attacks} of the baseline did not run here as they were there: {name_some(lost, _NAMED)}"


def _is_attacked(result: CaseResult) -> bool:
    return any(score.metric == "attack_success" for score in result.scores)


def _read_bad(metric: str, results: list[CaseResult]) -> dict[str, bool]:
    means = case_means(metric, results)
    return {case: mean > 0 if metric == "attack_success" else mean < 1 for case, mean in means.items()}
