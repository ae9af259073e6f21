"""JSON values to the records of a run; what does not fit is reported with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmops.documents.reading import (
    BrokenValueError,
    list_of,
    read_any,
    read_fields,
    read_version,
    reader_of,
    record_reader,
    refuse_twice,
    within,
)
from pytest_llmops.records import CaseResult, Failure, Output, Run, Score, Usage
from pytest_llmops.reports.files.suite_checks import parse_suite
from pytest_llmops.runner.usage import sum_outputs

VERSION = 1
NOT_WRITTEN = ("printed",)
"""Fields of a result that no file has."""


def read_run(value: Any) -> Run:
    """A run from the whole content of a JSON run file."""
    value = read_version(value, VERSION, "run file")
    fields = read_head({name: each for name, each in value.items() if name != "results"})
    if not isinstance(value.get("results"), list):
        raise BrokenValueError("results: must be a list; the file holds no results")
    results = within("results", list_of(read_result), value["results"])
    return make_run(fields, results)


def read_head(value: Any) -> dict[str, Any]:
    """Everything of a run but its results: `signature`, `suite` as JSON and `usage` where given."""
    value = read_version(value, VERSION, "run file")
    known = {
        "version": read_any,
        "results": read_any,
        "signature": reader_of(Mapping[str, str]),
        "suite": reader_of(Mapping[str, Any]),
        "usage": reader_of(Usage),
    }
    fields = read_fields(value, known)
    return {key: each for key, each in fields.items() if key not in {"version", "results"}}


def make_run(head: Mapping[str, Any], results: tuple[CaseResult, ...]) -> Run:
    """The run of a head and its results; a usage that was not written is the sum of the outputs'."""
    refuse_twice((each.case for each in results), "results", "case")
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


def make_result(
    *, case: str, input_hash: str = "", rival: Mapping[str, Any] | None = None, **fields: Any
) -> CaseResult:
    """A result of what a file says of it."""
    theirs = None if rival is None else CaseResult(case=case, input_hash=input_hash, **rival)
    return CaseResult(case=case, input_hash=input_hash, rival=theirs, **fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rival:
    """What is written of a rival, whose case and checks are those of the result that it belongs to."""

    outputs: tuple[Output, ...] = ()
    scores: tuple[Score, ...] = ()
    failures: tuple[Failure, ...] = ()


read_rival = record_reader(dict, _Rival)
_RESULT = record_reader(
    make_result, CaseResult, without=NOT_WRITTEN, optional=("input_hash",), rival=read_rival
)
