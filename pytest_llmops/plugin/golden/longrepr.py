"""A failure as pytest reports it: our text in its place, and for the short summary its reason and place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

# Reports travel between xdist's processes in these classes, and JUnit and the summary read them; no
# public function makes them of a text.
from _pytest._code.code import ExceptionChainRepr, ReprEntryNative, ReprFileLocation, ReprTraceback
from _pytest.outcomes import Failed  # what `pytest.fail` raises

from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import describe_error
from pytest_llmops.printable import printable
from pytest_llmops.reports.terminal import TracebackStyle
from pytest_llmops.runner.app.tracebacks import describe_traceback, find_crash, shorten

if TYPE_CHECKING:
    import pytest

_ERROR = 1_200
_STYLES: dict[str, TracebackStyle] = {"short": "short", "line": "no", "no": "no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """
    Why an item is not good.

    Attributes:
        text: In full, for the section of the item and for JUnit.
        summary: On one line.
        path: Where to fix it, with `line`: where the app raised, else where the check is written.
    """

    text: str
    summary: str
    path: str
    line: int


class NotGoodError(Failed):
    """Ends an item that is not good; the traceback is of what the app raised, for a debugger."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text, pytrace=False)
        self.reason = reason


def traceback_style(config: pytest.Config) -> TracebackStyle:
    """How much of the app's traceback `--tb` leaves."""
    return _STYLES.get(cast("str", config.getoption("tbstyle")), "long")


def reason_of(raised: BaseException, item: pytest.Item) -> Reason | None:
    """Why a golden item ended; None where pytest's own report is the only one."""
    if isinstance(raised, NotGoodError):
        return raised.reason
    traceback = describe_traceback(raised)
    if isinstance(raised, Failed) or not isinstance(raised, Exception) or not traceback:
        return None
    said = printable(mask(describe_error(raised)), _ERROR)
    crash = find_crash(traceback)
    path, line = crash or (item.location[0], (item.location[1] or 0) + 1)
    style = traceback_style(item.config)
    shown = shorten(traceback) if style == "short" else traceback
    text = said if style == "no" else f"{said}\n\n{shown}"
    return Reason(text=text, summary=f"{said} ({path}:{line})", path=path, line=line)


def as_longrepr(reason: Reason, *, one_line: bool, when: str) -> ExceptionChainRepr:
    """
    What a report of pytest carries.

    Args:
        one_line: As `--tb=line` wants it; pytest writes that line itself, but of an error in setup.
    """
    place = ReprFileLocation(reason.path, reason.line, reason.summary)
    text = reason.text
    if one_line:
        text = f"{place}" if when == "setup" else ""
    entry = ReprEntryNative([f"{text}\n" if text else ""])
    return ExceptionChainRepr([(ReprTraceback([entry], None, "native"), place, None)])
