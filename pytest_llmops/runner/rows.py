"""
Rows of a JSONL file, or mappings alike, scored without an app: what was asked and answered is in them.

A row may hold `id, input, output, outputs, reference, references, contexts, retrieved, relevant`; what else
it holds, such as labels, is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.printable import printable
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Failure, Sample, Score
from pytest_llmops.registry import create_metric, metric_options
from pytest_llmops.runner.row_fields import (
    BrokenRowError,
    read_output,
    read_passages,
    read_reference,
    read_relevant,
)
from pytest_llmops.runner.scoring import Scorer, score_here, score_safely

if TYPE_CHECKING:
    from pytest_llmops.settings import Settings

_SHOWN = 200


class RowError(LLMOpsError):
    """Rows that cannot be scored as they are; tells every one of them, and shows the first 200."""

    def __init__(self, problems: Sequence[str]) -> None:
        left = len(problems) - _SHOWN
        more = [f"and {left:,} more problems"] if left > 0 else []
        super().__init__("\n".join([*problems[:_SHOWN], *more]))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One row as it was written.

    Attributes:
        id: Its own, or its line's number.
        place: For messages, `labels.jsonl:3`.
        problem: Why it is no row; empty where it is one.
    """

    id: str
    place: str
    fields: Mapping[str, Any]
    problem: str = ""


def score(
    metric: str | Metric,
    rows: Iterable[Mapping[str, Any]],
    *,
    options: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
) -> list[Score | Failure]:
    """
    One score a row, in order, or why there is none.

    `output` is a text, or a mapping as apps return; of `outputs`, a pair, the first is scored beside the
    second. `contexts` are texts, or mappings of `id` and `text`; `retrieved` are ids, best first, or
    mappings of `id`, `text` and `score`. Where both are given, `retrieved` has the order, and takes missing
    texts from the context of the same id, or of the same place where contexts have no ids and are as many.
    `relevant` are ids, or a mapping of id to grade for a metric with grades. Of `references` the first
    counts.

    Args:
        metric: A name, with `options` as a check would have, or a metric.
        settings: Names the judge, and the folder where model calls and vectors are kept; None keeps nothing.

    Raises:
        RowError: Rows that cannot be read, all of them; nothing is scored then.
        UnknownMetricError, MetricOptionError: There is no such metric.
    """
    made = make_metric(metric, options or {}, settings) if isinstance(metric, str) else metric
    listed = [_read_row(row, number, f"row {number}") for number, row in enumerate(rows, start=1)]
    return score_rows(made, listed, "rows", settings)


def make_metric(name: str, options: Mapping[str, Any], settings: Settings | None) -> Metric:
    """The metric of that name; one that asks a judge asks the settings', unless the options name one."""
    judge = settings.judge if settings else {}
    if judge and "judge" in metric_options(name):
        options = {"judge": judge, **options}
    return create_metric(name, options)


def read_rows(text: str, shown: str) -> list[Row]:
    """
    The rows of a JSONL text; empty lines are none, and a line that cannot be read is one with a problem.

    Args:
        shown: What messages call the file.

    Raises:
        RowError: There is no row.
    """
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            place = f"{shown}:{number}"
            try:
                row = json.loads(line, parse_constant=_refuse)
            except (ValueError, RecursionError) as error:
                problem = f"is no JSON: {error}"
                found.append(Row(id=str(number), place=place, fields={}, problem=problem))
            else:
                found.append(_read_row(row, number, place))
    if not found:
        raise RowError([f"{shown}: holds no row; write one JSON object a line"])
    return found


def check_rows(rows: Sequence[Row]) -> None:
    """
    Raises:
        RowError: Some are none, all of them.
    """
    if problems := [f"{row.place}: {row.problem}" for row in rows if row.problem]:
        raise RowError(problems)


def score_rows(  # noqa: PLR0913 - what is scored and how
    metric: Metric,
    rows: Sequence[Row],
    name: str,
    settings: Settings | None,
    *,
    repeats: int = 1,
    problems: list[str] | None = None,
) -> list[Score | Failure]:
    """
    Scores of rows, all of the first repeat, then of the second …

    Args:
        name: Under which model calls are kept, of a file its stem.
        repeats: How often a judge is asked of each row.
        problems: Gets sentences about model calls that could not be kept.

    Raises:
        RowError: Rows that cannot be read, all of them.
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
        (metric_of(metric, row), replace(sample, output=replace(sample.output, repeat=repeat)))
        for repeat in range(repeats)
        for row, sample in zip(rows, samples, strict=True)
    ]
    with nullcontext() if settings is None else _kept(settings, problems):
        if getattr(metric, "waits", False):
            return _score_side_by_side(repeated)
        return _score_together(repeated)


def metric_of(metric: Metric, row: Row) -> Metric:
    """The metric for one row: with the row's own grades, where it has some and the metric takes them."""
    graded = row.fields.get("relevant")
    if not isinstance(graded, Mapping) or not _takes_grades(metric):
        return metric
    return replace(metric, grades=graded)  # type: ignore[type-var]  # a dataclass, as just seen


def _takes_grades(metric: Metric) -> bool:
    return is_dataclass(metric) and any(field.name == "grades" for field in fields(metric))


def stem_of(path: str) -> str:
    """The name under which the model calls about a file are kept."""
    return "stdin" if path == "-" else PurePath(path).stem


def _score_together(samples: Sequence[tuple[Metric, Sample]]) -> list[Score | Failure]:
    """Every sample of one metric in one batch."""
    results: dict[int, Score | Failure] = {}
    batches: list[tuple[Metric, list[int]]] = []
    for at, (metric, _) in enumerate(samples):
        if not batches or batches[-1][0] is not metric:
            batches.append((metric, []))
        batches[-1][1].append(at)
    for metric, places in batches:
        found = score_safely(score_here, metric, [samples[at][1] for at in places])
        results.update(zip(places, found, strict=True))
    return [results[at] for at in range(len(samples))]


def _score_side_by_side(samples: Sequence[tuple[Metric, Sample]]) -> list[Score | Failure]:
    scorer = Scorer()
    try:
        jobs = [scorer.submit(metric, [sample]) for metric, sample in samples]
        return [result for job in jobs for result in job.result()]
    finally:
        scorer.close()


@contextmanager
def _kept(settings: Settings, problems: list[str] | None) -> Iterator[None]:
    """Keep what models say in the local folder alone, for nobody commits the calls about labels."""
    from pytest_llmops.runner.golden_run import open_budget, open_recorder

    local = replace(settings, cassettes=f"{settings.home}/cassettes")
    recorder = open_recorder(local, open_budget(settings))
    try:
        yield
    finally:
        recorder.uninstall()
        if problems is not None:
            problems.extend(recorder.problems)


def _read_row(row: Any, number: int, place: str) -> Row:
    problem = "" if isinstance(row, Mapping) else f"is no JSON object but {printable(row, 60)}"
    given = None if problem else row.get("id")
    if isinstance(given, bool) or not isinstance(given, str | int | None):
        problem = f"id must be a text or a whole number, not {printable(given, 60)}"
    entry = str(number) if given is None else str(given)
    return Row(id=entry, place=place, fields={} if problem else row, problem=problem)


def _read_sample(row: Row, metric: Metric, name: str) -> Sample:
    given = row.fields
    ranks = "relevant" in metric.needs or _takes_grades(metric)  # and looks at no text
    output, rival = read_output(given, needed=not ranks)
    passages = read_passages(given)
    return Sample(
        output=output if passages is None else replace(output, passages=passages),
        input=given.get("input"),
        reference=read_reference(given),
        relevant=read_relevant(given.get("relevant")),
        case=f"score/{name}::{row.id}",
        rival=rival,
    )


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")
