"""`recall@k` and `precision@k`: what the retriever found, by the ids of its passages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.needs import find_missing
from pytest_llmops.metrics.words import quote
from pytest_llmops.records import Bound, Failure, Sample, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmops.protocols import Need

_NEEDS: frozenset[Need] = frozenset({"relevant", "passages"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallAtK:
    """
    The share of the relevant passages that are among the first k retrieved, as trec_eval's `recall`.

    Ids match exactly. A passage listed twice counts once, at its first rank.
    """

    k: int

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[Need]] = _NEEDS
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    higher_is_better: ClassVar[bool] = True
    bound: ClassVar[Bound] = Bound(comparison=">=", threshold=1.0)

    def __post_init__(self) -> None:
        _check_rank(self.k)

    @property
    def name(self) -> str:
        return f"recall@{self.k}"

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        return [find_missing(self, sample) or self._count(sample) for sample in batch]

    def _count(self, sample: Sample) -> Score:
        top = _rank(sample)[: self.k]
        relevant = tuple(dict.fromkeys(sample.relevant))
        missing = [each for each in relevant if each not in top]
        return Score(
            metric=self.name,
            value=(len(relevant) - len(missing)) / len(relevant),
            repeat=sample.output.repeat,
            reason=_explain(missing, top, self.k) if missing else "",
            evidence=({"missing": missing, "retrieved": top},),
            signature=f"{self.name}|v{self.version}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionAtK:
    """
    The share of the first k places that hold a relevant passage, as trec_eval's `P`.

    Divided by k even where fewer passages were retrieved, so at most (relevant passages / k); `true`
    asks for one relevant passage.
    """

    k: int

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[Need]] = _NEEDS
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    higher_is_better: ClassVar[bool] = True
    bound: ClassVar[Bound] = Bound(comparison=">", threshold=0.0)

    def __post_init__(self) -> None:
        _check_rank(self.k)

    @property
    def name(self) -> str:
        return f"precision@{self.k}"

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        return [find_missing(self, sample) or self._count(sample) for sample in batch]

    def _count(self, sample: Sample) -> Score:
        top = _rank(sample)[: self.k]
        besides = [each for each in top if each not in sample.relevant]
        unfilled = self.k - len(top)
        reasons = [f"not relevant: {quote(besides)}"] if besides else []
        reasons += [f"{unfilled} of {self.k} places empty"] if unfilled else []
        return Score(
            metric=self.name,
            value=(len(top) - len(besides)) / self.k,
            repeat=sample.output.repeat,
            reason="; ".join(reasons),
            evidence=({"not_relevant": besides, "retrieved": top},),
            signature=f"{self.name}|v{self.version}",
        )


def _rank(sample: Sample) -> list[str]:
    """Ids of the passages, best first, each once."""
    return list(dict.fromkeys(passage.id for passage in sample.output.passages or ()))


def _explain(missing: Sequence[str], top: Sequence[str], k: int) -> str:
    found = f"the first {k} are {quote(top)}" if top else "nothing was retrieved"
    return f"missing: {quote(missing)}; {found}"


def _check_rank(k: object) -> None:
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise MetricOptionError(f"k must be a whole number above 0, not {k!r}")
