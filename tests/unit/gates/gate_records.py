"""Short ways to write the results, runs and metrics that the tests of the gate compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops import compare
from pytest_llmops.records import (
    Bound,
    CaseResult,
    Check,
    Failure,
    Output,
    Run,
    Sample,
    Score,
    SuiteCheck,
    Verdict,
)
from pytest_llmops.registry import register_metric
from pytest_llmops.reports.files.baseline_file import write_baseline
from pytest_llmops.reports.files.run_file import write_run
from pytest_llmops.statistics.bootstrap import Spread, paired_interval

FILE = "golden/shop.yaml"
VARYING = [1.0] * 9 + [0.0]
"""The ten repeats of a case that holds nine times in ten."""


def result_of(
    case: str,
    *,
    failures: Sequence[Failure] = (),
    texts: Sequence[str] = (),
    checks: Sequence[Check] = (),
    auto: int = 0,
    **scores: Any,
) -> CaseResult:
    """
    A result whose `scores` are, by metric, a number or the list of its repeats.

    Each repeat has a text of its own, unless `texts` says otherwise.
    """
    repeats = {name: values if isinstance(values, list) else [values] for name, values in scores.items()}
    count = max((len(values) for values in repeats.values()), default=1)
    texts = texts or [f"{case} {repeat}" for repeat in range(count)]
    return CaseResult(
        case=f"{FILE}::{case}",
        input_hash=f"asks {case}",
        outputs=tuple(_output(text, repeat) for repeat, text in enumerate(texts)),
        scores=tuple(
            _score(metric, value, repeat)
            for metric, values in repeats.items()
            for repeat, value in enumerate(values)
        ),
        failures=tuple(failures),
        checks=tuple(checks),
        auto=auto,
    )


# Simulations make the same ones by the hundred thousand.
@lru_cache(4_096)
def _output(text: str, repeat: int) -> Output:
    return Output(text=text, repeat=repeat)


@lru_cache(4_096, typed=True)
def _score(metric: str, value: float, repeat: int) -> Score:
    return Score(metric=metric, value=value, repeat=repeat, signature=f"{metric}|v1")


def steady(case: str, count: int = 2, **scores: Any) -> CaseResult:
    """A result of an app that does not vary: so many alike answers, scored alike."""
    return result_of(
        case, texts=["60 days"] * count, **{metric: [value] * count for metric, value in scores.items()}
    )


def results_of(values: Sequence[float], metric: str = "exact_match", start: int = 0) -> list[CaseResult]:
    """A case a value, one repeat each."""
    return [result_of(f"case-{index:04}", **{metric: value}) for index, value in enumerate(values, start)]


def run_of(results: Sequence[CaseResult], *checks: SuiteCheck) -> Run:
    suite: Mapping[str, tuple[SuiteCheck, ...]] = {FILE: checks} if checks else {}
    return Run(signature={"app": "shop:answer"}, results=tuple(results), suite=suite)


def failure_of(error: str, metric: str = "", stage: str = "app", repeat: int = 0) -> Failure:
    return Failure(metric=metric, stage=stage, error=error, repeat=repeat)  # type: ignore[arg-type]


def store_run(
    path: str | Path,
    results: Sequence[CaseResult],
    *checks: SuiteCheck,
    accepted: bool = False,
    **signature: str,
) -> None:
    """Write a file of a run, or of a baseline, as the commands read it."""
    store(replace(run_of(results, *checks), signature=signature), path, accepted=accepted)


def store(run: Run, path: str | Path, *, accepted: bool = False) -> None:
    (write_baseline if accepted else write_run)(run, Path(path))


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


def check_of(metric: str = "exact_match", bound: str = ">= 1") -> Check:
    comparison, threshold = bound.split()
    return Check(metric=metric, comparison=comparison, threshold=float(threshold))  # type: ignore[arg-type]


def judge_suite_against(
    check: SuiteCheck, results: Sequence[CaseResult], base_results: Sequence[CaseResult]
) -> Verdict:
    """One suite check by itself."""
    return compare(run_of(base_results), run_of(results, check)).verdicts[0]


def metric_of(
    name: str,
    bound: str,
    *,
    higher_is_better: bool = True,
    ends: tuple[float, float] = (0.0, 1.0),
    measure: Callable[[Sample], float] = lambda sample: float(len(sample.output.text)),
) -> type:
    """A metric of a user, with a direction, ends and a bound of its own."""
    comparison, threshold = bound.split()

    def score(_: Any, batch: Sequence[Sample]) -> list[Score]:
        return [Score(metric=name, value=measure(sample), signature=f"{name}|v2") for sample in batch]

    said: dict[str, Any] = {
        "name": name,
        "version": 2,
        "needs": frozenset(),
        "range": ends,
        "higher_is_better": higher_is_better,
        "bound": Bound(comparison=comparison, threshold=float(threshold)),  # type: ignore[arg-type]
        "score": score,
        "__module__": "builtins",  # of no file, so that its signature is what is written here
    }
    return type(name.title(), (), said)


@contextmanager
def coarse_intervals() -> Iterator[None]:
    """With few resamples for the interval that is shown beside a verdict and decides nothing."""

    def draw_few(*args: Any, **options: Any) -> Spread:
        return paired_interval(*args, **options | {"draws": 29})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_llmops.statistics.paired.paired_interval", draw_few)
        yield


@contextmanager
def registered(*metrics: type) -> Iterator[None]:
    """Metrics that are known for a while, and no other ones of users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_llmops.registry._registered", {})
        for metric in metrics:
            register_metric(metric.name, metric)  # type: ignore[attr-defined]
        yield
