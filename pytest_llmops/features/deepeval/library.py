"""The library: import without telemetry, metrics by name, and test cases from samples."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_llmops.errors import LLMOpsError, MetricOptionError, MissingExtraError, describe_error, hint
from pytest_llmops.protocols import Need
from pytest_llmops.recorder.identity import is_loopback
from pytest_llmops.records import Sample
from pytest_llmops.settings import find_root

# No telemetry and no search for updates, whatever the environment has.
_OFF = {"DEEPEVAL_TELEMETRY_OPT_OUT": "1", "DEEPEVAL_UPDATE_WARNING_OPT_IN": "0"}
_EMBEDDED = "embedded"
_NO_KEY = "none"
_NEEDS: Mapping[str, Need] = {
    "expected_output": "reference",
    "retrieval_context": "passages",
    "context": "passages",
}


def import_deepeval() -> Any:
    """Import `deepeval.metrics` so that it writes, sends and reads nothing of its own accord."""
    os.environ.update(_OFF)
    os.environ.pop("DEEPEVAL_TELEMETRY_ENABLED", None)
    # A `.env` of the project is for the app under test, and is read only where a user wants that.
    os.environ.setdefault("DEEPEVAL_DISABLE_DOTENV", "1")
    try:
        import_module("deepeval")  # by itself, so that its absence has its name
        return import_module("deepeval.metrics")
    except ModuleNotFoundError as error:
        if error.name == "deepeval":
            raise MetricOptionError(str(MissingExtraError("a metric of DeepEval", "deepeval"))) from None
        raise MetricOptionError(f"DeepEval cannot be imported: {error}") from None
    except Exception as error:  # noqa: BLE001 - it reads settings when it is imported
        raise MetricOptionError(f"DeepEval cannot be imported: {describe_error(error)}") from None


def find_class(named: str) -> type[Any]:
    """A single-turn metric of DeepEval, by class name (`GEval`, `AnswerRelevancy`) or `module:Class`."""
    metrics = import_deepeval()
    if ":" in named:
        metric_class: Any = _import_class(named)
    else:
        every = {name: getattr(metrics, name) for name in dir(metrics)}
        known = {name: value for name, value in every.items() if _is_single_turn(value, metrics)}
        alike = {_plain(name): name for name in known}
        name = alike.get(_plain(named)) or alike.get(_plain(f"{named}Metric"))
        if name is None and hasattr(metrics, named):
            raise MetricOptionError(
                f"DeepEval's {named} does not look at single answers, so it can be no check"
            )
        if name is None:
            near = hint(named, known)
            raise MetricOptionError(
                f"DeepEval has no metric {named!r}.{near} Known: {', '.join(sorted(known))}"
            )
        metric_class = known[name]
    if not _is_single_turn(metric_class, metrics):
        raise MetricOptionError(f"{named!r} is no metric of DeepEval: it must be a class of its BaseMetric")
    chosen: type[Any] = metric_class
    return chosen


def check_options(metric_class: type[Any], options: Mapping[str, Any], own: Sequence[str]) -> None:
    """Refuse options that the class does not take, and missing ones; a hint may name one of our `own`."""
    parameters = inspect.signature(metric_class).parameters
    for name, parameter in parameters.items():
        open_ended = parameter.kind in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}
        if parameter.default is parameter.empty and not open_ended and name not in options:
            raise MetricOptionError(f"DeepEval's {metric_class.__name__} needs the option {name!r}")
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    taken = [parameter for parameter in parameters if not parameter.startswith("_")]
    for option in options:
        if option not in taken:
            near = hint(option, [*taken, *own])
            raise MetricOptionError(
                f"DeepEval's {metric_class.__name__} has no option {option!r}.{near} It takes: "
                f"{', '.join(taken)}"
            )


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Read options for the library: names of parameters and ranges of rubrics become its own objects."""
    read = dict(options)
    if "evaluation_params" in read:
        read["evaluation_params"] = [_read_parameter(name) for name in _listed(read["evaluation_params"])]
    if "rubric" in read:
        make_rubric = _part("metrics.g_eval").Rubric
        try:
            read["rubric"] = [
                make_rubric(**{**rubric, "score_range": tuple(rubric["score_range"])})
                for rubric in _listed(read["rubric"])
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise MetricOptionError(
                f"DeepEval's rubric is a list of {{score_range: [low, high], expected_outcome: …}}: {error}"
            ) from None
    return read


def find_needs(metric_class: type[Any], options: Mapping[str, Any]) -> frozenset[Need]:
    """The needs of a metric, by the fields of a test case that it reads."""
    return frozenset(_NEEDS[name] for name in _parameters_of(metric_class, options) if name in _NEEDS)


def reads_answer(metric_class: type[Any], options: Mapping[str, Any]) -> bool:
    """True where the class reads the answer's text, but no tool calls, since these may come without text."""
    names = _parameters_of(metric_class, options)
    return "actual_output" in names and not any("tools" in name for name in names)


def make_case(sample: Sample, expected_tools: Sequence[Any]) -> Any:
    """A test case of DeepEval with everything of a sample."""
    passages = sample.output.passages
    texts = None if passages is None else [passage.text for passage in passages]
    make: Any = _part("test_case").LLMTestCase
    return make(
        input=sample.input if isinstance(sample.input, str) else json.dumps(sample.input, default=str),
        actual_output=sample.output.text,
        expected_output=sample.reference,
        retrieval_context=texts,
        context=texts,
        tools_called=[
            _make_call(call.name, call.arguments, call.result) for call in sample.output.tool_calls
        ],
        expected_tools=[_read_call(call) for call in expected_tools] or None,
    )


@contextmanager
def open_model(judge: Mapping[str, Any], named: str | None) -> Iterator[Any]:
    """Open the endpoint of our settings as a model of DeepEval, which leaves its own connections open."""
    if judge["model"] == _EMBEDDED:
        raise LLMOpsError(
            "DeepEval can call no embedded model; name an endpoint: judge: {model: …, base_url: …}"
        )
    variable = judge.get("api_key_env", "OPENAI_API_KEY")
    key = os.environ.get(variable)
    if key is None and not is_loopback(urlsplit(judge.get("base_url", "")).hostname or ""):
        raise LLMOpsError(f"the environment variable {variable}, with the judge's key, is not set")
    options = {"model": named or judge["model"], "api_key": key or _NO_KEY}
    if "timeout_s" in judge:
        options["timeout"] = judge["timeout_s"]
    models = _part("models")
    with import_module("openai").DefaultHttpxClient(follow_redirects=False) as client:
        if "base_url" in judge:
            yield models.LocalModel(base_url=judge["base_url"], http_client=client, **options)
        else:
            yield models.OpenAIModel(http_client=client, **options)


def _parameters_of(metric_class: type[Any], options: Mapping[str, Any]) -> list[str]:
    """The fields of a test case that the class, or its `evaluation_params`, names."""
    names = options.get("evaluation_params") or getattr(metric_class, "_required_params", None)
    return [str(getattr(name, "value", name)) for name in names] if isinstance(names, list | tuple) else []


def _part(name: str) -> Any:
    return import_module(f"deepeval.{name}")


def _import_class(named: str) -> Any:
    module, _, attribute = named.partition(":")
    root = str(find_root(Path.cwd()))
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:  # noqa: BLE001 - a module is anybody's code
        raise MetricOptionError(f"deepeval: {named!r} cannot be imported: {describe_error(error)}") from None


def _is_single_turn(metric_class: object, metrics: Any) -> bool:
    return (
        isinstance(metric_class, type)
        and issubclass(metric_class, metrics.BaseMetric)
        and metric_class is not metrics.BaseMetric
    )


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _read_parameter(named: object) -> Any:
    known = {parameter.value: parameter for parameter in _part("test_case").SingleTurnParams}
    if str(named).lower() not in known:
        raise MetricOptionError(
            f"evaluation_params holds {named!r}.{hint(str(named), known)} Known: {', '.join(known)}"
        )
    return known[str(named).lower()]


def _read_call(written: Any) -> Any:
    if isinstance(written, str):
        return _make_call(written, {}, None)
    if isinstance(written, Mapping) and isinstance(written.get("name"), str):
        arguments = written.get("arguments", written.get("input_parameters"))
        return _make_call(written["name"], arguments or {}, written.get("result"))
    raise MetricOptionError(f"expected_tools holds {written!r}; write a name, or {{name: …, arguments: …}}")


def _make_call(name: str, arguments: Mapping[str, Any], result: Any) -> Any:
    return _part("test_case").ToolCall(name=name, input_parameters=dict(arguments), output=result)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
