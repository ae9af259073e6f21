"""
The run file: everything a run produced, in one JSON file that can be compared by itself.

Its JSON Schema is `run.schema.json` in this folder. A file named `.jsonl` is a stream of the same: the head
without results on the first line, a result on each further one, and `{"usage": …}` last. Of several results
of one case, which was repeated, the last counts. Further stamps, `{"signature": …}`, and errors of no case,
`{"errors": […]}`, may stand between. A stream that is cut off is a smaller run.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from pytest_llmops.bounds import RECORD_ONLY, bound_of, format_bound, looks_like_bound, parse_bound
from pytest_llmops.detect.value_lists import mask_denied
from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.documents.json_document import parse_json, parse_unique
from pytest_llmops.documents.kept_file import KeptFile
from pytest_llmops.documents.reading import (
    BrokenValueError,
    is_number,
    list_of,
    mapping_of,
    read_any,
    read_fields,
    read_name,
    read_text,
    read_version,
    reader_of,
    record_reader,
    refuse_twice,
    within,
)
from pytest_llmops.documents.record_decoder import RecordDecoder
from pytest_llmops.errors import ComparisonError, RunFileError, hint
from pytest_llmops.golden.thresholds import WATCH, make_suite_checks, split_entry
from pytest_llmops.printable import printable
from pytest_llmops.records import (
    GAIN,
    Bound,
    CaseResult,
    Failure,
    LimitWait,
    Output,
    Part,
    Passage,
    Run,
    Score,
    SuiteCheck,
    Usage,
)
from pytest_llmops.reports.files.json_file import dump_json, lay_out, plain
from pytest_llmops.revision.merging import has_old_checks, leave_out_old_checks
from pytest_llmops.runner.usage import sum_outputs
from pytest_llmops.setting_values import read_shard
from pytest_llmops.statistics.summaries import NAMES

VERSION = 2
_OLDEST = 1
_read_stamps = reader_of(Mapping[str, str])
NOT_WRITTEN = ("printed", "spent")
"""Fields of a result that no run file has: only a report shows the one, only a baseline has the other."""

# The layout of `write_run`. No text can contain these: in JSON, a line break within text is escaped.
_START, _BETWEEN, _END = b'\n "results": [\n', b"\n  },\n", b"\n  }\n ]"
_CLOSE = b"\n  }"
_MARK = "results are read apart"
_BLOCK = 4_000_000
_BEFORE_COLON = (b"\t", b"\r", b" :", b"\n:")  # a key that ends so is none that `RecordDecoder` counts


def write_run(run: Run, path: str | Path) -> None:
    """
    Write a run, sorted by item id, atomically.

    Raises:
        RunFileError: A value cannot be written: no finite number, no JSON value, or a case twice.
        OSError: The folder cannot be made or written.
    """
    path = Path(path)
    write_atomically(path, _encode(run, path))


def load_run(path: str | Path) -> Run:
    """
    Read a run file, whole or streamed, without checks as they were at a merge base.

    Raises:
        RunFileError: It is missing, cut off, of another version, or contains something that a run cannot:
            the message names the file, the place in it, and what to do.
    """
    return without_old_checks(load_complete_run(path))


def without_old_checks(run: Run) -> Run:
    """Return a run without checks as they were at a merge base, which a shard keeps for the judge of all."""
    return leave_out_old_checks(run) if has_old_checks(run) else run


def load_complete_run(path: str | Path) -> Run:
    """
    Read a run file with checks as they were at a merge base, which only a judge of the same change knows.

    Raises:
        RunFileError: As `load_run`.
    """
    path = Path(path)
    if (run := read_pieces(path)) is not None:
        return run
    kind = _kind(path)
    read = _parse_lines if path.suffix == ".jsonl" else partial(_parse, path)
    return kind.parse(kind.load(path), str(path), read)


def _kind(path: Path) -> KeptFile:
    """Describe a run file for errors; the command in them must not write to a file of another kind."""
    named = path if path.suffix in {".json", ".jsonl"} else "run.json"
    command = f"pytest --llm-golden --llm-out {named}"
    remedy = f"Restore the file, or make it again with: {command}"
    return KeptFile(name="run file", error=RunFileError, made_by=command, remedy=remedy)


def _parse(path: Path, text: str) -> Run:
    value = parse_json(text)
    if isinstance(value, dict) and "kind" in value:  # the remedy for a broken run would replace a baseline
        raise RunFileError(f"{path}: is a {printable(value['kind'])}, no run; name a file of --llm-out")
    return read_run(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """
    A run in lines.

    Attributes:
        head: The run without results.
        results: In the order of their lines: several of a case that was repeated.
        stamps: That came after the head.
        errors: Of no case.
    """

    head: Mapping[str, Any]
    results: Sequence[CaseResult]
    stamps: Mapping[str, str]
    errors: Sequence[str]


def read_stream(path: Path) -> Stream:
    """
    Read a streamed run file, all of its lines.

    Raises:
        RunFileError: As `load_run`.
    """
    kind = _kind(path)
    return kind.parse(kind.load(path), str(path), _parse_stream)


def _parse_stream(text: str) -> Stream:
    head: dict[str, Any] = {}
    results: list[CaseResult] = []
    stamps: dict[str, str] = {}
    errors: list[str] = []
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise BrokenValueError("is empty")
    for index, (number, line) in enumerate(lines):
        is_last = index == len(lines) - 1
        try:
            value = parse_json(line, number - 1)
        except BrokenValueError:
            if is_last and index and not text.endswith("\n"):  # the process ended while it was written
                break
            raise
        only = set(value) if isinstance(value, dict) and len(value) == 1 else set()
        try:
            if index == 0:
                head = read_head(value)
            elif only == {"signature"}:
                stamps |= _read_stamps(value["signature"])
            elif only == {"errors"}:
                errors += list_of(read_name)(value["errors"])
            elif is_last and only == {"usage"}:
                head |= _read_spent(value["usage"])
            else:
                results.append(read_result(value))
        except BrokenValueError as error:
            raise BrokenValueError(f"line {number}: {error}") from None
    return Stream(head=head, results=results, stamps=stamps, errors=tuple(dict.fromkeys(errors)))


def _parse_lines(text: str) -> Run:
    stream = _parse_stream(text)
    signature = {**stream.head.get("signature", {}), **stream.stamps}
    errors = dict.fromkeys((*stream.head.get("errors", ()), *stream.errors))
    last = {result.case: result for result in stream.results}
    head = {**stream.head, "signature": signature, "errors": tuple(errors)}
    return make_run(head, tuple(last.values()))


def dump_head(run: Run) -> bytes:
    """
    Return the first line of a streamed run.

    Raises:
        RunFileError, ValueError: A value is none of JSON.
    """
    return f"{dump_json(_plain_head(run, [result.case for result in run.results]))}\n".encode()


def dump_result(result: CaseResult) -> bytes:
    """
    Return the line of a result.

    Raises:
        TypeError, ValueError: A value is none of JSON.
    """
    return f"{dump_json(_plain_result(result))}\n".encode()


def dump_stamps(stamps: Mapping[str, str]) -> bytes:
    """Return a line of further stamps."""
    return f"{dump_json({'signature': dict(stamps)})}\n".encode()


def dump_errors(errors: Sequence[str]) -> bytes:
    """Return a line of errors that are of no case."""
    return f"{dump_json({'errors': list(errors)})}\n".encode()


def _encode(run: Run, path: Path) -> bytes:
    results = sorted(run.results, key=lambda result: result.case)
    for before, after in pairwise(results):
        if before.case == after.case:
            raise RunFileError(f"{path}: not written: case {after.case!r} occurs twice")
    for result in results:
        for score in (*result.scores, *(result.rival.scores if result.rival else ())):
            if not math.isfinite(score.value):
                raise RunFileError(
                    f"{path}: not written: {result.case}: {score.metric} is {score.value}; what could not be "
                    "scored must be a Failure"
                )
    try:
        head = _plain_head(run, [result.case for result in results])
    except ValueError as error:
        raise RunFileError(f"{path}: not written: suite: {error}") from None
    if run.anchors:
        head["anchors"] = list(map(_plain_result, run.anchors))
    # Result by result, so that no copy of all of them is in memory.
    pieces = [_dump(path, result.case, _plain_result(result)) for result in results]
    spent = {**plain(run.usage), **({"limits": plain(run.limits)} if run.limits else {})}
    start, usage = _dump(path, "the head", head)[:-1], _dump(path, "the head", spent)
    text = f'{start}, "results": [{", ".join(pieces)}], "usage": {usage}}}'
    return f"{lay_out(text, 1)}\n".encode()


def _plain_head(run: Run, cases: Sequence[str]) -> dict[str, Any]:
    more = {
        "shard": run.shard,
        "parts": [plain(part) for part in run.parts],
        "errors": list(run.errors),
        "notes": list(run.notes),
    }
    return {
        "version": VERSION,
        **{name: value for name, value in more.items() if value},
        "environment": dict(run.environment),
        "signature": dict(run.signature),
        "suite": dump_suite(run.suite, cases),
        **({"skipped": dict(run.skipped)} if run.skipped else {}),
    }


def _dump(path: Path, what: str, value: Any) -> str:
    try:
        return dump_json(value)
    except (TypeError, ValueError) as error:
        raise RunFileError(f"{path}: not written: {what} holds what JSON cannot: {error}") from None


def _plain_result(result: CaseResult) -> dict[str, Any]:
    """Return the result as JSON values; a rival has only outputs, scores and failures."""
    dumped: dict[str, Any] = {**plain(result), "calls": _count_calls(result)}
    for name in NOT_WRITTEN:
        del dumped[name]
    for span in dumped["spans"]:
        del span["resource"]
    for check in dumped["checks"]:
        check["options"] = mask_denied(check["options"])
    rival = dumped.pop("rival")
    if rival is not None:
        dumped["rival"] = {name: rival[name] for name in ("outputs", "scores", "failures")}
    return dumped


def _count_calls(result: CaseResult) -> dict[str, Any]:
    """Return the numbers of calls of the case's repeats together, as `calls` has them."""
    usages = [*(output.usage for output in result.outputs), *(fault.usage for fault in result.failures)]
    elsewhere: Counter[str] = Counter()
    for output in result.outputs:
        elsewhere.update(output.elsewhere)
    return {
        "made": sum(max(usage.calls - usage.replayed, 0) for usage in usages),
        "replayed": sum(usage.replayed for usage in usages),
        "failed": sum(usage.failed for usage in usages),
        "elsewhere": dict(elsewhere),
    }


def read_run(value: Any) -> Run:
    """Read a run from the content of a JSON run file."""
    value = read_version(value, VERSION, "run file", oldest=_OLDEST)
    head = read_head({name: part for name, part in value.items() if name != "results"})
    if not isinstance(value.get("results"), list):
        raise BrokenValueError("results: must be a list; the file holds no results")
    results = within("results", list_of(read_result), value["results"])
    return make_run(head, results)


def read_head(value: Any) -> dict[str, Any]:
    """Read a run without its results: `signature`, `suite` as JSON and `usage` where given."""
    value = read_version(value, VERSION, "run file", oldest=_OLDEST)
    known = {
        "version": read_any,
        "results": read_any,
        "signature": _read_stamps,
        "suite": reader_of(Mapping[str, Any]),
        "usage": _read_spent,
        "anchors": list_of(read_result),
        "environment": reader_of(Mapping[str, str]),
        "shard": read_shard,
        "parts": list_of(record_reader(Part)),
        "errors": list_of(read_text),
        "notes": list_of(read_text),
        "skipped": reader_of(Mapping[str, str]),
    }
    fields = read_fields(value, known)
    head = {key: part for key, part in fields.items() if key not in {"version", "results", "usage"}}
    return {**head, **fields.get("usage", {})}


def _read_spent(value: Any) -> dict[str, Any]:
    """Read the usage of a run, and what limits cost it."""
    if not isinstance(value, dict) or "limits" not in value:
        return {"usage": reader_of(Usage)(value)}
    usage = {key: part for key, part in value.items() if key != "limits"}
    limits = within("limits", mapping_of(reader_of(LimitWait)), value["limits"])
    return {"usage": reader_of(Usage)(usage), "limits": limits}


def make_run(head: Mapping[str, Any], results: tuple[CaseResult, ...]) -> Run:
    """Make a run of a head and its results; without a usage, it is the sum of the outputs'."""
    refuse_twice((result.case for result in results), "results", "case")
    try:
        suite = parse_suite(head.get("suite", {}), [result.case for result in results])
    except ValueError as error:
        raise BrokenValueError(f"suite: {error}") from None
    usage = head.get("usage") or sum_outputs(results)
    return Run(
        signature=head.get("signature", {}),
        results=results,
        suite=suite,
        usage=usage,
        anchors=tuple(head.get("anchors", ())),
        environment=head.get("environment", {}),
        shard=head.get("shard", ""),
        parts=tuple(head.get("parts", ())),
        errors=tuple(head.get("errors", ())),
        notes=tuple(head.get("notes", ())),
        limits=head.get("limits", {}),
        skipped=head.get("skipped", {}),
    )


def read_result(value: Any) -> CaseResult:
    """Read the result of one case."""
    result: CaseResult = _RESULT(value)
    return result


def make_result(
    *,
    case: str,
    input_hash: str = "",
    rival: Mapping[str, Any] | None = None,
    calls: Any = None,
    **fields: Any,
) -> CaseResult:
    """Make a result of the fields in a file; a rival has the case and input of its result."""
    del calls  # the sum of what its outputs and failures have
    of_rival = None if rival is None else CaseResult(case=case, input_hash=input_hash, **rival)
    return CaseResult(case=case, input_hash=input_hash, rival=of_rival, **fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rival:
    """The fields of a rival; its case and checks are those of the result that contains it."""

    outputs: tuple[Output, ...] = ()
    scores: tuple[Score, ...] = ()
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written(CaseResult):
    """The fields of a result in a file."""

    calls: Any = None


read_rival = record_reader(dict, _Rival)
_RESULT = record_reader(
    make_result, _Written, without=NOT_WRITTEN, optional=("input_hash",), rival=read_rival
)


def read_pieces(path: Path) -> Run | None:
    """
    Read a run file in the layout that `write_run` writes, a result at a time.

    None for every other file, and for one that `read_run` rejects.
    """
    if not path.is_file():  # a pipe can be read only once
        return None
    try:
        return _read(path)
    except (BrokenValueError, OSError, RecursionError, ValueError):
        return None


def _read(path: Path) -> Run | None:
    read = _make_reader()
    results: list[CaseResult] = []
    with path.open("rb") as file:
        before, start, rest = file.read(_BLOCK).partition(_START)
        while start:
            *pieces, rest = rest.split(_BETWEEN)
            results += [read(piece + _CLOSE) for piece in pieces]
            block = file.read(_BLOCK)
            if not block:
                break
            rest += block
    last, end, after = rest.partition(_END)
    if not (start and end):
        return None
    results.append(read(last + _CLOSE))
    # The rest is a run whose results are a mark; it is elsewhere if the results are, or if they come twice.
    value = _parse_pieces(before + _START + json.dumps(_MARK).encode() + b"\n ]" + after)
    if not isinstance(value, dict) or value.pop("results", None) != [_MARK]:
        return None
    return make_run(read_head(value), tuple(results))


def _parse_pieces(text: bytes) -> Any:
    return parse_unique(text.decode())


def _make_reader() -> Callable[[bytes], CaseResult]:
    """Make a reader of one file's results; equal scores, checks and usages become one record."""
    scores: RecordDecoder[Score] = RecordDecoder(Score, interned=("metric", "signature"), shared=True)
    outputs: RecordDecoder[Output] = RecordDecoder(
        Output, interned=("model",), decoders={"passages": RecordDecoder(Passage)}
    )
    decoder = RecordDecoder(
        _Written,
        make_result,
        without=NOT_WRITTEN,
        optional=("input_hash",),
        readers={"rival": read_rival},
        decoders={"outputs": outputs, "scores": scores},
    )

    def read(text: bytes) -> CaseResult:
        if any(ending in text for ending in _BEFORE_COLON):
            _parse_pieces(text)
        try:
            return decoder.read(text)
        except (BrokenValueError, RecursionError, ValueError):  # of msgspec, too
            return read_result(_parse_pieces(text))

    return read


def dump_suite(suite: Mapping[str, Sequence[SuiteCheck]], cases: Iterable[str]) -> dict[str, Any]:
    """
    Write the suite of a run as JSON values.

    Args:
        suite: Golden file to its checks.
        cases: Item ids of the run; they name the golden file where it is not written.

    Raises:
        ValueError: No golden file can contain these checks.
    """
    if len(suite) == 1 and any(suite.values()) and next(iter(suite)) == _golden_file(cases):
        return _dump_checks(next(iter(suite.values())))
    return {path: _dump_checks(checks) for path, checks in sorted(suite.items())}


def parse_suite(suite: Mapping[str, Any], cases: Iterable[str]) -> dict[str, tuple[SuiteCheck, ...]]:
    """
    Read golden file to its suite checks; the file is "" where nothing names it.

    Raises:
        ValueError: A check is wrong; with its metric.
    """
    for key, value in suite.items():
        if not isinstance(value, Mapping):
            raise ValueError(f"{key}: must be a mapping of statistics, not {value!r}")  # noqa: TRY004
    if all(isinstance(written, Mapping) for value in suite.values() for written in value.values()):
        return {path: _parse_checks(checks) for path, checks in suite.items()}
    return {_golden_file(cases): _parse_checks(suite)}


def _golden_file(cases: Iterable[str]) -> str:
    paths = {case.partition("::")[0] if "::" in case else "" for case in cases}
    return paths.pop() if len(paths) == 1 else ""


def _dump_checks(checks: Sequence[SuiteCheck]) -> dict[str, Any]:
    dumped: dict[str, dict[str, Any]] = {}
    # `compare` adds the mean that is watched with other statistics: in one entry it would share their keys.
    bounded = {check.metric for check in checks if check.statistic not in {"mean", GAIN}}
    checks = [check for check in checks if not (check.is_bare and check.metric in bounded)]
    for check in checks:
        if check.statistic == GAIN:
            dumped.setdefault(check.metric, {}).update(
                {**mask_denied(check.options), "min_gain": check.threshold}
            )
            continue
        alone = sum(other.metric == check.metric and other.statistic != GAIN for other in checks) == 1
        if check.max_drop is not None and check.statistic != "mean" and not alone:
            raise ValueError(f"{check.metric}: max_drop beside several statistics is about the mean")
        bound = bound_of(check)
        written = format_bound(bound, digits=None) if bound else None
        shared = mask_denied(check.options)
        if check.max_drop is not None:
            shared["max_drop"] = check.max_drop
        if check.record_only:
            shared[RECORD_ONLY] = True
        if not check.watch:
            shared[WATCH] = False
        dumped.setdefault(check.metric, {}).update({check.statistic: written, **shared})
    return dumped


def _parse_checks(suite: Mapping[str, Any]) -> tuple[SuiteCheck, ...]:
    return tuple(check for metric, written in suite.items() for check in _parse_entry(metric, written))


def _parse_entry(metric: str, written: Mapping[str, Any]) -> tuple[SuiteCheck, ...]:
    entry = split_entry(written)
    max_drop, min_gain = entry.words.get("max_drop"), entry.words.get("min_gain")
    if max_drop is not None and not (is_number(max_drop) and max_drop >= 0):
        raise ValueError(f"{metric}: max_drop must be a number from 0, not {max_drop!r}")
    if "min_gain" in entry.words and not is_number(min_gain):
        raise ValueError(f"{metric}: min_gain must be a number, not {min_gain!r}")
    for key, value in entry.options.items():
        if isinstance(value, str) and looks_like_bound(value):
            near = hint(key, NAMES)
            raise ValueError(
                f"{metric}: no statistic is named {key!r}.{near} Known: mean, sum, min, max, p1 … p99"
            )
    try:
        return make_suite_checks(
            metric,
            {name: _parse_bound(bound, f"{metric} {name}") for name, bound in entry.statistics.items()},
            max_drop=None if max_drop is None else float(max_drop),
            min_gain=None if min_gain is None else float(min_gain),
            options=entry.options,
            record_only=entry.words.get(RECORD_ONLY) is True,
            watch=entry.words.get(WATCH) is not False,
        )
    except ComparisonError as error:
        raise ValueError(f"{metric}: {error}") from None


def _parse_bound(written: Any, place: str) -> Bound | None:
    bound = parse_bound(written) if isinstance(written, str) else None
    if written is not None and bound is None:
        raise ValueError(f'{place}: must be a comparison such as ">= 0.9", not {written!r}')
    return bound
