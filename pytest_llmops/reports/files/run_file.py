"""
The run file: everything a run produced, in one JSON file that can be compared by itself.

Its JSON Schema is `run.schema.json` in this folder. A file named `.jsonl` is a stream of the same:
the head without results on the first line, a result on each further one, and `{"usage": …}` last; a
stream that was cut off between two lines is a smaller run.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from pytest_llmops.detect.value_lists import mask_denied
from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.documents.json_document import parse_json
from pytest_llmops.documents.reading import BrokenValueError, reader_of
from pytest_llmops.errors import RunFileError
from pytest_llmops.printable import printable
from pytest_llmops.records import CaseResult, Run, Usage
from pytest_llmops.reports.files.json_file import (
    FileKind,
    dump_json,
    lay_out,
    plain,
    read_content,
    read_file,
)
from pytest_llmops.reports.files.run_reading import VERSION, make_run, read_head, read_result, read_run
from pytest_llmops.reports.files.suite_checks import dump_suite


def write_run(run: Run, path: str | Path) -> None:
    """
    Write a run, sorted by item id: the old file or the new one is there, never a part of one.

    Raises:
        RunFileError: A value cannot be written: no finite number, no JSON value, or a case twice.
        OSError: The folder cannot be made or written.
    """
    path = Path(path)
    write_atomically(path, _encode(run, path))


def load_run(path: str | Path) -> Run:
    """
    Read a run file, whole or streamed.

    Raises:
        RunFileError: It is missing, cut off, of another version, or holds something that a run cannot:
            the message names the file, the place in it, and what to do.
    """
    from pytest_llmops.reports.files.run_pieces import read_pieces

    path = Path(path)
    if path.suffix != ".jsonl" and (run := read_pieces(path)) is not None:
        return run
    kind = _kind(path)
    read = _parse_lines if path.suffix == ".jsonl" else partial(_parse, path)
    return read_content(read_file(path, kind), str(path), kind, read)


def _kind(path: Path) -> FileKind:
    """What a message says of a run file; a command that it names may write to no file of another kind."""
    named = path if path.suffix in {".json", ".jsonl"} else "run.json"
    command = f"pytest --llm-golden --llm-out {named}"
    remedy = f"Restore the file, or make it again with: {command}"
    return FileKind(name="run file", made_by=command, remedy=remedy)


def _parse(path: Path, text: str) -> Run:
    value = parse_json(text)
    if isinstance(value, dict) and "kind" in value:  # the remedy for a broken run would replace a baseline
        raise RunFileError(f"{path}: is a {printable(value['kind'])}, no run; name a file of --llm-out")
    return read_run(value)


def _parse_lines(text: str) -> Run:
    head: dict[str, Any] = {}
    results: list[CaseResult] = []
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise BrokenValueError("is empty")
    for index, (number, line) in enumerate(lines):
        value = parse_json(line, number - 1)
        try:
            if index == 0:
                head = read_head(value)
            elif index == len(lines) - 1 and isinstance(value, dict) and set(value) == {"usage"}:
                head["usage"] = reader_of(Usage)(value["usage"])
            else:
                results.append(read_result(value))
        except BrokenValueError as error:
            raise BrokenValueError(f"line {number}: {error}") from None
    return make_run(head, tuple(results))


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
        suite = dump_suite(run.suite, [result.case for result in results])
    except ValueError as error:
        raise RunFileError(f"{path}: not written: suite: {error}") from None
    head = {"version": VERSION, "signature": dict(run.signature), "suite": suite}
    # Result by result, so that no copy of all of them is in memory.
    pieces = [_dump(path, result.case, _plain_result(result)) for result in results]
    start, usage = _dump(path, "the head", head)[:-1], _dump(path, "the head", plain(run.usage))
    text = f'{start}, "results": [{", ".join(pieces)}], "usage": {usage}}}'
    return f"{lay_out(text, 1)}\n".encode()


def _dump(path: Path, what: str, value: Any) -> str:
    try:
        return dump_json(value)
    except (TypeError, ValueError) as error:
        raise RunFileError(f"{path}: not written: {what} holds what JSON cannot: {error}") from None


def _plain_result(result: CaseResult) -> dict[str, Any]:
    """The result as JSON values; a rival has only what it produced: its input is the case's."""
    dumped: dict[str, Any] = plain(result)
    del dumped["printed"]
    for check in dumped["checks"]:
        check["options"] = mask_denied(check["options"])
    rival = dumped.pop("rival")
    if rival is not None:
        dumped["rival"] = {name: rival[name] for name in ("outputs", "scores", "failures")}
    return dumped
