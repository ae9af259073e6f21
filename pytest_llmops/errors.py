"""Errors of users and of the app's surroundings; each message names the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches


def hint(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` if a known word is near, else an empty text."""
    close = get_close_matches(word, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def describe_error(error: BaseException) -> str:
    """Return `ValueError: message`, even for an exception whose text cannot be read."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - its `__str__` is anybody's code
        message = "(and its text cannot be read)"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def list_causes(error: BaseException, *, hidden: bool = False) -> Iterator[BaseException]:
    """
    Yield an exception and those that it came from, as a traceback shows them.

    Args:
        hidden: Those too that `from None` leaves out of it.
    """
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        shows_context = hidden or not following.__suppress_context__
        following = following.__cause__ or (following.__context__ if shows_context else None)


class LLMOpsError(Exception):
    """An error that a user can fix without reading our code."""


class SettingsError(LLMOpsError):
    """A setting has an unknown name, a wrong type or a value out of range."""


class ResumeError(LLMOpsError):
    """An unfinished run cannot be resumed."""


class MissingExtraError(LLMOpsError):
    """A library that an optional part needs is not installed."""

    def __init__(self, part: str, extra: str) -> None:
        super().__init__(f'{part} needs: pip install "pytest-llmops[{extra}]"')
        self.extra = extra


class WeightsError(LLMOpsError):
    """Weights are not in the cache, cannot be fetched, or differ from the pinned ones."""


class UnknownMetricError(LLMOpsError):
    """A check names a metric that is not registered."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        _, _, rank = name.partition("@")
        of_rank = [f"{each.partition('@')[0]}@{rank}" for each in known if "@" in each]
        near = of_rank if rank.isdecimal() and int(rank) else known
        super().__init__(f"no metric is named {name!r}.{hint(name, near)} Known metrics: {', '.join(known)}.")
        self.name = name


class MetricNameError(LLMOpsError):
    """Two metrics have one name."""

    def __init__(self, name: str, place: str, taken: str) -> None:
        super().__init__(
            f"{place}: the metric {name!r} has the name of another one, {taken}; give it a name of its own"
        )
        self.name = name


class MetricOptionError(LLMOpsError):
    """A metric does not have an option, or does not take its value."""


class ComparisonError(LLMOpsError):
    """The bound of a check cannot be read, or can never hold or fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a file; lines count from 1, and 0 is the complete file."""

    path: str
    line: int
    message: str
    case: str | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        case = f"{self.case}: " if self.case else ""
        return f"{place}: {case}{self.message}"


class GoldenError(LLMOpsError):
    """A golden file cannot be used; contains all its problems, and shows the first 200."""

    shown = 200

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[: self.shown]]
        if (left := len(self.problems) - len(lines)) > 0:
            lines.append(f"and {left:,} more problem{'s' if left > 1 else ''}")
        super().__init__("\n".join(lines))


class CaseTableError(LLMOpsError):
    """A table of cases cannot be read."""


class CaseFileError(LLMOpsError):
    """A picture or table that a case names cannot be used."""


class AppError(LLMOpsError):
    """The app under test cannot be found or imported."""


class AppBusyError(LLMOpsError):
    """
    The service of an app is busy, and may answer a moment later.

    Attributes:
        status_code: Of its answer.
        retry_after_s: How long it wants to be left alone; None where it does not say.
    """

    def __init__(self, message: str, status_code: int = 503, retry_after_s: float | None = None) -> None:
        super().__init__(message, status_code, retry_after_s)
        self.status_code = status_code
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return str(self.args[0])


class AnswerError(LLMOpsError):
    """The app returned no answer, or one that no run file can hold."""


class RunFileError(LLMOpsError):
    """A run or baseline file is missing, broken or of another version."""


class MergeError(LLMOpsError):
    """Runs are no parts of one run, or a part is missing."""


class ScanError(LLMOpsError):
    """A file cannot be scanned."""


class CassetteError(LLMOpsError):
    """A cassette is broken, or lacks a call that may not be made."""


class StopAppError(BaseException):
    """
    Raised in an app that has to end: it holds the main thread, or asks its model without end.

    No `Exception`, so that an app that handles all of these ends as well.
    """


class ReviewError(LLMOpsError):
    """The log of reviews was changed, or a review cannot be written."""


class PromptError(LLMOpsError):
    """Prompt files or their lock cannot be used; contains all their problems."""

    def __init__(self, problems: Iterable[Problem | str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class McpLockError(LLMOpsError):
    """`mcp.lock` is missing or broken, or locks another server."""


class McpServerError(LLMOpsError):
    """An MCP server cannot be reached, does not answer, or its answer cannot be read."""


class AcceptanceError(LLMOpsError):
    """No part of a run can become a baseline."""


class RevisionError(LLMOpsError):
    """A git revision cannot be found, read or exported."""


class BudgetError(CassetteError):
    """The budget for model calls is spent or cannot be counted."""


class DriftError(LLMOpsError):
    """Two runs have no answered case in common."""


class SelfCheckError(LLMOpsError):
    """A baseline contains nothing to test the gate with."""
