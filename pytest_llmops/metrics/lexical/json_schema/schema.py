"""JSON Schemas made ready for checking texts that nobody trusts: no network, no endless matching."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import regex

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.lexical.json_schema.json_text import (
    MAX_CHARACTERS,
    NoJsonError,
    TooLargeError,
    read_json,
)
from pytest_llmops.metrics.lexical.regex import TIMEOUT_S
from pytest_llmops.printable import printable
from pytest_llmops.settings import find_root

if TYPE_CHECKING:
    from jsonschema import FormatChecker
    from jsonschema.protocols import Validator
    from referencing import Resource
    from referencing._core import Resolver

# The formats that need no further package; the others say something to people only.
FORMATS = ("date", "date-time", "time", "email", "ipv4", "ipv6", "uuid")

_TIME = r"\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})"
_RFC3339 = {
    "time": re.compile(_TIME, re.ASCII),
    "date-time": re.compile(rf"\d{{4}}-\d\d-\d\d[Tt]{_TIME}", re.ASCII),
}


def read_schema(given: object) -> str:
    """
    A schema as one line of JSON with sorted keys.

    Args:
        given: The schema, its JSON text, or the path of a file that holds it.

    Raises:
        MetricOptionError: It is none, asks for what cannot be had here, or the file cannot be read.
    """
    if isinstance(given, Mapping):
        try:
            text = json.dumps(given, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise MetricOptionError(f"json_schema: schema is no JSON: {error}") from None
        source = "schema"
    elif isinstance(given, str) and given:
        text, source = (given, "schema") if given.lstrip().startswith("{") else _read_file(given)
    else:
        raise MetricOptionError(f"json_schema: schema is a mapping or the path of a file, not {given!r}")
    try:
        schema = read_json(text)
    except (NoJsonError, TooLargeError) as error:
        raise MetricOptionError(f"json_schema: {source} is no JSON that can be used: {error}") from None
    if not isinstance(schema, dict):
        raise MetricOptionError(f"json_schema: {source} must contain an object, not {printable(schema, 80)}")
    _check(schema, source)
    return json.dumps(schema, sort_keys=True, ensure_ascii=False)


@lru_cache(maxsize=256)
def make_validator(schema: str) -> Validator:
    """What finds the violations of a schema that `read_schema` gave."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend, validator_for
    from referencing import Registry

    contents = json.loads(schema)
    drafted = validator_for(contents, default=Draft202012Validator)
    bounded = extend(  # type: ignore[no-untyped-call]  # its stub has no types
        drafted,
        {
            "pattern": _pattern,
            "patternProperties": _pattern_properties,
            "additionalProperties": _additional_properties,
            "uniqueItems": _unique_items,
        },
    )
    # A registry that can fetch nothing, since without one the library fetches what a `$ref` names.
    validator: Validator = bounded(contents, registry=Registry(), format_checker=_formats())
    return validator


def _read_file(path: str) -> tuple[str, str]:
    source = printable(path, 200)
    try:
        with (find_root(Path.cwd()) / path).open(encoding="utf-8-sig") as file:
            return file.read(MAX_CHARACTERS + 1), source
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise MetricOptionError(
            f"json_schema: cannot read the schema {source}: {reason}; a path starts at the project's root"
        ) from None


def _check(schema: dict[str, Any], source: str) -> None:
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    dialect = schema.get("$schema")
    drafted = (
        validator_for(schema, default=None)  # type: ignore[arg-type]  # may be anything, its stub has a class
        if dialect
        else Draft202012Validator
    )
    if drafted is None:
        raise MetricOptionError(
            f"json_schema: {source} is of a draft that is not known, {printable(dialect)}"
        )
    try:  # without formats, since patterns may hold what `re` does not know, such as \p{L}
        drafted.check_schema(  # type: ignore[call-arg]  # the stub lacks it
            schema, format_checker=FormatChecker(formats=())
        )
    except SchemaError as error:
        problem = printable(error.message, 200)
        raise MetricOptionError(f"json_schema: {source} is no schema: {error.json_path}: {problem}") from None
    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    keywords = set(_check_parts(resource, Registry().resolver_with_root(resource), source))
    if {"patternProperties", "unevaluatedProperties"} <= keywords:
        raise MetricOptionError(
            f"json_schema: {source} has patternProperties and unevaluatedProperties, which together take a "
            "time without bound; use additionalProperties"
        )


def _check_parts(resource: Resource[Any], resolver: Resolver[Any], source: str) -> Iterator[str]:
    """Every keyword of a schema and its parts, after a look at what they refer to and match with."""
    from referencing.exceptions import Unresolvable

    contents = resource.contents
    if not isinstance(contents, Mapping):
        return
    yield from contents
    for keyword in ("$ref", "$dynamicRef"):
        if keyword in contents:
            try:
                resolver.lookup(contents[keyword])
            except Unresolvable:
                raise MetricOptionError(
                    f"json_schema: {source} refers to {printable(contents[keyword], 120)}, which is not in "
                    "it, and nothing is fetched; put it under $defs"
                ) from None
    for pattern in (contents.get("pattern"), *contents.get("patternProperties", ())):
        try:
            regex.compile(pattern or "")
        except regex.error as error:
            raise MetricOptionError(
                f"json_schema: {source}: {printable(pattern, 120)} is no pattern: {error}"
            ) from None
    for part in resource.subresources():
        yield from _check_parts(part, resolver.in_subresource(part), source)


def _search(pattern: str, text: str) -> bool:
    return regex.search(pattern, text, timeout=TIMEOUT_S) is not None


def _pattern(validator: Validator, pattern: str, value: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if validator.is_type(value, "string") and not _search(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], value: Any, _schema: Any
) -> Iterator[Any]:
    if validator.is_type(value, "object"):
        for pattern, part in patterns.items():
            for key, each in value.items():
                if _search(pattern, key):
                    yield from validator.descend(each, part, path=key, schema_path=pattern)


def _additional_properties(validator: Any, rest: Any, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not validator.is_type(value, "object"):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    further = [
        key for key in value if key not in known and not any(_search(pattern, key) for pattern in patterns)
    ]
    if rest is False and further:
        yield ValidationError(f"has keys that the schema does not know: {', '.join(map(repr, further[:5]))}")
    elif isinstance(rest, Mapping):
        for key in further:
            yield from validator.descend(value[key], rest, path=key)


def _unique_items(validator: Validator, unique: bool, value: Any, _schema: Any) -> Iterator[Any]:  # noqa: FBT001
    """By a set of texts, since the library compares each with each."""
    from jsonschema import ValidationError

    if not unique or not validator.is_type(value, "array"):
        return
    if len({json.dumps(_alike(each), sort_keys=True) for each in value}) < len(value):
        yield ValidationError("holds an item twice")


def _alike(value: Any) -> Any:
    """1.0 as 1, which JSON Schema holds to be equal."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _alike(each) for key, each in value.items()}
    return [_alike(each) for each in value] if isinstance(value, list) else value


@lru_cache(maxsize=1)
def _formats() -> FormatChecker:
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=[each for each in FORMATS if each not in _RFC3339])
    checker.checks("time", raises=ValueError)(lambda value: _is_rfc3339("time", value))
    checker.checks("date-time", raises=ValueError)(lambda value: _is_rfc3339("date-time", value))
    return checker


def _is_rfc3339(kind: str, value: object) -> bool:
    if not isinstance(value, str):
        return True
    if not _RFC3339[kind].fullmatch(value):
        return False
    read = time.fromisoformat if kind == "time" else datetime.fromisoformat
    return bool(read(value.upper()) is not None)
