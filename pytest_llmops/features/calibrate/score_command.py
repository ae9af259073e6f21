"""`llmops score METRIC FILE.jsonl`: a score a line. Exit 3 when some row could not be scored."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from pytest_llmops.cli.typed import refuse_overwriting
from pytest_llmops.detect.mask import mask, mask_secrets
from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.errors import MetricOptionError, hint
from pytest_llmops.features.calibrate.rows import Row, RowError, check_rows, number_repeats, read_rows
from pytest_llmops.features.calibrate.scoring import make_metric, score_rows, stem_of
from pytest_llmops.judges.pairwise import win_rate
from pytest_llmops.printable import counted, printable
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import Failure, Score
from pytest_llmops.registry import metric_options
from pytest_llmops.reports.files.json_file import dump_json
from pytest_llmops.settings import Settings, find_root, load_settings

UNSCORED = 3
"""Exit code where some row could not be scored."""

_LISTED = 3
_UNCALLED = "none"  # the model of a judge that is never called


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("metric", metavar="METRIC")
    parser.add_argument(
        "file", metavar="FILE.jsonl", help="id, input, output, reference, contexts …; - reads stdin"
    )
    parser.add_argument("--out", metavar="FILE", help="write the scores here; default: to the terminal")
    parser.add_argument(
        "--repeats", action="store_true", help="rows of one id are repeats of a case; else they are an error"
    )
    add_metric_options(parser)
    parser.set_defaults(do=_score, prints_data=True)


def add_metric_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the metric and of its model calls."""
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=JSON",
        help="an option of the metric, as in a check; may be repeated",
    )
    parser.add_argument("--judge", metavar="MODEL", help="the chat model that judges")
    parser.add_argument("--record", metavar="MODE", help="model calls: none, once, new (default) or all")


def open_metric(arguments: argparse.Namespace, *, stored: bool = False) -> tuple[Metric, Settings]:
    """
    The metric that the command line names, and the settings.

    Args:
        stored: The scores are there already, so no judge is called, and none has to be named.
    """
    settings = load_settings(find_root(Path.cwd()), ("command line, flags --…", {"record": arguments.record}))
    options = _read_options(arguments.option)
    if arguments.judge is not None:
        named = options.get("judge", settings.judge)
        options["judge"] = {**(named if isinstance(named, dict) else {}), "model": arguments.judge}
    if stored and not settings.judge and not {"judge", "panel"} & options.keys():
        options |= {"judge": {"model": _UNCALLED}} if "judge" in metric_options(arguments.metric) else {}
    return make_metric(arguments.metric, options, settings), settings


def _read_options(typed: Sequence[str]) -> dict[str, Any]:
    """`k=5`, `rubric=support`: a value is JSON, and text where it is none."""
    options: dict[str, Any] = {}
    for option in typed:
        name, sign, value = option.partition("=")
        if not sign or not name:
            raise MetricOptionError(f"--option takes NAME=JSON, such as k=5, not {option!r}")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def read_input(path: str) -> bytes:
    """The bytes of a file, or of the standard input for `-`."""
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        near = hint(Path(path).name, [other.name for other in Path(path).parent.glob("*.jsonl")])
        raise RowError([f"{path}: there is no such file.{near}"]) from None


def rows_of(data: bytes, path: str) -> list[Row]:
    shown = "standard input" if path == "-" else path
    try:
        return read_rows(data.decode("utf-8-sig"), shown)
    except UnicodeDecodeError as error:
        raise RowError([f"{shown}: byte {error.start} is no UTF-8"]) from None


def _score(arguments: argparse.Namespace) -> int:
    refuse_overwriting(arguments.out, arguments.file)
    metric, settings = open_metric(arguments)
    rows = rows_of(read_input(arguments.file), arguments.file)
    numbers = number_repeats(rows) if arguments.repeats else None
    if numbers is None:
        check_rows(rows, "give it another, or pass --repeats where rows of one id are repeats of a case")
    problems: list[str] = []
    results = score_rows(metric, rows, stem_of(arguments.file), settings, numbers=numbers, problems=problems)
    text = "".join(
        f"{dump_json(_line(row, result, metric.name, numbers[at] if numbers else None))}\n"
        for at, (row, result) in enumerate(zip(rows, results, strict=True))
    )
    if arguments.out:
        write_atomically(Path(arguments.out), text.encode())
    else:
        print(text, end="")  # noqa: T201 - a command talks to its user

    values = [result.value for result in results if isinstance(result, Score)]
    lines = [f"{len(values)} of {counted(len(rows), 'row')} scored by {metric.name}"]
    if values:
        lines.append(f"mean {sum(values) / len(values):.4g}, from {min(values):.4g} to {max(values):.4g}")
    if values and (traits := traits_of(metric)).compares and traits.basis == "judge":
        rate, low, high = win_rate(_average_cases(rows, results))
        lines.append(f"win rate {rate:.3f} ({low:.3f} to {high:.3f})")
    print("; ".join(lines), file=sys.stderr)  # noqa: T201 - as above
    print_unscored(rows, results, problems)
    return 0 if len(values) == len(rows) else UNSCORED


def _average_cases(rows: Sequence[Row], results: Sequence[Score | Failure]) -> list[float]:
    """A value a case, since repeats of one case are not independent of each other."""
    values: dict[str, list[float]] = {}
    for row, result in zip(rows, results, strict=True):
        if isinstance(result, Score):
            values.setdefault(row.id, []).append(result.value)
    return [fmean(repeats) for repeats in values.values()]


def print_unscored(
    rows: Sequence[Row], results: Sequence[Score | Failure], problems: Sequence[str] = ()
) -> None:
    """Print the first rows without a score, with their errors, and further problems to the error stream."""
    broken = [(row, result) for row, result in zip(rows, results, strict=True) if isinstance(result, Failure)]
    for row, failure in broken[:_LISTED]:
        print(f"{row.place}: not scored: {printable(mask(failure.error), 300)}", file=sys.stderr)  # noqa: T201 - as above
    if len(broken) > _LISTED:
        print(f"and {counted(len(broken) - _LISTED, 'more row')} not scored", file=sys.stderr)  # noqa: T201 - as above
    for problem in problems:
        print(printable(problem), file=sys.stderr)  # noqa: T201 - as above


def _line(row: Row, result: Score | Failure, metric: str, repeat: int | None) -> dict[str, Any]:
    case: dict[str, Any] = {"id": row.id} if repeat is None else {"id": row.id, "repeat": repeat}
    if isinstance(result, Failure):
        return {**case, "metric": metric, "error": mask(result.error)}
    texts = {"reason": result.reason, "evidence": list(result.evidence)}
    return {
        **case,
        "metric": metric,
        "value": result.value,
        **{name: mask_secrets(text) for name, text in texts.items()},
        "signature": result.signature,
    }
