"""
What is known of how far metrics agree with people: one JSON file, by the signature of the scores.

A signature names everything that moves a score, so what was measured of one judge, rubric or version says
nothing of another. The schema is `calibration.schema.json` beside this module.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.printable import printable
from pytest_llmops.records import Bound, Golden
from pytest_llmops.registry import metric_factory
from pytest_llmops.statistics.intervals import Measure

if TYPE_CHECKING:  # which loads numpy
    from pytest_llmops.calibration.agreement import Agreement

VERSION = 1
_SCHEMA = Path(__file__).with_name("calibration.schema.json")


class CalibrationRecordError(LLMOpsError):
    """The record of calibrations cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutAgreement:
    """What is known of one bound: kappa of scores and people on whether a row holds it, and its interval."""

    bound: Bound
    kappa: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """
    What is known of the scores of one signature.

    Attributes:
        label: The field that held people's labels; `rows` had one.
        unscored: Rows that got no score.
        labels_sha256: Of the file's bytes.
        date: `2026-01-31`.
        whole: The agreement as it was measured, as JSON values.
    """

    metric: str
    label: str
    rows: int
    unscored: int
    labels_sha256: str
    date: str
    cuts: tuple[CutAgreement, ...] = ()
    whole: Mapping[str, Any] | None = None


def calibration_of(  # noqa: PLR0913 - what a record contains
    agreement: Agreement, *, metric: str, label: str, unscored: int, labels_sha256: str, date: str
) -> Calibration:
    """An agreement as it is recorded: of the cuts those with a kappa; without an interval it may be any."""
    return Calibration(
        metric=metric,
        label=label,
        rows=agreement.rows,
        unscored=unscored,
        labels_sha256=labels_sha256,
        date=date,
        cuts=tuple(
            CutAgreement(
                bound=cut.bound,
                kappa=cut.kappa.value,
                low=-1.0 if cut.kappa.low is None else cut.kappa.low,
                high=1.0 if cut.kappa.high is None else cut.kappa.high,
            )
            for cut in agreement.cuts
            if cut.kappa.value is not None
        ),
        whole={
            "groups": agreement.groups,
            **{
                name: _measure(getattr(agreement, name))
                for name in ("auc", "spearman", "accuracy", "kappa", "quadratic_kappa")
            },
        },
    )


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
    try:
        written = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CalibrationRecordError(f"{path}: is no JSON: {error}. {_REMEDY}") from None
    version = written.get("version") if isinstance(written, dict) else None
    if version != VERSION or isinstance(version, bool):
        shown = printable(version, 20)
        raise CalibrationRecordError(f"{path}: version is {shown}, this release reads {VERSION}. {_REMEDY}")
    if broken := next(_validator().iter_errors(written), None):
        place = "/".join(map(str, broken.absolute_path)) or "the file"
        raise CalibrationRecordError(f"{path}: {printable(place)}: {printable(broken.message)}. {_REMEDY}")
    return {signature: _read(each) for signature, each in written["calibrations"].items()}


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


def save_calibration(path: Path, signature: str, calibration: Calibration) -> None:
    """
    Put one into the record, in the place of what was known of that signature; whole or not at all.

    Raises:
        CalibrationRecordError: What is there cannot be read; it is left as it is.
        OSError: The file cannot be written.
    """
    known = {**load_calibrations(path), signature: calibration}
    written = {
        "version": VERSION,
        "calibrations": {signature: _write(known[signature]) for signature in sorted(known)},
    }
    write_atomically(path, (json.dumps(written, indent=2, ensure_ascii=False) + "\n").encode())


_REMEDY = "Restore it, or measure again: llmops calibrate METRIC LABELS.jsonl --label FIELD --save"


@lru_cache(maxsize=1)
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(_SCHEMA.read_text(encoding="utf-8")))


def _read(written: Mapping[str, Any]) -> Calibration:
    rest = {name: written[name] for name in ("metric", "label", "rows", "unscored", "labels_sha256", "date")}
    return Calibration(
        **rest,
        cuts=tuple(
            CutAgreement(
                bound=Bound(comparison=each["comparison"], threshold=float(each["threshold"])),
                kappa=each["kappa"],
                low=each["interval"][0],
                high=each["interval"][1],
            )
            for each in written["cuts"]
        ),
        whole=written["agreement"],
    )


def _write(calibration: Calibration) -> dict[str, Any]:
    return {
        "metric": calibration.metric,
        "label": calibration.label,
        "rows": calibration.rows,
        "unscored": calibration.unscored,
        "labels_sha256": calibration.labels_sha256,
        "date": calibration.date,
        "cuts": [
            {
                "comparison": cut.bound.comparison,
                "threshold": cut.bound.threshold,
                "kappa": cut.kappa,
                "interval": [cut.low, cut.high],
            }
            for cut in calibration.cuts
        ],
        "agreement": dict(calibration.whole or {}),
    }


def _measure(measure: Measure) -> dict[str, Any]:
    interval = None if measure.low is None else [measure.low, measure.high]
    return {"value": measure.value, "interval": interval, "method": measure.method}
