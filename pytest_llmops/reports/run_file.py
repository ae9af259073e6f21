"""
The run file: everything a run produced, in one JSON file that can be compared by itself.

Its JSON Schema is `run.schema.json` beside this module. A file named `.jsonl` is a stream of the same:
the head without results on the first line, a result on each further one, and `{"usage": …}` last; a
stream that was cut off between two lines is a smaller run.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pytest_llmops.errors import RunFileError, hint
from pytest_llmops.records import CaseResult, Run
from pytest_llmops.reports.run_reading import (
    VERSION,
    BrokenValueError,
    make_run,
    read_head,
    read_result,
    read_run,
    read_usage,
)
from pytest_llmops.reports.suite_checks import dump_suite

# Controls, bidi overrides, zero width, tags and lone surrogates: only within JSON strings can they occur.
_UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_REMEDY = "Restore the file, or make it again with: pytest --llm-golden --llm-out"


def write_run(run: Run, path: str | Path) -> None:
    """
    Write a run, sorted by item id: the old file or the new one is there, never a part of one.

    Raises:
        RunFileError: A value cannot be written: no finite number, no JSON value, or a case twice.
        OSError: The folder cannot be made or written.
    """
    path = Path(path)
    data = _encode(run, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def load_run(path: str | Path) -> Run:
    """
    Read a run file, whole or streamed.

    Raises:
        RunFileError: It is missing, cut off, of another version, or holds something that a run cannot:
            the message names the file, the place in it, and what to do.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        return _parse_lines(text) if path.suffix == ".jsonl" else read_run(_parse(text))
    except FileNotFoundError:
        near = hint(path.name, [each.name for each in path.parent.glob("*.json*")])
        raise RunFileError(f"{path}: there is no such run file.{near} Make it: {_remade(path)}") from None
    except OSError as error:
        raise RunFileError(f"{path}: cannot be read: {error.strerror}. {_REMEDY} {path}") from None
    except UnicodeDecodeError as error:
        raise RunFileError(f"{path}: byte {error.start} is no UTF-8. {_REMEDY} {path}") from None
    except RecursionError:
        raise RunFileError(f"{path}: is nested too deeply to be a run. {_REMEDY} {path}") from None
    except BrokenValueError as error:
        raise RunFileError(f"{path}: {error}. {_REMEDY} {path}") from None


def _remade(path: Path) -> str:
    return f"pytest --llm-golden --llm-out {path}"


def _parse(text: str, line: int = 0) -> Any:
    """A JSON value; `line` is the number of the line before it."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        ended = " (the file ends too early)" if not text[error.pos :].strip() else ""
        raise BrokenValueError(
            f"line {line + error.lineno}, column {error.colno}: is no JSON: {error.msg}{ended}"
        ) from None
    except ValueError:  # a whole number of more digits than Python converts
        raise BrokenValueError("holds a number that is too long to be one") from None


def _parse_lines(text: str) -> Run:
    head: dict[str, Any] = {}
    results: list[CaseResult] = []
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise BrokenValueError("is empty")
    for index, (number, line) in enumerate(lines):
        value = _parse(line, number - 1)
        try:
            if index == 0:
                head = read_head(value)
            elif index == len(lines) - 1 and isinstance(value, dict) and set(value) == {"usage"}:
                head["usage"] = read_usage(value["usage"])
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
        for score in result.scores:
            if not math.isfinite(score.value):
                raise RunFileError(
                    f"{path}: not written: {result.case}: {score.metric} is {score.value}; what could not be "
                    "scored must be a Failure"
                )
    try:
        suite = dump_suite(run.suite, [result.case for result in results])
    except ValueError as error:
        raise RunFileError(f"{path}: not written: suite: {error}") from None
    document = {
        "version": VERSION,
        "signature": dict(run.signature),
        "suite": suite,
        "results": [_plain(result) for result in results],
        "usage": _plain(run.usage),
    }
    try:
        return _dump(document)
    except (TypeError, ValueError) as error:
        case = next((each["case"] for each in document["results"] if not _can_dump(each)), "the head")
        raise RunFileError(f"{path}: not written: {case} holds what JSON cannot: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float) or value is None:
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


def _can_dump(value: Any) -> bool:
    try:
        _dump(value)
    except (TypeError, ValueError):
        return False
    return True


def _dump(value: Any) -> bytes:
    """Indented for people who read a baseline's diff, with nothing in it that they could not see."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return (_UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text) + "\n").encode()
