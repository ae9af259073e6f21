"""What may be shown and stored of a result: no secret, and nothing that a leak check found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_llmops.models.fragments import hide_fragments
from pytest_llmops.records import CaseResult
from pytest_llmops.registry import find_traits
from pytest_llmops.traces.texts import rewrite


def seal_result(result: CaseResult) -> CaseResult:
    """
    A result as it may be shown and stored, its rival's with it.

    What broke is told by anybody's exception, so it is masked always; all else where a leak check found
    something. Nothing of a leak check is, for it tells places and kinds only. What other metrics say may
    quote half of what leaked, or its words in pieces, and of a pair what the other side leaked: so of that
    every piece is hidden.
    """
    leaked: list[str] = []
    sides = [_mask_outputs(each, leaked) for each in (result, result.rival) if each is not None]
    if any(map(_leaks, sides)):
        sides = [_mask_words(each, leaked) for each in sides]
    return replace(sides[0], rival=sides[1] if len(sides) > 1 else None)


def _leaks(result: CaseResult) -> bool:
    return any(find_traits(score.metric).masks and score.value > 0 for score in result.scores)


def _mask_outputs(result: CaseResult, leaked: list[str]) -> CaseResult:
    """Outputs where they leak, and failures always; what was masked in outputs goes into the list."""
    outputs = result.outputs
    if _leaks(result):
        outputs = _changed(outputs, lambda label, text: _hide_and_note(text, label, leaked))
    failures = _changed(result.failures, lambda label, text: hide(text, label))
    return replace(result, outputs=outputs, failures=failures)


def _mask_words(result: CaseResult, leaked: Sequence[str]) -> CaseResult:
    """What metrics say, and what broke, without any piece of what leaked."""

    def hide_all(label: str, text: str) -> str:
        return hide_fragments(hide(text, label), leaked)

    scores = tuple(
        score
        if find_traits(score.metric).masks
        else replace(
            score, reason=_changed(score.reason, hide_all), evidence=_changed(score.evidence, hide_all)
        )
        for score in result.scores
    )
    return replace(result, scores=scores, failures=_changed(result.failures, hide_all))


def _changed(value: Any, change: Callable[[str, str], str]) -> Any:
    """The value with every text in it changed, however deep in records, mappings, lists or JSON it lies."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return replace(
            value,
            **{each.name: _changed(getattr(value, each.name), change) for each in dataclasses.fields(value)},
        )
    if isinstance(value, tuple):
        return tuple(_changed(item, change) for item in value)
    return rewrite(value, change) if isinstance(value, str | Mapping | list) else value


def _hide_and_note(text: str, label: str, leaked: list[str]) -> str:
    """The text masked; what was masked goes into the list."""
    from pytest_llmops.models import pii

    leaked += pii.find_values(text, label=label, secrets_only=not pii.is_installed())
    return hide(text, label)


def hide(text: str, label: str = "") -> str:
    """The text with secrets masked, and with the extra `pii` personal data; `label` as for `pii.mask`."""
    from pytest_llmops.models import pii

    return pii.mask(text, label=label, secrets_only=not pii.is_installed())


def hide_secrets(value: Any) -> Any:
    """A JSON value with every secret in its texts masked."""
    from pytest_llmops.models import pii

    return rewrite(value, lambda label, text: pii.mask(text, label=label, secrets_only=True))


def stand_in(text: str) -> str:
    """What may be written to a cassette: no secret, and with the extra `pii` no personal data."""
    from pytest_llmops.models import pii

    return pii.stand_in(text, secrets_only=not pii.is_installed())
