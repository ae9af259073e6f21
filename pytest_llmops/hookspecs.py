"""
Hooks by which features add to the gate, as plugins add to pytest.

A feature is a module named in the entry-point group `pytest_llmops` of a distribution; ours are the folders
of `pytest_llmops/features/`. It defines some of these functions, marked with `hookimpl`. The module is
imported whenever verbs or metrics are listed, so it names heavier modules by their import paths.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pluggy

if TYPE_CHECKING:
    from pytest_llmops.protocols import App, RunListener
    from pytest_llmops.records import Golden, Run, Verdict
    from pytest_llmops.settings import Settings

GROUP = "pytest_llmops"
_hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """
    A verb of the command `llmops`.

    Attributes:
        module: Import path of the module whose `add_arguments(parser)` declares its arguments, and sets
            `do`, a function of the parsed arguments that returns the exit code.
        help: Its line in `llmops --help`.
        page: Its page in the documentation.
    """

    name: str
    module: str
    help: str
    page: str = ""


class Measurement(NamedTuple):
    """
    A measurement of a golden file after its run.

    Attributes:
        verdicts: Each with the id of its item in `case`.
        lines: For the summary of the session.
    """

    verdicts: tuple[Verdict, ...]
    lines: tuple[str, ...]


class MeasureGoldens(Protocol):
    """Measures golden files as a flag asks for it; `typed` is its value."""

    def __call__(self, typed: str) -> Callable[[Golden, App | None, Settings], Measurement]:
        """
        Return the measurement of one file.

        Raises:
            SettingsError: The flag's value is wrong.
        """


class Lost(NamedTuple):
    """
    Something that an accepted file has no longer, or less of.

    Attributes:
        what: One line for people.
        case: The item's id; None for what is of no case.
        before: A number or word of the merge base; `after` of the change.
        content: All that is there now, where `after` does not show it: an approval is of this content.
    """

    what: str
    case: str | None = None
    before: str = ""
    after: str = ""
    content: object = None


class ReportParts(NamedTuple):
    """
    What a feature adds to the HTML report; its texts are masked and shown as text.

    Attributes:
        columns: Of the list of cases: title to the text of each case, by item id.
        panels: Of the overview: title to text.
    """

    columns: Mapping[str, Mapping[str, str]] = {}
    panels: Mapping[str, str] = {}


class ListLost(Protocol):
    """Lists what a change took out of a file that is accepted beside the baseline."""

    def __call__(
        self, before: bytes, after: bytes | None, rename: Callable[[str], str], cases: Collection[str]
    ) -> Iterable[Lost]:
        """
        Yield what is lost.

        Args:
            before: The file at the merge base.
            after: None where it is gone.
            rename: Returns the id that a case of before has now.
            cases: Ids of all cases of the change; those that it removed are listed already.
        """


@_hookspec
def llmops_verbs() -> Sequence[Verb]:  # type: ignore[empty-body]
    """Return verbs of the command `llmops`."""


@_hookspec
def llmops_metrics() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Return metrics: the name that golden files use, to the import path `module:factory`."""


@_hookspec
def llmops_suite_keys() -> Mapping[str, str]:  # type: ignore[empty-body]
    """
    Return keys under `suite` of a golden file that are no metrics.

    Each has the import path `module:function` of its reader, which takes the value as written and returns
    names with bounds, or raises ComparisonError. The bounds are in `Golden.measures`; who reads them judges
    them, and an ordinary run does not.
    """


@_hookspec
def llmops_measure() -> Mapping[str, str]:  # type: ignore[empty-body]
    """
    Return measurements of golden files after their run, by the key under `suite` that bounds them.

    Each has the import path `module:function` of a `MeasureGoldens`. `--llm-mutate` asks for the one of
    `mutation`.
    """


@_hookspec
def llmops_accepted_files() -> Mapping[str, str]:  # type: ignore[empty-body]
    """
    Return files beside the baseline in which something was accepted, by name.

    Each has the import path `module:function` of a `ListLost`, by which a change of it is compared with
    its merge base.
    """


@_hookspec
def llmops_report(run: Run) -> ReportParts | None:
    """Return columns and panels of the HTML report on a run; None for nothing."""


@_hookspec
def llmops_open_listener(settings: Settings) -> RunListener | None:
    """Return a listener to the outputs of a run from its start to its end; None if no setting requires it."""
