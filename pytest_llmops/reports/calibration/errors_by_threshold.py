"""Thresholds by the error that they make, as `llmops calibrate` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_llmops.calibration.errors_by_threshold import ErrorRow

_OTHER = {"bad passed": "good refused", "good refused": "bad passed"}
_DECIMALS = 4


def errors_json(errors: Sequence[ErrorRow], sign: str) -> list[dict[str, Any]]:
    """As JSON values; null at an end where no threshold keeps the error."""
    return [
        {
            "error": each.kind.replace(" ", "_"),
            "at_most": each.at_most,
            "comparison": sign,
            "threshold": each.threshold,
            "interval": [each.low, each.high],
            _OTHER[each.kind].replace(" ", "_"): {
                "value": each.other.value,
                "interval": None if each.other.low is None else [each.other.low, each.other.high],
            },
        }
        for each in errors
    ]


def errors_table(errors: Sequence[ErrorRow], sign: str) -> list[tuple[str, ...]]:
    """A row an error, under a head; nothing where there are none."""
    if not errors:
        return []
    head = ("error kept on these rows", "threshold", "interval (95%)", "then", "interval (95%)")
    return [head, *(_row(each, sign) for each in errors)]


def _row(each: ErrorRow, sign: str) -> tuple[str, ...]:
    spread = "every resample is alike"
    if each.other.low is not None:
        spread = f"{each.other.low:.3f} … {each.other.high:.3f}"
    return (
        f"{each.at_most:g} of {each.kind}",
        _number(each.threshold, f"{sign} "),
        f"{_number(each.low)} … {_number(each.high)}",
        f"{each.other.value:.3f} of {_OTHER[each.kind]}",
        spread,
    )


def _number(value: float | None, sign: str = "") -> str:
    return "none" if value is None else f"{sign}{value:.{_DECIMALS}g}"
