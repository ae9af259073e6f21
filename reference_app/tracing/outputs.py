"""What an output of steps is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Output(Protocol):
    """One step on one output; it ends with the context that opened it."""

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Attributes by their names in the conventions, masked; values are scalars, texts, tuples or JSON."""

    def begin(self) -> None:
        """The step's first attributes are there."""

    def fail(self, kind: str) -> None:
        """The step ended in an exception of this type."""
