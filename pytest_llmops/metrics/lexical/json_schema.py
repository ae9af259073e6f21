"""
`json_schema`: the output is JSON of a schema.

JSON is read strictly, so that no two readers can take it for two values. Neither a schema nor an output can
cause a request or an endless match.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import regex

from pytest_llmops.documents.json_document import AmbiguousJsonError, refuse_constant, unique_keys
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.lexical.regex import TIMEOUT_S
from pytest_llmops.printable import printable
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Sample, Score
from pytest_llmops.settings import find_root

if TYPE_CHECKING:
    from jsonschema import FormatChecker, ValidationError
    from jsonschema.protocols import Validator
    from referencing import Resource
    from referencing._core import Resolver

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 64  # arrays and objects within each other; a schema that goes round takes some calls for each

_STRINGS_AND_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_FENCE = "```"
# The formats that need no further package; the others say something to people only.
FORMATS = ("date", "date-time", "time", "email", "ipv4", "ipv6", "uuid")
_TIME = r"\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})"
_RFC3339 = {
    "time": re.compile(_TIME, re.ASCII),
    "date-time": re.compile(rf"\d{{4}}-\d\d-\d\d[Tt]{_TIME}", re.ASCII),
}
_COMPARED = 1000  # violations, to find the first in the text among them


class NoJsonError(ValueError):
    """The text is no JSON value; the message has the place and the reason."""


class TooLargeError(ValueError):
    """The text is longer, or nested deeper, than the limits."""


def read_json(text: str) -> Any:
    """
    Read a text that is JSON and nothing else.

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
    """Count the arrays and objects that are open at once, by the brackets outside strings."""
    depth = deepest = 0
    for match in _STRINGS_AND_BRACKETS.finditer(text):
        if match[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif match[0] in "]}":
            depth -= 1
    return deepest


def strip_fences(text: str) -> str:
    """Take the block out of a text between lines of three backticks; return any other text unchanged."""
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


def read_schema(written: object) -> str:
    """
    Read a schema as one line of JSON with sorted keys.

    Args:
        written: The schema, its JSON text, or the path of its file.

    Raises:
        MetricOptionError: It is none, needs something that is refused here, or the file cannot be read.
    """
    if isinstance(written, Mapping):
        try:
            text = json.dumps(written, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise MetricOptionError(f"json_schema: schema is no JSON: {error}") from None
        source = "schema"
    elif isinstance(written, str) and written:
        text, source = (written, "schema") if written.lstrip().startswith("{") else _read_file(written)
    else:
        raise MetricOptionError(f"json_schema: schema is a mapping or the path of a file, not {written!r}")
    try:
        schema = read_json(text)
    except (NoJsonError, TooLargeError) as error:
        raise MetricOptionError(f"json_schema: {source} is no JSON that can be used: {error}") from None
    if not isinstance(schema, dict):
        raise MetricOptionError(f"json_schema: {source} must contain an object, not {printable(schema, 80)}")
    _check(text, source)
    return json.dumps(schema, sort_keys=True, ensure_ascii=False)


@lru_cache(maxsize=256)
def make_validator(schema: str) -> Validator:
    """A validator for a schema from `read_schema`."""
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
    # A registry that can fetch nothing, since without one the library fetches the address in a `$ref`.
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


@lru_cache(maxsize=256)  # the cases of a golden file have one schema, or few
def _check(text: str, source: str) -> None:
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    schema = json.loads(text)
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
    try:  # without formats, since patterns may contain classes that `re` does not know, such as \p{L}
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
    """Check the references and patterns of a schema and its parts, and yield their keywords."""
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
            for key, item in value.items():
                if _search(pattern, key):
                    yield from validator.descend(item, part, path=key, schema_path=pattern)


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
    """Compare items as a set of texts, since the library compares all pairs."""
    from jsonschema import ValidationError

    if not unique or not validator.is_type(value, "array"):
        return
    if len({json.dumps(_merge_numbers(item), sort_keys=True) for item in value}) < len(value):
        yield ValidationError("holds an item twice")


def _merge_numbers(value: Any) -> Any:
    """Replace 1.0 by 1, which JSON Schema takes for equal."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _merge_numbers(item) for key, item in value.items()}
    return [_merge_numbers(item) for item in value] if isinstance(value, list) else value


@lru_cache(maxsize=1)
def _formats() -> FormatChecker:
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=[name for name in FORMATS if name not in _RFC3339])
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


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSchema(DeclaredMetric):
    """
    1 when the complete output is JSON that satisfies the schema, else 0.

    Doubled keys, NaN and infinite numbers are no JSON. An output beyond the limits of length and depth is a
    failure, and so is one on which a pattern of the schema backtracks without end.

    Attributes:
        schema: The schema, or the path of a JSON file with it, from the project's root; kept as
            its JSON text. Draft 2020-12 unless `$schema` names an older one. No `$ref` is fetched.
        strip_fences: Of an output that is one Markdown block of code, read the contents.
    """

    schema: Any
    strip_fences: bool = False

    traits = MetricTraits(
        name="json_schema",
        family="lexical",
        bound=Bound(comparison=">=", threshold=1.0),
        reads="last",
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        object.__setattr__(self, "schema", read_schema(self.schema))

    def measure(self, sample: Sample) -> Score | Failure:
        text = sample.output.text
        inside = strip_fences(text)
        try:
            value = read_json(inside if self.strip_fences else text)
            violation = _find_first(value, make_validator(str(self.schema)).iter_errors(value))
        except NoJsonError as error:
            fenced = inside != text and not self.strip_fences
            advice = "; it stands in a block of code, which strip_fences: true takes off" if fenced else ""
            return self._report(sample, "$", f"no JSON: {printable(str(error), 200)}{advice}")
        except (TooLargeError, RecursionError) as error:
            reason = str(error) if isinstance(error, TooLargeError) else "is too deep for this schema"
            return fail(self, sample, f"the output {reason}, and is not looked at")
        except TimeoutError:
            slow = f"a pattern of the schema was not decided in {TIMEOUT_S:g} s on the output"
            return fail(self, sample, f"{slow}; let no neighbouring or nested repeats match the same text")
        if violation is None:
            return self._report(sample, "", "")
        place = printable(violation.json_path, 200)
        return self._report(sample, place, f"{place}: {printable(violation.message, 200)}")

    def _report(self, sample: Sample, place: str, reason: str) -> Score:
        return self.give(
            sample,
            float(not reason),
            reason,
            evidence=({"path": place, "violation": reason},) if reason else (),
        )


def _find_first(value: Any, violations: Iterable[ValidationError]) -> ValidationError | None:
    """The first violation in the text; of a choice that fails, the option that comes nearest."""
    from jsonschema.exceptions import best_match

    first = min(
        islice(violations, _COMPARED),
        key=lambda violation: _place(value, violation.absolute_path),
        default=None,
    )
    return None if first is None else best_match([first])


def _place(value: Any, path: Iterable[str | int]) -> tuple[int, ...]:
    """The position of each step of a path among its neighbours."""
    places = []
    for step in path:
        places.append(step if isinstance(step, int) else list(value).index(step))
        value = value[step]
    return tuple(places)
