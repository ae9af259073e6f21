"""JSON as an answer holds it, read strictly: what two readers could take for two values is refused."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from pytest_llmops.documents.json_document import AmbiguousJsonError, refuse_constant, unique_keys

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 64  # arrays and objects within each other; a schema that goes round takes some calls for each

_STRINGS_AND_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_FENCE = "```"


class NoJsonError(ValueError):
    """The text is no JSON value; says where and why."""


class TooLargeError(ValueError):
    """The text is longer, or nested deeper, than is looked at."""


def read_json(text: str) -> Any:
    """
    The value of a text that is JSON and nothing else.

    Raises:
        NoJsonError: It is none, or has a key twice, NaN, or a number beyond all floats.
        TooLargeError: It exceeds `MAX_CHARACTERS` or `MAX_DEPTH`.
    """
    if len(text) > MAX_CHARACTERS:
        raise TooLargeError(f"is longer than {MAX_CHARACTERS:,} characters")
    if measure_depth(text) > MAX_DEPTH:
        raise TooLargeError(f"is nested deeper than {MAX_DEPTH} levels")
    try:
        return json.loads(
            text, object_pairs_hook=unique_keys, parse_constant=refuse_constant, parse_float=_float
        )
    except json.JSONDecodeError as error:
        if not text.strip():
            raise NoJsonError("it is empty") from None
        place = f"line {error.lineno}, column {error.colno}"
        raise NoJsonError(f"{place}: {error.msg[:1].lower()}{error.msg[1:]}") from None
    except AmbiguousJsonError as error:
        raise NoJsonError(str(error)) from None
    except NoJsonError:
        raise
    except ValueError:  # Python converts no whole number of more than 4,300 digits
        raise NoJsonError("a number is too long to be one") from None


def measure_depth(text: str) -> int:
    """How many arrays and objects are open at once at most, by its brackets outside strings."""
    depth = deepest = 0
    for match in _STRINGS_AND_BRACKETS.finditer(text):
        if match[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif match[0] in "]}":
            depth -= 1
    return deepest


def strip_fences(text: str) -> str:
    """What stands in a text that is one block between lines of three backticks; any other text as it is."""
    whole = text.strip()
    opening, line_end, rest = whole.partition("\n")
    if not line_end or opening.lower().rstrip() not in {_FENCE, f"{_FENCE}json"} or not rest.endswith(_FENCE):
        return text
    inside = rest.removesuffix(_FENCE).rstrip(" \t").removesuffix("\n")
    return text if _FENCE in inside else inside


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise NoJsonError(f"the number {digits[:20]} is beyond all floats")
    return value
