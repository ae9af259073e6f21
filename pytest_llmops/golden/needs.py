"""What metrics require of a case, `reference` and `relevant`, and which cases do not have it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pytest_llmops.documents.values import Mistake, Place, Row, Table, escaped, line_of
from pytest_llmops.protocols import Metric, traits_of

_NAMED_ONE_BY_ONE = 5
_REMEDIES = {
    "reference": ("a reference", "add reference: with the answer you expect"),
    "relevant": ("relevant passages", "add relevant: with the ids of the passages that hold the answer"),
}


class Needs:
    """Gathers what cases lack, so that many with one lack make one complaint."""

    def __init__(self, document: Table, entries: Row) -> None:
        self._document = document
        self._entries = entries
        self._mistakes: list[Mistake] = []
        self._inherited: dict[tuple[str, str], list[int]] = defaultdict(list)

    def require(self, at: int, name: str, metric: Metric) -> None:
        """Of the case at that position, for a check of its own."""
        for need in self._lacking(at, metric):
            what, remedy = _REMEDIES[need]
            message = f"{name} needs {what}, and the case has none; {remedy}"
            self._note(("cases", at, "checks", name), message)

    def require_inherited(self, at: int, name: str, metric: Metric) -> None:
        """Of the case at that position, for a check of every case."""
        for need in self._lacking(at, metric):
            self._inherited[name, need].append(at)

    def mistakes(self) -> list[Mistake]:
        """What is required and not there."""
        for (name, need), lacking in self._inherited.items():
            what, remedy = _REMEDIES[need]
            if len(lacking) <= _NAMED_ONE_BY_ONE:
                message = f"{name}, a check of every case, needs {what}, and the case has none; {remedy}"
                for at in lacking:
                    self._note(("cases", at), message)
            else:
                some = ", ".join(self._named(at) for at in lacking[:_NAMED_ONE_BY_ONE])
                more = len(lacking) - _NAMED_ONE_BY_ONE
                message = f"{name} needs {what}, and {some} and {more} more have none; {remedy}"
                self._note(("checks", name), message)
        return self._mistakes

    def lacking_everywhere(self, metric: Metric) -> str | None:
        """What the metric needs and no case has, in words."""
        for need in self._required(metric):
            if self._entries and not any(_has(entry, need) for entry in self._entries):
                return _REMEDIES[need][0]
        return None

    def _lacking(self, at: int, metric: Metric) -> list[str]:
        entry = self._entries[at]
        return [need for need in self._required(metric) if not _has(entry, need)]

    def _required(self, metric: Metric) -> list[str]:
        """What of a case the metric needs; one of pairs takes the reference only where there is no rival."""
        paired = "rival" in self._document and traits_of(metric).compares
        return [
            need
            for need in sorted(metric.needs)
            if need in _REMEDIES and not (paired and need == "reference")
        ]

    def _named(self, at: int) -> str:
        written = self._entries[at].get("id")
        return escaped(written) if isinstance(written, str) else f"case {at + 1}"

    def _note(self, place: Place, message: str) -> None:
        self._mistakes.append(Mistake(line=line_of(self._document, place), message=message, place=place))


def _has(entry: Any, need: str) -> bool:
    """Whether something stands there; of what kind is not asked here."""
    if not isinstance(entry, Table):
        return True
    return need in entry if need == "reference" else bool(entry.get(need))
