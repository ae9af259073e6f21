"""Our metrics for DeepEval: `as_deepeval("faithfulness", threshold=0.8)` is a `BaseMetric`."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Any

from pytest_llmops.errors import LLMOpsError, MetricOptionError, describe_error
from pytest_llmops.features.deepeval.library import import_deepeval
from pytest_llmops.judges.floors import missed_floors
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Failure, Output, Passage, Sample, ToolCall
from pytest_llmops.registry import create_metric, metric_options
from pytest_llmops.settings import find_root, load_settings


def as_deepeval(metric: str, threshold: float | None = None, **options: Any) -> Any:
    """
    A metric of ours as one of DeepEval's, for `assert_test`, `evaluate` and the like.

    Args:
        metric: As a golden file names it.
        threshold: The lowest good score, or the highest one where lower is better; the metric's own bound
            by default.
        options: Of the metric; one with a `judge` takes that of the settings by default.

    Raises:
        LLMOpsError: There is no such metric or option, or DeepEval is not installed.
    """
    wrapper = _wrapper()
    if "judge" in metric_options(metric) and (judge := load_settings(find_root(Path.cwd())).judge):
        options = {"judge": judge, **options}
    return wrapper(metric=metric, threshold=threshold, options=options)


@cache
def _wrapper() -> type[Any]:
    """The class, which needs DeepEval's as its base."""
    base: Any = import_deepeval().BaseMetric

    class LLMOpsMetric(base):  # type: ignore[misc]  # a class of a library that may not be installed
        """Keeps the last result, and can be copied by the arguments of `__init__`, as DeepEval expects."""

        def __init__(
            self, metric: str, threshold: float | None = None, options: dict[str, Any] | None = None
        ) -> None:
            self.metric, self.options = metric, dict(options or {})
            self.ours = create_metric(metric, self.options)
            self.threshold = _own_threshold(self.ours) if threshold is None else threshold
            self.async_mode = False
            self.evaluation_model = None
            self.include_reason = True

        def measure(self, test_case: Any, *_: Any, **__: Any) -> float:
            self._store(None, None, None)
            try:
                (result,) = self.ours.score([_read_case(test_case)])
            except Exception as error:
                problem = str(error) if isinstance(error, LLMOpsError) else describe_error(error)
                self._store(None, None, problem)
                raise
            if isinstance(result, Failure):
                self._store(None, None, result.error)
                raise LLMOpsError(f"{self.ours.name}: {result.error}")
            self._store(result.value, result.reason, None)
            self.success &= not missed_floors(result)
            self.score_breakdown = {"evidence": list(result.evidence)}
            return float(result.value)

        async def a_measure(self, test_case: Any, *_: Any, **__: Any) -> float:
            return await asyncio.to_thread(self.measure, test_case)

        def is_successful(self) -> bool:
            return bool(self.success)

        def _store(self, score: float | None, reason: str | None, error: str | None) -> None:
            self.score, self.reason, self.error = score, reason, error
            sign = 1 if self.ours.higher_is_better else -1
            self.success = score is not None and (score - self.threshold) * sign >= 0

        @property
        def __name__(self) -> str:
            return str(self.ours.name)

    return LLMOpsMetric


def _own_threshold(metric: Metric) -> float:
    if metric.bound is None:
        raise MetricOptionError(
            f"{metric.name} has no default threshold; write as_deepeval({metric.name!r}, threshold=…). "
            f"Labels of your own show which: llmops calibrate {metric.name} LABELS.jsonl --label FIELD"
        )
    return metric.bound.threshold


def _read_case(case: Any) -> Sample:
    """A single-turn test case as a sample, with the retrieved texts as passages, else the ideal `context`."""
    ideal = [str(text) for text in case.context or ()]
    texts = case.context if case.retrieval_context is None else case.retrieval_context
    passages = None
    if texts is not None:  # without ids, so that a ranking is searched by text
        passages = tuple(Passage(id="", text=str(getattr(text, "context", text))) for text in texts)
    calls = tuple(
        ToolCall(name=call.name, arguments=dict(call.input_parameters or {}), result=call.output)
        for call in case.tools_called or ()
    )
    return Sample(
        output=Output(text=case.actual_output or "", passages=passages, tool_calls=calls),
        input=case.input,
        reference=case.expected_output,
        relevant=tuple(ideal),
        case=getattr(case, "name", None) or "",
    )
