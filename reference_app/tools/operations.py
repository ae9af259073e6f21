"""What an OpenAPI document says about each call: where its arguments go and what comes back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

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
        return tuple(_read_paths(document))
    except ToolError as error:
        raise ToolError(f"{source}: {error}") from error
    except _UNREADABLE as error:
        raise ToolError(
            f"{source} is no OpenAPI document that tools can be made of: {_explain(error)}."
        ) from error


def _read_paths(document: dict[str, Any]) -> Iterator[Operation]:
    checked: set[str] = set()
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                try:
                    operation = _read_operation(document, path, method, methods[method], checked)
                except _UNREADABLE as error:
                    where = f"{method.upper()} {path}"
                    raise ToolError(f"no tool can be made of {where}: {_explain(error)}.") from error
                yield operation


def _explain(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _read_operation(
    document: dict[str, Any], path: str, method: str, found: dict[str, Any], checked: set[str]
) -> Operation:
    name = found["operationId"]
    places: dict[str, list[str]] = {"path": [], "query": [], "body": []}
    properties: dict[str, Any] = {}
    required: list[str] = []

    def add(place: str, argument: str, schema: dict[str, Any], *, needed: bool) -> None:
        if argument in properties:
            raise ToolError(f"{name}: two arguments are named {argument}.")
        places[place].append(argument)
        properties[argument] = _plain(schema)
        if needed:
            required.append(argument)

    for one in found.get("parameters", []):
        if one["in"] in places:
            add(one["in"], one["name"], one["schema"], needed=one.get("required", False))
    if "requestBody" in found:
        body = _resolve(document, found["requestBody"]["content"]["application/json"]["schema"])
        for argument, schema in body["properties"].items():
            add("body", argument, schema, needed=argument in body.get("required", []))
    answers = {
        int(status): answer["content"]["application/json"]["schema"]
        for status, answer in found["responses"].items()
        if "content" in answer and status.isdecimal()
    }
    if not answers:
        raise ToolError(f"{name}: no answer in JSON is described.")
    for status, schema in answers.items():
        _check_answer(document, schema, f"{name}: the answer {status}", checked)
    return Operation(
        name=name,
        description=found.get("description", found.get("summary", "")),
        method=method.upper(),
        path=path,
        in_path=tuple(places["path"]),
        in_query=tuple(places["query"]),
        in_body=tuple(places["body"]),
        parameters={
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        },
        answers={
            status: {**schema, "components": document["components"]} for status, schema in answers.items()
        },
    )


def _check_answer(document: dict[str, Any], schema: Any, where: str, checked: set[str]) -> None:
    """
    A schema that cannot be used would only be noticed in the middle of a customer's question.

    Args:
        checked: References of the document whose parts need no second look.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ToolError(f"{where} is no JSON Schema: {error.message}.") from error
    for reference in set(_list_references(schema)) - checked:
        checked.add(reference)
        try:
            part = _resolve(document, {"$ref": reference})
        except (KeyError, TypeError, IndexError) as error:
            raise ToolError(f"{where} refers to {reference}, which is not there.") from error
        _check_answer(document, part, where, checked)


def _list_references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        yield from _list_references(part)


def _resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A reference within the document, followed once."""
    if "$ref" not in schema:
        return schema
    part: Any = document
    for step in schema["$ref"].removeprefix("#/").split("/"):
        part = part[step]
    return cast("dict[str, Any]", part)


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
