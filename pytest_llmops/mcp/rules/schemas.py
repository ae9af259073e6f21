"""Input schemas that name everything they accept and bound its size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_llmops.detect.texts import escape, unescape
from pytest_llmops.mcp.findings import OPEN, McpFinding

_BOUNDS: Mapping[str, tuple[frozenset[str], ...]] = {
    "string": (frozenset({"maxLength"}), frozenset({"pattern"}), frozenset({"format"})),
    "integer": (frozenset({"minimum", "maximum"}), frozenset({"exclusiveMinimum", "exclusiveMaximum"})),
    "number": (frozenset({"minimum", "maximum"}), frozenset({"exclusiveMinimum", "exclusiveMaximum"})),
    "array": (frozenset({"maxItems", "items"}),),
    "object": (frozenset({"properties"}),),
}
"""One of these sets of keywords must be there, where no `enum` or `const` is."""
_FREE = frozenset({"boolean", "null"})


def check_schema(tool: str, schema: Any, *, bounded: bool = True) -> Iterator[McpFinding]:
    """What a tool's input schema leaves open; without `bounded` only whether it is one of an object."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError) as error:
        message = getattr(error, "message", "is nested too deeply")
        yield McpFinding(tool=tool, field="inputSchema", what="is no JSON Schema", detail=message)
        return
    if not isinstance(schema, dict) or schema.get("type") != "object":
        yield McpFinding(tool=tool, field="inputSchema", what=OPEN, detail="must be of type object")
    elif bounded:
        for field, detail in _check(schema, "inputSchema", schema, ()):
            yield McpFinding(tool=tool, field=field, what=OPEN, detail=detail)


def _check(
    schema: Any, field: str, root: Mapping[str, Any], seen: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """The place and reason of each part that accepts anything, or anything of its type."""
    if schema is False:
        return
    if not isinstance(schema, Mapping) or not schema:
        yield field, "accepts any value"
        return
    if "$ref" in schema:
        yield from _check_reference(schema["$ref"], field, root, seen)
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
            yield from _check(each, f"{field}/{word}/{at}", root, seen)
        return
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    for kind in kinds:
        yield from _check_kind(kind, schema, field, root, seen)


def _check_kind(
    kind: str, schema: Mapping[str, Any], field: str, root: Mapping[str, Any], seen: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    needed = () if kind in _FREE else _BOUNDS[kind]
    if needed and not any(words <= schema.keys() for words in needed):
        wanted = " or ".join(" and ".join(sorted(words)) for words in needed)
        yield field, f"{kind} without {wanted}"
    if kind == "object":
        if schema.get("additionalProperties") is not False:
            yield field, "object without additionalProperties: false"
        for name, part in schema.get("properties", {}).items():
            yield from _check(part, f"{field}/properties/{escape(name)}", root, seen)
    if kind == "array" and "items" in schema:
        yield from _check(schema["items"], f"{field}/items", root, seen)


def _check_reference(
    reference: str, field: str, root: Mapping[str, Any], seen: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    if reference in seen:
        yield field, "refers to itself, so its depth has no bound"
        return
    part: Any = root
    for step in reference.removeprefix("#/").split("/") if reference.startswith("#/") else ("",):
        part = part.get(unescape(step)) if isinstance(part, Mapping) else None
    if part is None:
        yield field, "refers to what is not in the schema"
    else:
        yield from _check(part, field, root, (*seen, reference))
