"""`tool_calls`, `tool_order`, `denied_calls`: the calls of an app, against those that it should make."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pytest_llmops.documents.reading import BrokenValueError, list_of, read_name, record_reader, refused_as
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.metrics.words import quote
from pytest_llmops.printable import name_some, printable
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample, Score, ToolCall

SHOWN = 3  # calls in one reason
NO_CALL = "no tool was called, or the app reports none: return Output(tool_calls=…) or trace the tools"
_REMEDY = "; write {name: search, arguments: {query: boots}}, and no arguments where any will do"
_NAME_SHOWN = 60  # characters of a name or a value


def equal_json(wanted: Any, made: Any, *, partial: bool = False) -> bool:
    """
    Compare two JSON values: 1 equals 1.0 and not true, keys have no order, lists have.

    Args:
        partial: Objects made may have further keys.
    """
    if isinstance(wanted, Mapping):
        return (
            isinstance(made, Mapping)
            and (partial or len(made) == len(wanted))
            and all(key in made and equal_json(wanted[key], made[key], partial=partial) for key in wanted)
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(made, list | tuple)
            and len(made) == len(wanted)
            and all(equal_json(one, other, partial=partial) for one, other in zip(wanted, made, strict=True))
        )
    if isinstance(wanted, bool) or isinstance(made, bool):
        return isinstance(wanted, bool) and isinstance(made, bool) and wanted == made
    return bool(wanted == made)


def match(fits: Sequence[Sequence[bool]]) -> dict[int, int]:
    """Pair rows with columns that fit, each once, as many as possible; returns row to column."""
    if not any(map(any, fits)):
        return {}
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    columns = maximum_bipartite_matching(csr_array(fits, dtype=bool), perm_type="column")
    return {row: int(column) for row, column in enumerate(columns) if column >= 0}


def align(fits: Sequence[Sequence[bool]]) -> dict[int, int]:
    """Pair as many rows and columns that fit as possible in rising order; returns row to column."""
    columns = len(fits[0]) if fits else 0
    longest = [[0] * (columns + 1) for _ in range(len(fits) + 1)]
    for row in reversed(range(len(fits))):
        for column in reversed(range(columns)):
            longest[row][column] = (
                longest[row + 1][column + 1] + 1
                if fits[row][column]
                else max(longest[row + 1][column], longest[row][column + 1])
            )
    pairs, row, column = {}, 0, 0
    while row < len(fits) and column < columns:
        if fits[row][column]:
            pairs[row] = column
            row, column = row + 1, column + 1
        elif longest[row + 1][column] >= longest[row][column + 1]:
            row += 1
        else:
            column += 1
    return pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCall:
    """
    A call that the app should make.

    Attributes:
        arguments: An object as JSON; None is any arguments.
    """

    name: str
    arguments: str | None = None

    def __str__(self) -> str:
        return self.name if self.arguments is None else show_call(self.name, json.loads(self.arguments))

    def fits(self, call: ToolCall, *, partial: bool) -> bool:
        """True for a call that meets this one; `partial` allows it further arguments."""
        if call.name != self.name:
            return False
        return self.arguments is None or equal_json(
            json.loads(self.arguments), call.arguments, partial=partial
        )

    def differ(self, call: ToolCall, *, partial: bool) -> list[str]:
        """A few words for each argument in which a call of the same tool differs."""
        wanted = json.loads(self.arguments or "{}")
        differences = [
            f"{_name(key)} is {show_value(call.arguments[key])}"
            if key in call.arguments
            else f"{_name(key)} is not given"
            for key in wanted
            if key not in call.arguments or not equal_json(wanted[key], call.arguments[key], partial=partial)
        ]
        further = [] if partial else [key for key in call.arguments if key not in wanted]
        return differences + [f"{_name(key)} is too much" for key in further]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    name: Annotated[str, read_name]
    arguments: Mapping[str, Any]


def _make_call(*, name: str, arguments: Mapping[str, Any] | None = None) -> ExpectedCall:
    try:
        text = None if arguments is None else json.dumps(arguments, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BrokenValueError((("arguments",), f"is no JSON: {error}")) from None
    return ExpectedCall(name=name, arguments=text)


_CALL = record_reader(_make_call, _Written, optional=("arguments",))


def read_call(value: Any) -> ExpectedCall:
    """Read a call of a golden file."""
    if isinstance(value, ExpectedCall):
        return value
    with refused_as(BrokenValueError, "", _REMEDY):
        call: ExpectedCall = _CALL(value)
        return call


def show_call(name: str, arguments: Mapping[str, Any]) -> str:
    """A call on one line, `order_status(order_id="A-1042")`, without control characters."""
    shown = ", ".join(f"{_name(key)}={show_value(value)}" for key, value in arguments.items())
    return f"{_name(name)}({printable(shown, 200)})"


def show_value(value: Any) -> str:
    """A value as JSON, shortened."""
    return printable(json.dumps(value, ensure_ascii=False, default=str), _NAME_SHOWN)


def find_nearest(
    wanted: ExpectedCall, spare: Iterable[ToolCall], made: Sequence[ToolCall], *, partial: bool
) -> str:
    """
    Describe the call of that tool that differs least, or the tools that were called instead.

    Args:
        spare: Calls that meet no other expected call.
        made: All calls of the app.
    """
    same = [wanted.differ(call, partial=partial) for call in spare if call.name == wanted.name]
    if same:
        return f"in the nearest call {name_some(min(same, key=len), SHOWN)}"
    if not made:
        return NO_CALL
    names = [_name(name) for name in dict.fromkeys(call.name for call in made)]
    return f"called were {name_some(names, SHOWN)}"


def _name(name: object) -> str:
    return printable(str(name), _NAME_SHOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedCalls(DeclaredMetric):
    """
    The number of tool calls that the app's own policy denied: calls whose `decision` is `denied`.

    Attributes:
        names: Only calls of these tools count; all by default.
    """

    names: Annotated[tuple[str, ...], list_of(read_name)] = ()

    traits = MetricTraits(
        name="denied_calls",
        family="tool_calls",
        range=(0.0, math.inf),
        higher_is_better=False,
        bound=Bound(comparison="<=", threshold=0.0),
    )

    def measure(self, sample: Sample) -> Score:
        denied = [
            call
            for call in sample.output.tool_calls
            if call.decision == "denied" and (not self.names or call.name in self.names)
        ]
        shown = [show_call(call.name, call.arguments) for call in denied]
        return self.give(
            sample,
            float(len(denied)),
            f"denied: {name_some(shown, SHOWN)}" if denied else "",
            evidence=({"denied": shown},) if denied else (),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalls(DeclaredMetric):
    """
    The share of expected calls that the app made; a call of the app meets one expected call.

    With extra calls denied, it is the share of all calls expected or made that are both. A call counts
    whether it was allowed or not: `denied_calls` looks at that.

    Attributes:
        expected: `{name: …, arguments: {…}}` each; without `arguments`, any will do.
        order: `in_order` asks for them in the order given; others may come between.
        extra: Further calls are `allowed` or `denied`.
        arguments: `exact`, or `subset`: a call may have further arguments, at any depth.
    """

    expected: Annotated[tuple[ExpectedCall | Mapping[str, Any], ...], list_of(read_call)]
    order: Literal["any", "in_order"] = "any"
    extra: Literal["allowed", "denied"] = "allowed"
    arguments: Literal["exact", "subset"] = "exact"

    traits = MetricTraits(
        name="tool_calls",
        family="tool_calls",
        bound=Bound(comparison=">=", threshold=1.0),
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        if not self.expected and self.extra == "allowed":
            raise MetricOptionError(
                "tool_calls: expected is empty, which any calls would meet; add extra: denied to ask for none"
            )

    def measure(self, sample: Sample) -> Score:
        made, partial = sample.output.tool_calls, self.arguments == "subset"
        wanted = [call for call in self.expected if isinstance(call, ExpectedCall)]
        fits = [[expected.fits(call, partial=partial) for call in made] for expected in wanted]
        pairs = align(fits) if self.order == "in_order" else match(fits)
        missing = [at for at in range(len(wanted)) if at not in pairs]
        spare = [at for at in range(len(made)) if at not in pairs.values()]
        extra = (
            [show_call(made[at].name, made[at].arguments) for at in spare] if self.extra == "denied" else []
        )
        reasons = []
        if missing:
            first = missing[0]
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            if any(fits[first][at] for at in spare):
                why = "it was called, but not in this order"
            elif any(fits[first]):
                why = "it was called fewer times than expected"
            else:
                why = find_nearest(wanted[first], [made[at] for at in spare], made, partial=partial)
            reasons.append(f"missing: {wanted[first]}{more}; {why}")
        if extra:
            reasons.append(f"not expected: {name_some(extra, SHOWN)}")
        evidence = {"missing": [str(wanted[at]) for at in missing], "extra": extra}
        total = len(wanted) + len(extra)
        return self.give(
            sample,
            len(pairs) / total if total else 1.0,
            "; ".join(reasons),
            evidence=(evidence,) if reasons else (),
            made=f"order:{self.order}|extra:{self.extra}|args:{self.arguments}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOrder(DeclaredMetric):
    """
    The longest part of the expected order that the app's calls follow, as a share of it; other calls may
    come between.

    Attributes:
        expected: Names of tools.
    """

    expected: Annotated[tuple[str, ...], list_of(read_name)]

    traits = MetricTraits(
        name="tool_order",
        family="tool_calls",
        bound=Bound(comparison=">=", threshold=1.0),
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        if not self.expected:
            raise MetricOptionError("tool_order: expected is empty; name the tools in their order")

    def measure(self, sample: Sample) -> Score:
        made = [call.name for call in sample.output.tool_calls]
        pairs = align([[name == called for called in made] for name in self.expected])
        reason = ""
        if left := [name for at, name in enumerate(self.expected) if at not in pairs]:
            absent = [name for name in left if name not in made]
            problem = f"not called: {quote(absent)}" if absent else f"not in its place: {quote(left)}"
            reason = f"{problem}; {f'called were {quote(made)}' if made else NO_CALL}"
        return self.give(
            sample,
            len(pairs) / len(self.expected),
            reason,
            evidence=({"called": [printable(name) for name in made], "left": left},) if left else (),
        )
