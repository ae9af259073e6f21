"""
`llmops calibrate METRIC FILE.jsonl --label FIELD`: how far a metric agrees with people.

Exit 3 when some row could not be scored.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Hashable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from statistics import mean
from typing import Any

from pytest_llmops.calibration.record import (
    VERSION,
    Calibration,
    CalibrationRecordError,
    CutAgreement,
    Record,
    load_calibrations,
)
from pytest_llmops.cli.typed import read_count, read_number, read_share, refuse_overwriting
from pytest_llmops.detect.mask import mask
from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.errors import SettingsError
from pytest_llmops.features.calibrate.agreement import (
    Agreement,
    measure_agreement,
    measure_turning,
)
from pytest_llmops.features.calibrate.bias import families_of, find_bias, read_verdicts
from pytest_llmops.features.calibrate.labels import LabelError, Labels, find_field, read_labels
from pytest_llmops.features.calibrate.readings import read_bound
from pytest_llmops.features.calibrate.report import (
    Report,
    agreement_json,
    agreement_markdown,
    render_agreement,
)
from pytest_llmops.features.calibrate.rows import Row, check_rows
from pytest_llmops.features.calibrate.score_command import (
    add_metric_options,
    open_metric,
    print_unscored,
    read_input,
    rows_of,
)
from pytest_llmops.features.calibrate.scoring import reaches, read_scores, score_rows, show_range, stem_of
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import Failure, Score
from pytest_llmops.settings import Settings
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


Results = list[list[Score | Failure]]

_UNSCORED = 3
_ONE_LOOK = "an agreement is kept of scores that were asked for once, as a check asks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("metric", metavar="METRIC")
    parser.add_argument(
        "file", metavar="FILE.jsonl", help="rows as for llmops score, with labels; - reads stdin"
    )
    parser.add_argument(
        "--label", metavar="FIELD", required=True, help="what people said; a.b for b within a"
    )
    parser.add_argument(
        "--positive", metavar="NAMES", help="labels that mean good: Yes,Mostly; or '>= 4' for numbers"
    )
    parser.add_argument(
        "--threshold", metavar="X", help="what passes; default: the metric's own bound, or mid-range"
    )
    parser.add_argument(
        "--max-error", metavar="X", help="find the threshold that lets through at most this share of bad rows"
    )
    parser.add_argument(
        "--group", metavar="FIELD", help="document or question: rows of one are drawn together"
    )
    parser.add_argument("--scores", metavar="FILE", help="what llmops score wrote, instead of scoring")
    parser.add_argument(
        "--repeats", metavar="N", help="ask a judge N times of each row: how often does it turn?"
    )
    parser.add_argument("--save", action="store_true", help="keep the agreement, for checks with min_kappa")
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    parser.add_argument("--out", metavar="FILE", help="write the report here; default: to the terminal")
    add_metric_options(parser)
    parser.set_defaults(do=_calibrate, prints_data=True)


def _calibrate(given: argparse.Namespace) -> int:
    threshold = read_number("--threshold", given.threshold)
    max_error = read_share("--max-error", given.max_error)
    refuse_overwriting(given.out, given.file, given.scores)
    metric, settings = open_metric(given, stored=bool(given.scores))
    if threshold is not None and not reaches(metric, threshold):
        raise SettingsError(f"--threshold {threshold:g}: {metric.name} goes {show_range(metric)}")
    repeats = _repeats(given, metric)
    data = read_input(given.file)
    rows = rows_of(data, given.file)
    check_rows(rows)
    fields = [row.fields for row in rows]
    labels = read_labels(fields, [row.place for row in rows], given.label, positive=given.positive)
    groups = _groups(find_field(fields, given.group)) if given.group else None
    problems: list[str] = []
    results = _results(given, metric, rows, settings, repeats, problems)
    try:
        report = _report(given, metric, rows, labels, results, groups, (threshold, max_error))
    except LabelError as error:  # too few rows are left, which those without a score explain
        print_unscored(rows, _one_each(results), [*problems, str(error)])
        return _UNSCORED
    if given.save:
        _save(report, settings, sha256(data).hexdigest())
    text = (
        json.dumps(agreement_json(report), indent=2, allow_nan=False)
        if given.format == "json"
        else "\n".join((agreement_markdown if given.format == "markdown" else render_agreement)(report))
    )
    if given.out:
        write_atomically(Path(given.out), f"{text}\n".encode())
    else:
        print(text)  # noqa: T201 - a command talks to its user
    print_unscored(rows, _one_each(results), problems)
    return _UNSCORED if report.unscored else 0


def _groups(found: Sequence[Any]) -> list[Hashable]:
    """The group of each row; a row without a group is a group of one."""
    return [("row", at) if group is None else json.dumps(group) for at, group in enumerate(found)]


def _repeats(given: argparse.Namespace, metric: Metric) -> int:
    repeats = 1 if given.repeats is None else read_count("--repeats", given.repeats)
    if repeats > 1 and given.scores:
        raise SettingsError("--repeats asks again, and --scores asks nobody; take one of them out")
    if repeats > 1 and not traits_of(metric).waits:
        raise SettingsError(f"--repeats: {metric.name} scores a row alike each time; take it out")
    if repeats > 1 and given.save:
        raise SettingsError(f"--save: {_ONE_LOOK}; take --repeats out")
    return repeats


def _one_each(results: Results) -> list[Score | Failure]:
    """Of each row a score where any of its repeats gave one, else why the first gave none."""
    return [next((each for each in found if isinstance(each, Score)), found[0]) for found in results]


def _results(  # noqa: PLR0913, PLR0917 - what is scored and how
    given: argparse.Namespace,
    metric: Metric,
    rows: Sequence[Row],
    settings: Settings,
    repeats: int,
    problems: list[str],
) -> Results:
    """Of each row its result, and those of further repeats."""
    if given.scores:
        return read_scores(rows_of(read_input(given.scores), given.scores), rows, metric, given.scores)
    found = score_rows(metric, rows, stem_of(given.file), settings, repeats=repeats, problems=problems)
    return [found[at :: len(rows)] for at in range(len(rows))]


def _report(  # noqa: PLR0913, PLR0917 - what a report is made of
    given: argparse.Namespace,
    metric: Metric,
    rows: Sequence[Row],
    labels: Labels,
    results: Results,
    groups: Sequence[Hashable] | None,
    limits: tuple[float | None, float | None],
) -> Report:
    scores = [[each for each in found if isinstance(each, Score)] for found in results]
    looks = [[each.value for each in found] for found in scores]
    values = [(mean(found) if len(found) > 1 else found[0]) if found else None for found in looks]
    agreement = measure_agreement(
        values, labels, metric, groups=groups, threshold=limits[0], max_error=limits[1]
    )
    made = [each for found in scores for each in found]
    signatures = tuple(sorted({each.signature for each in made}))
    families = families_of(made)
    bias = None
    if labels.kind == "pair":
        verdicts = read_verdicts([row.fields for row in rows], scores, labels.values, families)
        bias = find_bias(verdicts, family=", ".join(families) or None)
    turning = None
    if (asked := max(map(len, results))) > 1:
        failed = sum(len(found) - len(each) for found, each in zip(results, scores, strict=True) if each)
        turning = measure_turning(looks, read_bound(metric, limits[0]), repeats=asked, failed=failed)
    notes = (
        ("the scores were made in more ways than one; see their signatures",) if len(signatures) > 1 else ()
    )
    return Report(
        metric=metric.name,
        signatures=signatures,
        label=given.label,
        labels=labels,
        agreement=agreement,
        bias=bias,
        unlabelled=sum(value is None for value in labels.values),
        unscored=tuple(
            (row.id, mask(first.error))
            for row, first in zip(rows, _one_each(results), strict=True)
            if isinstance(first, Failure)
        ),
        families=families,
        turning=turning,
        notes=notes,
    )


def _save(report: Report, settings: Settings, labels_sha256: str) -> None:
    if len(report.signatures) != 1 or not report.signatures[0]:
        ways = "no signature" if len(report.signatures) < 2 else f"{len(report.signatures)} signatures"  # noqa: PLR2004
        raise CalibrationRecordError(
            f"nothing was saved: the scores have {ways}, and an agreement is kept of scores made in one way"
        )
    if report.turning is not None:
        raise CalibrationRecordError(f"nothing was saved: {_ONE_LOOK}, and these are means")
    path = settings.path(settings.calibration)
    calibration = calibration_of(
        report.agreement,
        metric=report.metric,
        label=report.label,
        unscored=len(report.unscored),
        labels_sha256=labels_sha256,
        date=datetime.now(UTC).date().isoformat(),
    )
    save_calibration(path, report.signatures[0], calibration)
    print(f"saved in {path}: {report.signatures[0]}", file=sys.stderr)  # noqa: T201 - a command talks to its user
