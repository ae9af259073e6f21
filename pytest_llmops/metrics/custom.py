"""`@metric("polite")`: a function as a metric, known by a name wherever checks are written."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, TypeVar, get_args

from pytest_llmops.bounds import parse_bound, usual_sign
from pytest_llmops.errors import MetricOptionError, describe_error, hint
from pytest_llmops.metrics.declared_metric import fail, find_missing
from pytest_llmops.printable import printable
from pytest_llmops.protocols import Need
from pytest_llmops.records import Bound, Failure, Sample, Score
from pytest_llmops.registry import register_metric

Function = TypeVar("Function", bound=Callable[..., Any])

_NAME = re.compile(r"[A-Za-z_][\w.-]*\Z")
_OUTPUT_AND_SAMPLE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionMetric:
    """
    A function as a metric. Another process can receive it where the function can be imported.

    Attributes:
        function: Takes the output, then the sample if it has a second argument, then options by name.
        waits: True if it waits on an endpoint rather than computing.
        options: Those of the check, sorted by name.
    """

    function: Callable[..., Any]
    name: str
    version: int
    needs: frozenset[Need]
    range: tuple[float, float]
    higher_is_better: bool
    bound: Bound
    waits: bool
    options: tuple[tuple[str, Any], ...] = ()

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        return [find_missing(self, sample) or self._call(sample) for sample in batch]

    def _call(self, sample: Sample) -> Score | Failure:
        taken = len(_split_parameters(self.name, self.function)[0])
        try:
            returned = self.function(*(sample.output, sample)[:taken], **dict(self.options))
        except Exception as error:  # noqa: BLE001 - one bad sample costs no other its score or a second call
            return fail(self, sample, describe_error(error))
        is_pair = isinstance(returned, tuple) and len(returned) == _OUTPUT_AND_SAMPLE
        value, reason = returned if is_pair else (returned, "")
        if not isinstance(value, Real) or not math.isfinite(value):
            problem = (
                f"{self.name} returned {printable(repr(returned), 100)}, not a number or (number, reason)"
            )
            return fail(self, sample, problem)
        options = "".join(f"|{name}={option!r}" for name, option in self.options)
        return Score(
            metric=self.name,
            value=float(value),
            repeat=sample.output.repeat,
            reason=" ".join(str(reason or "").split()),
            signature=f"{self.name}|v{self.version}{options}",
        )


def metric(  # noqa: PLR0913 - the traits of a metric
    name: str,
    *,
    needs: Iterable[Need] = (),
    range: tuple[float, float] = (0.0, 1.0),  # noqa: A002 - a metric's own word
    higher_is_better: bool = True,
    bound: float | str | Bound | None = None,
    version: int = 1,
    waits: bool = False,
) -> Callable[[Function], Function]:
    """
    Make a function a metric: `@metric("polite")` above `def polite(output, sample): …`.

    The function takes the `Output`, may take the `Sample` (input, reference, relevant, spans), and returns a
    number or `(number, reason)`. Its further arguments are the options of a check. It is not changed.

    Args:
        name: As checks write it.
        needs: Parts that a sample must have, of `reference`, `relevant`, `passages`, `spans`, `turns`.
        range: Lowest and highest number; another one is an error of the case.
        bound: Of a check `true` in a golden file: `0.8`, `">= 0.8"`; by default the best number.
        version: To be raised whenever equal outputs may score otherwise; baselines of another do not count.
        waits: It waits on an endpoint; it is then called on many threads at once.

    Raises:
        MetricOptionError: One of these cannot be, or the function cannot be called so.
    """
    if not isinstance(name, str) or not _NAME.match(name):
        raise MetricOptionError(
            f'a metric\'s name is a word such as "polite", not {name!r}; write @metric("polite")'
        )
    known = get_args(Need)
    needed: tuple[Any, ...] = (needs,) if isinstance(needs, str) else tuple(needs)
    for need in needed:
        if need not in known:
            near = hint(str(need), known)
            raise MetricOptionError(
                f"{name}: nothing needed is named {need!r}.{near} Known: {', '.join(known)}"
            )
    low, high = _read_range(name, range)

    def decorate(function: Function) -> Function:
        made = FunctionMetric(
            function=function,
            name=name,
            version=version,
            needs=frozenset(needed),
            range=(low, high),
            higher_is_better=higher_is_better,
            bound=_read_bound(
                name, bound, high if higher_is_better else low, higher_is_better=higher_is_better
            ),
            waits=waits,
        )
        register_metric(name, _factory_of(made))
        return function

    return decorate


def _factory_of(made: FunctionMetric) -> Callable[..., FunctionMetric]:
    """A function that makes the metric of a check, with the function's options as its signature."""

    def factory(**options: Any) -> FunctionMetric:
        return replace(made, options=tuple(sorted(options.items())))

    marked: Any = factory
    marked.written = made.function  # where people will look for it
    marked.__signature__ = inspect.Signature(_split_parameters(made.name, made.function)[1])
    for fact in ("higher_is_better", "range", "bound"):  # readable without making a metric
        setattr(marked, fact, getattr(made, fact))
    return factory


def _split_parameters(
    name: str, function: Callable[..., Any]
) -> tuple[list[inspect.Parameter], list[inspect.Parameter]]:
    """The parameters for output and sample, and those for options."""
    if inspect.iscoroutinefunction(function):
        raise MetricOptionError(f"{name}: a metric is a plain function, not an async one")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise MetricOptionError(f"{name}: {error}") from None
    plain = [
        parameter
        for parameter in parameters
        if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}
    ]
    taking = [parameter for parameter in plain if parameter.default is parameter.empty]
    if not taking or len(taking) > _OUTPUT_AND_SAMPLE or plain[: len(taking)] != taking:
        raise MetricOptionError(
            f"{name}: write def {name}(output, sample, *, option=…); the sample and options may be left out"
        )
    options = [
        parameter.replace(
            kind=parameter.kind if parameter.kind is parameter.VAR_KEYWORD else parameter.KEYWORD_ONLY
        )
        for parameter in parameters
        if parameter not in taking and parameter.kind is not parameter.VAR_POSITIONAL
    ]
    return taking, options


def _read_range(name: str, written: object) -> tuple[float, float]:
    if (
        isinstance(written, tuple | list)
        and len(written) == _OUTPUT_AND_SAMPLE
        and all(isinstance(end, int | float) for end in written)
        and written[0] < written[1]
    ):
        return float(written[0]), float(written[1])
    raise MetricOptionError(f"{name}: range is (lowest, highest), such as (0, 1), not {written!r}")


def _read_bound(name: str, written: object, best: float, *, higher_is_better: bool) -> Bound:
    usual = usual_sign(higher_is_better=higher_is_better)
    if isinstance(written, Bound):
        return written
    if isinstance(written, str) and (bound := parse_bound(written)):
        return bound
    limit = best if written is None else written
    if isinstance(limit, int | float) and math.isfinite(limit):
        return Bound(comparison=usual, threshold=float(limit))
    raise MetricOptionError(f'{name}: write a bound, such as bound="{usual} 0.8"; {limit!r} is none')
