"""Agreement with labels as `golden/calibration.json` keeps it, which the gate reads."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_llmops.calibration.record import VERSION, Calibration, CutAgreement, Record, load_calibrations
from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.features.calibrate.agreement import Agreement
from pytest_llmops.statistics.intervals import Measure

_MEASURES = ("auc", "spearman", "accuracy", "kappa", "quadratic_kappa")


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
                comparison=cut.bound.comparison,
                threshold=cut.bound.threshold,
                kappa=cut.kappa.value,
                interval=_interval(cut.kappa) or (-1.0, 1.0),
            )
            for cut in agreement.cuts
            if cut.kappa.value is not None
        ),
        agreement={
            "groups": agreement.groups,
            **{name: _measure(getattr(agreement, name)) for name in _MEASURES},
        },
    )


def save_calibration(path: Path, signature: str, calibration: Calibration) -> None:
    """
    Put one into the record, in the place of what was known of that signature; whole or not at all.

    Raises:
        CalibrationRecordError: What is there cannot be read; it is left as it is.
        OSError: The file cannot be written.
    """
    known = {**load_calibrations(path), signature: calibration}
    record = Record(version=VERSION, calibrations=dict(sorted(known.items())))
    write_atomically(path, (json.dumps(asdict(record), indent=2, ensure_ascii=False) + "\n").encode())


def _interval(measure: Measure) -> tuple[float, float] | None:
    return None if measure.low is None or measure.high is None else (measure.low, measure.high)


def _measure(measure: Measure) -> dict[str, Any]:
    return {"value": measure.value, "interval": _interval(measure), "method": measure.method}
