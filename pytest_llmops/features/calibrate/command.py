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
    Labelled,
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
from pytest_llmops.features.calibrate.readings import Readings, pair_readings, read_bound
from pytest_llmops.features.calibrate.report import (
    Report,
    agreement_json,
    agreement_markdown,
    render_agreement,
)
from pytest_llmops.features.calibrate.rows import Row, check_rows
from pytest_llmops.features.calibrate.score_command import (
    UNSCORED,
    add_metric_options,
    open_metric,
    print_unscored,
    read_input,
    rows_of,
)
from pytest_llmops.features.calibrate.scoring import reaches, read_scores, score_rows, show_range, stem_of
from pytest_llmops.printable import counted
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import Bound, Failure, Score
from pytest_llmops.settings import Settings
from pytest_llmops.statistics.codes import group_codes
from pytest_llmops.statistics.intervals import Measure

_MEASURES = ("auc", "spearman", "accuracy", "kappa", "quadratic_kappa")
Results = list[list[Score | Failure]]
"""Of each row its result, and those of further repeats."""

_ONE_ANSWER = "an agreement is kept of scores from one answer each, as in a check"


def calibration_of(  # noqa: PLR0913 - the parts of a record
    agreement: Agreement,
    *,
    metric: str,
    label: str,
    unscored: int,
    labels_sha256: str,
    date: str,
    labelled: Labelled | None = None,
) -> Calibration:
    """The record of an agreement, of cuts those with a kappa; without an interval it may be any."""
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
        labelled=labelled,
    )


def save_calibration(path: Path, signature: str, calibration: Calibration) -> None:
    """Put one into the file of calibrations, in place of an earlier one of that signature."""
    known = {**load_calibrations(path), signature: calibration}
    record = Record(version=VERSION, calibrations=dict(sorted(known.items())))
    write_atomically(path, (json.dumps(asdict(record), indent=2, ensure_ascii=False) + "\n").encode())


def _interval(measure: Measure) -> tuple[float, float] | None:
    return None if measure.low is None or measure.high is None else (measure.low, measure.high)


def _measure(measure: Measure) -> dict[str, Any]:
    return {"value": measure.value, "interval": _interval(measure), "method": measure.method}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("metric", metavar="METRIC")
    parser.add_argument(
        "file", metavar="FILE.jsonl", help="rows as for llmops score, with labels; - reads stdin"
    )
    parser.add_argument(
        "--label", metavar="FIELD", required=True, help="the labels of people; a.b for b within a"
    )
    parser.add_argument(
        "--positive", metavar="NAMES", help="labels that mean good: Yes,Mostly; or '>= 4' for numbers"
    )
    parser.add_argument(
        "--threshold", metavar="X", help="passing score; default: the metric's own bound, or mid-range"
    )
    parser.add_argument(
        "--max-error", metavar="X", help="find the threshold that lets through at most this share of bad rows"
    )
    parser.add_argument(
        "--group", metavar="FIELD", help="document or question: rows of one are drawn together"
    )
    parser.add_argument("--scores", metavar="FILE", help="the output of llmops score, instead of scoring")
    parser.add_argument(
        "--repeats", metavar="N", help="call a judge N times for each row: how often does its score differ?"
    )
    parser.add_argument("--save", action="store_true", help="keep the agreement, for checks with min_kappa")
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    parser.add_argument("--out", metavar="FILE", help="write the report here; default: to the terminal")
    add_metric_options(parser)
    parser.set_defaults(do=_calibrate, prints_data=True)


def _calibrate(arguments: argparse.Namespace) -> int:
    threshold = read_number("--threshold", arguments.threshold)
    max_error = read_share("--max-error", arguments.max_error)
    refuse_overwriting(arguments.out, arguments.file, arguments.scores)
    metric, settings = open_metric(arguments, stored=bool(arguments.scores))
    if threshold is not None and not reaches(metric, threshold):
        raise SettingsError(f"--threshold {threshold:g}: {metric.name} goes {show_range(metric)}")
    repeats = _read_repeats(arguments, metric)
    data = read_input(arguments.file)
    rows = rows_of(data, arguments.file)
    check_rows(rows)
    fields = [row.fields for row in rows]
    labels = read_labels(fields, [row.place for row in rows], arguments.label, positive=arguments.positive)
    groups: list[Hashable] | None = None
    if arguments.group:  # a row without a group is a group of one
        written = find_field(fields, arguments.group)
        groups = [("row", at) if group is None else json.dumps(group) for at, group in enumerate(written)]
    problems: list[str] = []
    results: Results
    if arguments.scores:
        stored = rows_of(read_input(arguments.scores), arguments.scores)
        results = read_scores(stored, rows, metric, arguments.scores)
    else:
        name = stem_of(arguments.file)
        scored = score_rows(metric, rows, name, settings, repeats=repeats, problems=problems)
        results = [scored[at :: len(rows)] for at in range(len(rows))]
    firsts = [_first_score(of_row) for of_row in results]
    try:
        agreement = measure_agreement(
            [_average(of_row) for of_row in results],
            labels,
            metric,
            groups=groups,
            threshold=threshold,
            max_error=max_error,
        )
    except LabelError as error:  # too few rows have a score, which the failures of the others explain
        print_unscored(rows, firsts, [*problems, str(error)])
        return UNSCORED
    bound = read_bound(metric, threshold)
    report = _report(arguments.label, metric.name, rows, labels, results, agreement, bound)
    if arguments.save:
        averages = [_average(of_row) for of_row in results]
        labelled = _find_labelled(
            pair_readings(averages, labels, metric, groups or range(len(rows)), threshold)
        )
        if not traits_of(metric).waits:
            labelled = None
        _save(report, settings, sha256(data).hexdigest(), labelled)
        if traits_of(metric).waits:
            print(_describe_correction(labelled, metric), file=sys.stderr)  # noqa: T201 - a command talks to its user
    text = (
        json.dumps(agreement_json(report), indent=2, allow_nan=False)
        if arguments.format == "json"
        else "\n".join((agreement_markdown if arguments.format == "markdown" else render_agreement)(report))
    )
    if arguments.out:
        write_atomically(Path(arguments.out), f"{text}\n".encode())
    else:
        print(text)  # noqa: T201 - a command talks to its user
    print_unscored(rows, firsts, problems)
    return UNSCORED if report.unscored else 0


def _read_repeats(arguments: argparse.Namespace, metric: Metric) -> int:
    repeats = 1 if arguments.repeats is None else read_count("--repeats", arguments.repeats)
    if repeats > 1 and arguments.scores:
        raise SettingsError("--repeats calls the judge, and --scores calls none; take one of them out")
    if repeats > 1 and not traits_of(metric).waits:
        raise SettingsError(f"--repeats: {metric.name} scores a row alike each time; take it out")
    if repeats > 1 and arguments.save:
        raise SettingsError(f"--save: {_ONE_ANSWER}; take --repeats out")
    return repeats


def _first_score(results: Sequence[Score | Failure]) -> Score | Failure:
    """The first score of a row's repeats, else the first failure."""
    return next((result for result in results if isinstance(result, Score)), results[0])


def _average(results: Sequence[Score | Failure]) -> float | None:
    values = _values(results)
    return (mean(values) if len(values) > 1 else values[0]) if values else None


def _values(results: Sequence[Score | Failure]) -> list[float]:
    return [result.value for result in results if isinstance(result, Score)]


def _report(  # noqa: PLR0913, PLR0917 - the parts of a report
    label: str,
    metric: str,
    rows: Sequence[Row],
    labels: Labels,
    results: Results,
    agreement: Agreement,
    bound: Bound,
) -> Report:
    scores = [[result for result in of_row if isinstance(result, Score)] for of_row in results]
    signatures = tuple(sorted({score.signature for of_row in scores for score in of_row}))
    families = families_of(score for of_row in scores for score in of_row)
    bias = None
    if labels.kind == "pair":
        verdicts = read_verdicts([row.fields for row in rows], scores, labels.values, families)
        bias = find_bias(verdicts, family=", ".join(families) or None)
    turning = None
    if (repeats := max(map(len, results))) > 1:
        failed = sum(len(of_row) - len(_values(of_row)) for of_row in results if _values(of_row))
        turning = measure_turning([*map(_values, results)], bound, repeats=repeats, failed=failed)
    notes = ("the scores were made in more ways than one; see their signatures",) * (len(signatures) > 1)
    return Report(
        metric=metric,
        signatures=signatures,
        label=label,
        labels=labels,
        agreement=agreement,
        bias=bias,
        unlabelled=sum(value is None for value in labels.values),
        unscored=tuple(
            (row.id, mask(first.error))
            for row, first in zip(rows, map(_first_score, results), strict=True)
            if isinstance(first, Failure)
        ),
        families=families,
        turning=turning,
        notes=notes,
    )


def _find_labelled(rows: Readings) -> Labelled | None:
    """Labels and scores by which the mean of a judge can be corrected: those of one scale."""
    alike = rows.on_scale or (rows.kind == "good" and rows.reach == (0.0, 1.0))
    if not alike or rows.sign < 0:
        return None
    grouped = rows.group_count < len(rows.score)
    return Labelled(
        scores=tuple(rows.score.tolist()),
        labels=tuple(rows.label.tolist()),
        groups=tuple(group_codes(rows.groups, len(rows.score)).tolist()) if grouped else (),
    )


def _describe_correction(labelled: Labelled | None, metric: Metric) -> str:
    if labelled is None:
        return (
            f"the labels are no ratings on the scale of {metric.name}, {show_range(metric)}, so they correct "
            "no mean of it in a suite"
        )
    return f"means of these scores in a suite are corrected by {counted(len(labelled.labels), 'label')}"


def _save(report: Report, settings: Settings, labels_sha256: str, labelled: Labelled | None) -> None:
    if len(report.signatures) != 1 or not report.signatures[0]:
        ways = "no signature" if len(report.signatures) < 2 else f"{len(report.signatures)} signatures"  # noqa: PLR2004
        raise CalibrationRecordError(
            f"nothing was saved: the scores have {ways}, and an agreement is kept of scores made in one way"
        )
    if report.turning is not None:
        raise CalibrationRecordError(f"nothing was saved: {_ONE_ANSWER}, and these are means")
    path = settings.path(settings.calibration)
    calibration = calibration_of(
        report.agreement,
        metric=report.metric,
        label=report.label,
        unscored=len(report.unscored),
        labels_sha256=labels_sha256,
        date=datetime.now(UTC).date().isoformat(),
        labelled=labelled,
    )
    save_calibration(path, report.signatures[0], calibration)
    print(f"saved in {path}: {report.signatures[0]}", file=sys.stderr)  # noqa: T201 - a command talks to its user
