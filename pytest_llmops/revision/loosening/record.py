"""One thing that a change made easier to pass."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Loosening:
    """
    One thing that a change made easier to pass.

    Attributes:
        place: `golden/support.yaml:19` where it still stands, else the file alone.
        case: The item's id; None for what is not about one case.
        what: For people, on one line and printable. No input, reference or option of a case is in it.
        before: The check, number or word that was; empty where `what` says it all.
        after: The one that is.
    """

    place: str
    case: str | None = None
    what: str
    before: str = ""
    after: str = ""
