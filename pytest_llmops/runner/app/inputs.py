"""The input of one call of the app: a copy for it alone, and whether the app changed it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from pytest_llmops.golden.identity import file_of
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import CaseResult
from pytest_llmops.runner.app.failed_calls import list_answers

_NAMED = 3


class GivenInput:
    """
    A copy of an input, for one call of the app.

    Repeats, retries and a rival get equal inputs whatever an app does with its own. An object of a test that
    cannot be copied is passed on as it is.

    Attributes:
        value: The argument for the app.
    """

    def __init__(self, written: Any) -> None:
        """Copy an input."""
        self._written = written
        try:
            self.value = deepcopy(written)
        except Exception:  # noqa: BLE001 - the input of a test may be any object, with any code for its copy
            self.value = written
        # An object that is unlike its own copy has no equality by which a change could be seen.
        self._comparable = _equal(self.value, written)

    def is_changed(self) -> bool:
        """Return whether the app changed its copy."""
        return self._comparable and not _equal(self.value, self._written)


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - as above, and a thread of the app may still be changing it
        return False


def describe_changed_inputs(results: Iterable[CaseResult]) -> list[str]:
    """Return a warning for each golden file, or test file, in which an app changed its input in place."""
    cases: defaultdict[str, list[str]] = defaultdict(list)
    for result in results:
        if any(answer.changed_input for answer in list_answers(result, result.rival)):
            cases[file_of(result.case)].append(printable(result.case.partition("::")[2]))
    return [
        f"warning: {printable(path)}: the app changed its input in place, in {counted(len(names), 'case')}: "
        f"{name_some(names, _NAMED)}. Each call got its own copy; other callers of the app will meet the "
        "change, so let the app copy what it appends to"
        for path, names in sorted(cases.items())
    ]
