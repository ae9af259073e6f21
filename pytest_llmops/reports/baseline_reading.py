"""JSON values to a baseline: lists of one item become an item for each repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from pytest_llmops.errors import hint
from pytest_llmops.gates.answers import answer_digests
from pytest_llmops.printable import counted
from pytest_llmops.records import CaseResult, Output, Run, Score
from pytest_llmops.reports.json_readers import (
    BrokenValueError,
    list_of,
    mapping_of,
    one_of,
    optional,
    read_any,
    read_count,
    read_number,
    read_text,
    read_version,
    record,
    show,
    within,
)
from pytest_llmops.reports.run_reading import PASSAGE, TOOL_CALL

VERSION = 1
KIND = "baseline"

_MOST_REPEATS = 100_000  # one item stands for all of them, however many a broken file asks for
Item = TypeVar("Item")


def read_baseline(value: Any) -> Run:
    """A baseline from the whole content of its file."""
    head = _HEAD(read_version(value, VERSION, KIND))
    entries = within(".cases", list_of(partial(_read_entry, head["signature"])), head["cases"])
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        if entry.case in seen:
            raise BrokenValueError(f"cases[{index}].case: {show(entry.case)} occurs twice")
        seen.add(entry.case)
    return Run(signature=head["signature"], results=entries)


def read_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of a key that a merge left twice, JSON would keep the last one in silence."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise BrokenValueError(f"key {show(name)} occurs twice in one object")
        found[name] = value
    return found


def _read_entry(signature: Mapping[str, str], value: Any) -> CaseResult:
    fields = _ENTRY(value)
    if ("answers" in fields) == ("outputs" in fields):
        raise BrokenValueError("must have answers or outputs, and not both")
    repeats = fields["repeats"]
    spread = partial(_spread, repeats)
    outputs = within(".outputs", spread, fields["outputs"]) if "outputs" in fields else ()
    answers = within(".answers", spread, fields["answers"]) if "answers" in fields else ()
    scores = within(".scores", mapping_of(spread), fields["scores"])
    ways = fields.get("signatures", {})
    for metric in ways:
        if metric not in scores:
            raise BrokenValueError(
                f"signatures: {show(metric)} is no metric of scores.{hint(metric, scores)}"
            )
    entry = CaseResult(
        case=fields["case"],
        input_hash=fields.get("input_hash", ""),
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
        runs=_check_runs(fields.get("runs", ()), repeats),
    )
    return replace(entry, answers=answer_digests(entry))


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


def _read_repeats(value: Any) -> int:
    if not 0 < (repeats := read_count(value)) <= _MOST_REPEATS:
        raise BrokenValueError(f"must be a whole number from 1 to {_MOST_REPEATS}, not {show(value)}")
    return repeats


_HEAD = record(
    dict,
    ("kind", "signature", "cases"),
    {"version": read_any, "kind": one_of(KIND), "signature": mapping_of(read_text), "cases": read_any},
)
_ENTRY = record(
    dict,
    ("case", "repeats", "scores"),
    {
        "case": read_text,
        "input_hash": read_text,
        "repeats": _read_repeats,
        "runs": list_of(read_count),
        "answers": list_of(read_text),
        "outputs": list_of(
            record(
                Output,
                ("text",),
                {
                    "text": read_text,
                    "passages": optional(list_of(PASSAGE)),
                    "tool_calls": list_of(TOOL_CALL),
                },
            )
        ),
        "scores": mapping_of(list_of(read_number)),
        "signatures": mapping_of(read_text),
    },
)
