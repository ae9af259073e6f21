"""
The shape of a golden file, as `golden.schema.json` publishes it: keys, kinds of values, lengths, words.

Entries under `checks` and `suite` are left to `thresholds`, which knows the metrics and refuses whatever
the schema refuses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pytest_llmops.documents.reading import (
    UNKNOWN_KEY,
    BrokenValueError,
    Reader,
    list_of,
    one_of,
    read_any,
)
from pytest_llmops.documents.values import Mistake, Place, described, line_of
from pytest_llmops.errors import hint
from pytest_llmops.printable import counted, excerpt
from pytest_llmops.setting_values import MOST_REPEATS

_SMALLEST = "the smallest is cases: [{id: hello, input: Hi there}]"
_LONGEST = 100  # characters of an id or a group
_LONGEST_QUOTED = 60


def find_structure_mistakes(document: Any) -> list[Mistake]:
    """Every place where the document departs from the schema."""
    if document is None:
        return [Mistake(line=1, message=f"the file has no cases; {_SMALLEST}")]
    if isinstance(document, list):
        return [Mistake(line=1, message="the file is a list; put the cases under a key: cases: [...]")]
    try:
        _FILE(document)
    except BrokenValueError as error:
        return [
            Mistake(line=line_of(document, place), message=_sentence(place, problem), place=place)
            for place, problem in error.problems
        ]
    return []


def _sentence(place: Place, problem: str) -> str:
    """The problem with its subject: `relevant is empty`, `item 2 of tags must be text`."""
    if problem.startswith(UNKNOWN_KEY):
        return problem
    if not place:
        return f"the file {problem}"
    last = place[-1]
    if isinstance(last, str):
        holder = f"{place[-2]}: " if len(place) > 1 and isinstance(place[-2], str) else ""
        return f"{holder}{last} {problem}"
    return f"a case {problem}" if place[:-1] == ("cases",) else f"item {last + 1} of {place[-2]} {problem}"


_KINDS: Mapping[type, str] = {str: "text", dict: "a mapping", list: "a list", bool: "true or false"}


def _a(*kinds: type, then: Reader = read_any) -> Reader:
    """Reads a value of one of these kinds with `then`; an empty text is none."""
    *others, last = (_KINDS[kind] for kind in kinds)
    wanted = " or ".join(filter(None, [", ".join(others), last]))

    def read(value: Any) -> Any:
        if value is None:
            raise BrokenValueError(f"is empty; it must be {wanted}")
        if isinstance(value, kinds):
            return then(value)
        remedy = ""
        if str in kinds and isinstance(value, bool | int | float):
            text = json.dumps(value)
            remedy = "; write it in quotes" + (f': "{text}"' if len(text) < _LONGEST_QUOTED else "")
        elif kinds == (list,) and isinstance(value, str):
            remedy = f"; write it in brackets: [{excerpt(value)}]"
        raise BrokenValueError(f"must be {wanted}, not {described(value)}{remedy}")

    return read


def _where(test: Callable[[Any], Any], wanted: str) -> Reader:
    """Reads a value for which a test holds."""

    def read(value: Any) -> Any:
        if not test(value):
            raise BrokenValueError(f"must be {wanted}, not {described(value)}")
        return value

    return read


def _text(then: Reader = read_any) -> Reader:
    """Reads a text that is not empty."""

    def read(text: str) -> Any:
        if not text:
            raise BrokenValueError("is empty")
        return then(text)

    return _a(str, then=read)


def _listed(item: Reader, *, is_unique: bool = False) -> Reader:
    def read(value: Any) -> Any:
        items: tuple[Any, ...] = list_of(item)(value)
        if is_unique and (twice := [item for at, item in enumerate(items) if item in items[:at]]):
            raise BrokenValueError(f"holds {excerpt(twice[0])} twice")
        return items

    return _a(list, then=read)


def _mapping(
    readers: Mapping[str, Reader], *required: str, missing: str = "", is_open: bool = False
) -> Reader:
    """
    Reads a mapping, each value with the reader of its key.

    Args:
        missing: Follows `KEY is missing`.
        is_open: Accepts other keys too.
    """

    def read(value: dict[str, Any]) -> Any:
        problems: list[tuple[Place, str]] = []
        for key, part in value.items():
            if key in readers:
                try:
                    readers[key](part)
                except BrokenValueError as error:
                    problems += error.within(key).problems
            elif not is_open:
                near = hint(key[:_LONGEST_QUOTED], readers)
                problem = f"{UNKNOWN_KEY} {excerpt(key)}.{near} Known keys: {', '.join(readers)}."
                problems.append(((key,), problem))
        problems += [((key,), f"is missing{missing}") for key in required if key not in value]
        if problems:
            raise BrokenValueError(*problems)
        return value

    return _a(dict, then=read)


def _is_whole(value: Any) -> bool:
    """Return whether a number is whole, as in JSON Schema: 2.0 is, and true is no number."""
    return type(value) is int or (isinstance(value, float) and value.is_integer())


def _read_short(text: str) -> str:
    if len(text) > _LONGEST:
        raise BrokenValueError(f"has {counted(len(text), 'character')}; at most {_LONGEST} fit")
    return text


def _read_host(text: str) -> str:
    if not re.fullmatch(r"[^\s/@?#]+", text):
        host = urlsplit(text).netloc.rpartition("@")[2]
        near = f" Did you mean {excerpt(host)}?" if host else ""
        wanted = "a host such as api.shop.example or localhost:8000"
        raise BrokenValueError(f"must be {wanted}, not {excerpt(text)}.{near}")
    return text


def _read_judge(value: Any) -> Any:
    return _MODEL_NAME(value) if isinstance(value, str) else _JUDGE(value)


def _read_cases(value: Any) -> Any:
    if not value:
        raise BrokenValueError(f"is empty; {_SMALLEST}")
    return list_of(_CASE)(value)


_APP = _text(_where(re.compile(r"[^:\s]+:[^:\s]+").fullmatch, "module:attribute, such as shop.bot:answer"))
_TAG = _where(
    re.compile(r"[^\s:()\x00-\x1f\x7f-\x9f]+").fullmatch, "a word without space, colon or parenthesis"
)
_MODEL_NAME = _text()
_JUDGE = _mapping({"model": _MODEL_NAME, "base_url": _text(), "api_key_env": _text()}, "model", is_open=True)
_CASE = _mapping(
    {
        "id": _text(_read_short),
        "input": _a(str, dict, list),
        "reference": _a(str),
        "relevant": _listed(_text(), is_unique=True),
        "tags": _listed(_text(_TAG), is_unique=True),
        "live": _a(bool),
        "repeats": _where(
            lambda value: value == "auto" or (_is_whole(value) and 1 <= value <= MOST_REPEATS),
            f"a whole number from 1 to {MOST_REPEATS}, or auto",
        ),
        "group": _text(_read_short),
        "checks": _a(dict),
    },
    "id",
    "input",
    missing="; every case needs one",
)
_FILE = _mapping(
    {
        "version": _where(
            lambda value: _is_whole(value) and value == 1, "1, the one that this release reads"
        ),
        "app": _APP,
        "rival": _APP,
        "encoder": _text(),
        "judge": _a(str, dict, then=_read_judge),
        "prompts": _listed(_text()),
        "data": _listed(_text()),
        "anchors": _text(),
        "record": _mapping({"never": _listed(_text(_read_host))}),
        "model_errors": one_of("allow", "warn", "fail"),
        "require_spans": _where(
            lambda value: isinstance(value, bool) or (_is_whole(value) and value > 0),
            "true, false or a number of spans above 0",
        ),
        "passages": one_of("scan", "own_knowledge"),
        "checks": _a(dict),
        "suite": _a(dict),
        "cases": _a(list, then=_read_cases),
    },
    "cases",
    missing=f"; {_SMALLEST}",
)
