"""
The recorded agreement of metrics with people: one JSON file, by the signature of the scores.

A signature names everything on which a score depends, so the record of one judge, rubric or version does not
apply to another. The schema is `calibration.schema.json` in this folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pytest_llmops.documents.json_document import parse_json
from pytest_llmops.documents.kept_file import KeptFile
from pytest_llmops.documents.reading import (
    BrokenValueError,
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
    whole,
)
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.printable import counted, printable
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Bound, CaseResult, Check, Golden, Score, Sign, SuiteCheck
from pytest_llmops.registry import create_metric, metric_factory, metric_options
from pytest_llmops.statistics.intervals import Method

VERSION = 1

_INTERVAL = checked(list_of(read_number), "its lower and upper end", lambda ends: len(ends) == 2)  # noqa: PLR2004
_Interval = Annotated[tuple[float, float], _INTERVAL]


class CalibrationRecordError(LLMOpsError):
    """The record of calibrations cannot be read."""


_FILE = KeptFile(
    name="record of calibrations",
    error=CalibrationRecordError,
    remedy="Restore it, or measure again: llmops calibrate METRIC LABELS.jsonl --label FIELD --save",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CutAgreement:
    """Kappa of scores and people at one bound, with its interval."""

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
class Labelled:
    """
    Labels on the scale of the scores, by which a judge's mean is corrected.

    Attributes:
        scores: Of each row, as `labels`.
        groups: Of each row the number of the group that it was drawn with; empty where each was drawn singly.
    """

    scores: tuple[float, ...]
    labels: tuple[float, ...]
    groups: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        rows = len(self.scores)
        if rows < 2 or len(self.labels) != rows or len(self.groups) not in {0, rows}:  # noqa: PLR2004 - an error has spread
            raise BrokenValueError(
                "must have as many scores as labels, two or more, and a group for each or none"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """
    The record of the scores of one signature.

    Attributes:
        label: The field of people's labels.
        rows: With a label and a score.
        unscored: Rows without a score.
        labels_sha256: Of the file's bytes.
        date: `2026-01-31`.
        agreement: The measures, as JSON values.
        labelled: Of a judge whose labels use its scale; None of other metrics, and in records of earlier
            versions.
    """

    metric: Annotated[str, matching(".+", "a name")]
    label: str
    rows: Annotated[int, whole(2)]
    unscored: int
    labels_sha256: Annotated[str, hexadecimal(64)]
    date: Annotated[str, matching(r"\d{4}-\d\d-\d\d", "a date such as 2026-01-31")]
    cuts: tuple[CutAgreement, ...]
    agreement: Annotated[Mapping[str, Any], mapping_of(any_of(whole(1), record_reader(dict, _Measure)))]
    labelled: Labelled | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    version: int
    calibrations: Mapping[str, Calibration]


def load_calibrations(path: Path) -> dict[str, Calibration]:
    """
    Read the records by signature; none where there is no file.

    Raises:
        CalibrationRecordError: The file is no record of this version, with the place.
    """
    data = _FILE.find(path, str(path))
    return {} if data is None else parse_calibrations(data, str(path))


def parse_calibrations(data: bytes, path: str) -> dict[str, Calibration]:
    """
    Read the records of a file's bytes, by signature.

    Args:
        path: The file, for messages.
    """
    record: Record = _FILE.parse(
        data, path, lambda text: reader_of(Record)(read_version(parse_json(text), VERSION, _FILE.name))
    )
    return dict(record.calibrations)


def load_needed(goldens: Iterable[Golden], path: Path) -> dict[str, Calibration]:
    """Read the records where some check needs them; else the file is not read."""
    return load_calibrations(path) if need_calibrations(goldens) else {}


def need_calibrations(goldens: Iterable[Golden]) -> bool:
    """True if some check may ask a judge, or is a bound on a metric without an own bound."""
    goldens = list(goldens)
    checks = {check.metric for golden in goldens for case in golden.cases for check in case.checks}
    checks |= {check.metric for golden in goldens for check in golden.suite}
    return any("judge" in metric_options(metric) for metric in checks) or any(
        has_no_bound(name) for golden in goldens for name in golden.bound_lines
    )


def has_no_bound(metric: str) -> bool:
    """True if the metric of that name has no own bound."""
    return getattr(metric_factory(metric), "bound", True) is None


def find_uncalibrated(golden: Golden, known: Mapping[str, Calibration]) -> list[str]:
    """
    A sentence for each metric without an own bound whose scores were never compared with labels, with
    the place of its first bound in the file.

    Args:
        known: The records, by signature.
    """
    checks: list[Check | SuiteCheck] = [*golden.suite]
    checks += [check for case in golden.cases for check in case.checks]
    return [
        f"{golden.path}:{golden.bound_lines[name]}: {describe_uncalibrated(name)}"
        for name in golden.bound_lines
        if has_no_bound(name)
        and not all(
            is_calibrated(create_metric(name, check.options), known)
            for check in checks
            if check.metric == name and check.comparison is not None
        )
    ]


def is_calibrated(metric: Metric, known: Mapping[str, Calibration]) -> bool:
    """True if scores that are made as by this metric were compared with labels."""
    alike = getattr(metric, "is_scored_alike", None)
    return any(
        calibration.metric == metric.name and (alike is None or alike(signature))
        for signature, calibration in known.items()
    )


def describe_uncalibrated(metric: str) -> str:
    """The advice for a bound whose effect is unknown."""
    return (
        f"what a bound on {metric} passes differs between kinds of text, and none of your labels shows it: "
        f"llmops calibrate {metric} LABELS.jsonl --label FIELD --save"
    )


def warn_of_self_preference(results: Iterable[CaseResult]) -> list[str]:
    """
    A sentence for each metric with judge and app model of one family, and the number of judged answers.

    A judge's family is in the evidence of its scores; the app's is that of the model that answered the same
    repeat. Scores without either are left out.
    """
    from pytest_llmops.judges.model import family_of

    counts: Counter[tuple[str, str, str, str]] = Counter()
    for result in results:
        models = {output.repeat: output.model for output in result.outputs}
        for score in result.scores:
            model = models.get(score.repeat)
            for name, family in judges_of(score) if model else ():
                if model and family_of(model) == family:
                    counts[score.metric, name, family, model] += 1
    return [
        f"{printable(metric)}: the judge {printable(name, 80)} judged {counted(count, 'answer')} of "
        f"{printable(model, 80)}, of its own family ({printable(family, 40)}), which judges tend to favour: "
        "take a judge of another family, or see by labelled pairs how far it does: "
        "llmops calibrate pairwise PAIRS.jsonl --label FIELD"
        for (metric, name, family, model), count in sorted(counts.items())
    ]


def reported_judges(score: Score) -> list[tuple[str, str]]:
    """
    The models that judged, each as it was asked for, and as its provider reports it: name and fingerprint.

    A provider may put another model behind the same name. Empty for a score that no model made.
    """
    return [
        (
            str(entry["asked"]),
            " ".join(str(part) for part in (entry.get("judge"), entry.get("fingerprint")) if part),
        )
        for entry in score.evidence
        if isinstance(entry, Mapping) and entry.get("asked")
    ]


def judges_of(score: Score) -> list[tuple[str, str]]:
    """The models that judged, each with its family: one, the members of a panel, or none."""
    entries = [entry for entry in score.evidence if isinstance(entry, Mapping)]
    members = [entry for entry in entries[1:] if "judge" in entry] or entries[:1]
    return [
        (str(member.get("judge") or member["family"]), str(member["family"]))
        for member in members
        if member.get("family")
    ]
