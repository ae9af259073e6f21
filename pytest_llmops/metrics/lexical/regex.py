"""`regex`: patterns that an answer must, or must not, match."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import regex

from pytest_llmops.documents.reading import one_of, read_text, some
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.words import quote
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Sample, Score

TIMEOUT_S = 1.0  # for one pattern on one text; endless backtracking takes all of it

_LONGEST_PATTERN = 10_000
_FLAGS: dict[str, int] = {
    "ignore_case": regex.IGNORECASE,
    "multiline": regex.MULTILINE,
    "dot_all": regex.DOTALL,
    "verbose": regex.VERBOSE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Regex(DeclaredMetric):
    r"""
    The share of patterns that hold; 1 when all of `pattern` match and none of `none` does.

    The syntax is that of Python's `re`, with the extensions of the package regex (`\p{Han}`).

    Attributes:
        pattern: One or a list; each must match.
        none: One or a list; none may match anywhere.
        full: `pattern` must match the complete output without blank ends, instead of some place in it.
        flags: Of `ignore_case`, `multiline`, `dot_all` and `verbose`, for every pattern.
    """

    pattern: Annotated[str | tuple[str, ...], some(read_text)] = ()
    none: Annotated[str | tuple[str, ...], some(read_text)] = ()
    full: bool = False
    flags: Annotated[tuple[str, ...], some(one_of(*_FLAGS))] = ()

    traits = MetricTraits(
        name="regex",
        family="lexical",
        basis="reference",
        bound=Bound(comparison=">=", threshold=1.0),
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        for option, patterns in (("pattern", self.pattern), ("none", self.none)):
            for pattern in patterns:
                _check(option, pattern, self.flags)
        if not (self.pattern or self.none):
            raise MetricOptionError("regex needs pattern or none, for example {pattern: '[A-Z]-\\d{4}'}")

    def measure(self, sample: Sample) -> Score | Failure:
        text = sample.output.text
        missing, forbidden = [], []
        try:
            for pattern in self.pattern:
                compiled = _compile(pattern, self.flags)
                match = (
                    compiled.fullmatch(text.strip(), timeout=TIMEOUT_S)
                    if self.full
                    else compiled.search(text, timeout=TIMEOUT_S)
                )
                if not match:
                    missing.append(pattern)
            for pattern in self.none:
                if match := _compile(pattern, self.flags).search(text, timeout=TIMEOUT_S):
                    forbidden.append((pattern, match[0]))
        except TimeoutError:
            error = (
                f"a match of {quote([pattern])} was not decided in {TIMEOUT_S:g} s, since the pattern can be "
                "tried in too many ways; let no two neighbouring or nested repeats match the same text"
            )
            return fail(self, sample, error)
        total, broken = len(self.pattern) + len(self.none), len(missing) + len(forbidden)
        reasons = [f"no match of {quote(missing)}"] if missing else []
        reasons += [f"must not match {quote([pattern])}: {quote([piece])}" for pattern, piece in forbidden]
        return self.give(
            sample,
            (total - broken) / total,
            "; ".join(reasons),
            evidence=({"unmatched": missing, "forbidden": [pattern for pattern, _ in forbidden]},)
            if broken
            else (),
        )


@lru_cache(maxsize=1024)
def _compile(pattern: str, flags: tuple[str, ...]) -> regex.Pattern[str]:
    return regex.compile(pattern, sum(_FLAGS[flag] for flag in flags))


def _check(option: str, pattern: str, flags: tuple[str, ...]) -> None:
    if not pattern:
        raise MetricOptionError(f"regex: {option} holds an empty pattern, which matches any text")
    if len(pattern) > _LONGEST_PATTERN:
        raise MetricOptionError(f"regex: {option} is longer than {_LONGEST_PATTERN:,} characters")
    try:
        _compile(pattern, flags)
    except (regex.error, RecursionError, OverflowError) as error:
        raise MetricOptionError(f"regex: {option} {quote([pattern])} is no pattern: {error}") from None
