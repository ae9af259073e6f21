"""Why a judge gave no verdict, and how what it or its endpoint wrote may be shown: masked, then cut."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_llmops.detect.mask import mask
from pytest_llmops.printable import printable

# As JSON and Python write what a line cannot hold; left so, `\n` would hide where a key begins.
_ESCAPE = re.compile(r"""\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([nrtbf"'/\\]))""")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


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


def quote(text: str, limit: int) -> str:
    """The text as an error shows it: masked, on one line, and cut after about `limit` characters."""
    return printable(mask(_ESCAPE.sub(_unescaped, text)), limit)


def _unescaped(match: re.Match[str]) -> str:
    if digits := match[1] or match[2]:
        return chr(int(digits, 16))
    return _ESCAPED.get(match[3], match[3])
