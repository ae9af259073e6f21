"""Where a ranking of passages has what is relevant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_llmops.metrics.words import fold, quote
from pytest_llmops.records import Passage

_SHOWN = 80  # characters of a passage that has no id


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """
    Where a ranking has what is relevant.

    Attributes:
        names: Each passage's id, or how its text begins where no passage has an id; best first.
        gains: The grade of each, 0 where it is not relevant.
        ideal: The grades of all relevant passages, retrieved or not, highest first.
        found: Relevant entry to the rank, from 1, of the passage that it matches.
        missing: Relevant entries that match none.
        by_text: Entries were looked for in texts.
    """

    names: tuple[str, ...]
    gains: tuple[float, ...]
    ideal: tuple[float, ...]
    found: Mapping[str, int]
    missing: tuple[str, ...]
    by_text: bool

    def explain(self, k: int | None) -> str:
        """What of it is not among the first k, and at which rank the rest was found."""
        if not self.names:
            return f"missing: {quote(self.missing)}; nothing was retrieved"
        below = [f"{quote([entry])} at rank {rank}" for entry, rank in self.found.items() if k and rank > k]
        inside = [
            f"{quote([entry])} at rank {rank}" for entry, rank in self.found.items() if not k or rank <= k
        ]
        parts = [f"missing: {quote(self.missing)}"] if self.missing else []
        parts += [f"too low: {_list_some(below)}"] if below else []
        parts += [f"found: {_list_some(inside)}" if inside else f"the first are {quote(self.names[:k])}"]
        parts += ["the passages have no ids, so their texts were searched"] if self.by_text else []
        return "; ".join(parts)


def rank_passages(passages: Sequence[Passage], relevant: Mapping[str, float]) -> Ranking:
    """Each passage once, at its first rank, with what of the relevant it holds."""
    by_text = bool(passages) and all(map(_is_nameless, passages))
    if by_text:
        texts = list(dict.fromkeys(fold(passage.text) for passage in passages))
        names = [text[:_SHOWN] for text in texts]
        found = {entry: _find(fold(entry), texts) for entry in relevant}
    else:
        names = list({passage.id or at: passage.id for at, passage in enumerate(passages)}.values())
        ranks = {name: rank for rank, name in enumerate(names, 1) if name}
        found = {entry: ranks.get(entry, 0) for entry in relevant}
    gains = [0.0] * len(names)
    for entry, rank in found.items():
        if rank:  # of several entries in one passage, the highest grade is the passage's
            gains[rank - 1] = max(gains[rank - 1], relevant[entry])
    missing = tuple(entry for entry, rank in found.items() if not rank)
    ideal = [gain for gain in gains if gain] + [relevant[entry] for entry in missing]
    return Ranking(
        names=tuple(names),
        gains=tuple(gains),
        ideal=tuple(sorted(ideal, reverse=True)),
        found={entry: rank for entry, rank in sorted(found.items(), key=lambda pair: pair[1]) if rank},
        missing=missing,
        by_text=by_text,
    )


def _is_nameless(passage: Passage) -> bool:
    """Whether it has no id; an app that gives plain strings has a text where an id would stand."""
    return not passage.id or (passage.id == passage.text and len(passage.id.split()) > 1)


def _find(span: str, texts: Sequence[str]) -> int:
    """The rank of the first text that holds the span, 0 where none does."""
    return next((rank for rank, text in enumerate(texts, 1) if span and span in text), 0)


def _list_some(parts: Sequence[str], most: int = 5) -> str:
    return ", ".join(parts[:most]) + (", …" if len(parts) > most else "")
