"""An OpenAPI document read for tools: where the arguments of each call go, and what comes back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_app.tools.arguments import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

METHODS = ("get", "post", "put", "patch", "delete")
_UNREADABLE = (KeyError, TypeError, AttributeError, ValueError, RecursionError)
_ANNOTATIONS = ("title", "default", "examples", "example", "deprecated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """
    One call of a service.

    Attributes:
        name: The `operationId`.
        path: With the names of its arguments in braces.
        in_path: Names of the arguments in the path; `in_query` and `in_body` likewise.
        parameters: JSON Schema of all arguments together; headers are the client's own affair.
        answers: JSON Schema of the answer by HTTP status; refers to its own `components`.
    """

    name: str
    description: str
    method: str
    path: str
    in_path: tuple[str, ...]
    in_query: tuple[str, ...]
    in_body: tuple[str, ...]
    parameters: Mapping[str, Any]
    answers: Mapping[int, Mapping[str, Any]]


def read_operations(source: Path) -> tuple[Operation, ...]:
    """
    The operations of a document, in its order.

    Raises:
        ToolError: The file cannot be read, or an operation has no id, no JSON answer or one of which the
            schema is broken, one name for two arguments, or a body that is no object.
    """
    try:
        document = json.loads(source.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ToolError(f"The OpenAPI document {source} cannot be read: {error}.") from error
    try:
        found = [
            (f"{method.upper()} {path}", path, method, methods[method])
            for path, methods in document["paths"].items()
            for method in METHODS
            if method in methods
        ]
        _check_schemas(document)
    except _UNREADABLE as error:
        raise ToolError(f"{source} is no OpenAPI document: {_explain(error)}.") from error
    operations = []
    for where, path, method, operation in found:
        try:
            operations.append(_read_operation(document, path, method, operation))
        except _UNREADABLE as error:
            raise ToolError(f"{source}: no tool can be made of {where}: {_explain(error)}.") from error
    return tuple(operations)


def _explain(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _read_operation(document: dict[str, Any], path: str, method: str, found: dict[str, Any]) -> Operation:
    named = [one for one in found.get("parameters", []) if one["in"] in ("path", "query")]
    arguments = [(one["in"], one["name"], _plain(one["schema"]), one.get("required", False)) for one in named]
    if "requestBody" in found:
        body = found["requestBody"]["content"]["application/json"]["schema"]
        body = _resolve(document, body["$ref"]) if "$ref" in body else body
        arguments += [
            ("body", name, _plain(schema), name in body.get("required", []))
            for name, schema in body["properties"].items()
        ]
    properties = {name: schema for _, name, schema, _ in arguments}
    if len(properties) < len(arguments):
        raise ValueError("two arguments have one name")
    answers = {
        int(status): {**answer["content"]["application/json"]["schema"], "components": document["components"]}
        for status, answer in found["responses"].items()
        if "content" in answer and status.isdecimal()
    }
    if not answers:
        raise ValueError("no answer in JSON is described")
    places = {
        place: tuple(name for where, name, *_ in arguments if where == place)
        for place in ("path", "query", "body")
    }
    return Operation(
        name=found["operationId"],
        description=found.get("description", found.get("summary", "")),
        method=method.upper(),
        path=path,
        in_path=places["path"],
        in_query=places["query"],
        in_body=places["body"],
        parameters={
            "type": "object",
            "properties": properties,
            "required": [name for _, name, _, needed in arguments if needed],
            "additionalProperties": False,
        },
        answers=answers,
    )


def _check_schemas(document: dict[str, Any]) -> None:
    """One that cannot be used would only be noticed in the middle of a customer's question."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    parts = list(_walk(document))
    schemas = [part["schema"] for part in parts if isinstance(part.get("schema"), dict)]
    try:
        for schema in [*schemas, *document["components"]["schemas"].values()]:
            Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"a schema is no JSON Schema: {error.message}") from error
    for part in parts:
        if isinstance(part.get("$ref"), str):
            _resolve(document, part["$ref"])


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        yield from _walk(part)


def _resolve(document: dict[str, Any], reference: str) -> Any:
    """A reference within the document."""
    part: Any = document
    try:
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{reference} is not there") from error
    return part


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Without annotations; an argument that may be left out needs no null."""
    if wanted := [part for part in schema.get("anyOf", []) if part != {"type": "null"}]:
        schema = wanted[0] | {key: value for key, value in schema.items() if key != "anyOf"}
    kept = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
    # FastAPI writes the bounds of whole numbers as 5000.0.
    return {
        key: int(value) if isinstance(value, float) and value == int(value) else value
        for key, value in kept.items()
    }
