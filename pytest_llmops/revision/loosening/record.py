"""What the listing of a change's loosenings takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_llmops.golden.reviews import Review
from pytest_llmops.records import Golden, Run
from pytest_llmops.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFiles:
    """
    What the files say that decide on a run, on one side of a change: where it began, or in the working tree.

    Attributes:
        goldens: Every golden file, whatever was selected to run.
        baseline: None where nothing was accepted yet.
        settings: As files of the project say; what is not there has its default.
        settings_file: The one besides `pyproject.toml` that says something of them; empty for none.
        addopts: The flags that pytest's own settings give to every run; `-k` is among them.
        addopts_file: The one that they stand in; empty for none.
    """

    goldens: Sequence[Golden] = ()
    baseline: Run | None = None
    reviews: tuple[Review, ...] = ()
    settings: Settings = field(default_factory=Settings)
    settings_file: str = ""
    addopts: Sequence[str] = ()
    addopts_file: str = ""


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
