"""Differences of recorded calls between a change and its merge base."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pytest_llmops.printable import counted
from pytest_llmops.records import CaseResult
from pytest_llmops.revision.loosening import Loosening, digest_of

REPLAYED = "recorded responses to unchanged requests, which this run replays"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedChanges:
    """
    Differences of the recordings that a run may replay.

    Attributes:
        loosened: Edited recordings, and new ones of unchanged requests.
        deleted: By item id the key and repeat of each recording that is gone, with the path of its cassette.
        further: In the same way, new recordings of a known request beside one of a new request.
        known: By item id the keys of the requests that were recorded.
        fresh: Number of new recordings of changed requests.
    """

    loosened: tuple[Loosening, ...] = ()
    deleted: Mapping[str, Mapping[tuple[str, int], str]] = field(default_factory=dict)
    further: Mapping[str, Mapping[tuple[str, int], str]] = field(default_factory=dict)
    known: Mapping[str, frozenset[str]] = field(default_factory=dict)
    fresh: int = 0

    def list_missed(self, results: Iterable[CaseResult]) -> Iterator[Loosening]:
        """
        Yield the cases of a run whose requests show more than the files do.

        A recording was deleted of a request that is still made; or one more was added of a request in a
        repeat of which the run made no new one.
        """
        for result in results:
            gone, further = self.deleted.get(result.case, {}), self.further.get(result.case, {})
            known = self.known.get(result.case, frozenset())
            repeats = {output.repeat: {call.key for call in output.model_calls} for output in result.outputs}
            made = {(key, repeat) for repeat, keys in repeats.items() for key in keys}
            same = {repeat for repeat, keys in repeats.items() if keys <= known}
            if odd := sorted(place for place in further.keys() & made if place[1] in same):
                what = f"{REPLAYED}: {len(odd)} new"
                yield Loosening(place=further[odd[0]], case=result.case, what=what, digest=digest_of(odd))
            if missed := sorted(gone.keys() & made):
                what = (
                    f"{counted(len(missed), 'recorded response')} to requests that this run still makes "
                    f"{'was' if len(missed) == 1 else 'were'} deleted"
                )
                yield Loosening(place=gone[missed[0]], case=result.case, what=what, digest=digest_of(missed))

    def describe(self) -> list[str]:
        """Return a sentence on recordings that only a live call can confirm."""
        if not self.fresh:
            return []
        recorded = counted(self.fresh, "new recorded response")
        return [
            f"{recorded} to changed requests; a trusted job can make a sample again: llmops cassettes check"
        ]
