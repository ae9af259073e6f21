"""Why a judge gave no verdict."""

from __future__ import annotations

from dataclasses import dataclass


class JudgeError(Exception):
    """No verdict came; the message says what came instead, and may be shown."""


@dataclass
class RefusedError(JudgeError):
    """
    The endpoint does not take the request as it was written.

    Attributes:
        message: The endpoint's own words, masked; `parameter` is what it names as the cause, or empty.
    """

    status: int
    message: str
    parameter: str = ""

    def __str__(self) -> str:
        return f"the endpoint refused the request with status {self.status}: {self.message}"


class NoVerdictError(JudgeError):
    """The model answered, and gave no verdict: where its answer is replayed, it never will."""


class UnusableAnswerError(NoVerdictError):
    """An answer came that is none of those allowed; the message says what is wrong with it."""
