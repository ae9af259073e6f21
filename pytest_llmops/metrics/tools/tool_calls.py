"""`tool_calls`: the calls that the app should make, with their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pytest_llmops.documents.reading import list_of
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.metrics.tools.calls import SHOWN, ExpectedCall, find_nearest, read_call, show_call
from pytest_llmops.metrics.tools.matching import align, match
from pytest_llmops.printable import name_some
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalls(DeclaredMetric):
    """
    The share of expected calls that the app made; a call made stands for one expected call.

    With extra calls denied, it is the share of all calls expected or made that are both. A call counts
    whether it was allowed or not: `denied_calls` looks at that.

    Attributes:
        expected: `{name: …, arguments: {…}}` each; without `arguments`, any will do.
        order: `in_order` asks for them in the order given; others may come between.
        extra: Whether further calls are `allowed` or `denied`.
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
        fits = [[call.fits(each, partial=partial) for each in made] for call in wanted]
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
