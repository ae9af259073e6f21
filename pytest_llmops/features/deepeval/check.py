"""`deepeval`: any metric of DeepEval as a check."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from threading import BoundedSemaphore
from typing import Any

from tenacity import RetryError

from pytest_llmops.documents.reading import is_number
from pytest_llmops.errors import LLMOpsError, MetricOptionError, describe_error
from pytest_llmops.features.deepeval.library import (
    check_options,
    find_class,
    find_needs,
    import_deepeval,
    make_case,
    open_model,
    read_options,
    reads_answer,
)
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.words import find_blank
from pytest_llmops.protocols import MetricTraits, Need
from pytest_llmops.recorder import recording_of
from pytest_llmops.records import Bound, Failure, Sample, Score

_THRESHOLD = 0.5
_OWN = ("metric", "judge", "expected_tools")
_JUDGE = ("model", "base_url", "api_key_env", "timeout_s", "concurrency")
_AT_ONCE = 16  # samples at one endpoint, unless the judge has another limit


@dataclass(frozen=True, slots=True, init=False, eq=True)
class DeepEval(DeclaredMetric):
    """
    A DeepEval metric's score, 0 to 1 and higher is better, as in its version 4; 0 where the metric reads the
    answer and the output has no word.

    Attributes:
        metric: Its class, `GEval`, or `module:Class` for one of your own; by default the label.
        label: The part behind `deepeval:` in a check's name.
        judge: `model`, `base_url`, `api_key_env`, `timeout_s` of its endpoint, as JSON; empty leaves it to
            DeepEval's own settings.
        options: All others, for the class, as JSON.
        required: The needs of the metric.
    """

    metric: str
    label: str
    judge: str
    options: str
    expected_tools: str
    required: frozenset[Need]
    threshold: float
    reads_answer: bool

    traits = MetricTraits(name="deepeval", version=2, waits=True)

    def __init__(
        self,
        *,
        metric: str | None = None,
        label: str = "",
        judge: Any = None,
        expected_tools: Sequence[Any] = (),
        **options: Any,
    ) -> None:
        named = label if metric is None else metric
        if not isinstance(named, str) or not named:
            raise MetricOptionError("deepeval needs the option 'metric', such as {metric: GEval}")
        metric_class = find_class(named)
        if {"name", "evaluation_params"} <= inspect.signature(
            metric_class
        ).parameters.keys():  # GEval and the like
            options = {"name": label or named, "evaluation_params": ["input", "actual_output"], **options}
        check_options(metric_class, options, _OWN)
        threshold = 1.0 if options.get("strict_mode") is True else options.get("threshold", _THRESHOLD)
        if not is_number(threshold):
            raise MetricOptionError(f"deepeval: threshold is a number, not {threshold!r}")
        values = {
            "metric": named,
            "label": label,
            "judge": _write(_read_judge(judge)),
            "options": _write(options),
            "expected_tools": _write(list(expected_tools)),
            "required": find_needs(metric_class, read_options(options)),
            "reads_answer": reads_answer(metric_class, read_options(options)),
            "threshold": float(threshold),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        return f"deepeval:{self.label}" if self.label else "deepeval"

    @property
    def needs(self) -> frozenset[Need]:
        return self.required

    @property
    def bound(self) -> Bound:
        return Bound(comparison=">=", threshold=self.threshold)

    def measure(self, sample: Sample) -> Score | Failure:
        blank = find_blank(sample.output.text, sample.reference) if self.reads_answer else ""
        try:
            measured = self._name_model() if blank else self._run(sample)
        except Exception as error:  # noqa: BLE001 - a metric is anybody's code
            return fail(self, sample, _describe(error))
        judge = getattr(measured, "evaluation_model", None)
        if blank:
            return replace(self.give(sample, 0.0, blank), signature=self._sign(judge))
        if measured.error:
            return fail(self, sample, str(measured.error))
        value = measured.score
        if not is_number(value):
            return fail(self, sample, f"{self.metric} gave {value!r}, which is no score")
        evidence = {"metric": self.metric, "judge": judge, "breakdown": _plain(measured.score_breakdown)}
        reason = " ".join(str(measured.reason or "").split())
        return replace(
            self.give(sample, float(value), reason, evidence=(evidence,)), signature=self._sign(judge)
        )

    def _run(self, sample: Sample) -> Any:
        """Measure by a new metric of DeepEval, since it keeps its result."""
        case, judge = sample.case or self.name, json.loads(self.judge)
        place = _slots(judge.get("base_url"), judge.get("concurrency", _AT_ONCE))
        with place, recording_of(case, sample.output.repeat) as log, self._open() as measured:
            taken = inspect.signature(measured.measure).parameters
            quiet = {"_show_indicator": False} if "_show_indicator" in taken else {}
            try:
                measured.measure(make_case(sample, json.loads(self.expected_tools)), **quiet)
            finally:
                if log is not None and log.error is not None:
                    raise log.error  # rather than the metric's own error after a call that was not replayed
        return measured

    def _name_model(self) -> Any:
        """The metric without a result, for the name of its model in the signature of a score."""
        with self._open() as measured:
            return measured

    @contextmanager
    def _open(self) -> Iterator[Any]:
        import_deepeval()
        metric_class = find_class(self.metric)
        parameters = inspect.signature(metric_class).parameters
        options = read_options(json.loads(self.options))
        with ExitStack() as stack:
            if "model" in parameters and (judge := json.loads(self.judge)):
                options["model"] = stack.enter_context(open_model(judge, options.get("model")))
            if "async_mode" in parameters:
                options["async_mode"] = False  # concurrency belongs to the runner
            try:
                made = metric_class(**options)
            except DeprecationWarning:  # a notice that comes once, where warnings are errors
                made = metric_class(**options)
            made.async_mode = False
            yield made

    def _sign(self, judge: Any) -> str:
        digest = sha256(f"{self.options}{self.expected_tools}".encode()).hexdigest()[:12]
        return f"deepeval {version('deepeval')}|v{self.version}|{self.metric}|{judge}|{digest}"


@lru_cache(maxsize=16)
def _slots(_endpoint: str | None, count: int) -> BoundedSemaphore:
    """The slots of an endpoint; one for the process."""
    return BoundedSemaphore(max(1, count))


def _read_judge(written: Any) -> dict[str, Any]:
    """Read the parts of a judge that DeepEval uses, from a mapping, a model's name or a `JudgeModel`."""
    if written is None:
        return {}
    if isinstance(written, str):
        written = {"model": written}
    if not isinstance(written, Mapping):
        written = {name: getattr(written, name, None) for name in _JUDGE}
    judge = {name: written[name] for name in _JUDGE if written.get(name) is not None}
    if judge and not isinstance(judge.get("model"), str):
        raise MetricOptionError("deepeval: judge needs a model, such as {model: gpt-4o-mini}")
    return judge


def _write(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise MetricOptionError(f"deepeval: options must be plain values: {error}") from None


def _plain(value: Any) -> Any:
    """A value as JSON: NaN becomes null, and other values that JSON lacks become text."""
    return json.loads(json.dumps(value, default=str), parse_constant=lambda _: None)


def _describe(error: BaseException) -> str:
    """The error, or the last one of several attempts."""
    if isinstance(error, RetryError) and (last := error.last_attempt.exception()) is not None:
        error = last
    return str(error) if isinstance(error, LLMOpsError) else describe_error(error)
