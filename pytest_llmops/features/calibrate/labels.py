"""
Labels of people as numbers: good or bad, a rating, or the better one of a pair.

Nothing is guessed in silence: `Labels.description` has the reading in words.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pytest_llmops.bounds import format_bound, holds, parse_bound
from pytest_llmops.errors import LLMOpsError, hint
from pytest_llmops.printable import name_some, printable

Kind = Literal["good", "rating", "pair"]

_PAIR_WORDS: Mapping[str, float] = {
    **dict.fromkeys(("first", "a", "model_a"), 1.0),
    **dict.fromkeys(("second", "b", "model_b"), 0.0),
    **dict.fromkeys(("tie", "both", "equal"), 0.5),
}
_SHOWN = 8
_TWO = 2


class LabelError(LLMOpsError):
    """Labels cannot be read, or in more ways than one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """
    One label a row.

    Attributes:
        values: `good`: 1 or 0. `rating`: higher is better. `pair`: 1 the first is better, 0 the second,
            0.5 neither. None: the row has no label.
        description: Their reading in words, with the count of each.
    """

    kind: Kind
    values: tuple[float | None, ...]
    description: str


def read_labels(
    rows: Sequence[Mapping[str, Any]], places: Sequence[str], name: str, *, positive: str | None = None
) -> Labels:
    """
    Read the field `name` of each row; a row without it, or with null in it, is not labelled.

    Args:
        places: Of each row for errors, `labels.jsonl:3`.
        positive: The text labels that mean good, separated by commas; or `>= 4` for numbers.
    """
    written = find_field(rows, name)
    if problems := [*_find_not_finite(written, places, name), *_find_mixed(written, places, name)]:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise LabelError("\n".join([*problems[:_SHOWN], *more]))
    if nested := next((entry for entry in written if isinstance(entry, Mapping)), None):
        inner = ", ".join(f"{name}.{printable(key, 40)}" for key in nested)
        raise LabelError(f"{name} holds several labels; take one of them: {inner}")
    plain = [_plain(label) for label in written]
    if any(row.get("outputs") is not None for row in rows):
        for row, place in zip(rows, places, strict=True):
            outputs = row.get("outputs")
            if not isinstance(outputs, list | tuple) or len(outputs) != _TWO:
                raise LabelError(
                    f"{place}: has no pair of outputs, while other rows are pairs; keep them apart"
                )
        return _read_pairs(plain, places, name)
    if positive is not None:
        return _read_positive(plain, places, name, positive)
    texts = [label for label in plain if isinstance(label, str)]
    if texts:
        seen = name_some([repr(printable(text, 40)) for text in dict.fromkeys(texts)], _SHOWN)
        raise LabelError(f"{name} holds text: {seen}. Say which mean good: --positive NAME[,NAME]")
    distinct = sorted({label for label in plain if isinstance(label, float)})
    if set(distinct) <= {0.0, 1.0}:
        return _labels("good", plain, {1.0: "good", 0.0: "bad"})
    values = tuple(label if isinstance(label, float) else None for label in plain)
    counted = sum(value is not None for value in values)
    description = f"{counted} ratings from {distinct[0]:g} to {distinct[-1]:g}, higher is better"
    return Labels(kind="rating", values=values, description=description)


def find_field(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    """The field of each row, None where it has none; `label.overall` is `overall` within `label`."""
    outer, _, inner = name.partition(".")
    values = [row.get(name) for row in rows]
    if inner and all(value is None for value in values):
        nested = [row.get(outer) for row in rows]
        values = [value.get(inner) if isinstance(value, Mapping) else None for value in nested]
    if all(value is None for value in values):
        fields = sorted({field for row in rows for field in row})
        near = "" if name in fields else hint(name, fields)
        shown = printable(", ".join(fields))
        raise LabelError(f"no row has a value in {printable(name, 60)!r}.{near} Fields: {shown}")
    return values


def _plain(label: Any) -> float | str | None:
    """A number, a text, or None where there is no label; a nested value as its JSON text."""
    if label is None:
        return None
    if isinstance(label, bool | int | float):
        return float(label)
    return label.strip() if isinstance(label, str) else printable(label)


def _find_not_finite(written: Sequence[Any], places: Sequence[str], name: str) -> Iterator[str]:
    """Labels such as NaN, 1e400 or the text `nan`, which would count as bad, or as better than all others."""
    for label, place in zip(written, places, strict=True):
        if isinstance(label, int | float | str) and not _is_finite(label):
            shown = printable(label, 40)
            remedy = "write null where nobody labelled the row"
            yield f"{place}: {name} is {shown}, which is not a finite number; {remedy}"


def _is_finite(label: float | str) -> bool:
    """True for a number that can be compared, and for a text that is no number."""
    try:
        return math.isfinite(float(label))
    except OverflowError:  # an integer of hundreds of digits
        return False
    except ValueError:
        return True


def _find_mixed(written: Sequence[Any], places: Sequence[str], name: str) -> Iterator[str]:
    """Labels true and false among numbers, where 1 could be good, or the worst of 1 to 5."""
    number = next((at for at, label in enumerate(written) if type(label) in {int, float}), None)
    if number is None:
        return
    for label, place in zip(written, places, strict=True):
        if isinstance(label, bool):
            other = f"{places[number]} has the number {printable(written[number], 40)}"
            yield f"{place}: {name} is {str(label).lower()}, and {other}; use one kind of label"


def _read_positive(
    labels: Sequence[float | str | None], places: Sequence[str], name: str, positive: str
) -> Labels:
    if bound := parse_bound(positive):
        for label, place in zip(labels, places, strict=True):
            if isinstance(label, str):
                raise LabelError(f"{place}: {name} is the text {printable(label, 40)!r}, not a number")
        read = [float(holds(label, bound)) if isinstance(label, float) else None for label in labels]
        return _labels("good", read, {1.0: f"good ({format_bound(bound)})", 0.0: "bad"})
    names = {word.strip() for word in positive.split(",")} - {""}
    known = {_text(label) for label in labels if label is not None}
    for word in sorted(names - known):
        listed = name_some([repr(printable(label, 40)) for label in sorted(known)], _SHOWN)
        raise LabelError(f"--positive: no {name} is {word!r}.{hint(word, known)} Labels: {listed}")
    read = [None if label is None else float(_text(label) in names) for label in labels]
    return _labels("good", read, {1.0: f"good ({', '.join(sorted(names))})", 0.0: "bad"})


def _read_pairs(labels: Sequence[float | str | None], places: Sequence[str], name: str) -> Labels:
    """
    Words, or numbers in one of three ways: any below 0: negative the first is better, 0 neither, positive
    the second; any 2: 1 the first, 2 the second, 0 neither; else 1 the first, 0 the second, 0.5 neither.
    """
    numbers = {label for label in labels if isinstance(label, float)}
    read: list[float | str | None] = []
    for label, place in zip(labels, places, strict=True):
        value = _PAIR_WORDS.get(label.lower()) if isinstance(label, str) else _pair_number(label, numbers)
        if label is not None and value is None:
            shown = f"{label:g}" if isinstance(label, float) else repr(printable(label, 40))
            raise LabelError(
                f"{place}: {name} is {shown}; of a pair write 1 or 2 for the better one and 0 for neither, "
                "-2 … 2 with below 0 for the first, or first, second, tie"
            )
        read.append(value)
    return _labels("pair", read, {1.0: "first better", 0.0: "second better", 0.5: "neither"})


def _pair_number(label: float | None, numbers: set[float]) -> float | None:
    if label is None:
        return None
    if min(numbers) < 0:
        return 0.5 if label == 0 else float(label < 0)
    if max(numbers) == _TWO:
        return {1.0: 1.0, 2.0: 0.0, 0.0: 0.5}.get(label)
    return label if label in {0.0, 0.5, 1.0} else None


def _labels(kind: Kind, read: Sequence[float | str | None], words: Mapping[float, str]) -> Labels:
    values = tuple(value if isinstance(value, float) else None for value in read)
    counts = Counter(values)
    description = ", ".join(f"{counts[value]} {word}" for value, word in words.items())
    return Labels(kind=kind, values=values, description=description)


def _text(label: float | str | None) -> str:
    return f"{label:g}" if isinstance(label, float) else str(label)
