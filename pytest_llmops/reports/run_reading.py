"""JSON values to the records of a run; what does not fit is told with its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from pytest_llmops.errors import hint
from pytest_llmops.records import CaseResult, Failure, Output, Passage, Run, Score, ToolCall, Usage
from pytest_llmops.reports.suite_checks import parse_suite
from pytest_llmops.runner.usage import sum_usage

VERSION = 1
Reader = Callable[[Any], Any]

_SHOWN = 60
_MISSING = object()


class BrokenValueError(Exception):
    """A value that cannot be read; `place` grows outwards while the error rises."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.place: list[str] = []

    def __str__(self) -> str:
        place = "".join(self.place).removeprefix(".")
        return f"{place}: {super().__str__()}" if place else super().__str__()


def read_run(value: Any) -> Run:
    """A run from the whole content of a JSON run file."""
    fields = read_head(value)
    if not isinstance(value.get("results", _MISSING), list):
        raise BrokenValueError("results: must be a list; the file holds no results")
    results = _within(".results", _list(read_result), value["results"])
    return make_run(fields, results)


def read_head(value: Any) -> dict[str, Any]:
    """Everything of a run but its results: `signature`, `suite` as JSON and `usage` where given."""
    if not isinstance(value, dict):
        raise BrokenValueError(f"must be a JSON object, not {_show(value)}")
    version = value.get("version", _MISSING)
    if version is _MISSING:
        raise BrokenValueError("version: is missing, so this is no run file")
    if version != VERSION or isinstance(version, bool):
        raise BrokenValueError(f"version: is {_show(version)}, this release reads {VERSION}")
    known = {
        "version": _any,
        "results": _any,
        "signature": _mapping_of(_text),
        "suite": _object,
        "usage": _USAGE,
    }
    fields = _read_fields(value, known)
    return {key: each for key, each in fields.items() if key not in {"version", "results"}}


def make_run(head: Mapping[str, Any], results: tuple[CaseResult, ...]) -> Run:
    """The run of a head and its results; a usage that was not written is the sum of the outputs'."""
    seen: set[str] = set()
    for index, result in enumerate(results):
        if result.case in seen:
            raise BrokenValueError(f"results[{index}].case: {result.case!r} occurs twice")
        seen.add(result.case)
    try:
        suite = parse_suite(head.get("suite", {}), [result.case for result in results])
    except ValueError as error:
        raise BrokenValueError(f"suite: {error}") from None
    usage = head.get("usage") or sum_usage(output.usage for result in results for output in result.outputs)
    return Run(signature=head.get("signature", {}), results=results, suite=suite, usage=usage)


def read_result(value: Any) -> CaseResult:
    """What one case produced."""
    result: CaseResult = _RESULT(value)
    return result


def read_usage(value: Any) -> Usage:
    """What a run took."""
    usage: Usage = _USAGE(value)
    return usage


def _record(cls: Callable[..., Any], required: tuple[str, ...], readers: Mapping[str, Reader]) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise BrokenValueError(f"must be an object, not {_show(value)}")
        for name in required:
            if name not in value:
                raise BrokenValueError(f"{name} is missing")
        return cls(**_read_fields(value, readers))

    return read


def _read_fields(value: dict[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    fields = {}
    for name, each in value.items():
        if name not in readers:
            raise BrokenValueError(f"unknown key {_show(name)}.{hint(name, readers)}")
        fields[name] = _within(f".{name}", readers[name], each)
    return fields


def _within(place: str, reader: Reader, value: Any) -> Any:
    try:
        return reader(value)
    except BrokenValueError as error:
        error.place.insert(0, place)
        raise


def _list(reader: Reader) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise BrokenValueError(f"must be a list, not {_show(value)}")
        return tuple(_within(f"[{index}]", reader, each) for index, each in enumerate(value))

    return read


def _mapping_of(reader: Reader) -> Reader:
    def read(value: Any) -> dict[str, Any]:
        return {name: _within(f".{name}", reader, each) for name, each in _object(value).items()}

    return read


def _optional(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BrokenValueError(f"must be text, not {_show(value)}")
    return value


def _stage(value: Any) -> str:
    if value not in ("app", "score"):
        raise BrokenValueError(f"must be app, score or record, not {_show(value)}")
    return str(value)


def _number(value: Any) -> float:
    try:
        number = float(value) if type(value) in {int, float} else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BrokenValueError(f"must be a finite number, not {_show(value)}")
    return number


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise BrokenValueError(f"must be a whole number from 0, not {_show(value)}")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BrokenValueError(f"must be an object, not {_show(value)}")
    found: dict[str, Any] = _any(value)
    return found


def _any(value: Any) -> Any:
    """Any JSON value, but for the numbers that JSON does not have and Python reads."""
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, dict):
        for name, each in value.items():
            _within(f".{name}", _any, each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _within(f"[{index}]", _any, each)
    return value


def _show(value: Any) -> str:
    if isinstance(value, int) and abs(value) > 10**_SHOWN:
        return "an enormous number"
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


_USAGE = _record(
    Usage,
    (),
    {
        "calls": _count,
        "replayed": _count,
        "prompt_tokens": _optional(_count),
        "completion_tokens": _optional(_count),
        "cost_usd": _optional(_number),
    },
)
_PASSAGE = _record(Passage, ("id",), {"id": _text, "text": _text, "score": _optional(_number)})
_TOOL_CALL = _record(
    ToolCall, ("name",), {"name": _text, "arguments": _object, "decision": _optional(_text), "result": _any}
)
_OUTPUT = _record(
    Output,
    ("text",),
    {
        "text": _text,
        "repeat": _count,
        "passages": _optional(_list(_PASSAGE)),
        "tool_calls": _list(_TOOL_CALL),
        "usage": _USAGE,
        "latency_s": _number,
        "model": _optional(_text),
        "trace_id": _optional(_text),
    },
)
_SCORE = _record(
    Score,
    ("metric", "value"),
    {
        "metric": _text,
        "value": _number,
        "repeat": _count,
        "reason": _text,
        "evidence": _list(_any),
        "signature": _text,
    },
)
_FAILURE = _record(
    Failure,
    ("metric", "stage", "error"),
    {"metric": _text, "stage": _stage, "error": _text, "repeat": _count},
)
_RESULT = _record(
    lambda *, input_hash="", **fields: CaseResult(input_hash=input_hash, **fields),
    ("case",),
    {
        "case": _text,
        "input_hash": _text,
        "outputs": _list(_OUTPUT),
        "scores": _list(_SCORE),
        "failures": _list(_FAILURE),
    },
)
