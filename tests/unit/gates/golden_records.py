"""Short ways to write the golden files that the tests of loosening compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_llmops.records import Case, Check, Golden, Source, SuiteCheck
from pytest_llmops.revision.loosening import GateFiles, Loosening, list_loosened
from pytest_llmops.settings import Settings
from tests.unit.gates import gate_records

PATH = "golden/shop.yaml"
BASELINE = "golden/baseline.json"


def golden_of(*cases: Case, suite: tuple[SuiteCheck, ...] = (), **fields: Any) -> Golden:
    return Golden(path=PATH, cases=cases, suite=suite, **fields)


def case_of(*checks: Check, id: str = "a", line: int = 7, **fields: Any) -> Case:  # noqa: A002
    return Case(id=id, checks=checks, source=Source(path=PATH, line=line), **{"input": "How?", **fields})


def check_of(bound: str, metric: str = "bleu", **options: Any) -> Check:
    return replace(gate_records.check_of(metric, bound), options=options)


def suite_of(
    bound: str | None = None,
    metric: str = "recall@5",
    statistic: str = "mean",
    drop: float | None = None,
    **options: Any,
) -> SuiteCheck:
    return replace(gate_records.suite_check(metric, statistic, bound, drop), options=options)


def compare_goldens(old: Sequence[Golden], new: Sequence[Golden]) -> tuple[Loosening, ...]:
    """What golden files loosened, where nothing else changed; without digests."""
    items = list_loosened(GateFiles(goldens=old), GateFiles(goldens=new), Settings())
    return tuple(replace(item, digest="") for item in items)
