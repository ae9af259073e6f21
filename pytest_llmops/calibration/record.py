"""
What is known of how far metrics agree with people: one JSON file, by the signature of the scores.

A signature names everything that moves a score, so what was measured of one judge, rubric or version says
nothing of another. The schema is `calibration.schema.json` beside this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pytest_llmops.documents.json_document import parse_json, read_bytes
from pytest_llmops.documents.reading import (
    any_of,
    checked,
    hexadecimal,
    list_of,
    mapping_of,
    matching,
    number,
    read_number,
    read_version,
    reader_of,
    record_reader,
    refused_as,
    whole,
)
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records import Bound, Golden, Sign
from pytest_llmops.registry import metric_factory
from pytest_llmops.statistics.intervals import Method

VERSION = 1


class CalibrationRecordError(LLMOpsError):
    """The record of calibrations cannot be read."""


_INTERVAL = checked(list_of(read_number), "its lower and upper end", lambda ends: len(ends) == 2)  # noqa: PLR2004
_Interval = Annotated[tuple[float, float], _INTERVAL]


@dataclass(frozen=True, slots=True, kw_only=True)
class CutAgreement:
    """What is known of one bound: kappa of scores and people on whether a row holds it, and its interval."""

    comparison: Sign
    threshold: float
    kappa: Annotated[float, number(-1, 1)]
    interval: _Interval

    @property
    def bound(self) -> Bound:
        return Bound(comparison=self.comparison, threshold=self.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measure:
    value: float | None
    interval: _Interval | None
    method: Method | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """
    What is known of the scores of one signature, as it is written.

    Attributes:
        label: The field that held people's labels; `rows` had one.
        unscored: Rows that got no score.
        labels_sha256: Of the file's bytes.
        date: `2026-01-31`.
        agreement: As it was measured, as JSON values.
    """

    metric: Annotated[str, matching(".+", "a name")]
    label: str
    rows: Annotated[int, whole(2)]
    unscored: int
    labels_sha256: Annotated[str, hexadecimal(64)]
    date: Annotated[str, matching(r"\d{4}-\d\d-\d\d", "a date such as 2026-01-31")]
    cuts: tuple[CutAgreement, ...]
    agreement: Annotated[Mapping[str, Any], mapping_of(any_of(whole(1), record_reader(dict, _Measure)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    version: int
    calibrations: Mapping[str, Calibration]


def load_calibrations(path: Path) -> dict[str, Calibration]:
    """
    What is recorded, by signature; nothing where there is no file.

    Raises:
        CalibrationRecordError: The file is no record of this version, with the place.
    """
    try:
        return parse_calibrations(path.read_bytes(), str(path))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CalibrationRecordError(f"{path}: cannot be read: {error.strerror}") from None


def parse_calibrations(data: bytes, path: str) -> dict[str, Calibration]:
    """
    What a record holds, by signature.

    Args:
        path: The file, for messages.

    Raises:
        CalibrationRecordError: As `load_calibrations`.
    """
    with refused_as(CalibrationRecordError, f"{path}: ", f". {_REMEDY}"):
        return dict(read_bytes(data, _parse, "record of calibrations").calibrations)


def _parse(text: str) -> Record:
    record: Record = reader_of(Record)(read_version(parse_json(text), VERSION, "record of calibrations"))
    return record


def load_needed(goldens: Iterable[Golden], path: Path) -> dict[str, Calibration]:
    """
    What is recorded, where some check asks for agreement; the file is not looked at otherwise.

    Raises:
        CalibrationRecordError: As `load_calibrations`.
    """
    return load_calibrations(path) if need_calibrations(goldens) else {}


def need_calibrations(goldens: Iterable[Golden]) -> bool:
    """Whether some check has a `min_kappa`, or a bound on a metric that has none of its own."""
    goldens = list(goldens)
    checks = (check for golden in goldens for case in golden.cases for check in case.checks)
    return any(check.min_kappa is not None for check in checks) or any(
        has_no_bound(name) for golden in goldens for name in golden.bound_lines
    )


def has_no_bound(metric: str) -> bool:
    """Whether the metric of that name leaves it to labels what is good enough."""
    return getattr(metric_factory(metric), "bound", True) is None


_REMEDY = "Restore it, or measure again: llmops calibrate METRIC LABELS.jsonl --label FIELD --save"
