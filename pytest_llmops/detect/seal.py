"""Results as they may be shown and stored: without secrets, and without all that a leak check found."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from pytest_llmops.detect.mask import WITHHELD, find_values, mask, mask_recorded
from pytest_llmops.detect.neighbours import Neighbour, Part, scan_neighbours
from pytest_llmops.detect.recognizers import entities
from pytest_llmops.detect.texts import IDS, Change, is_random_id, rewrite
from pytest_llmops.records import CaseResult, Span
from pytest_llmops.registry import find_traits, split_turn

_LEAST = 4  # characters of a piece that is hidden; shorter ones betray little
_HIDDEN = "<…>"


def seal_result(result: CaseResult) -> CaseResult:
    """
    Return a result as it may be shown and stored, and its rival likewise.

    Failures quote any exception, so they are masked always, and so are the input and spans; all else is
    masked if a leak check found something, or none looked. Scores of a leak check stay, for they name places
    and kinds only. Other metrics may quote half of a leaked value, or its words in pieces, and in a pair
    those of the other side, so every piece of it is hidden there. If a leak check broke, or masking does, all
    texts are withheld.
    """
    sides = [side for side in (result, result.rival) if side is not None]
    try:
        if any(find_traits(failure.metric).masks for side in sides for failure in side.failures):
            sides = [_rewrite(side, _withhold, mask) for side in sides]
        elif any(map(_leaks, sides)):
            sides = _hide_leaks(sides)
        else:
            sides = [_rewrite(side, *[_keep if _is_clean(side) else mask_recorded] * 2) for side in sides]
    except Exception:  # noqa: BLE001 - whatever breaks, nothing is shown that was not scanned
        sides = [_withhold_all(side) for side in sides]
    return replace(sides[0], rival=sides[1] if len(sides) > 1 else None)


def _leaks(result: CaseResult) -> bool:
    return any(find_traits(score.metric).masks and score.value > 0 for score in result.scores)


def _is_clean(result: CaseResult) -> bool:
    """Return whether a leak check saw all that was answered, not one turn alone; it found nothing here."""
    seen = {
        score.repeat
        for score in result.scores
        if find_traits(score.metric).masks and not split_turn(score.metric)[0]
    }
    return all(output.repeat in seen for output in result.outputs)


def _hide_leaks(sides: Sequence[CaseResult]) -> list[CaseResult]:
    """Return results of which one leaks, without the leaked values and any piece of them."""
    leaked: list[str] = []
    outputs = [
        _hide_found(side, leaked) if _leaks(side) else _changed(side.outputs, mask_recorded) for side in sides
    ]

    def hide_all(text: str, /, *, label: str) -> str:
        return _hide_fragments(mask(text, label=label), leaked)

    return [
        replace(_rewrite(side, hide_all, hide_all, hide_all), outputs=masked)
        for side, masked in zip(sides, outputs, strict=True)
    ]


def _hide_found(result: CaseResult, leaked: list[str]) -> Any:
    """Return the masked outputs of a result that leaks, and append the masked values to `leaked`."""
    names = entities.is_installed() and any(check.options.get("names") for check in result.checks)
    cut = _find_cut(result.outputs)

    def hide(text: str, /, *, label: str) -> str:
        leaked.extend(find_values(text, label=label, names=names))
        for part in cut.get((label, text), ()):
            leaked.append(text[part.start : part.end])
            text = f"{text[: part.start]}{_HIDDEN}{text[part.end :]}"
        return mask(text, label=label, names=names)

    return _changed(result.outputs, hide)


def _find_cut(outputs: Any) -> Mapping[tuple[str, str], Sequence[Part]]:
    """Return parts of values that are cut over texts, by label and text, the last of a text first."""
    texts: list[Neighbour] = []

    def note(text: str, /, *, label: str) -> str:
        texts.append(Neighbour(f"under {label}", label, text))
        return text

    _changed(outputs, note)
    parts_of: dict[tuple[str, str], list[Part]] = defaultdict(list)
    parts = (part for cut in scan_neighbours(texts) for part in cut.parts)
    for part in sorted(parts, key=lambda part: -part.start):
        parts_of[texts[part.at].label, texts[part.at].text].append(part)
    return parts_of


def _rewrite(result: CaseResult, outputs: Change, scores: Change, failures: Change = mask) -> CaseResult:
    """
    Return the result with the texts of its parts changed, but for the scores of leak checks.

    The answers of turns change as outputs do. The input, the user's part of turns and the trace change as
    failures do, unless all is withheld: a leak check may have looked at parts of the trace only.
    """
    traced = outputs if outputs is _withhold else failures
    changed = tuple(
        score
        if find_traits(score.metric).masks
        else replace(score, reason=_changed(score.reason, scores), evidence=_changed(score.evidence, scores))
        for score in result.scores
    )
    return replace(
        result,
        outputs=_changed(result.outputs, outputs),
        scores=changed,
        failures=_changed(result.failures, failures),
        input=rewrite(result.input, traced),
        turns=tuple(
            replace(_changed(turn, outputs), user=rewrite(turn.user, traced)) for turn in result.turns
        ),
        spans=tuple(_change_span(span, traced) for span in result.spans),
    )


def _change_span(span: Span, change: Change) -> Span:
    """Return the span with its texts changed, but for random ids, which look like numbers of people."""
    names = ["name", "kind", "status", "origin"]
    names += [name for name in IDS if not is_random_id(getattr(span, name) or "")]
    texts = {name: _changed(getattr(span, name), change) for name in names}
    values = {name: _json_values(_changed(getattr(span, name), change)) for name in ("attributes", "events")}
    return replace(span, **texts, **values)


def _json_values(value: Any) -> Any:
    """Return the value with texts in place of numbers that JSON does not have; `rewrite` cuts its depth."""
    if isinstance(value, Mapping):
        return {str(key): _json_values(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_json_values(part) for part in value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _keep(text: str, /, *, label: str) -> str:  # noqa: ARG001 - as of any change
    return text


def _withhold(text: str, /, *, label: str) -> str:  # noqa: ARG001 - as above
    return WITHHELD if text else text


def _withhold_all(result: CaseResult) -> CaseResult:
    failures = tuple(replace(failure, error=WITHHELD, traceback="") for failure in result.failures)
    return replace(_rewrite(replace(result, failures=()), _withhold, _withhold), failures=failures)


def _changed(value: Any, change: Change) -> Any:
    """Return the value with every text in it changed, however deep in records, mappings, lists or JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return replace(value, **{name: _changed(getattr(value, name), change) for name in names})
    if isinstance(value, tuple):
        return tuple(_changed(item, change) for item in value)
    return rewrite(value, change) if isinstance(value, str | Mapping | list) else value


def _hide_fragments(text: str, values: Iterable[str]) -> str:
    """
    Return the text with `<…>` in place of each piece that it shares with one of the values, in any case.

    A word of four letters that is in a value by chance is hidden too.
    """
    folded = text.casefold()
    if len(folded) != len(text):  # a letter grows, so places would not fit
        folded = text.lower() if len(text.lower()) == len(text) else text
    lower = map(str.casefold, values)
    pieces = {value[at : at + _LEAST] for value in lower for at in range(len(value) - _LEAST + 1)}
    hidden = [False] * len(text)
    for at in range(len(text) - _LEAST + 1):
        if folded[at : at + _LEAST] in pieces:
            hidden[at : at + _LEAST] = [True] * _LEAST
    runs = groupby(range(len(text)), hidden.__getitem__)
    return "".join(_HIDDEN if hides else "".join(text[at] for at in places) for hides, places in runs)
