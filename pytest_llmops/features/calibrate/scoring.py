"""Scores of rows by one metric, with their model calls kept in the local folder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import fields, is_dataclass, replace
from itertools import groupby
from pathlib import PurePath
from typing import Any

from pytest_llmops.documents.reading import is_number
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.features.calibrate.rows import (
    BrokenRowError,
    Row,
    RowError,
    list_rows,
    read_output,
    read_passages,
    read_reference,
    read_relevant,
)
from pytest_llmops.printable import printable
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import Failure, Sample, Score
from pytest_llmops.registry import create_metric, metric_options
from pytest_llmops.runner.budget import open_budget
from pytest_llmops.runner.recording import open_recorder
from pytest_llmops.runner.scoring import Scorer, score_here, score_safely
from pytest_llmops.settings import Settings
from pytest_llmops.statistics.summaries import NOISE


def score(
    metric: str | Metric,
    rows: Iterable[Mapping[str, Any]],
    *,
    options: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
) -> list[Score | Failure]:
    """
    One score or failure a row, in order.

    `output` is a text, or a mapping as apps return it; of `outputs`, a pair, the first is scored against the
    second. `contexts` are texts, or mappings of `id` and `text`; `retrieved` are ids, best first, or
    mappings of `id`, `text` and `score`. Where both are given, `retrieved` has the order, and takes missing
    texts from the context of the same id, or of the same place where contexts have no ids and are as many.
    With other counts the row is an error for a metric that reads passages, and has no texts for any other.
    `relevant` are ids, or a mapping of id to grade for a metric with grades. Of `references` the first
    counts.

    Args:
        metric: A name, with `options` as in a check, or a metric.
        settings: Names the judge, and the folder where model calls and vectors are kept; None keeps nothing.

    Raises:
        RowError: Rows that cannot be read, all of them; nothing is scored then.
        UnknownMetricError, MetricOptionError: There is no such metric, or it reads nothing off a row.
    """
    if isinstance(metric, str):
        metric = make_metric(metric, options, settings)
    elif isinstance(metric, type) or not isinstance(metric, Metric):
        raise MetricOptionError(
            f"metric must be a name, such as 'rouge_l', or a metric, not {printable(metric, 60)}"
        )
    elif options:
        raise MetricOptionError(f"{metric.name} is made already; options go with the name of a metric")
    return score_rows(_check_readable(metric), list_rows(rows), "rows", settings)


def make_metric(name: str, options: Mapping[str, Any] | None, settings: Settings | None) -> Metric:
    """Make the metric of that name; a judged one uses the settings' judge, unless the options name one."""
    options = {} if options is None else options
    if not isinstance(options, Mapping) or not all(isinstance(option, str) for option in options):
        raise MetricOptionError(f"options must map names to values, not be {printable(options, 60)}")
    judge = settings.judge if settings else {}
    if judge and "judge" in metric_options(name):
        options = {"judge": judge, **options}
    return _check_readable(create_metric(name, options))


def _check_readable(metric: Metric) -> Metric:
    if traits_of(metric).basis == "run":
        raise MetricOptionError(f"{metric.name} is measured in a run, not read off a row; use a golden file")
    return metric


def score_rows(  # noqa: PLR0913 - rows, their metric and the conditions of its calls
    metric: Metric,
    rows: Sequence[Row],
    name: str,
    settings: Settings | None,
    *,
    repeats: int = 1,
    numbers: Sequence[int] | None = None,
    problems: list[str] | None = None,
) -> list[Score | Failure]:
    """
    Scores of rows, all of the first repeat, then of the second …

    Args:
        name: Names the model calls that are kept; of a file its stem.
        repeats: Times that a judge scores each row.
        numbers: Of each row its repeat of a case, so that equal requests of two repeats are two calls; each
            row is a case of its own by default.
        problems: Gets sentences about model calls that could not be kept.
    """
    samples, broken = [], []
    for row in rows:
        try:
            if row.problem:
                raise BrokenRowError(row.problem)  # noqa: TRY301
            samples.append(_read_sample(row, metric, name))
        except BrokenRowError as error:
            broken.append(f"{row.place}: {error}")
    if broken:
        raise RowError(broken)
    repeated = [
        (_with_grades(metric, row), replace(sample, output=replace(sample.output, repeat=number + repeat)))
        for repeat in range(repeats)
        for row, sample, number in zip(rows, samples, numbers or [0] * len(rows), strict=True)
    ]
    with nullcontext() if settings is None else _recording(settings, problems):
        if traits_of(metric).waits:
            with closing(Scorer()) as scorer:
                jobs = [scorer.submit(own, [sample]) for own, sample in repeated]
                return [result for job in jobs for result in job.result()]
        results: list[Score | Failure] = []
        for _, group in groupby(repeated, key=lambda pair: id(pair[0])):
            batch = list(group)  # neighbours with the same metric
            results += score_safely(score_here, batch[0][0], [sample for _, sample in batch])
        return results


def _with_grades(metric: Metric, row: Row) -> Metric:
    """The metric with the row's own grades, where it has some and the metric takes them."""
    grades = row.fields.get("relevant")
    if not isinstance(grades, Mapping) or not _takes_grades(metric):
        return metric
    return replace(metric, grades=grades)  # type: ignore[type-var]  # a dataclass, as just checked


def _takes_grades(metric: Metric) -> bool:
    return is_dataclass(metric) and any(field.name == "grades" for field in fields(metric))


def stem_of(path: str) -> str:
    """The name for the model calls about a file."""
    return "stdin" if path == "-" else PurePath(path).stem


@contextmanager
def _recording(settings: Settings, problems: list[str] | None) -> Iterator[None]:
    """Keep model calls in the local folder only, since calls about labels are not committed."""
    local = replace(settings, cassettes=f"{settings.home}/cassettes")
    recorder = open_recorder(local, open_budget(settings))
    try:
        yield
    finally:
        recorder.uninstall()
        if problems is not None:
            problems.extend(recorder.problems)


def _read_sample(row: Row, metric: Metric, name: str) -> Sample:
    fields_of_row = row.fields
    ranks = "relevant" in metric.needs or _takes_grades(metric)  # and looks at no text
    reads = "passages" in metric.needs or traits_of(metric).waits
    output, rival = read_output(fields_of_row, needed=not ranks)
    passages = read_passages(fields_of_row, texts=reads and not ranks)
    return Sample(
        output=output if passages is None else replace(output, passages=passages),
        input=fields_of_row.get("input"),
        reference=read_reference(fields_of_row),
        relevant=read_relevant(fields_of_row.get("relevant")),
        case=f"score/{name}::{row.id}",
        rival=rival,
    )


def read_scores(
    stored: Sequence[Row], rows: Sequence[Row], metric: Metric, shown: str
) -> list[list[Score | Failure]]:
    """
    The stored results of each row, found by its id; several lines of one id are repeats.

    Args:
        rows: No two with one id.
        shown: The file of the scores in messages.
    """
    problems = []
    results: dict[str, list[Score | Failure]] = {row.id: [] for row in rows}
    for line in stored:
        result = _read_result(line, metric)
        if isinstance(result, str):
            problems.append(f"{line.place}: {result}")
        elif line.id not in results:
            problems.append(f"{line.place}: no row has the id {printable(line.id, 60)}")
        else:
            results[line.id].append(result)
    if problems:
        raise RowError(problems)
    missing = Failure(metric=metric.name, stage="score", error=f"{shown} holds no score of it")
    return [results[row.id] or [missing] for row in rows]


def reaches(metric: Metric, value: float) -> bool:
    """True where the metric can give the value, up to the rounding of 32-bit arithmetic."""
    low, high = metric.range
    return low - NOISE <= value <= high + NOISE


def show_range(metric: Metric) -> str:
    """`from 0 to 1`, `from 0 on`."""
    low, high = metric.range
    return f"from {low:g} to {high:g}" if math.isfinite(high) else f"from {low:g} on"


def _read_result(line: Row, metric: Metric) -> Score | Failure | str:
    """The result of a line, or a sentence on its fault."""
    stored, name = line.fields, metric.name
    if line.problem:
        return line.problem
    if stored.get("metric", name) != name:
        return f"is a score of {printable(stored['metric'], 60)}, not of {name}"
    if "error" in stored:
        return Failure(metric=name, stage="score", error=str(stored["error"]))
    value = stored.get("value")
    if not is_number(value):
        return f"value must be a number, not {printable(value, 60)}"
    if not reaches(metric, value):
        return f"value {value:g} is no score of {name}, which goes {show_range(metric)}"
    evidence = stored.get("evidence", ())
    return Score(
        metric=name,
        value=float(value),
        reason=str(stored.get("reason", "")),
        evidence=tuple(evidence) if isinstance(evidence, list) else (),
        signature=str(stored.get("signature", "")),
    )
