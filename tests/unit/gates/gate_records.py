"""Short ways to write the results and runs that the tests of the gate compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_llmops.gates.drops import judge_suites_against
from pytest_llmops.records import CaseResult, Failure, Output, Run, Score, SuiteCheck, Verdict

FILE = "golden/shop.yaml"


def result_of(
    case: str, *, failures: Sequence[Failure] = (), texts: Sequence[str] = (), **scores: Any
) -> CaseResult:
    """A result whose `scores` are, by metric, a number or the list of its repeats."""
    repeats = {name: values if isinstance(values, list) else [values] for name, values in scores.items()}
    count = max((len(values) for values in repeats.values()), default=1)
    texts = texts or [f"{case} {repeat}" for repeat in range(count)]
    return CaseResult(
        case=f"{FILE}::{case}",
        input_hash=f"asks {case}",
        outputs=tuple(Output(text=text, repeat=repeat) for repeat, text in enumerate(texts)),
        scores=tuple(
            Score(metric=metric, value=value, repeat=repeat, signature=f"{metric}|v1")
            for metric, values in repeats.items()
            for repeat, value in enumerate(values)
        ),
        failures=tuple(failures),
    )


def results_of(values: Sequence[float], metric: str = "exact_match", start: int = 0) -> list[CaseResult]:
    """A case a value, one repeat each."""
    return [result_of(f"case-{index:04}", **{metric: value}) for index, value in enumerate(values, start)]


def run_of(results: Sequence[CaseResult], *checks: SuiteCheck) -> Run:
    suite: Mapping[str, tuple[SuiteCheck, ...]] = {FILE: checks} if checks else {}
    return Run(signature={"app": "shop:answer"}, results=tuple(results), suite=suite)


def suite_check(
    metric: str = "exact_match",
    statistic: str = "mean",
    bound: str | None = None,
    max_drop: float | None = None,
) -> SuiteCheck:
    comparison, threshold = bound.split() if bound else (None, None)
    return SuiteCheck(
        metric=metric,
        statistic=statistic,
        comparison=comparison,  # type: ignore[arg-type]
        threshold=None if threshold is None else float(threshold),
        max_drop=max_drop,
    )


def judge_suite_against(
    check: SuiteCheck, results: Sequence[CaseResult], base_results: Sequence[CaseResult], **options: Any
) -> Verdict:
    """One suite check by itself."""
    return judge_suites_against({"": (check,)}, results, base_results, **options)[""][0]
