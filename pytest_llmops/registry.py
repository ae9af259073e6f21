"""
Name to metric, by one door: the built-ins, installed entry points and what a conftest registers.

Built-ins are named by import path, so that knowing a name costs no import.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

from pytest_llmops.errors import MetricOptionError, UnknownMetricError, hint
from pytest_llmops.protocols import Metric

MetricFactory = Callable[..., Metric]

ENTRY_POINT_GROUP = "pytest_llmops.metrics"

_BUILT_IN: Mapping[str, str] = {
    "exact_match": "pytest_llmops.metrics.exact_match:ExactMatch",
    "keywords": "pytest_llmops.metrics.keywords:Keywords",
    "rouge_l": "pytest_llmops.metrics.rouge:RougeL",
    "bleu": "pytest_llmops.metrics.bleu:Bleu",
    "semantic": "pytest_llmops.metrics.semantic:Semantic",
    "recall@k": "pytest_llmops.metrics.retrieval:RecallAtK",
    "precision@k": "pytest_llmops.metrics.retrieval:PrecisionAtK",
    "latency_s": "pytest_llmops.metrics.spending:LatencyS",
    "cost_usd": "pytest_llmops.metrics.spending:CostUsd",
    "tokens": "pytest_llmops.metrics.spending:Tokens",
    "pii_leak": "pytest_llmops.traces.pii_leak:PiiLeak",
}
_ALIASES: Mapping[str, str] = {"lexical": "rouge_l"}
_AT_K = re.compile(r"(?P<family>[a-z_]+)@(?P<k>[1-9][0-9]{0,3})\Z")

_registered: dict[str, MetricFactory] = {}


def register_metric(name: str, factory: MetricFactory) -> None:
    """
    Make a metric known under a name, for this process.

    Args:
        name: As golden files will write it; `family@k` where the factory takes `k`.
        factory: Called with the options of a check; returns the metric.
    """
    _registered[name] = factory


def known_metrics() -> tuple[str, ...]:
    """Every name that a golden file may use, sorted; `@k` stands for a whole number."""
    return tuple(sorted({*_BUILT_IN, *_ALIASES, *_registered, *_installed()}))


def create_metric(name: str, options: Mapping[str, Any] | None = None) -> Metric:
    """
    The metric of that name with those options.

    Raises:
        UnknownMetricError: Nobody registered the name.
        MetricOptionError: An option is unknown or its value cannot be.
    """
    family, options = name, dict(options or {})
    if matched := _AT_K.match(name):
        family, options["k"] = f"{matched['family']}@k", int(matched["k"])
    if family.endswith("@k") and "k" not in options:
        raise UnknownMetricError(name, [known.replace("@k", "@5") for known in known_metrics()])
    factory = _factory(_ALIASES.get(family, family))
    if factory is None:
        raise UnknownMetricError(name, known_metrics())
    if is_dataclass(factory):
        taken = [field.name for field in fields(factory) if field.init]
        for option in options:
            if option not in taken:
                takes = f"It takes: {', '.join(taken)}." if taken else "It takes none."
                raise MetricOptionError(f"{name} has no option {option!r}.{hint(option, taken)} {takes}")
    try:
        return factory(**{key: _frozen(value) for key, value in options.items()})
    except (TypeError, ValueError) as error:
        raise MetricOptionError(f"{name}: {error}") from None


def _factory(name: str) -> MetricFactory | None:
    if name in _registered:
        return _registered[name]
    if path := _BUILT_IN.get(name) or _installed().get(name):
        module, _, attribute = path.partition(":")
        return cast("MetricFactory", getattr(import_module(module), attribute))
    return None


@lru_cache(maxsize=1)
def _installed() -> Mapping[str, str]:
    return {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}


def _frozen(value: Any) -> Any:
    """Lists as tuples, so that a metric can be hashed and shares batches with its equals."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
