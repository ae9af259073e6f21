"""
A run file read result by result: fast, and with no more of its text in memory than a few results.

What is written thousands of times, outputs and scores, is decoded by msgspec into the structures below, which
refuse what `run_reading` refuses; the rest of a result goes through the readers there, and so does a result
that does not fit, for it may be none, or one that msgspec does not know, of lone surrogates.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from pytest_llmops.records import CaseResult, Check, Output, Run, Score, Usage
from pytest_llmops.reports.json_readers import BrokenValueError, read_any
from pytest_llmops.reports.run_reading import OUTPUT, make_run, read_head, read_result

# As `write_run` lays a file out. Text cannot hold them: in JSON, a line break within text is escaped.
_START, _BETWEEN, _END = b'\n "results": [\n', b"\n  },\n", b"\n  }\n ]"
_CLOSE = b"\n  }"
_MARK = "results are read apart"
_BLOCK = 4_000_000

_MOST_SHARED = 20_000
"""Records that are kept to stand for equal ones; where there are more, they are hardly ever equal."""

_Count = Annotated[int, msgspec.Meta(ge=0)]
Key = TypeVar("Key")
Record = TypeVar("Record")


class _Written(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What was written, with the defaults of the records; what is `Raw` or `Any` is read elsewhere."""


class _Usage(_Written, frozen=True, gc=False):
    calls: _Count = 0
    replayed: _Count = 0
    failed: _Count = 0
    stated: bool = False
    prompt_tokens: _Count | None = 0
    completion_tokens: _Count | None = 0
    cost_usd: float | None = 0.0


class _Output(_Written, frozen=True):
    text: str
    repeat: _Count = 0
    passages: Any = None
    tool_calls: Any = []
    usage: _Usage = _Usage()
    latency_s: float = 0.0
    model: str | None = None
    trace_id: str | None = None
    model_calls: Any = []
    failed_calls: Any = []


class _Score(_Written, frozen=True):
    metric: str
    value: float
    repeat: _Count = 0
    reason: str = ""
    evidence: tuple[Any, ...] = ()
    signature: str = ""


class _Result(_Written, frozen=True):
    case: str
    input_hash: str = ""
    outputs: tuple[_Output, ...] = ()
    scores: tuple[_Score, ...] = ()
    failures: Any = []
    checks: msgspec.Raw = msgspec.Raw(b"[]")
    answers: Any = []
    auto: _Count = 0
    group: str = ""
    runs: Any = []
    rival: Any = msgspec.UNSET


def read_pieces(path: Path) -> Run | None:
    """
    The run in a file of the layout that `write_run` writes.

    None for every other file, and for one that `read_run` refuses.
    """
    if not path.is_file():  # a pipe can be read only once
        return None
    try:
        return _read(path)
    except (BrokenValueError, OSError, RecursionError, ValueError):
        return None


def _read(path: Path) -> Run | None:
    reader = _ResultReader()
    results: list[CaseResult] = []
    with path.open("rb") as file:
        before, start, rest = file.read(_BLOCK).partition(_START)
        while start:
            *pieces, rest = rest.split(_BETWEEN)
            results += [reader.read(piece + _CLOSE) for piece in pieces]
            block = file.read(_BLOCK)
            if not block:
                break
            rest += block
    last, end, after = rest.partition(_END)
    if not (start and end):
        return None
    results.append(reader.read(last + _CLOSE))
    # The rest is a run whose results are a mark. Were they elsewhere, or there twice, it would not be there.
    value = _parse(before + _START + json.dumps(_MARK).encode() + b"\n ]" + after)
    if not isinstance(value, dict) or value.pop("results", None) != [_MARK]:
        return None
    return make_run(read_head(value), tuple(results))


def _parse(text: bytes) -> Any:
    return json.loads(text.decode())


class _ResultReader:
    """Reads the results of one file. Equal scores, usages and checks are one record, for few differ."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_Result).decode
        self._scores: dict[Hashable, Score] = {}
        self._usages: dict[_Usage, Usage] = {}
        self._checks: dict[bytes, tuple[Check, ...]] = {}

    def read(self, text: bytes) -> CaseResult:
        """What one case produced, from a JSON object."""
        try:
            found = self._decode(text)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return read_result(_parse(text))
        rest = {name: getattr(found, name) for name in ("case", "input_hash", "auto", "group")}
        for name in ("failures", "answers", "runs"):
            if (value := getattr(found, name)) != []:
                rest[name] = value
        if found.rival is not msgspec.UNSET:
            rest["rival"] = found.rival
        return replace(
            read_result(rest),
            outputs=tuple(map(self._output, found.outputs)),
            scores=tuple(map(self._score, found.scores)),
            checks=_share(self._checks, bytes(found.checks), _read_checks),
        )

    def _output(self, found: _Output) -> Output:
        output = Output(
            text=found.text,
            repeat=found.repeat,
            usage=_share(self._usages, found.usage, _make_usage),
            latency_s=found.latency_s,
            model=found.model and sys.intern(found.model),
            trace_id=found.trace_id,
        )
        if found.passages is None and found.tool_calls == found.model_calls == found.failed_calls == []:
            return output
        names = ("passages", "tool_calls", "model_calls", "failed_calls")
        rest: Output = OUTPUT({"text": "", **{name: getattr(found, name) for name in names}})
        return replace(output, **{name: getattr(rest, name) for name in names})

    def _score(self, found: _Score) -> Score:
        if found.evidence:
            read_any([each for each in found.evidence if type(each) in {dict, list}])
            return _make_score(found)
        value = found.value or str(found.value)  # 0.0 and -0.0 are equal
        key = (found.metric, value, found.repeat, found.reason, found.signature)
        # Written out, for it is what most of the time goes to.
        score = self._scores.get(key)
        if score is None:
            score = _make_score(found)
            if len(self._scores) < _MOST_SHARED:
                self._scores[key] = score
        return score


def _share(known: dict[Key, Record], key: Key, make: Callable[[Key], Record]) -> Record:
    """The record that an equal key made before, or a new one."""
    record = known.get(key)
    if record is None:
        record = make(key)
        if len(known) < _MOST_SHARED:
            known[key] = record
    return record


def _make_usage(found: _Usage) -> Usage:
    return Usage(**msgspec.structs.asdict(found))


def _make_score(found: _Score) -> Score:
    return Score(
        metric=sys.intern(found.metric),
        value=found.value,
        repeat=found.repeat,
        reason=found.reason,
        evidence=found.evidence,
        signature=sys.intern(found.signature),
    )


def _read_checks(text: bytes) -> tuple[Check, ...]:
    return read_result({"case": "", "checks": _parse(text)}).checks
