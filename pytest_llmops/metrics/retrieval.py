"""
Metrics of retrieved passages by rank: `recall@k precision@k hit@k mrr ndcg@k map`, equal to trec_eval's.

A ranking is an output's passages in the order in which they are given. Their scores are not looked at,
since one library's are similarities and another's are distances.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pytest_llmops.documents.reading import checked, mapping_of, read_number, whole
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.words import quote
from pytest_llmops.protocols import MetricTraits, Need
from pytest_llmops.records import Bound, Failure, Passage, Sample, Score
from pytest_llmops.text.characters import fold

_SHOWN = 80  # characters of a passage that has no id
_LISTED = 5  # passages that a reason names
_Rank = Annotated[int, whole(1)]
_GRADES = checked(
    lambda value: mapping_of(read_number)(dict(value) if isinstance(value, tuple) else value),
    'a mapping of ids in quotes to finite numbers, for example {"returns#window": 2}',
    lambda grades: all(isinstance(name, str) and name.strip() for name in grades),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """
    The ranks of relevant entries in a ranking of passages.

    Attributes:
        names: Each passage's id, or the beginning of its text where no passage has an id; best first.
        gains: The grade of each passage, 0 where it is not relevant.
        ideal: The grades of all relevant passages, retrieved or not, highest first.
        ranks: Relevant entry to the rank, from 1, of the passage that it matches.
        missing: Relevant entries that match none.
        by_text: Entries were searched in texts.
    """

    names: tuple[str, ...]
    gains: tuple[float, ...]
    ideal: tuple[float, ...]
    ranks: Mapping[str, int]
    missing: tuple[str, ...]
    by_text: bool

    def explain(self, k: int | None) -> str:
        """The relevant entries that are missing, too low, and among the first k, with their ranks."""
        if not self.names:
            return f"missing: {quote(self.missing)}; nothing was retrieved"
        below: list[str] = []
        inside: list[str] = []
        for entry, rank in self.ranks.items():
            (below if k and rank > k else inside).append(f"{quote([entry])} at rank {rank}")
        parts = [f"missing: {quote(self.missing)}"] if self.missing else []
        parts += [f"too low: {_list_some(below)}"] if below else []
        parts += [f"found: {_list_some(inside)}" if inside else f"the first are {quote(self.names[:k])}"]
        parts += ["the passages have no ids, so their texts were searched"] if self.by_text else []
        return "; ".join(parts)


def rank_passages(passages: Sequence[Passage], relevant: Mapping[str, float]) -> Ranking:
    """Rank each passage once, at its first place, and find the relevant entries in the ranking."""
    # An app that gives plain strings has a text where an id would be.
    by_text = bool(passages) and all(
        not passage.id or (passage.id == passage.text and len(passage.id.split()) > 1) for passage in passages
    )
    if by_text:
        texts = list(dict.fromkeys(fold(passage.text) for passage in passages))
        names = [text[:_SHOWN] for text in texts]
        ranks = {}
        for entry in relevant:  # in the first text that contains it
            span = fold(entry)
            ranks[entry] = next((rank for rank, text in enumerate(texts, 1) if span and span in text), 0)
    else:
        names = list({passage.id or at: passage.id for at, passage in enumerate(passages)}.values())
        rank_of = {name: rank for rank, name in enumerate(names, 1) if name}
        ranks = {entry: rank_of.get(entry, 0) for entry in relevant}
    gains = [0.0] * len(names)
    for entry, rank in ranks.items():
        if rank:  # of several entries in one passage, the highest grade is the passage's
            gains[rank - 1] = max(gains[rank - 1], relevant[entry])
    missing = tuple(entry for entry, rank in ranks.items() if not rank)
    ideal = [gain for gain in gains if gain] + [relevant[entry] for entry in missing]
    return Ranking(
        names=tuple(names),
        gains=tuple(gains),
        ideal=tuple(sorted(ideal, reverse=True)),
        ranks={entry: rank for entry, rank in sorted(ranks.items(), key=lambda pair: pair[1]) if rank},
        missing=missing,
        by_text=by_text,
    )


def _list_some(parts: Sequence[str]) -> str:
    return ", ".join(parts[:_LISTED]) + (", …" if len(parts) > _LISTED else "")


def _declare(name: str, bound: Bound = Bound(comparison=">=", threshold=1.0)) -> MetricTraits:  # noqa: B008
    return MetricTraits(
        name=name, family="recall_at_k", needs=frozenset({"relevant", "passages"}), bound=bound
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranked(DeclaredMetric):
    """
    A metric that is read off a ranking.

    Attributes:
        k: Only the first k passages count, or all for None; the name sets it.
    """

    k: _Rank | None = None

    @property
    def name(self) -> str:
        return self.traits.name.replace("@k", f"@{self.k}")

    def read(self, ranking: Ranking) -> tuple[float, str]:
        """The value, and the reason where it is not the best."""
        raise NotImplementedError

    def measure(self, sample: Sample) -> Score | Failure:
        passages = sample.output.passages or ()
        relevant = {entry: grade for entry, grade in self._grade(sample).items() if grade > 0}
        error = ""
        if not relevant:
            error = "no passage has a grade above 0, so nothing could be found; add what holds the answer"
        elif passages and not any(passage.id or passage.text for passage in passages):
            error = "the passages have neither ids nor texts; return Passage(id=…, text=…)"
        if error:
            return fail(self, sample, error)
        ranking = rank_passages(passages, relevant)
        value, reason = self.read(ranking)
        evidence = {
            "found": dict(ranking.ranks),
            "missing": list(ranking.missing),
            "retrieved": list(ranking.names[: self.k]),
        }
        in_name = self.k is None or "@k" in self.traits.name
        return self.give(sample, value, reason, evidence=(evidence,), made="" if in_name else f"k:{self.k}")

    def _grade(self, sample: Sample) -> Mapping[str, float]:
        return dict.fromkeys(sample.relevant, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallAtK(_Ranked):
    """The share of the relevant entries that are among the first k passages; trec_eval's `recall`."""

    k: _Rank

    traits = _declare("recall@k")

    def read(self, ranking: Ranking) -> tuple[float, str]:
        inside = sum(rank <= self.k for rank in ranking.ranks.values())
        value = inside / (len(ranking.ranks) + len(ranking.missing))
        return value, "" if value == 1.0 else ranking.explain(self.k)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionAtK(_Ranked):
    """
    The share of the first k places that hold a relevant passage; trec_eval's `P`.

    Divided by k even where fewer passages were retrieved, so at most (relevant passages / k); `true`
    asks for one relevant passage.
    """

    k: _Rank

    traits = _declare("precision@k", Bound(comparison=">", threshold=0.0))

    def read(self, ranking: Ranking) -> tuple[float, str]:
        top = list(zip(ranking.names, ranking.gains, strict=True))[: self.k]
        besides = [name for name, gain in top if not gain]
        unfilled = self.k - len(top)
        reasons = [f"not relevant: {quote(besides)}"] if besides else []
        reasons += [f"{unfilled} of {self.k} places empty"] if unfilled else []
        return (len(top) - len(besides)) / self.k, "; ".join(reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class HitAtK(_Ranked):
    """1 when a relevant passage is among the first k, else 0; trec_eval's `success`."""

    k: _Rank

    traits = _declare("hit@k")

    def read(self, ranking: Ranking) -> tuple[float, str]:
        hit = any(ranking.gains[: self.k])
        return float(hit), "" if hit else ranking.explain(self.k)


@dataclass(frozen=True, slots=True, kw_only=True)
class NdcgAtK(_Ranked):
    """
    The discounted gain of the first k passages over that of the best order; trec_eval's `ndcg_cut`.

    A passage gains its grade over log2(1 + rank).

    Attributes:
        grades: Id to grade, instead of the 1 that an entry of `relevant` has; 0 and below gains nothing.
            Kept as pairs.

    Source: Järvelin and Kekäläinen (2002), with the discount from the first rank on.
    """

    k: _Rank
    grades: Annotated[Mapping[str, float] | tuple[tuple[str, float], ...], _GRADES] = ()

    traits = _declare("ndcg@k")

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        object.__setattr__(self, "grades", tuple(sorted(dict(self.grades).items())))

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({"passages"}) if self.grades else self.traits.needs

    def read(self, ranking: Ranking) -> tuple[float, str]:
        value = _discount(ranking.gains[: self.k]) / _discount(ranking.ideal[: self.k])
        return value, "" if value == 1.0 else ranking.explain(self.k)

    def _grade(self, sample: Sample) -> Mapping[str, float]:
        return {**dict.fromkeys(sample.relevant, 1.0), **dict(self.grades)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mrr(_Ranked):
    """
    1 over the rank of the first relevant passage, 0 where there is none; trec_eval's `recip_rank`. The
    mean over cases is the MRR.
    """

    traits = _declare("mrr")

    def read(self, ranking: Ranking) -> tuple[float, str]:
        for rank, gain in enumerate(ranking.gains[: self.k], 1):
            if gain:
                name = quote([ranking.names[rank - 1]])
                return 1 / rank, "" if rank == 1 else f"the first relevant passage is {name} at rank {rank}"
        return 0.0, ranking.explain(self.k)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanAveragePrecision(_Ranked):
    """
    The mean over all relevant passages of the precision at their ranks, 0 for one that was not
    retrieved; trec_eval's `map`, and `map_cut` with k. The mean over cases is the MAP.
    """

    traits = _declare("map")

    def read(self, ranking: Ranking) -> tuple[float, str]:
        total, relevant = 0.0, 0
        for rank, gain in enumerate(ranking.gains[: self.k], 1):
            if gain:
                relevant += 1
                total += relevant / rank
        value = total / len(ranking.ideal)
        return value, "" if value == 1.0 else ranking.explain(self.k)


def _discount(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(1 + rank) for rank, gain in enumerate(gains, 1))
