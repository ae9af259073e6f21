"""What may be shown and stored of a result: no secret, and nothing that a leak check found."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_llmops.detect.mask import WITHHELD, find_values, mask, mask_recorded
from pytest_llmops.detect.neighbours import Neighbour, Part, scan_neighbours
from pytest_llmops.detect.recognizers import entities
from pytest_llmops.detect.texts import Change, rewrite
from pytest_llmops.records import CaseResult
from pytest_llmops.registry import find_traits

_LEAST = 4  # characters that are taken for a piece; what shorter pieces betray is little
_HIDDEN = "<…>"


def seal_result(result: CaseResult) -> CaseResult:
    """
    A result as it may be shown and stored, its rival's with it.

    Failures quote anybody's exceptions, so they are masked always; all else where a leak check found
    something, or where none looked. Scores of a leak check stay, for they name places and kinds only. Other
    metrics may quote half of what leaked, or its words in pieces, and in a pair what the other side leaked:
    so every piece is hidden there. Where a leak check broke, or masking does, all texts are withheld.
    """
    sides = [each for each in (result, result.rival) if each is not None]
    try:
        if any(_broke(side) for side in sides):
            sides = [_rewrite(side, _withhold, mask) for side in sides]
        elif any(_leaks(side) for side in sides):
            sides = _hide_leaks(sides)
        else:
            sides = [
                _rewrite(side, *[_keep if _was_looked_at(side) else mask_recorded] * 2) for side in sides
            ]
    except Exception:  # noqa: BLE001 - whatever breaks, nothing is shown that nobody looked at
        sides = [_withhold_all(side) for side in sides]
    return replace(sides[0], rival=sides[1] if len(sides) > 1 else None)


def _leaks(result: CaseResult) -> bool:
    return any(find_traits(score.metric).masks and score.value > 0 for score in result.scores)


def _broke(result: CaseResult) -> bool:
    return any(find_traits(failure.metric).masks for failure in result.failures)


def _was_looked_at(result: CaseResult) -> bool:
    """A leak check saw every answer, and found nothing that must not be shown."""
    seen = {score.repeat for score in result.scores if find_traits(score.metric).masks}
    return all(output.repeat in seen for output in result.outputs)


def _find_cut(outputs: Any) -> Mapping[tuple[str, str], Sequence[Part]]:
    """Parts of values that are cut over neighbouring texts, by label and text, the last of a text first."""
    texts: list[Neighbour] = []

    def note(text: str, /, *, label: str) -> str:
        texts.append(Neighbour(f"under {label}", label, text))
        return text

    _changed(outputs, note)
    found: dict[tuple[str, str], list[Part]] = defaultdict(list)
    parts = (part for cut in scan_neighbours(texts) for part in cut.parts)
    for part in sorted(parts, key=lambda part: -part.start):
        found[texts[part.at].label, texts[part.at].text].append(part)
    return found


def _hide_leaks(sides: Sequence[CaseResult]) -> list[CaseResult]:
    """Results of which one leaks, without what leaked and whatever piece of it."""
    leaked: list[str] = []
    outputs = [
        _hide_found(side, leaked) if _leaks(side) else _changed(side.outputs, mask_recorded) for side in sides
    ]

    def hide_all(text: str, /, *, label: str) -> str:
        return _hide_fragments(mask(text, label=label), leaked)

    return [
        replace(_rewrite(side, _keep, hide_all, hide_all), outputs=masked)
        for side, masked in zip(sides, outputs, strict=True)
    ]


def _hide_found(result: CaseResult, leaked: list[str]) -> Any:
    """The outputs of a result that leaks, masked; what was masked goes into the list."""
    names = entities.is_installed() and any(check.options.get("names") for check in result.checks)
    cut = _find_cut(result.outputs)

    def hide(text: str, /, *, label: str) -> str:
        leaked.extend(find_values(text, label=label, names=names))
        for part in cut.get((label, text), ()):
            leaked.append(text[part.start : part.end])
            text = f"{text[: part.start]}{_HIDDEN}{text[part.end :]}"
        return mask(text, label=label, names=names)

    return _changed(result.outputs, hide)


def _rewrite(result: CaseResult, outputs: Change, scores: Change, failures: Change = mask) -> CaseResult:
    """The result with the texts of its parts changed, but for the scores of leak checks."""
    said = tuple(
        score
        if find_traits(score.metric).masks
        else replace(score, reason=_changed(score.reason, scores), evidence=_changed(score.evidence, scores))
        for score in result.scores
    )
    return replace(
        result,
        outputs=_changed(result.outputs, outputs),
        scores=said,
        failures=_changed(result.failures, failures),
    )


def _keep(text: str, /, *, label: str) -> str:  # noqa: ARG001 - as of any change
    return text


def _withhold(text: str, /, *, label: str) -> str:  # noqa: ARG001 - as above
    return WITHHELD if text else text


def _withhold_all(result: CaseResult) -> CaseResult:
    failures = tuple(replace(each, error=WITHHELD, traceback="") for each in result.failures)
    return replace(_rewrite(replace(result, failures=()), _withhold, _withhold), failures=failures)


def _changed(value: Any, change: Change) -> Any:
    """The value with every text in it changed, however deep in records, mappings, lists or JSON it lies."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return replace(
            value,
            **{each.name: _changed(getattr(value, each.name), change) for each in dataclasses.fields(value)},
        )
    if isinstance(value, tuple):
        return tuple(_changed(item, change) for item in value)
    return rewrite(value, change) if isinstance(value, str | Mapping | list) else value


def _hide_fragments(text: str, values: Iterable[str]) -> str:
    """
    The text with `<…>` in place of whatever it shares with one of the values, whatever its case.

    A word of four letters that is in a value by chance is hidden too.
    """
    folded = text.casefold()
    if len(folded) != len(text):  # a letter that grows; places would not fit
        folded = text.lower() if len(text.lower()) == len(text) else text
    pieces = {
        value.casefold()[at : at + _LEAST]
        for value in values
        for at in range(len(value.casefold()) - _LEAST + 1)
    }
    hidden = [False] * len(text)
    for at in range(len(text) - _LEAST + 1):
        if folded[at : at + _LEAST] in pieces:
            hidden[at : at + _LEAST] = [True] * _LEAST
    shown: list[str] = []
    for at, char in enumerate(text):
        if not hidden[at]:
            shown.append(char)
        elif at == 0 or not hidden[at - 1]:
            shown.append(_HIDDEN)
    return "".join(shown)
