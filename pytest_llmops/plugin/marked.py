"""Markers on ordinary tests: each `llm()` answer of a marked test must hold the marker's threshold."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.thresholds import judge_case
from pytest_llmops.plugin import MARKERS
from pytest_llmops.plugin.tested import Llm
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Case, CaseResult, Check, Failure, Sample, Score
from pytest_llmops.registry import create_metric
from pytest_llmops.reports.terminal import render_case
from pytest_llmops.runner.golden_run import mask_leaks
from pytest_llmops.runner.scoring import score_here, score_safely

_NAMES = frozenset(name for name, _ in MARKERS)
_GIVEN = ("min", "max", "reference", "relevant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One marker of one test, as checks of a metric; `reference` and `relevant` fill in for `llm()`'s."""

    metric: Metric
    checks: tuple[Check, ...]
    reference: str | None = None
    relevant: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class MarkedTests:
    """Registered only where a collected test bears one of our markers."""

    demands: dict[str, list[Demand]]

    @classmethod
    def of(cls, items: Sequence[pytest.Item]) -> MarkedTests:
        """
        Read every marker before a test runs.

        Raises:
            pytest.UsageError: A marker's arguments cannot be, or its test never asks the app.
        """
        demands: dict[str, list[Demand]] = {}
        problems = []
        for item in items:
            for mark in item.iter_markers():
                if mark.name not in _NAMES:
                    continue
                if "llm" not in getattr(item, "fixturenames", ()):
                    problems.append(f"{item.nodeid}: @pytest.mark.{mark.name} checks the answers of llm(), "
                                    "but the test does not take the fixture llm")  # fmt: skip
                    continue
                try:
                    demands.setdefault(item.nodeid, []).append(read_marker(mark))
                except (LLMOpsError, TypeError) as error:
                    problems.append(f"{item.nodeid}: @pytest.mark.{mark.name}: {error}")
        if problems:
            raise pytest.UsageError("\n".join(problems))
        return cls(demands=demands)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        result = yield
        demands = self.demands.get(item.nodeid, ())
        samples = Llm.asked_in(item)
        if demands and not samples:
            pytest.fail("the test is marked, but llm() was never called: nothing was checked", pytrace=False)
        shown = [
            text for number, sample in enumerate(samples) if (text := _judge(item, number, sample, demands))
        ]
        if shown:
            pytest.fail("\n\n".join(shown), pytrace=False)
        return result


def read_marker(mark: pytest.Mark) -> Demand:
    """
    A marker as a metric with thresholds.

    Raises:
        LLMOpsError: The metric does not take an option.
        TypeError: A positional argument; a threshold that is no number.
    """
    if mark.args:
        raise TypeError(f"name the arguments, such as {mark.name}(min=0.8)")
    given = dict(mark.kwargs)
    low, high, reference, relevant = (given.pop(name, None) for name in _GIVEN)
    name = mark.name
    if name == "recall_at_k":
        name = f"recall@{given.pop('k', 5)}"
    elif name == "lexical":
        name = given.pop("metric", "rouge_l")
    metric = create_metric(name, given)
    bounds = [(comparison, limit) for comparison, limit in ((">=", low), ("<=", high)) if limit is not None]
    for _, limit in bounds:
        if isinstance(limit, bool) or not isinstance(limit, int | float):
            raise TypeError(f"a threshold is a number, not {limit!r}")
    if not bounds and metric.bound.threshold not in metric.range:
        raise TypeError("give a threshold, min or max")
    checks = [Check(metric=metric.name, comparison=sign, threshold=float(limit)) for sign, limit in bounds]  # type: ignore[arg-type]
    default = Check(metric=metric.name, comparison=metric.bound.comparison, threshold=metric.bound.threshold)
    return Demand(
        metric=metric, checks=tuple(checks) or (default,), reference=reference, relevant=tuple(relevant or ())
    )


def _judge(item: pytest.Item, number: int, sample: Sample, demands: Sequence[Demand]) -> str:
    """What the test's markers hold against one answer, as text; empty when nothing."""
    results = [
        score_safely(
            score_here,
            demand.metric,
            [
                replace(
                    sample,
                    reference=sample.reference if demand.reference is None else demand.reference,
                    relevant=sample.relevant or demand.relevant,
                )
            ],
        )[0]
        for demand in demands
    ]
    case = Case(
        id=f"{item.name} llm() {number + 1}",
        input=sample.input,
        reference=sample.reference,
        checks=tuple(check for demand in demands for check in demand.checks),
    )
    result = mask_leaks(
        CaseResult(
            case=item.nodeid,
            input_hash="",
            outputs=(replace(sample.output, repeat=0),),
            scores=tuple(replace(each, repeat=0) for each in results if isinstance(each, Score)),
            failures=tuple(each for each in results if isinstance(each, Failure)),
        )
    )
    verdicts = judge_case(case, result)
    return "" if all(each.outcome == "passed" for each in verdicts) else render_case(case, result, verdicts)
