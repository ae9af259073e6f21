"""The part of an answer that cost it most, out of a score's evidence: the claim, the criterion, the call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_llmops.metrics.declared_metric import REMEDIES
from pytest_llmops.printable import counted, printable
from pytest_llmops.protocols import Metric, Need, traits_of
from pytest_llmops.records import Output

_TEXT = 300
_CONTEXTS = 3
_OF_TEST: dict[Need, str] = {
    "reference": "there is no reference; pass reference= to llm(), or to the marker",
    "relevant": "no relevant passages are named; pass relevant= to llm(), or to the marker",
}


def tell_parts(evidence: Sequence[Any], reason: str = "") -> list[str]:
    """
    Lines on the lowest part and what comes nearest to it, escaped and cut; none where nothing is named.

    Args:
        reason: Of the same score; what it tells in full is not told again.
    """
    told = [pair for each in evidence[:1] if isinstance(each, Mapping) for pair in _tell(each)]
    return [f"  {label}: {printable(text, _TEXT)}" for label, text in told if text and text not in reason]


def say_in_test(error: str) -> str:
    """What a metric says that it lacks, with the remedy of a test instead of a golden file's."""
    for need, remedy in _OF_TEST.items():
        error = error.replace(REMEDIES[need], remedy)
    return error


def tell_contexts(metric: Metric, output: Output) -> list[str]:
    """Lines with the first few contexts, escaped and cut, of a metric that reads their texts."""
    reads = "passages" in metric.needs or traits_of(metric).waits
    if not reads or "relevant" in metric.needs:
        return []
    texts = [passage.text for passage in output.passages or ()]
    lines = [
        f"  context {at}: {printable(text, _TEXT)}" for at, text in enumerate(texts[:_CONTEXTS], start=1)
    ]
    return [
        *lines,
        *([f"  and {counted(len(texts) - _CONTEXTS, 'more context')}"] if len(texts) > _CONTEXTS else []),
    ]


def _tell(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Label and text: of a claim and what is nearest to it, a judge's lowest criterion, what it misses."""
    claims, criteria = evidence.get("claims"), evidence.get("criteria")
    if isinstance(claims, Sequence) and claims and isinstance(claims[0], Mapping):
        worst, support = claims[0], claims[0].get("support")
        label = f", {printable(worst['label'], 40)}" if worst.get("label") else ""
        yield f"least supported{_number(worst.get('score'))}{label}", str(worst.get("claim", ""))
        yield "nearest to it", str((support.get("text") if isinstance(support, Mapping) else support) or "")
    if isinstance(criteria, Mapping) and (lowest := _find_lowest(criteria)):
        label = f"{printable(lowest[0], 40)}{_number(lowest[1])} points to"
        yield label, str(criteria[lowest[0]].get("evidence") or "")
    for name in ("missing", "contradicted"):
        found = evidence.get(name)
        if isinstance(found, Sequence) and not isinstance(found, str) and "grade" in evidence:
            yield from ((name, str(each)) for each in found[:_CONTEXTS])


def _find_lowest(criteria: Mapping[str, Any]) -> tuple[str, float] | None:
    scores = {
        name: each["score"]
        for name, each in criteria.items()
        if isinstance(each, Mapping) and isinstance(each.get("score"), int | float)
    }
    return min(scores.items(), key=lambda each: each[1]) if scores else None


def _number(value: Any) -> str:
    return f" ({value:.3g})" if isinstance(value, int | float) else ""
