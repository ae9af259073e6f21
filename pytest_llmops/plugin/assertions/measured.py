"""A score in an assert: a plain number to compare, which explains itself when the assert fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_llmops.bounds import mirror
from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.metrics.declared_metric import REMEDIES
from pytest_llmops.plugin.assertions.families import find_metric
from pytest_llmops.plugin.session import session_of
from pytest_llmops.printable import counted, printable
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import Failure, Output, Sample
from pytest_llmops.registry import create_metric, metric_options
from pytest_llmops.runner.scoring import score_here, score_safely

_REASON = 300
_TEXT = 500
_PART = 300
_CONTEXTS = 3
_OF_TEST = {
    REMEDIES["reference"]: "there is no reference; pass reference= to llm(), or to the marker",
    REMEDIES["relevant"]: "no relevant passages are named; pass relevant= to llm(), or to the marker",
    "add `reference:` to the case": "pass other= to the marker, or reference= to llm()",
}


class NotScoredError(LLMOpsError):
    """A metric or the app broke, or an argument is wrong, so there is no number to compare."""


class Measured(float):
    """A score: a plain number to compare, with what it rests on for the report of a failed assert."""

    metric: str
    reason: str
    details: tuple[str, ...]

    def explain(self, comparison: str, other: object, *, on_the_right: bool = False) -> list[str]:
        """The lines that pytest shows when `self comparison other`, or `other comparison self`, is false."""
        sign = mirror(comparison) if on_the_right else comparison
        lines = [f"{self.metric} {float(self):.4g} {sign} {printable(str(other), 100)}"]
        lines += [f"  {printable(self.reason, _REASON)}"] if self.reason else []
        return [*lines, *self.details]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a test's fixtures measure: its node, which names the recordings, and the session's settings."""

    node: pytest.Item

    def measure(self, family: str, options: Mapping[str, Any], sample: Sample) -> Measured:
        """
        One sample's score by a metric of a family.

        Raises:
            NotScoredError: An option is wrong, or the metric failed; a number would be made up.
        """
        __tracebackhide__ = True  # a report ends at the test's own line
        try:
            metric = make_metric(self.node.config, family, options)
            if traits_of(metric).waits:
                _ = session_of(self.node.config).recorder  # listens from here on, so that its calls are kept
            (result,) = score_safely(score_here, metric, [sample])
        except (LLMOpsError, pytest.UsageError) as error:
            raise NotScoredError(str(error)) from None
        if isinstance(result, Failure):
            raise NotScoredError(f"{metric.name}: {mask(say_in_test(result.error))}")
        measured = Measured(result.value)
        measured.metric, measured.reason = result.metric, result.reason
        measured.details = (*describe_parts(result.evidence, result.reason), *_describe_texts(metric, sample))
        return measured


def make_metric(config: pytest.Config, family: str, written: Mapping[str, Any]) -> Metric:
    """
    The metric of a marker or a fixture.

    Args:
        written: Options of the metric, `metric` and `k`.

    Raises:
        LLMOpsError: There is no such metric or option.
    """
    name, options = find_metric(family, written)
    if "judge" in metric_options(name) and (judge := session_of(config).settings.judge):
        options = {"judge": judge, **options}
    return create_metric(name, options)


def _describe_texts(metric: Metric, sample: Sample) -> list[str]:
    """Answer, the other answer and the reference; an answer with a leak is left out."""
    texts: list[tuple[str, str | None]] = [
        ("answer:    ", sample.output.text if not traits_of(metric).masks else ""),
        ("other:     ", sample.rival),
        ("reference: ", sample.reference),
    ]
    lines = [f"  {label}{printable(text, _TEXT)}" for label, text in texts if text]
    return [*lines, *describe_contexts(metric, sample.output)]


def describe_parts(evidence: Sequence[Any], reason: str = "") -> list[str]:
    """
    Lines on the lowest part and what comes nearest to it, escaped and cut; none where nothing is named.

    Args:
        reason: Of the same score; what it quotes in full is not repeated.
    """
    pairs = [pair for each in evidence[:1] if isinstance(each, Mapping) for pair in _name_parts(each)]
    return [f"  {label}: {printable(text, _PART)}" for label, text in pairs if text and text not in reason]


def say_in_test(error: str) -> str:
    """What a metric says that it lacks, with the remedy of a test instead of a golden file's."""
    for in_file, in_test in _OF_TEST.items():
        error = error.replace(in_file, in_test)
    return error


def describe_contexts(metric: Metric, output: Output) -> list[str]:
    """Lines with the first few contexts, escaped and cut, of a metric that reads their texts."""
    reads = "passages" in metric.needs or traits_of(metric).waits
    if not reads or "relevant" in metric.needs:
        return []
    texts = [passage.text for passage in output.passages or ()]
    lines = [
        f"  context {at}: {printable(text, _PART)}" for at, text in enumerate(texts[:_CONTEXTS], start=1)
    ]
    return [
        *lines,
        *([f"  and {counted(len(texts) - _CONTEXTS, 'more context')}"] if len(texts) > _CONTEXTS else []),
    ]


def _name_parts(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Label and text: of a claim and what is nearest to it, a judge's lowest criterion, what it misses."""
    claims, criteria = evidence.get("claims"), evidence.get("criteria")
    if isinstance(claims, Sequence) and claims and isinstance(claims[0], Mapping):
        worst, support = claims[0], claims[0].get("support")
        label = f", {printable(worst['label'], 40)}" if worst.get("label") else ""
        yield f"least supported{_number(worst.get('score'))}{label}", str(worst.get("claim", ""))
        yield "nearest to it", str((support.get("text") if isinstance(support, Mapping) else support) or "")
    if isinstance(criteria, Mapping) and (lowest := _find_lowest(criteria)):
        label = f"{printable(lowest[0], 40)}{_number(lowest[1])} points to"
        yield label, str(criteria[lowest[0]].get("evidence") or "")
    for name in ("missing", "contradicted"):
        found = evidence.get(name)
        if isinstance(found, Sequence) and not isinstance(found, str) and "grade" in evidence:
            yield from ((name, str(each)) for each in found[:_CONTEXTS])


def _find_lowest(criteria: Mapping[str, Any]) -> tuple[str, float] | None:
    scores = {
        name: each["score"]
        for name, each in criteria.items()
        if isinstance(each, Mapping) and isinstance(each.get("score"), int | float)
    }
    return min(scores.items(), key=lambda each: each[1]) if scores else None


def _number(value: Any) -> str:
    return f" ({value:.3g})" if isinstance(value, int | float) else ""
