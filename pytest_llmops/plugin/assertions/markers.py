"""Markers on ordinary tests: each `llm()` answer of a marked test must satisfy the marker's threshold."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pytest_llmops.bounds import SIDES, check_failing, check_reach
from pytest_llmops.calibration.record import (
    Calibration,
    describe_uncalibrated,
    is_calibrated,
    load_calibrations,
)
from pytest_llmops.detect.seal import seal_result
from pytest_llmops.documents.reading import is_number
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.absolute import judge_case, require_agreement
from pytest_llmops.golden.thresholds import own_bound, read_switch
from pytest_llmops.metrics.conversations import sample_for
from pytest_llmops.plugin import MARKERS
from pytest_llmops.plugin.assertions.families import check_arguments
from pytest_llmops.plugin.assertions.fixtures import (
    describe_contexts,
    describe_parts,
    make_metric,
    read_expected_calls,
    read_passages,
)
from pytest_llmops.plugin.assertions.llm import Llm, remedy_in_test
from pytest_llmops.plugin.reported import GoldenWarning
from pytest_llmops.plugin.session import session_of
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import Bound, Case, CaseResult, Check, Failure, Passage, Sample, Score
from pytest_llmops.reports.terminal import render_case
from pytest_llmops.runner.scoring import score_here, score_safely

_NAMES = frozenset(name for name, _ in MARKERS)
_PLAINLY_OURS = frozenset({"pii_leak", "recall_at_k", "faithfulness"})  # marks of no other plugin
_TEXTS = ("reference", "relevant", "contexts", "other")
_OURS = frozenset(
    {
        *(
            "min",
            "max",
            "threshold",
            "min_kappa",
            "record_only",
            "metric",
            "k",
            "expected",
            "rubric",
            "floors",
        ),
        *_TEXTS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """
    One marker of one test, as checks of a metric.

    Attributes:
        reference: In place of the one that `llm()` was given.
        relevant: Where `llm()` was given none.
        contexts: In place of the answer's own passages.
        other: Another answer, for a metric of pairs.
    """

    metric: Metric
    checks: tuple[Check, ...]
    reference: str | None = None
    relevant: tuple[str, ...] = ()
    contexts: tuple[Passage, ...] | None = None
    other: str | None = None


@dataclass(slots=True, eq=False)
class MarkedTests:
    """
    Registered only if a collected test has one of our markers.

    Attributes:
        problems: By test, a wrong use of a marker; the test fails with it and is not run.
    """

    demands: dict[str, list[Demand]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, items: Sequence[pytest.Item]) -> MarkedTests:
        """Read the markers of all tests; each problem is reported where its test would run."""
        tests = cls()
        warned: set[tuple[str, str]] = set()  # files and metrics
        for item in items:
            takes_llm = "llm" in getattr(item, "fixturenames", ())
            for mark in item.iter_markers():
                ours = takes_llm or mark.name in _PLAINLY_OURS or _OURS & set(mark.kwargs)
                if mark.name not in _NAMES or not ours:
                    continue  # without our fixture and our arguments it is another plugin's mark
                try:
                    demand = read_marker(mark, item.config)
                    if (warning := (str(item.path), demand.metric.name)) not in warned:
                        warned.add(warning)
                        _warn_if_uncalibrated(item, demand.metric)
                except (LLMOpsError, TypeError, pytest.UsageError, GoldenWarning) as error:
                    path, line, _ = item.location
                    place = f"{path}:{(line or 0) + 1}"
                    tests.problems[item.nodeid] = f"{place}: @pytest.mark.{mark.name}: {error}"
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
        samples = Llm.samples_of(item)
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


def _warn_if_uncalibrated(item: pytest.Item, metric: Metric) -> None:
    """
    Warn of a bound that is the metric's own and was never calibrated.

    Raises:
        GoldenWarning: The project makes errors of warnings.
    """
    if metric.bound is not None:
        return  # before a session is opened for it
    settings = session_of(item.config).settings
    if not is_calibrated(metric, load_calibrations(settings.path(settings.calibration))):
        item.warn(GoldenWarning(describe_uncalibrated(metric.name)))


def read_marker(mark: pytest.Mark, config: pytest.Config) -> Demand:
    """
    Read a marker as a metric with thresholds.

    Raises:
        LLMOpsError: The metric does not take an option.
        TypeError: A positional argument; a threshold that is no number.
    """
    if mark.args:
        example = "k=5, min=0.8" if mark.name == "recall_at_k" else "min=0.8"
        raise TypeError(f"name the arguments, such as {mark.name}({example})")
    options = dict(mark.kwargs)
    limits = {side: options.pop(side, None) for side in ("min", "max", "threshold")}
    min_kappa = options.pop("min_kappa", None)
    record_only = read_switch("record_only", options.pop("record_only", False))
    texts = {name: options.pop(name, None) for name in _TEXTS}
    if mark.name == "tool_calls" and "expected" in options:
        options["expected"] = read_expected_calls(options["expected"], options.get("metric"))
    check_arguments(mark.name, options, sorted(_OURS))
    metric = make_metric(config, mark.name, options)
    contexts, relevant = texts["contexts"], texts["relevant"] or ()
    return Demand(
        metric=metric,
        checks=tuple(
            replace(check, min_kappa=_read_kappa(min_kappa, metric), record_only=record_only)
            for check in _read_limits(limits, metric, record_only=record_only)
        ),
        reference=texts["reference"],
        relevant=(relevant,) if isinstance(relevant, str) else tuple(relevant),
        contexts=None if contexts is None else read_passages("contexts", contexts, text=True),
        other=texts["other"],
    )


def _read_kappa(written: Any, metric: Metric) -> float | None:
    """Read the agreement with people that a judge must have shown."""
    if written is None:
        return None
    if not traits_of(metric).waits:
        raise TypeError(f"min_kappa is for judges, and {metric.name} asks none")
    if not is_number(written) or not 0 <= written <= 1:
        raise TypeError(f"min_kappa is a number from 0 to 1, not {written!r}")
    return float(written)


def _read_limits(limits: Mapping[str, Any], metric: Metric, *, record_only: bool) -> Iterator[Check]:
    """Read the limits; `threshold` is the good side, and without any the metric's own bound counts."""
    side = "min" if metric.higher_is_better else "max"
    if limits["threshold"] is not None and limits[side] is not None:
        raise TypeError(f"threshold and {side} are the same limit; write one of them")
    limits = {**limits, side: limits["threshold"] if limits[side] is None else limits[side]}
    for name, sign in SIDES.items():
        limit = limits[name]
        if limit is None:
            continue
        if not is_number(limit):
            raise TypeError(f"a threshold is a number, not {limit!r}")
        bound = Bound(comparison=sign, threshold=float(limit))
        if not record_only:
            check_reach(bound, metric.range)
            check_failing(bound, metric.range)
        yield Check(metric=metric.name, comparison=sign, threshold=float(limit))
    if limits["min"] is None and limits["max"] is None:
        bound = own_bound(metric, f"{side}=0.7")
        if not record_only:
            check_failing(bound, metric.range)
        yield Check(metric=metric.name, comparison=bound.comparison, threshold=bound.threshold)


def _judge(item: pytest.Item, number: int, sample: Sample, demand: Demand) -> str:
    """Render the failed checks of one answer by one marker; empty where it passes."""
    reference = sample.reference if demand.reference is None else demand.reference
    sample = sample_for(demand.metric, replace(sample, reference=reference))
    output = sample.output
    if demand.contexts is not None:
        output = replace(output, passages=demand.contexts)
    marked = replace(
        sample,
        output=output,
        relevant=sample.relevant or demand.relevant,
        rival=demand.other,
    )
    (scored,) = score_safely(score_here, demand.metric, [marked])
    case = Case(
        id=f"{item.name} llm() {number + 1}", input=sample.input, reference=reference, checks=demand.checks
    )
    result = seal_result(
        CaseResult(
            case=item.nodeid,
            input_hash="",
            outputs=(replace(sample.output, repeat=0),),
            scores=(replace(scored, repeat=0),) if isinstance(scored, Score) else (),
            failures=(replace(scored, repeat=0, error=remedy_in_test(scored.error)),)
            if isinstance(scored, Failure)
            else (),
        )
    )
    if isinstance(scored, Score) and any(check.record_only for check in demand.checks):
        item.user_properties.append((f"llm_{scored.metric}[{number}]", scored.value))
    settings = session_of(item.config).settings
    calibrations: Mapping[str, Calibration] = {}
    if any(check.min_kappa is not None for check in demand.checks):
        calibrations = load_calibrations(settings.path(settings.calibration))
    verdicts = require_agreement(judge_case(case, result), case, result, calibrations)
    undecided = [verdict for verdict in verdicts if verdict.outcome == "undecided"]
    if undecided and settings.undecided == "warn":
        advice = "; ".join(f"{verdict.check}: {verdict.advice}" for verdict in undecided)
        item.warn(GoldenWarning(f"undecided: {advice}"))
    if settings.undecided != "fail":
        verdicts = tuple(verdict for verdict in verdicts if verdict not in undecided)
    if all(verdict.outcome == "passed" for verdict in verdicts):
        return ""
    parts = [line for score in result.scores for line in describe_parts(score.evidence, score.reason)]
    parts += describe_contexts(demand.metric, output)
    return "\n".join([render_case(case, result, verdicts), *parts])
