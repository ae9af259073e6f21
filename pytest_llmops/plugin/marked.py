"""Markers on ordinary tests: each `llm()` answer of a marked test must hold the marker's threshold."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
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
from pytest_llmops.runner.golden_run import seal_result
from pytest_llmops.runner.scoring import score_here, score_safely

_NAMES = frozenset(name for name, _ in MARKERS)
_OURS = frozenset({"min", "max", "reference", "relevant", "k"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One marker of one test, as checks of a metric; `reference` and `relevant` fill in for `llm()`'s."""

    metric: Metric
    checks: tuple[Check, ...]
    reference: str | None = None
    relevant: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class MarkedTests:
    """
    Registered only where a collected test bears one of our markers.

    Attributes:
        problems: By test, what is wrong with its markers; the test fails with it and is not run.
    """

    demands: dict[str, list[Demand]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, items: Sequence[pytest.Item]) -> MarkedTests:
        """Read the markers of all tests; what is wrong is told where the test would run."""
        tests = cls()
        for item in items:
            takes_llm = "llm" in getattr(item, "fixturenames", ())
            for mark in item.iter_markers():
                if mark.name not in _NAMES or not (takes_llm or _OURS & set(mark.kwargs)):
                    continue  # without our fixture and our arguments it is a mark of somebody else's
                try:
                    demand = read_marker(mark)
                except (LLMOpsError, TypeError) as error:
                    tests.problems[item.nodeid] = f"@pytest.mark.{mark.name}: {error}"
                    continue
                tests.demands.setdefault(item.nodeid, []).append(demand)
                if not takes_llm:
                    tests.problems[item.nodeid] = (
                        f"@pytest.mark.{mark.name} checks the answers of llm(), "
                        "but the test does not take the fixture llm"
                    )
        return tests

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if item.nodeid in self.problems:
            pytest.fail(self.problems[item.nodeid], pytrace=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        result = yield
        demands = self.demands.get(item.nodeid, ())
        samples = Llm.asked_in(item)
        if demands and not samples:
            pytest.fail("the test is marked, but llm() was never called: nothing was checked", pytrace=False)
        shown = [
            text
            for number, sample in enumerate(samples)
            for demand in demands
            if (text := _judge(item, number, sample, demand))
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
        example = "k=5, min=0.8" if mark.name == "recall_at_k" else "min=0.8"
        raise TypeError(f"name the arguments, such as {mark.name}({example})")
    given = dict(mark.kwargs)
    low, high = given.pop("min", None), given.pop("max", None)
    reference, relevant = given.pop("reference", None), given.pop("relevant", None)
    name = mark.name
    if name == "recall_at_k":
        name = f"recall@{given.pop('k', 5)}"
    elif name == "lexical":
        name = given.pop("metric", "rouge_l")
    metric = create_metric(name, given)
    checks = []
    for comparison, limit in ((">=", low), ("<=", high)):
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, int | float):
            raise TypeError(f"a threshold is a number, not {limit!r}")
        checks.append(Check(metric=metric.name, comparison=comparison, threshold=float(limit)))  # type: ignore[arg-type]  # a sign
    bound = metric.bound
    default = Check(metric=metric.name, comparison=bound.comparison, threshold=bound.threshold)
    return Demand(
        metric=metric, checks=tuple(checks) or (default,), reference=reference, relevant=tuple(relevant or ())
    )


def _judge(item: pytest.Item, number: int, sample: Sample, demand: Demand) -> str:
    """What one marker holds against one answer, as text; empty when nothing."""
    reference = sample.reference if demand.reference is None else demand.reference
    asked = replace(sample, reference=reference, relevant=sample.relevant or demand.relevant)
    (scored,) = score_safely(score_here, demand.metric, [asked])
    case = Case(
        id=f"{item.name} llm() {number + 1}", input=sample.input, reference=reference, checks=demand.checks
    )
    result = seal_result(
        CaseResult(
            case=item.nodeid,
            input_hash="",
            outputs=(replace(sample.output, repeat=0),),
            scores=(replace(scored, repeat=0),) if isinstance(scored, Score) else (),
            failures=(replace(scored, repeat=0),) if isinstance(scored, Failure) else (),
        )
    )
    verdicts = judge_case(case, result)
    if all(verdict.outcome == "passed" for verdict in verdicts):
        return ""
    return render_case(case, result, verdicts)
