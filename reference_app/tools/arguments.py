"""What a tool accepts, as strict JSON Schema, and what is wrong with arguments in words that help to mend."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from reference_app.errors import AppError
from reference_app.guardrails.calls.schema import dialect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jsonschema.protocols import Validator

MAX_CHARACTERS = 16_000
MAX_NAMED = 3  # of the things that are wrong
_LIMITS = {
    "string": ({"maxLength"}, {"pattern"}, {"enum"}, {"const"}),
    "integer": ({"minimum", "maximum"}, {"enum"}, {"const"}),
    "number": ({"minimum", "maximum"}, {"enum"}, {"const"}),
    "array": ({"maxItems", "items"},),
    "object": ({"properties"},),
    "boolean": (set(),),
    "null": (set(),),
}
_WORDS = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}


class ToolError(AppError):
    """A tool's schema is not strict, or two tools have one name."""


def check_strict(schema: Any, where: str) -> None:
    """
    See that a schema names everything it accepts and bounds its size.

    Args:
        schema: Of an object; its parts are checked as well.
        where: The tool's name, for messages.

    Raises:
        ToolError: It is no JSON Schema, is open, unbounded, or has a pattern without both anchors.
    """
    from jsonschema.exceptions import SchemaError

    try:
        dialect().check_schema(schema)
    except SchemaError as error:
        raise ToolError(f"{where}: the parameters are no JSON Schema: {error.message}.") from error
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise ToolError(f'{where}: the parameters must be of "type": "object".')
    _check_part(schema, where)


def compile_schema(schema: Mapping[str, Any]) -> Validator:
    """A validator to whom whole numbers are `int` alone and patterns hold for the whole text, in ASCII."""
    validator: Validator = dialect()(json.loads(json.dumps(schema)))
    return validator


def read_arguments(arguments: object) -> dict[str, Any] | str:
    """A copy of the arguments as JSON has them, which nobody else can change; or what is wrong with them."""
    try:
        text = json.dumps(arguments, allow_nan=False, ensure_ascii=False)
        text.encode()
        copy = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return "The arguments are no JSON values."
    if not isinstance(copy, dict):
        return "The arguments must be a JSON object."
    if copy != arguments:
        return "The arguments are no JSON values."
    if len(text) > MAX_CHARACTERS:
        return f"The arguments are longer than {MAX_CHARACTERS} characters."
    return copy


def explain_errors(validator: Validator, name: str, arguments: Mapping[str, Any]) -> str:
    """What is wrong, at most three things, without the values, which may be personal; empty if it is well."""
    found = sorted(
        validator.iter_errors(arguments), key=lambda error: (error.json_path, str(error.validator))
    )
    lines = dict.fromkeys(line for error in found for line in _explain(error, name))
    return " ".join(list(lines)[:MAX_NAMED])


def name_near_miss(name: object, known: list[str]) -> str:
    """` Did you mean …?` or nothing."""
    close = get_close_matches(str(name)[:100], known, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _check_part(schema: Any, where: str) -> None:
    if not isinstance(schema, dict):
        raise ToolError(f"{where}: the schema must be an object.")
    if loose := sorted({"$ref", "$dynamicRef", "patternProperties"} & set(schema)):
        raise ToolError(f"{where}: {loose[0]} is not allowed.")
    kind = schema.get("type")
    if not isinstance(kind, str):
        raise ToolError(f"{where}: the schema needs one `type`, such as {', '.join(_LIMITS)}.")
    if not any(limits <= set(schema) for limits in _LIMITS[kind]):
        needed = " or ".join(" and ".join(f"`{word}`" for word in sorted(limits)) for limits in _LIMITS[kind])
        raise ToolError(f"{where}: {kind} needs {needed}.")
    pattern = schema.get("pattern", "^$")
    if not pattern.startswith("^") or not pattern.endswith("$") or pattern.endswith(r"\$"):
        raise ToolError(f"{where}: the pattern {pattern!a} must start with ^ and end with $.")
    if kind == "object" and schema.get("additionalProperties") is not False:
        raise ToolError(f'{where}: an object needs "additionalProperties": false.')
    for name, part in schema.get("properties", {}).items():
        _check_part(part, f"{where}.{name}")
    if kind == "array":
        _check_part(schema["items"], f"{where}[]")


def _explain(error: Any, name: str) -> Iterator[str]:
    path = error.json_path.removeprefix("$").removeprefix(".")
    wanted, kind = error.validator_value, error.validator
    if kind == "additionalProperties":
        known = list(error.schema["properties"])
        for extra in sorted(set(error.instance) - set(known)):
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            yield f"{name} has no argument {extra[:40]!a}; {takes}.{name_near_miss(extra, known)}"
    elif kind == "required":
        for missing in sorted(set(wanted) - set(error.instance)):
            yield f"{name} needs the argument {f'{path}.' if path else ''}{missing}."
    elif kind == "type":
        yield f"{path} must be {_WORDS.get(wanted, wanted)}."
    elif kind == "pattern":
        yield f"{path} must match {wanted}."
    elif kind in ("maxLength", "minLength"):
        yield f"{path} must have {'at most' if kind == 'maxLength' else 'at least'} {wanted} characters."
    elif kind in ("maximum", "minimum"):
        yield f"{path} must be {'at most' if kind == 'maximum' else 'at least'} {wanted}."
    elif kind == "enum":
        yield f"{path} must be one of {', '.join(map(str, wanted))}."
    else:
        yield f"{path or name} breaks the rule {kind}: {json.dumps(wanted)[:100]}."
