"""
The shape of a golden file: readers made of `golden.schema.json`, which publishes it.

A key is declared there and nowhere else; its `errorMessage` says what a value must be. Of JSON Schema, what
that file uses is known here. `checks` and `suite` are left to `thresholds`, which knows the metrics and
refuses whatever the schema refuses.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

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
from pytest_llmops.setting_values import read_setting

_SMALLEST = "the smallest is cases: [{id: hello, input: Hi there}]"
_REMEDIES = {"cases": f"; {_SMALLEST}", **dict.fromkeys(("id", "input"), "; every case needs one")}
_LONGEST_QUOTED = 60
_KINDS = {
    "string": (str, "text"),
    "object": (dict, "a mapping"),
    "array": (list, "a list"),
    "boolean": (bool, "true or false"),
}
_HOST = re.compile(r"\w+://(?:[^/?#@]*@)?([^/?#@]+)")


def find_structure_mistakes(document: Any) -> list[Mistake]:
    """Every place where the document departs from the schema."""
    if document is None:
        return [Mistake(line=1, message=f"the file has no cases; {_SMALLEST}")]
    if isinstance(document, list):
        return [Mistake(line=1, message="the file is a list; put the cases under a key: cases: [...]")]
    try:
        _file_reader()(document)
    except BrokenValueError as error:
        return [
            Mistake(line=line_of(document, place), message=_sentence(place, problem), place=place)
            for place, problem in error.problems
        ]
    return []


def find_record_mistakes(record: Any) -> list[str]:
    """Every place where a mapping is no `record` of a golden file."""
    return _find_mistakes_in(_schema()["properties"]["record"], record)


def find_app_shape_mistakes(app: Any) -> list[str]:
    """Every place where a value is no `app` of a golden file."""
    return _find_mistakes_in(_schema()["$defs"]["app"], app)


def _find_mistakes_in(schema: Mapping[str, Any], value: Any) -> list[str]:
    try:
        _make_reader(schema, _schema()["$defs"])(value)
    except BrokenValueError as error:
        return [_sentence(place, problem) if place else problem for place, problem in error.problems]
    return []


def find_turn_mistakes(written: Mapping[str, Any]) -> list[str]:
    """Every place where `turns`, here a list of texts, and `history` are not as in a golden file."""
    parts = _schema()["$defs"]
    turns, history = (parts["case"]["properties"][key] for key in ("turns", "history"))
    schema = {
        "type": "object",
        "properties": {"turns": {**turns, "items": parts["turn"]["properties"]["user"]}, "history": history},
    }
    try:
        _make_reader(schema, parts)(written)
    except BrokenValueError as error:
        return [_sentence(place, problem) for place, problem in error.problems]
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


@cache
def _file_reader() -> Reader:
    return _make_reader(_schema(), _schema()["$defs"])


@cache
def _schema() -> Any:
    return json.loads(Path(__file__).with_name("golden.schema.json").read_text(encoding="utf-8"))


def _make_reader(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> Reader:
    """Make the reader of what a schema allows; `shared` has the schemas that it names."""
    schema = shared[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "setting" in schema:  # read as the setting of that name
        return partial(read_setting, schema["setting"])
    if "enum" in schema:
        return one_of(*schema["enum"])
    if schema.get("not") == {"const": None}:
        return _read_value
    kinds = schema.get("type", "integer")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "integer" in kinds:
        return partial(_read_one, schema)
    is_free = isinstance(schema.get("additionalProperties"), Mapping)
    members = {} if is_free else schema.get("properties", {})
    inside: dict[str, Reader] = {
        "string": partial(_read_text, schema),
        "array": partial(
            _read_list, schema, _make_reader(schema["items"], shared) if "items" in schema else read_any
        ),
        "object": partial(
            _read_mapping, schema, {key: _make_reader(part, shared) for key, part in members.items()}
        ),
        "boolean": read_any,
    }
    return partial(_read_kind, schema, {kind: inside[kind] for kind in kinds})


def _read_value(value: Any) -> Any:
    """Read any value but null."""
    if value is None:
        raise BrokenValueError("is empty; it must be a value")
    return read_any(value)


def _read_kind(schema: Mapping[str, Any], readers: Mapping[str, Reader], value: Any) -> Any:
    """Read a value of one of these kinds with its reader."""
    *others, last = (_KINDS[kind][1] for kind in readers)
    wanted = " or ".join(filter(None, [", ".join(others), last]))
    if isinstance(value, bool | None) and len(readers) > 1 and "errorMessage" in schema:
        raise BrokenValueError(f"must be {schema['errorMessage']}, not {described(value)}")
    if value is None:
        raise BrokenValueError(f"is empty; it must be {wanted}")
    for kind, read in readers.items():
        if isinstance(value, _KINDS[kind][0]):
            return read(value)
    remedy = ""
    if "string" in readers and isinstance(value, bool | int | float):
        text = json.dumps(value)
        remedy = "; write it in quotes" + (f': "{text}"' if len(text) < _LONGEST_QUOTED else "")
    elif [*readers] == ["array"] and isinstance(value, str):
        remedy = f"; write it in brackets: [{excerpt(value)}]"
    raise BrokenValueError(f"must be {wanted}, not {described(value)}{remedy}")


def _read_one(schema: Mapping[str, Any], value: Any) -> Any:
    """Read a number, a constant or a word."""
    if not _fits(schema, value):
        raise BrokenValueError(f"must be {schema['errorMessage']}, not {described(value)}")
    return value


def _fits(schema: Mapping[str, Any], value: Any) -> bool:
    if "anyOf" in schema:
        return any(_fits(option, value) for option in schema["anyOf"])
    # As in JSON Schema, 2.0 is whole, and true is no number.
    is_whole = type(value) is int or (isinstance(value, float) and value.is_integer())
    if "const" in schema:
        return is_whole and bool(value == schema["const"])
    if is_whole:
        return "integer" in schema["type"] and schema.get("minimum", value) <= value <= schema.get(
            "maximum", value
        )
    if isinstance(value, bool):
        return "boolean" in schema["type"]
    return isinstance(value, str) and "string" in schema["type"] and _matches(schema, value)


def _matches(schema: Mapping[str, Any], text: str) -> bool:
    """Return whether the patterns of a schema allow a text; `pattern` says what all of it is."""
    pattern, refused = schema.get("pattern"), schema.get("not", {}).get("pattern")
    # A full match, since `$` alone would allow a line break behind it, unlike in ECMAScript.
    return not (pattern and not re.fullmatch(pattern, text)) and not (refused and re.search(refused, text))


def _read_text(schema: Mapping[str, Any], text: str) -> str:
    if not text and ("minLength" in schema or not _matches(schema, text)):
        raise BrokenValueError("is empty")
    longest = schema.get("maxLength", math.inf)
    if len(text) > longest:
        raise BrokenValueError(f"has {counted(len(text), 'character')}; at most {longest} fit")
    if not _matches(schema, text):
        host = _HOST.match(text)
        near = f". Did you mean {excerpt(host[1])}?" if host and _matches(schema, host[1]) else ""
        raise BrokenValueError(f"must be {schema['errorMessage']}, not {described(text)}{near}")
    return text


def _read_list(schema: Mapping[str, Any], item: Reader, value: list[Any]) -> Any:
    if not value and "minItems" in schema:
        raise BrokenValueError(f"is empty; {schema.get('errorMessage', _SMALLEST)}")
    items: tuple[Any, ...] = list_of(item)(value)
    if "uniqueItems" in schema and (twice := [item for at, item in enumerate(items) if item in items[:at]]):
        raise BrokenValueError(f"holds {excerpt(twice[0])} twice")
    return items


def _read_mapping(schema: Mapping[str, Any], readers: Mapping[str, Reader], value: dict[str, Any]) -> Any:
    """Read a mapping, each value with the reader of its key, and report every problem."""
    problems: list[tuple[Place, str]] = []
    for key, part in value.items():
        if key in readers:
            try:
                readers[key](part)
            except BrokenValueError as error:
                problems += error.within(key).problems
        elif schema.get("additionalProperties") is False:
            near = hint(key[:_LONGEST_QUOTED], readers)
            problems.append(
                ((key,), f"{UNKNOWN_KEY} {excerpt(key)}.{near} Known keys: {', '.join(readers)}.")
            )
    required = schema.get("required", ())
    problems += [((key,), f"is missing{_REMEDIES.get(key, '')}") for key in required if key not in value]
    if choice := [key for option in schema.get("oneOf", ()) for key in option["required"]]:
        first, *others = [key for key in choice if key in value] or [""]
        if not first:
            problems.append(((choice[0],), f"is missing{_REMEDIES.get(choice[0], '')}"))
        problems += [((key,), f"and {first} are both written; leave one of them") for key in others]
    apart = schema.get("not", {}).get("required", ())
    if apart and value.keys() >= {*apart}:
        problems.append(((apart[0],), schema["errorMessage"]))
    if problems:
        raise BrokenValueError(*problems)
    return value
