"""What may be shown and stored of a result: no secret, and nothing that a leak check found."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_llmops.detect.mask import find_values, mask
from pytest_llmops.detect.neighbours import Neighbour, Part, scan_neighbours
from pytest_llmops.detect.recognizers import entities
from pytest_llmops.detect.texts import rewrite
from pytest_llmops.records import CaseResult
from pytest_llmops.registry import find_traits

_LEAST = 4  # characters that are taken for a piece; what shorter pieces betray is little
_HIDDEN = "<…>"


def seal_result(result: CaseResult) -> CaseResult:
    """
    A result as it may be shown and stored, its rival's with it.

    Failures quote anybody's exceptions, so they are masked always; all else where a leak check found
    something. Scores of a leak check stay, for they name places and kinds only. Other metrics may quote half
    of what leaked, or its words in pieces, and in a pair what the other side leaked: so every piece is hidden
    there.
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

    def note(label: str, text: str) -> str:
        leaked.extend(find_values(text, label=label, names=names))
        for part in cut.get((label, text), ()):
            leaked.append(text[part.start : part.end])
            text = f"{text[: part.start]}{_HIDDEN}{text[part.end :]}"
        return mask(text, label=label, names=names)

    names = entities.is_installed()
    outputs = result.outputs
    if _leaks(result):
        cut = _find_cut(outputs)
        outputs = _changed(outputs, note)
    failures = _changed(result.failures, lambda label, text: mask(text, label=label))
    return replace(result, outputs=outputs, failures=failures)


def _find_cut(outputs: Any) -> Mapping[tuple[str, str], Sequence[Part]]:
    """Parts of values that are cut over neighbouring texts, by label and text, the last of a text first."""
    texts: list[Neighbour] = []

    def note(label: str, text: str) -> str:
        texts.append(Neighbour(f"under {label}", label, text))
        return text

    _changed(outputs, note)
    found: dict[tuple[str, str], list[Part]] = defaultdict(list)
    parts = (part for cut in scan_neighbours(texts) for part in cut.parts)
    for part in sorted(parts, key=lambda part: -part.start):
        found[texts[part.at].label, texts[part.at].text].append(part)
    return found


def _mask_words(result: CaseResult, leaked: Sequence[str]) -> CaseResult:
    """What metrics say, and what broke, without any piece of what leaked."""

    def hide_all(label: str, text: str) -> str:
        return _hide_fragments(mask(text, label=label), leaked)

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
