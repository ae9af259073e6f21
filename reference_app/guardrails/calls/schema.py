"""Arguments against the JSON Schema of their tool, which is closed even where it does not say so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

MAX_CHARACTERS = 32_000  # of all arguments together, as JSON
MAX_TEXT_CHARACTERS = 10_000  # of one value without `maxLength`
MAX_ITEMS = 100  # of one list without `maxItems`
MAX_DEPTH = 8
MAX_NUMBER = 1e15  # of one number without `maximum`

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_CLOCK = r"\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})?"
_REFERENCE = r"[^\x00-\x20\"<>\\^`{|}\x7f]*"
# What the value of a `format` looks like, and what else has to read it; jsonschema checks only some itself.
_FORMATS: dict[str, tuple[str, Callable[[str], object]]] = {
    "email": (rf"(?=.{{1,254}}$){_NAME}(?:\.{_NAME})*@{_LABEL}(?:\.{_LABEL})+", str),
    "idn-email": (r"[^\s@]+@[^\s@]+", str),
    **dict.fromkeys(("uri", "url", "iri"), (rf"[A-Za-z][A-Za-z0-9+.-]*:{_REFERENCE}", urlsplit)),
    "uri-reference": (_REFERENCE, urlsplit),
    "hostname": (rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?", str),
    "date": (r"\d{4}-\d{2}-\d{2}", date.fromisoformat),
    "time": (_CLOCK, lambda text: time.fromisoformat(text.upper())),
    "date-time": (
        rf"\d{{4}}-\d{{2}}-\d{{2}}[Tt ]{_CLOCK}",
        lambda text: datetime.fromisoformat(text.upper()),
    ),
    "duration": (r"P(?=\d|T\d)(\d+[YMWD])*(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?", str),
    "uuid": (r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", UUID),
    "ipv4": (r"[\d.]+", IPv4Address),
    "ipv6": (r"[^%]+", IPv6Address),
}


def has_format(name: str, value: str) -> bool:
    """Whether a text has a `format` of JSON Schema; one that is not known fits every text."""
    pattern, read = _FORMATS.get(name, (r"(?s:.*)", str))
    try:
        read(value)
    except ValueError:
        return False
    return re.fullmatch(pattern, value, re.ASCII) is not None


def find_schema_fault(arguments: Any, parameters: Mapping[str, Any]) -> str:
    """
    Why the arguments break the schema of their tool; empty if they do not.

    Names that the schema does not list are refused, `format` is checked, and values without a limit of
    their own meet the limits of this module.
    """
    from jsonschema.exceptions import SchemaError
    from referencing.exceptions import Unresolvable

    if not isinstance(arguments, Mapping):
        return "the arguments are not a JSON object"
    try:
        size = len(json.dumps(arguments, allow_nan=False, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        return "the arguments are not JSON values"
    if size > MAX_CHARACTERS:
        return f"the arguments are longer than {MAX_CHARACTERS} characters"
    try:
        _dialect().check_schema(parameters)
        validator = _dialect()(_close(parameters, root=True))
        errors = sorted(validator.iter_errors(arguments), key=lambda error: str(error.json_path))
    except (SchemaError, Unresolvable, RecursionError, re.error):
        return "the schema of the tool is not valid, or refers to what is not there"
    if errors:
        path = errors[0].json_path.removeprefix("$").removeprefix(".")[:60] or "the call"
        return f"{path} breaks {errors[0].validator} {json.dumps(errors[0].validator_value)[:80]}"
    return next(_find_oversized(arguments, parameters, ""), "")


def _close(schema: Any, *, root: bool = False) -> Any:
    """The schema with every object closed that lists its properties, and the root even if it lists none."""
    if isinstance(schema, list):
        return [_close(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = dict(schema)
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
            closed[key] = {name: _close(part) for name, part in value.items()}
        elif key in ("items", "anyOf", "oneOf", "prefixItems", "additionalProperties"):
            closed[key] = _close(value)
    rest = closed.get("additionalProperties")
    if (root or "properties" in schema) and not (isinstance(rest, Mapping) and rest):
        closed["additionalProperties"] = False
    return closed


@cache
def _dialect() -> Any:
    from jsonschema import Draft202012Validator, ValidationError, validators

    def check_format(_: Any, name: Any, value: object, __: object) -> Iterator[ValidationError]:
        if isinstance(name, str) and isinstance(value, str) and not has_format(name, value):
            yield ValidationError("has another format")

    def match(_: Any, pattern: str, value: object, __: object) -> Iterator[ValidationError]:
        # `$` would let a newline pass behind it, and `\d` the digits of every script.
        if isinstance(value, str) and not re.search(re.sub(r"(?<!\\)\$$", r"\\Z", pattern), value, re.ASCII):
            yield ValidationError("does not match")

    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    return validators.extend(  # type: ignore[no-untyped-call] # jsonschema's `extend` has no types
        Draft202012Validator, {"format": check_format, "pattern": match}, type_checker=checker
    )


def _find_oversized(value: Any, schema: Any, name: str, depth: int = 0) -> Iterator[str]:
    """Values that no limit of the schema bounds and that are larger than any task needs."""
    known = schema if isinstance(schema, Mapping) else {}
    if depth > MAX_DEPTH:
        yield f"{name} is nested too deeply"
    elif isinstance(value, str):
        if "maxLength" not in known and "enum" not in known and len(value) > MAX_TEXT_CHARACTERS:
            yield f"{name} has more than {MAX_TEXT_CHARACTERS} characters"
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _find_oversized(part, known.get("properties", {}).get(key), str(key)[:60], depth + 1)
    elif isinstance(value, list):
        if "maxItems" not in known and len(value) > MAX_ITEMS:
            yield f"{name} has more than {MAX_ITEMS} items"
        for part in value:
            yield from _find_oversized(part, known.get("items"), name, depth + 1)
    elif isinstance(value, int | float) and abs(value) > MAX_NUMBER and "maximum" not in known:
        yield f"{name} is larger than any amount or count"
