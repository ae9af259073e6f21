"""Input schemas that name everything they accept and bound its size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_llmops.detect.texts import escape, unescape
from pytest_llmops.mcp.findings import OPEN, McpFinding

MAX_SIZE = 1_000_000
"""The largest `maxLength` and `maxItems` that bound anything."""

_NUMBER = (frozenset({"minimum", "maximum"}), frozenset({"exclusiveMinimum", "exclusiveMaximum"}))
_BOUNDS: Mapping[str, tuple[frozenset[str], ...]] = {
    "integer": _NUMBER,
    "number": _NUMBER,
    "array": (frozenset({"maxItems", "items"}),),
    "object": (frozenset({"properties"}),),
}
"""One of these sets of keywords must be there, where no `enum` or `const` is."""
_SHORT_FORMATS = frozenset(
    {"date", "date-time", "time", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6", "uuid"}
)
"""Of those that JSON Schema knows; a URI, a pattern or a duration can be of any length."""
_SIZES = {"string": "maxLength", "array": "maxItems"}

# A character, an escape or a class, perhaps repeated; no group or alternative, so that the length adds up.
_ATOM = r"(?:\\.|\[(?:\\.|[^\]\\])+\]|[^\\\[\](){}|*+?^$])(?:\{\d{1,6}(?:,\d{1,6})?\}|\?)?"
_SHORT_PATTERN = re.compile(rf"\^(?:{_ATOM})*\$", re.DOTALL)
_REPEATED = re.compile(r"(\d{1,6})\}")

_Open = Iterator[tuple[str, str]]
"""The place and reason of each part that accepts anything, or anything of its type."""


def check_schema(tool: str, schema: Any, *, bounded: bool = True) -> Iterator[McpFinding]:
    """What a tool's input schema leaves open; without `bounded` only whether it is one of an object."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    found: list[tuple[str, str]] = []
    try:
        Draft202012Validator.check_schema(schema)
        if not isinstance(schema, dict) or schema.get("type") != "object":
            found = [("inputSchema", "must be of type object")]
        elif bounded:
            found = [*_Walk(schema).check(schema, "inputSchema")]
    except (SchemaError, RecursionError) as error:
        message = getattr(error, "message", "is nested too deeply")
        yield McpFinding(tool=tool, field="inputSchema", what="is no JSON Schema", detail=message)
    for field, detail in found:
        yield McpFinding(tool=tool, field=field, what=OPEN, detail=detail)


class _Walk:
    """Through each part of one schema once, however many references lead to it."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._around: set[int] = set()  # ids of the parts that the current one is in or is referred to from
        self._seen: set[int] = set()

    def check(self, schema: Any, field: str) -> _Open:
        if schema is False:
            return
        if not isinstance(schema, Mapping) or not schema:
            yield field, "accepts any value"
            return
        if id(schema) in self._around:
            yield field, "refers to itself, so its depth has no bound"
        if id(schema) in self._seen:
            return
        self._seen.add(id(schema))
        self._around.add(id(schema))
        yield from self._check_part(schema, field)
        self._around.remove(id(schema))

    def _check_part(self, schema: Mapping[str, Any], field: str) -> _Open:
        if "$ref" in schema:
            yield from self._check_reference(schema["$ref"], field)
            return
        if "$dynamicRef" in schema or "patternProperties" in schema:
            yield field, "uses $dynamicRef or patternProperties, which name no argument"
        if "enum" in schema or "const" in schema:
            return
        branches = [
            (word, at, each) for word in ("anyOf", "oneOf") for at, each in enumerate(schema.get(word, ()))
        ]
        if "type" not in schema:
            if not branches:
                yield field, "has no type, so it accepts any value"
            for word, at, each in branches:
                yield from self.check(each, f"{field}/{word}/{at}")
            return
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        for kind in kinds:
            yield from self._check_kind(kind, schema, field)

    def _check_kind(self, kind: str, schema: Mapping[str, Any], field: str) -> _Open:
        if kind == "string" and not _is_short(schema):
            yield field, "string without maxLength, a pattern of bounded length or a format of one"
        if (needed := _BOUNDS.get(kind, ())) and not any(words <= schema.keys() for words in needed):
            wanted = " or ".join(" and ".join(sorted(words)) for words in needed)
            yield field, f"{kind} without {wanted}"
        if (size := _SIZES.get(kind)) and schema.get(size, 0) > MAX_SIZE:
            yield field, f"{kind} with a {size} above {MAX_SIZE:,}"
        if kind == "object":
            if schema.get("additionalProperties") is not False:
                yield field, "object without additionalProperties: false"
            for name, part in schema.get("properties", {}).items():
                yield from self.check(part, f"{field}/properties/{escape(name)}")
        if kind == "array":
            for at, part in enumerate(schema.get("prefixItems", ())):
                yield from self.check(part, f"{field}/prefixItems/{at}")
            if "items" in schema:
                yield from self.check(schema["items"], f"{field}/items")

    def _check_reference(self, reference: str, field: str) -> _Open:
        part: Any = self._root if reference == "#" or reference.startswith("#/") else None
        for step in reference.split("/")[1:]:
            part = part.get(unescape(step)) if isinstance(part, Mapping) else None
        if part is None:
            yield field, "refers to what is not in the schema"
        else:
            yield from self.check(part, field)


def _is_short(schema: Mapping[str, Any]) -> bool:
    """Whether something bounds the length of a text, however large the bound is."""
    return (
        "maxLength" in schema
        or schema.get("format") in _SHORT_FORMATS
        or _is_short_pattern(schema.get("pattern", ""))
    )


def _is_short_pattern(pattern: str) -> bool:
    """Whether a pattern is of the whole text and plainly ends: `^FW-[0-9]{5}$`, not `.*` or `^a|b$`."""
    if _SHORT_PATTERN.fullmatch(pattern) is None:
        return False
    return len(pattern) + sum(map(int, _REPEATED.findall(pattern))) <= MAX_SIZE
