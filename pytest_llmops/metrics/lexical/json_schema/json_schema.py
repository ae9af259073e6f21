"""`json_schema`: the answer is JSON of the form that a schema asks for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.lexical.json_schema.json_text import (
    NoJsonError,
    TooLargeError,
    read_json,
    strip_fences,
)
from pytest_llmops.metrics.lexical.json_schema.schema import make_validator, read_schema
from pytest_llmops.metrics.lexical.regex import TIMEOUT_S
from pytest_llmops.printable import printable
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Sample, Score

if TYPE_CHECKING:
    from jsonschema import ValidationError

_LOOKED_AT = 1000  # violations, to find the first in the text among them


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSchema(DeclaredMetric):
    """
    1 when the whole output is JSON that holds the schema, else 0.

    Keys that stand twice, NaN and infinite numbers are no JSON. An output that is longer or deeper than
    is looked at is a failure, and so is one on which a pattern of the schema backtracks without end.

    Attributes:
        schema: The schema, or the path of a JSON file with it, from the project's root; kept as
            its JSON text. Draft 2020-12 unless `$schema` names an older one. No `$ref` is fetched.
        strip_fences: An output that is one Markdown block of code is taken for what is in it.
    """

    schema: Any
    strip_fences: bool = False

    traits = MetricTraits(
        name="json_schema",
        family="lexical",
        bound=Bound(comparison=">=", threshold=1.0),
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
            why = str(error) if isinstance(error, TooLargeError) else "is too deep for this schema"
            return fail(self, sample, f"the output {why}, and is not looked at")
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
    """The violation that comes first in the text; of a choice that fails, what is nearest to holding."""
    from jsonschema.exceptions import best_match

    first = min(
        islice(violations, _LOOKED_AT),
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
