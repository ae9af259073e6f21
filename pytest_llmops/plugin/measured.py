"""A score in an assert: a plain number to compare, that tells what it rests on when the assert fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_llmops.bounds import mirror
from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.plugin.families import find_metric
from pytest_llmops.plugin.parts import say_in_test, tell_contexts, tell_parts
from pytest_llmops.plugin.session import session_of
from pytest_llmops.printable import printable
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import Failure, Sample
from pytest_llmops.registry import create_metric, metric_options
from pytest_llmops.runner.scoring import score_here, score_safely

_REASON = 300
_TEXT = 500


class NotScoredError(LLMOpsError):
    """A metric or the app broke, or an argument is wrong, so there is no number to compare."""


class Measured(float):
    """A score: a plain number to compare, with what it rests on for the report of a failed assert."""

    metric: str
    reason: str
    told: tuple[str, ...]

    def explain(self, comparison: str, other: object, *, on_the_right: bool = False) -> list[str]:
        """The lines that pytest shows when `self comparison other`, or `other comparison self`, is false."""
        sign = mirror(comparison) if on_the_right else comparison
        lines = [f"{self.metric} {float(self):.4g} {sign} {printable(str(other), 100)}"]
        lines += [f"  {printable(self.reason, _REASON)}"] if self.reason else []
        return [*lines, *self.told]


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
        measured.told = (*tell_parts(result.evidence, result.reason), *_tell_texts(metric, sample))
        return measured


def make_metric(config: pytest.Config, family: str, written: Mapping[str, Any]) -> Metric:
    """
    The metric that a marker or a fixture asks for.

    Args:
        written: Options of the metric, `metric` and `k`.

    Raises:
        LLMOpsError: There is no such metric or option.
    """
    name, options = find_metric(family, written)
    if "judge" in metric_options(name) and (judge := session_of(config).settings.judge):
        options = {"judge": judge, **options}
    return create_metric(name, options)


def _tell_texts(metric: Metric, sample: Sample) -> list[str]:
    """Question, answer and what it is held against; of an answer with a leak nothing."""
    texts: list[tuple[str, str | None]] = [
        ("answer:    ", sample.output.text if not traits_of(metric).masks else ""),
        ("other:     ", sample.rival),
        ("reference: ", sample.reference),
    ]
    lines = [f"  {label}{printable(text, _TEXT)}" for label, text in texts if text]
    return [*lines, *tell_contexts(metric, sample.output)]
