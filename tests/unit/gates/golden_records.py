"""Short ways to write the golden files that the tests of loosening compare."""

from __future__ import annotations

from typing import Any

from pytest_llmops.records import Case, Check, Golden, Source, SuiteCheck

PATH = "golden/shop.yaml"
BASELINE = "golden/baseline.json"


def golden_of(*cases: Case, suite: tuple[SuiteCheck, ...] = (), **fields: Any) -> Golden:
    return Golden(path=PATH, cases=cases, suite=suite, **fields)


def case_of(*checks: Check, id: str = "a", line: int = 7, **fields: Any) -> Case:  # noqa: A002
    return Case(id=id, checks=checks, source=Source(path=PATH, line=line), **{"input": "How?", **fields})


def check_of(bound: str, metric: str = "bleu", **options: Any) -> Check:
    comparison, threshold = bound.split()
    return Check(metric=metric, comparison=comparison, threshold=float(threshold), options=options)  # type: ignore[arg-type]


def suite_of(
    bound: str | None = None,
    metric: str = "recall@5",
    statistic: str = "mean",
    drop: float | None = None,
    **options: Any,
) -> SuiteCheck:
    comparison, threshold = bound.split() if bound else (None, None)
    return SuiteCheck(
        metric=metric,
        statistic=statistic,
        comparison=comparison,  # type: ignore[arg-type]
        threshold=None if threshold is None else float(threshold),
        max_drop=drop,
        options=options,
    )
