"""JSON values to the records of a run; what does not fit is told with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_llmops.records import (
    Bound,
    CaseResult,
    Check,
    FailedCall,
    Failure,
    ModelCall,
    Output,
    Passage,
    Run,
    Score,
    ToolCall,
    Usage,
)
from pytest_llmops.reports.json_readers import (
    BrokenValueError,
    list_of,
    mapping_of,
    one_of,
    optional,
    read_any,
    read_count,
    read_fields,
    read_flag,
    read_number,
    read_object,
    read_text,
    read_version,
    record,
    within,
)
from pytest_llmops.reports.suite_checks import parse_suite
from pytest_llmops.runner.usage import sum_outputs

VERSION = 1


def read_run(value: Any) -> Run:
    """A run from the whole content of a JSON run file."""
    value = read_version(value, VERSION, "run file")
    fields = read_head({name: each for name, each in value.items() if name != "results"})
    if not isinstance(value.get("results"), list):
        raise BrokenValueError("results: must be a list; the file holds no results")
    results = within(".results", list_of(read_result), value["results"])
    return make_run(fields, results)


def read_head(value: Any) -> dict[str, Any]:
    """Everything of a run but its results: `signature`, `suite` as JSON and `usage` where given."""
    value = read_version(value, VERSION, "run file")
    known = {
        "version": read_any,
        "results": read_any,
        "signature": mapping_of(read_text),
        "suite": read_object,
        "usage": _USAGE,
    }
    fields = read_fields(value, known)
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
    usage = head.get("usage") or sum_outputs(results)
    return Run(signature=head.get("signature", {}), results=results, suite=suite, usage=usage)


def read_result(value: Any) -> CaseResult:
    """What one case produced."""
    result: CaseResult = _RESULT(value)
    return result


def read_usage(value: Any) -> Usage:
    """What a run took."""
    usage: Usage = _USAGE(value)
    return usage


_USAGE = record(
    Usage,
    (),
    {
        "calls": read_count,
        "replayed": read_count,
        "failed": read_count,
        "stated": read_flag,
        "prompt_tokens": optional(read_count),
        "completion_tokens": optional(read_count),
        "cost_usd": optional(read_number),
    },
)
PASSAGE = record(Passage, ("id",), {"id": read_text, "text": read_text, "score": optional(read_number)})
TOOL_CALL = record(
    ToolCall,
    ("name",),
    {"name": read_text, "arguments": read_object, "decision": optional(read_text), "result": read_any},
)
_MODEL_CALL = record(
    ModelCall,
    ("key",),
    {
        "key": read_text,
        "kind": read_text,
        "model": optional(read_text),
        "reported": optional(read_text),
        "fingerprint": optional(read_text),
        "tools": read_text,
        "answer": read_text,
    },
)
_FAILED_CALL = record(
    FailedCall,
    ("provider",),
    {
        "provider": read_text,
        "model": optional(read_text),
        "status": optional(read_count),
        "error": read_text,
        "retried": read_flag,
    },
)
OUTPUT = record(
    Output,
    ("text",),
    {
        "text": read_text,
        "repeat": read_count,
        "passages": optional(list_of(PASSAGE)),
        "tool_calls": list_of(TOOL_CALL),
        "usage": _USAGE,
        "latency_s": read_number,
        "model": optional(read_text),
        "trace_id": optional(read_text),
        "model_calls": list_of(_MODEL_CALL),
        "failed_calls": list_of(_FAILED_CALL),
    },
)
_SCORE = record(
    Score,
    ("metric", "value"),
    {
        "metric": read_text,
        "value": read_number,
        "repeat": read_count,
        "reason": read_text,
        "evidence": list_of(read_any),
        "signature": read_text,
    },
)
_FAILURE = record(
    Failure,
    ("metric", "stage", "error"),
    {
        "metric": read_text,
        "stage": one_of("app", "score", "rival"),
        "error": read_text,
        "repeat": read_count,
        "usage": _USAGE,
        "failed_calls": list_of(_FAILED_CALL),
        "traceback": read_text,
    },
)
_BOUND = record(
    Bound,
    ("comparison", "threshold"),
    {"comparison": one_of(">=", ">", "<=", "<"), "threshold": read_number},
)
_CHECK = record(
    Check,
    ("metric", "comparison", "threshold"),
    {
        "metric": read_text,
        "comparison": one_of(">=", ">", "<=", "<"),
        "threshold": read_number,
        "options": read_object,
        "min_kappa": optional(read_number),
        "pass_rate": optional(_BOUND),
        "max_drop": optional(read_number),
    },
)
_RIVAL = record(
    dict,
    (),
    {"outputs": list_of(OUTPUT), "scores": list_of(_SCORE), "failures": list_of(_FAILURE)},
)


def _make_result(
    *, case: str, input_hash: str = "", rival: Mapping[str, Any] | None = None, **fields: Any
) -> CaseResult:
    theirs = None if rival is None else CaseResult(case=case, input_hash=input_hash, **rival)
    return CaseResult(case=case, input_hash=input_hash, rival=theirs, **fields)


_RESULT = record(
    _make_result,
    ("case",),
    {
        "case": read_text,
        "input_hash": read_text,
        "outputs": list_of(OUTPUT),
        "scores": list_of(_SCORE),
        "failures": list_of(_FAILURE),
        "checks": list_of(_CHECK),
        "answers": list_of(read_text),
        "auto": read_count,
        "group": read_text,
        "runs": list_of(read_count),
        "rival": _RIVAL,
    },
)
