"""Bounds on the strength of a golden set, under `mutation` in its suite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_llmops.bounds import check_failing, check_reach, explain_unreadable, is_minimum, parse_bound
from pytest_llmops.documents.values import described
from pytest_llmops.errors import ComparisonError, hint
from pytest_llmops.features.mutate.kinds import LIES_KEY, MUTED, kinds_of, known_names
from pytest_llmops.printable import excerpt
from pytest_llmops.records import Bound, Sign

_EXAMPLE = 'mutation: {muted: "<= 0.3", lies: ">= 0.9"}'
_LONGEST = 60


def read_mutation(written: Any) -> Mapping[str, Bound]:
    """
    Read `{muted: "<= 0.3", lies: ">= 0.9"}`.

    Raises:
        ComparisonError: A name is unknown, or a bound cannot be read, never holds or never fails.
    """
    if not isinstance(written, dict) or not written:
        raise ComparisonError(f"must be a mapping such as {_EXAMPLE}, not {described(written)}")
    return {name: _read(name, value) for name, value in written.items()}


def _read(name: str, value: Any) -> Bound:
    known = (MUTED, LIES_KEY, *known_names())
    if not kinds_of(name):
        near = hint(name[:_LONGEST], known)
        raise ComparisonError(f"knows no kind {excerpt(name)}.{near} Known: {', '.join(known)}")
    usual: Sign = "<=" if name == MUTED else ">="
    bound = parse_bound(value) if isinstance(value, str) else None
    if bound is None:
        why = (
            explain_unreadable(value, usual)
            if isinstance(value, str)
            else f"must be text, {described(value)}"
        )
        raise ComparisonError(f'{name}: {why}; write a comparison such as "{usual} 0.5"')
    if is_minimum(bound) != (name != MUTED):
        what = "the share of cases that stay green" if name == MUTED else "the share of mutants killed"
        raise ComparisonError(f'{name} is {what}, so its bound is written "{usual} {bound.threshold:g}"')
    try:
        check_reach(bound, (0.0, 1.0))
        check_failing(bound, (0.0, 1.0))
    except ComparisonError as error:
        raise ComparisonError(f"{name}: {error}") from None
    return bound
