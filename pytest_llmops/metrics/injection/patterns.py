"""
Injection patterns in other languages than English, which the classifier knows little of.

A pattern is a verb near a noun: "forget" near "your previous instructions", "show" near "system prompt". It
reads a bounded stretch around each verb, so a text costs time in proportion to its length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import NamedTuple

FILE = "patterns.json"
VERSION = 1  # raised whenever a text may match otherwise
VALUE = 0.9
"""The score of a match: above the usual bound, below a sure rating of the classifier."""
_NEAR = 70  # characters between verb and noun
_BESIDE = 12  # characters between a verb and its negation


class Match(NamedTuple):
    """A pattern's name, such as `de: override`, and the place from its first word to its last."""

    name: str
    start: int
    end: int


class _Words(NamedTuple):
    """
    One language of `patterns.json`.

    Attributes:
        drop: "ignore", "forget", as orders.
        orders: "instructions", "rules".
        whose: "previous", "all", "your": without one of these dropped orders may be any.
        show: "show", "print", "reveal".
        setup: "system prompt", "hidden instructions".
        spare: "do not", around a verb: "do not forget all your instructions" is none.
    """

    drop: re.Pattern[str]
    orders: re.Pattern[str]
    whose: re.Pattern[str]
    show: re.Pattern[str]
    setup: re.Pattern[str]
    spare: re.Pattern[str]


def find_patterns(text: str) -> Iterator[Match]:
    """Yield the first match of each pattern."""
    for language, words in _languages().items():
        override = (words.drop, words.orders, words.whose)
        for name, (verb, *others) in (("override", override), ("reveal", (words.show, words.setup))):
            if any(not other.search(text) for other in others):
                continue
            spans = (_near(match, others, words.spare) for match in verb.finditer(text))
            if span := next(filter(None, spans), None):
                yield Match(f"{language}: {name}", *span)


@cache
def _languages() -> dict[str, _Words]:
    raw = files("pytest_llmops.metrics.injection").joinpath(FILE).read_text(encoding="utf-8")
    return {
        language: _Words(**{name: re.compile(pattern, re.IGNORECASE) for name, pattern in words.items()})
        for language, words in json.loads(raw).items()
    }


def _near(
    verb: re.Match[str], others: list[re.Pattern[str]], spare: re.Pattern[str]
) -> tuple[int, int] | None:
    """Return the span of all words around a verb, in one line; None unless all are there."""
    text = verb.string
    if spare.search(text, max(0, verb.start() - _BESIDE), verb.start()) or spare.search(
        text, verb.end(), verb.end() + _BESIDE
    ):
        return None
    low = text.rfind("\n", max(0, verb.start() - _NEAR), verb.start()) + 1 or max(0, verb.start() - _NEAR)
    high = min(verb.end() + _NEAR, len(text))
    high = end if (end := text.find("\n", verb.end(), high)) >= 0 else high
    matches = [match for other in others if (match := other.search(text, low, high))]
    if len(matches) < len(others):
        return None
    return min(match.start() for match in (verb, *matches)), max(match.end() for match in (verb, *matches))
