"""
Does the file have the shape that `golden.schema.json` publishes? Its complaints, in our words.

Single entries under `checks` and `suite` are left to `thresholds` and `suite`, which know the metrics
and refuse whatever the schema refuses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from pytest_llmops.documents.values import Mistake, Place, described, line_of
from pytest_llmops.errors import hint
from pytest_llmops.printable import counted, excerpt

_SMALLEST = "the smallest is cases: [{id: hello, input: Hi there}]"
_KINDS = {
    "string": "text",
    "object": "a mapping",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


def find_structure_mistakes(document: Any) -> list[Mistake]:
    """Every place where the document departs from the schema."""
    if document is None:
        return [Mistake(line=1, message=f"the file has no cases; {_SMALLEST}")]
    if isinstance(document, list):
        return [Mistake(line=1, message="the file is a list; put the cases under a key: cases: [...]")]
    mistakes: dict[Mistake, None] = {}
    for error in _validator().iter_errors(document):
        place = tuple(error.absolute_path)
        mistakes.update(dict.fromkeys(_translated(document, error, place)))
    return list(mistakes)


@lru_cache(maxsize=1)
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    schema = json.loads(files("pytest_llmops.golden").joinpath("golden.schema.json").read_text("utf-8"))
    schema["$defs"]["checks"]["additionalProperties"] = True
    schema["properties"]["suite"]["additionalProperties"] = True
    return Draft202012Validator(schema)


def _translated(document: Any, error: Any, place: Place) -> Iterator[Mistake]:
    value, expected = error.instance, error.validator_value
    line = line_of(document, place)
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        for key in value:
            if key not in known:
                at = (*place, key)
                yield Mistake(line=line_of(document, at), message=_unknown(key, known), place=at)
        return
    if error.validator == "required":
        for key in expected:
            if key not in value:
                yield Mistake(line=line, message=_missing(key, place), place=place)
        return
    say = _SAYINGS.get(error.validator)
    message = say(_name(place), value, expected) if say else f"{_name(place)} cannot be {described(value)}"
    yield Mistake(line=line, message=message, place=place)


def _name(place: Place) -> str:
    """What the author calls the place: `relevant`, or `item 2 of tags`."""
    if not place:
        return "the file"
    last = place[-1]
    if isinstance(last, str):
        return last
    return "a case" if place[:-1] == ("cases",) else f"item {last + 1} of {place[-2]}"


def _unknown(key: str, known: list[str]) -> str:
    shown = key[:60]
    return f"unknown key {excerpt(key)}.{hint(shown, known)} Known keys: {', '.join(known)}."


def _missing(key: str, place: Place) -> str:
    if key == "cases":
        return f"the file has no cases; {_SMALLEST}"
    if place[:1] == ("cases",):
        return f"{key} is missing; every case needs one"
    return f"{_name(place)}: {key} is missing"


def _type(name: str, value: Any, expected: Any) -> str:
    kinds = [expected] if isinstance(expected, str) else list(expected)
    if name == "repeats":
        return _REPEATS + described(value)
    wanted = [_KINDS[kind] for kind in kinds]
    listed = " or ".join(filter(None, [", ".join(wanted[:-1]), wanted[-1]]))
    said = f"{name} must be {listed}, not {described(value)}"
    if value is None:
        return f"{name} is empty; it must be {listed}"
    if "string" in kinds and isinstance(value, bool | int | float):
        shown = json.dumps(value)
        return f'{said}; write it in quotes: "{shown}"' if len(shown) < 60 else f"{said}; write it in quotes"  # noqa: PLR2004  # what fits beside the rest
    if kinds == ["array"] and isinstance(value, str):
        return f"{said}; write it in brackets: [{excerpt(value)}]"
    return said


_REPEATS = "repeats must be a whole number or auto, not "


def _too_long(name: str, value: Any, expected: Any) -> str:
    return f"{name} has {counted(len(value), 'character')}; at most {expected} fit"


def _empty(name: str, _value: Any, _expected: Any) -> str:
    return f"the file has no cases; {_SMALLEST}" if name == "cases" else f"{name} is empty"


def _twice(name: str, value: Any, _expected: Any) -> str:
    seen: set[str] = set()
    for item in map(excerpt, value):
        if item in seen:
            return f"{name} holds {item} twice"
        seen.add(item)
    return f"{name} holds one item twice"


def _minimum(name: str, value: Any, expected: Any) -> str:
    return f"{name} must be {expected} or more, not {described(value)}"


def _maximum(name: str, value: Any, expected: Any) -> str:
    return f"{name} must be {expected} or less, not {described(value)}"


def _version(name: str, value: Any, expected: Any) -> str:
    return f"{name} must be {expected}, the one that this release reads, not {described(value)}"


def _choice(name: str, value: Any, expected: Any) -> str:
    near = hint(value, expected) if isinstance(value, str) else ""
    return f"{name} must be one of {', '.join(expected)}, not {described(value)}.{near}".removesuffix(".")


def _pattern(name: str, value: Any, _expected: Any) -> str:
    if name == "repeats":
        return _REPEATS + described(value)
    if name.endswith(" of never"):
        host = urlsplit(value).netloc.rpartition("@")[2]
        near = f" Did you mean {excerpt(host)}?" if host else ""
        return (
            f"{name} must be a host such as api.shop.example or localhost:8000, not {excerpt(value)}.{near}"
        )
    if name not in {"app", "rival"}:
        return f"{name} holds a space, a colon or a parenthesis: {excerpt(value)}"
    return f"{name} must be module:attribute, such as shop.bot:answer, not {excerpt(value)}"


_SAYINGS: dict[str, Callable[[str, Any, Any], str]] = {
    "type": _type,
    "minLength": _empty,
    "maxLength": _too_long,
    "minItems": _empty,
    "uniqueItems": _twice,
    "minimum": _minimum,
    "maximum": _maximum,
    "const": _version,
    "enum": _choice,
    "pattern": _pattern,
    "not": _pattern,
}
