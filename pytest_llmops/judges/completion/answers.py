"""The one JSON object of an answer, read strictly: what is not wholly as asked is no answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_llmops.documents.json_document import ConstantError, DoubledKeyError, refuse_constant, unique_keys
from pytest_llmops.judges.completion.client import Reply
from pytest_llmops.judges.completion.failures import NoVerdictError, UnusableAnswerError, quote

VERSION = 2
"""Raised whenever an answer may be read otherwise."""

_SHOWN = 120
_THOUGHT = ("<think>", "</think>")
_FENCE = "```"
_OPENING = re.compile(r"```\w*")
_TYPES = {"object": dict, "array": list, "string": str, "integer": int}
_KEYWORDS = {"type", "enum", "properties", "required", "additionalProperties", "items"}
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]|"', re.DOTALL)


def read_answer(reply: Reply, schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    The object that a reply is: as the arguments of one tool, else as text, in a code fence or without.

    A judge that says something beside its verdict may be quoting one that it was told to give, so there is
    no looking for an object within a text.

    Raises:
        UnusableAnswerError: It is something else, or the schema does not allow it.
        NoVerdictError: The model refused; asking again is no use.
    """
    if reply.refusal or reply.finish == "content_filter":
        said = quote(reply.refusal or reply.text or "its content filter spoke", _SHOWN)
        raise NoVerdictError(f"the judge refused to answer: {said}")
    texts = reply.arguments or (reply.text,)
    if not any(text.strip() for text in texts):
        raise UnusableAnswerError("the answer is empty")
    try:
        return _read_object(reply, texts, schema)
    except UnusableAnswerError as error:
        raise UnusableAnswerError(f"{error}: {quote(' '.join(texts), _SHOWN)}") from None


def _read_object(reply: Reply, texts: Sequence[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    if reply.finish == "length":
        raise UnusableAnswerError("the answer was cut off at the limit of tokens")
    if len(texts) > 1:
        raise UnusableAnswerError(f"the answer calls {len(texts)} tools instead of one")
    parsed = _parse(_without_fence(_without_thought(texts[0])))
    if problem := _violation(parsed, schema):
        raise UnusableAnswerError(problem)
    return parsed


def _parse(text: str) -> dict[str, Any]:
    """
    The object that the text is, from its first character to its last.

    Raises:
        UnusableAnswerError: It is something else, or broken by what JSON does not know: NaN, a key twice.
    """
    if not text.startswith("{"):
        raise UnusableAnswerError(
            "the answer says something before its JSON object"
            if "{" in text
            else "the answer is no JSON object"
        )
    decoder = json.JSONDecoder(parse_constant=refuse_constant, object_pairs_hook=unique_keys)
    try:
        parsed, end = decoder.raw_decode(text)
    except (json.JSONDecodeError, RecursionError):
        raise UnusableAnswerError(
            "the answer is cut off, its JSON object has no end"
            if _is_unfinished(text)
            else "the answer is broken JSON"
        ) from None
    except ConstantError as error:
        raise UnusableAnswerError(f"the answer holds {error.found}, which is no number") from None
    except DoubledKeyError as error:
        raise UnusableAnswerError(f"the answer says {quote(error.found, 40)!r} twice") from None
    except ValueError:  # of a number with too many digits
        raise UnusableAnswerError("the answer holds a number that is none") from None
    if end < len(text):
        raise UnusableAnswerError("the answer says something after its JSON object")
    return dict(parsed)


def _is_unfinished(text: str) -> bool:
    """Whether the object that the text begins with is still open where the text ends."""
    depth = 0
    for part in _PART.finditer(text):
        if part[0] == '"':  # a string without an end
            return True
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(part[0], 0)
        if depth == 0:
            return False
    return True


def _violation(parsed: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """The first place where the object is not as asked; empty where there is none."""
    if _fits(parsed, schema):  # as nearly all do, and jsonschema takes a millisecond to say so
        return ""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(parsed))
    return "" if error is None else f"{error.json_path} is not as asked, {quote(error.message, _SHOWN)}"


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a schema of plain keywords surely allows a value; where not, jsonschema has the last word."""
    kind = schema.get("type")
    if not (schema.keys() <= _KEYWORDS and isinstance(kind, str) and type(value) is _TYPES.get(kind)):
        return False
    if isinstance(value, dict):
        named = schema.get("properties", {})
        return (
            "enum" not in schema
            and value.keys() <= named.keys()
            and value.keys() >= set(schema.get("required", ()))
            and all(_fits(part, named[name]) for name, part in value.items())
        )
    if isinstance(value, list):
        return "enum" not in schema and all(_fits(part, schema.get("items", {})) for part in value)
    return "enum" not in schema or (type(value), value) in [(type(each), each) for each in schema["enum"]]


def _without_thought(text: str) -> str:
    """
    What follows the thoughts that a reasoning model writes ahead of its answer.

    Up to where they first end: words after that which end them again are no part of a verdict.
    """
    start, end = _THOUGHT
    text = text.strip()
    if not text.startswith(start):
        return text
    _, found, rest = text.partition(end)
    if not found:
        raise UnusableAnswerError("the answer is cut off within the model's thoughts")
    return rest.strip()


def _without_fence(text: str) -> str:
    """What stands within the code fence around the text, where there is one."""
    if not (opening := _OPENING.match(text)):
        return text
    inner = text[opening.end() :].strip()
    if inner.endswith(_FENCE):
        return inner.removesuffix(_FENCE).strip()
    what = (
        "says something after its code fence" if _FENCE in inner else "is cut off, its code fence has no end"
    )
    raise UnusableAnswerError(f"the answer {what}")
