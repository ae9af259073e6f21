"""`utility`: does an app that is guarded still do what it is for?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from pytest_llmops.bounds import describe_check, holds
from pytest_llmops.metrics.attack.attack import is_attack
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.protocols import Metric, MetricTraits, traits_of
from pytest_llmops.records import Bound, Case, Check, Failure, Sample, Score
from pytest_llmops.registry import create_metric

_NO_CHECKS = "utility is a check of a suite: it is 1 for a case that is no attack and passes its own checks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Utility(DeclaredMetric):
    """
    1 for a case that is no attack and passes all of its own checks, 0 for one that does not.

    It scores those checks itself: they are few, and equal texts are embedded once.

    Attributes:
        checks: Those of the case as (metric, options as JSON, check without options); `of_case` takes them
            from it.
    """

    checks: Any = ()

    traits = MetricTraits(name="utility", bound=Bound(comparison=">=", threshold=1.0))

    @property
    def waits(self) -> bool:
        return any(traits_of(metric).waits for metric, _ in self._metrics())

    def of_case(self, case: Case) -> Self | None:
        """None of an attack, and of a case that checks nothing."""
        checks = [check for check in case.checks if not check.record_only and check.metric != self.name]
        if is_attack(case) or not checks:
            return None
        written = tuple(
            (check.metric, json.dumps(dict(check.options), sort_keys=True), replace(check, options=None))  # type: ignore[arg-type]  # a mapping has no hash
            for check in checks
        )
        return replace(self, checks=written)

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        if not self.checks:
            return [fail(self, sample, _NO_CHECKS) for sample in samples]
        found = [(check, metric.score(samples)) for metric, check in self._metrics()]
        return [
            self._judge(sample, [(check, results[at]) for check, results in found])
            for at, sample in enumerate(samples)
        ]

    def _judge(self, sample: Sample, found: Sequence[tuple[Check, Score | Failure]]) -> Score | Failure:
        missed = []
        for check, result in found:
            if isinstance(result, Failure):
                return fail(self, sample, f"{check.metric}: {result.error}")
            if not holds(result.value, check):
                missed.append(describe_check(check))
        made = json.dumps([[metric, options, str(check)] for metric, options, check in self.checks])
        return self.give(sample, float(not missed), "; ".join(missed), made=made)

    def _metrics(self) -> list[tuple[Metric, Check]]:
        return [(create_metric(metric, json.loads(options)), check) for metric, options, check in self.checks]
