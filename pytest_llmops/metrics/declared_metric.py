"""The common class of this package's metrics: their traits as attributes, and the steps of a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any, ClassVar, Self

from pytest_llmops.documents.reading import Reader, hints_of, read_all, reader_of, refused_as
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.protocols import FACTS, Metric, MetricTraits, Need, Reads
from pytest_llmops.records import Bound, Case, Failure, Sample, Score

REMEDIES: dict[Need, str] = {
    "reference": "the case has no reference; add `reference:` with the answer you expect",
    "relevant": "the case names no relevant passages; add `relevant:` with the ids that hold the answer",
    "passages": "the app reported no passages; return Output(passages=…), or trace the retriever's documents",
    "spans": "the app left no trace; trace it with OpenTelemetry or LangSmith",
    "turns": "the case is no conversation; write `turns:` in place of `input:`",
    "expected": "the case expects no state; add `expected:` with what the function of `state:` has to return",
}


class DeclaredMetric:
    """
    A metric that declares its `traits` and measures one sample, or a batch.

    Its traits can be read off class and instance. Where an option changes a trait, a subclass overrides its
    property, and only an instance has the right value.
    """

    __slots__ = ()

    traits: ClassVar[MetricTraits]

    def __init_subclass__(cls) -> None:
        for fact in FACTS if "traits" in vars(cls) else ():
            if fact not in vars(cls) and getattr(cls, fact) is getattr(DeclaredMetric, fact):
                setattr(cls, fact, getattr(cls.traits, fact))

    def __post_init__(self) -> None:
        """Refuse options that the types of their fields do not allow."""
        cls: Any = type(self)
        with refused_as(MetricOptionError, f"{self.name}: "):
            options = read_all((name, read, getattr(self, name)) for name, read in _readers_of(cls).items())
        for name, value in options.items():
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        return self.traits.name

    @property
    def version(self) -> int:
        return self.traits.version

    @property
    def needs(self) -> frozenset[Need]:
        return self.traits.needs

    @property
    def range(self) -> tuple[float, float]:
        return self.traits.range

    @property
    def higher_is_better(self) -> bool:
        return self.traits.higher_is_better

    @property
    def bound(self) -> Bound | None:
        return self.traits.bound

    @property
    def waits(self) -> bool:
        return self.traits.waits

    @property
    def compares(self) -> bool:
        return self.traits.compares

    @property
    def reads(self) -> Reads | None:
        return self.traits.reads

    @property
    def measured_languages(self) -> frozenset[str]:
        """Codes of the languages that it was measured on; empty if it reads all alike."""
        return self.traits.languages

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        settled = [self.settle(sample) for sample in batch]
        left = [sample for sample, result in zip(batch, settled, strict=True) if result is None]
        measured = iter(self.measure_all(left) if left else ())
        return [next(measured) if result is None else result for result in settled]

    def of_case(self, case: Case) -> Self | None:  # noqa: ARG002 - for metrics that depend on the case
        """The metric by which a suite scores that case; None where it does not apply."""
        return self

    def settle(self, sample: Sample) -> Score | Failure | None:
        """The result of a sample that cannot or need not be measured; else None."""
        return find_missing(self, sample)

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        """One result for each sample that was not settled, in order."""
        return [self.measure(sample) for sample in samples]

    def measure(self, sample: Sample) -> Score | Failure:
        """The result of one sample."""
        raise NotImplementedError

    def give(
        self,
        sample: Sample,
        value: float,
        reason: str = "",
        *,
        evidence: tuple[Any, ...] = (),
        made: str = "",
    ) -> Score:
        """
        The score of a sample.

        Args:
            made: Further parts of the signature, by which the score may differ: options, weights.
        """
        signature = f"{self.name}|v{self.version}"
        return Score(
            metric=self.name,
            value=value,
            repeat=sample.output.repeat,
            reason=reason,
            evidence=evidence,
            signature=f"{signature}|{made}" if made else signature,
        )


@lru_cache(maxsize=256)
def _readers_of(cls: Any) -> Mapping[str, Reader]:
    hints = hints_of(cls)
    typed = [field.name for field in fields(cls) if field.init and hints[field.name] is not Any]
    return {name: reader_of(hints[name]) for name in typed}


def find_missing(metric: Metric, sample: Sample) -> Failure | None:
    """The failure of a sample that lacks a need of the metric, with the remedy; else None."""
    present: dict[Need, bool] = {
        "reference": sample.reference is not None,
        "relevant": bool(sample.relevant),
        "passages": sample.output.passages is not None,
        "spans": bool(sample.spans),
        "turns": bool(sample.turns),
        "expected": sample.expected is not None,
    }
    missing = [REMEDIES[need] for need in sorted(metric.needs) if not present[need]]
    return fail(metric, sample, "; ".join(missing)) if missing else None


def fail(metric: Metric, sample: Sample, error: str) -> Failure:
    """The failure of a sample that the metric cannot score."""
    return Failure(metric=metric.name, stage="score", error=error, repeat=sample.output.repeat)


def inapplicable(metric: Metric, sample: Sample, error: str) -> Failure:
    """The failure of a sample that has nothing which the metric could judge: its check is undecided."""
    return replace(fail(metric, sample, error), stage="inapplicable")
