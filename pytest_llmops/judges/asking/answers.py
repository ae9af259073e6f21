"""The one JSON object of an answer, read strictly: what is not wholly as asked is no answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_llmops.judges.asking.client import Reply
from pytest_llmops.judges.asking.failures import JudgeError, UnusableAnswerError
from pytest_llmops.printable import printable
from pytest_llmops.recorder.redaction import mask_keys

VERSION = 1
"""Raised whenever an answer may be read otherwise."""

_TOLD = 120
_MOST_STARTS = 200
_THOUGHT = ("<think>", "</think>")


def read_answer(reply: Reply, schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    The object that a reply holds: as the arguments of a tool, else as text with prose or fences around it.

    Raises:
        UnusableAnswerError: It holds none, several that differ, or one that the schema does not allow.
        JudgeError: The model refused; asking again is no use.
    """
    if reply.refusal or reply.finish == "content_filter":
        said = printable(reply.refusal or reply.text or "its content filter spoke", _TOLD)
        raise JudgeError(f"the judge refused to answer: {said}")
    texts = reply.arguments or (reply.text,)
    if not any(text.strip() for text in texts):
        raise UnusableAnswerError("the answer is empty")
    if reply.finish == "length":
        raise UnusableAnswerError(f"the answer was cut off at the limit of tokens: {_shown(texts)}")
    objects: list[dict[str, Any]] = []
    for found in (each for text in texts for each in _objects(_without_thought(text))):
        if found not in objects:
            objects.append(found)
    if not objects:
        raise UnusableAnswerError(f"the answer holds no JSON object: {_shown(texts)}")
    if len(objects) > 1:
        raise UnusableAnswerError(
            f"the answer holds {len(objects)} JSON objects that differ: {_shown(texts)}"
        )
    if problem := _violation(objects[0], schema):
        raise UnusableAnswerError(f"{problem}: {_shown(texts)}")
    return objects[0]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """
    Every outermost JSON object in a text.

    Raises:
        UnusableAnswerError: One is broken by what JSON does not know: NaN, Infinity, a key twice.
    """
    decoder = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique)
    at = text.find("{")
    for _ in range(_MOST_STARTS):
        if at < 0:
            return
        try:
            found, end = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError):
            end = at + 1
        except ValueError as error:  # of a number with too many digits
            raise UnusableAnswerError(
                f"the answer holds a number that is none: {printable(str(error), _TOLD)}"
            ) from None
        else:
            yield found
        at = text.find("{", end)


def _refuse_constant(name: str) -> Any:
    raise UnusableAnswerError(f"the answer holds {name}, which is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise UnusableAnswerError(f"the answer says {printable(doubled, 40)!r} twice")
    return found


def _violation(found: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """The first place where the object is not as asked; empty where there is none."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(found))
    return "" if error is None else f"{error.json_path} is not as asked, {printable(error.message, _TOLD)}"


def _without_thought(text: str) -> str:
    """What follows the thoughts that a reasoning model writes ahead of its answer."""
    start, end = _THOUGHT
    if not text.lstrip().startswith(start):
        return text
    _, found, rest = text.rpartition(end)
    return rest if found else ""


def _shown(texts: tuple[str, ...]) -> str:
    return printable(mask_keys(" ".join(texts)), _TOLD)
