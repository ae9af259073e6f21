"""JSON values to a baseline: lists of one item become an item for each repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from pytest_llmops.documents.reading import (
    BrokenValueError,
    list_of,
    mapping_of,
    read_version,
    record_reader,
    refuse_twice,
    show,
    whole,
    within,
)
from pytest_llmops.errors import hint
from pytest_llmops.gates.case_results import answer_digests
from pytest_llmops.printable import counted
from pytest_llmops.records import CaseResult, Output, Run, Score

VERSION = 1
KIND = "baseline"

_MOST_REPEATS = 100_000  # one item stands for all of them, however many a broken file states
Item = TypeVar("Item")


def read_baseline(value: Any) -> Run:
    """A baseline from the whole content of its file."""
    head = _HEAD(read_version(value, VERSION, KIND))
    entries = within("cases", list_of(partial(_read_entry, head["signature"])), head["cases"])
    refuse_twice((each.case for each in entries), "cases", "case")
    return Run(signature=head["signature"], results=entries)


def _read_entry(signature: Mapping[str, str], value: Any) -> CaseResult:
    entry = _ENTRY(value)
    if ("answers" in entry) == ("outputs" in entry):
        raise BrokenValueError("must have answers or outputs, and not both")
    repeats = entry["repeats"]
    spread = partial(_spread, repeats)
    outputs = within("outputs", spread, entry["outputs"]) if "outputs" in entry else ()
    answers = within("answers", spread, entry["answers"]) if "answers" in entry else ()
    scores = within("scores", mapping_of(spread), entry["scores"])
    ways = entry.get("signatures", {})
    for metric in ways:
        if metric not in scores:
            raise BrokenValueError(
                f"signatures: {show(metric)} is no metric of scores.{hint(metric, scores)}"
            )
    result = CaseResult(
        case=entry["case"],
        input_hash=entry.get("input_hash", ""),
        outputs=tuple(replace(output, repeat=repeat) for repeat, output in enumerate(outputs)),
        scores=tuple(
            Score(
                metric=metric,
                value=number,
                repeat=repeat,
                signature=ways.get(metric, signature.get(f"metric:{metric}", "")),
            )
            for metric, numbers in sorted(scores.items())
            for repeat, number in enumerate(numbers)
        ),
        answers=answers,
        runs=_check_runs(entry.get("runs", ()), repeats),
    )
    return replace(result, answers=answer_digests(result))


def _check_runs(runs: tuple[int, ...], repeats: int) -> tuple[int, ...]:
    """The repeats that each merged run gave; together they are all of them."""
    if runs and (len(runs) < 2 or min(runs) < 1 or sum(runs) != repeats):  # noqa: PLR2004 - one run needs no list
        raise BrokenValueError(f"runs: must be two numbers or more that add up to {repeats} repeats")
    return runs


def _spread(repeats: int, items: Sequence[Item]) -> Sequence[Item]:
    """An item for each repeat."""
    if len(items) not in {1, repeats}:
        allowed = counted(repeats, "item") if repeats == 1 else f"1 or {repeats} items"
        raise BrokenValueError(f"must contain {allowed}, one for each repeat, not {len(items)}")
    return items if len(items) == repeats else tuple(items) * repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    version: Any
    kind: Literal["baseline"]
    signature: Mapping[str, str]
    cases: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One case, as `baseline.schema.json` has it."""

    case: str
    repeats: Annotated[int, whole(1, _MOST_REPEATS)]
    scores: Mapping[str, tuple[float, ...]]
    input_hash: str = ""
    runs: tuple[int, ...] = ()
    answers: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()
    signatures: Mapping[str, str] = field(default_factory=dict)


_NOT_KEPT = {each.name for each in fields(Output)} - {"text", "passages", "tool_calls"}
_HEAD = record_reader(dict, _Head)
_ENTRY = record_reader(dict, _Entry, outputs=list_of(record_reader(Output, without=_NOT_KEPT)))
