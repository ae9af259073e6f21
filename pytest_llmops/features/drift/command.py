"""`llmops drift BASE.json NEW.json`: 0 no drift, 1 a shown cause, 2 open or cannot tell, 3 broken."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from pytest_llmops.cli.typed import read_count
from pytest_llmops.detect.mask import stand_in_recorded
from pytest_llmops.errors import DriftError, ReviewError, RunFileError
from pytest_llmops.features.drift.canary import choose_canaries, find_endpoint, send_canaries
from pytest_llmops.features.drift.causes import Drift
from pytest_llmops.features.drift.finding import find_drift
from pytest_llmops.features.drift.report import drift_document, drift_json
from pytest_llmops.golden.reviews import load_reviews
from pytest_llmops.records import Run
from pytest_llmops.reports.document import write_terminal
from pytest_llmops.reports.files.baseline_file import load_base
from pytest_llmops.reports.files.run_file import load_run
from pytest_llmops.settings import find_root, load_settings

_EXIT_CODES = {"none": 0, "drift": 1, "open": 2}
_BROKEN = 3
_CANARIES = "20"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", metavar="BASE.json")
    parser.add_argument("new", metavar="NEW.json")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument(
        "--reviews", metavar="FILE", help="what people said of answers; default: golden/reviews.jsonl"
    )
    parser.add_argument(
        "--canary",
        metavar="N",
        nargs="?",
        const=_CANARIES,
        help=f"send N recorded chat calls again, at the endpoint's price; default: {_CANARIES}",
    )
    parser.set_defaults(do=_drift)


def _drift(given: argparse.Namespace) -> int:
    typed = given.canary
    count = 0 if typed is None else read_count("--canary", typed, "write it behind the files")
    try:
        new = load_run(given.new)
        drift = find_drift(load_base(given.base), new, reviews=load_reviews(_find_reviews(given.reviews)))
    except (DriftError, ReviewError, RunFileError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command talks to its user
        return _BROKEN
    if count:
        drift = _send_canaries(drift, new, count)
    if given.format == "json":
        print(json.dumps(drift_json(drift), indent=2))  # noqa: T201 - as above
    else:
        print("\n".join(write_terminal(drift_document(drift))))  # noqa: T201 - as above
    return _EXIT_CODES[drift.outcome]


def _find_reviews(typed: str | None) -> Path:
    if typed is None:
        settings = load_settings(find_root(Path.cwd()))
        return settings.path(settings.reviews)
    path = Path.cwd() / typed
    if not path.is_file():
        raise ReviewError(f"{typed}: there is no such file; reviews are made with: llmops review NEW.json")
    return path


def _send_canaries(drift: Drift, new: Run, count: int) -> Drift:
    settings = load_settings(find_root(Path.cwd()))
    folders = (settings.path(settings.home) / "cassettes", settings.path(settings.cassettes))
    endpoint = find_endpoint(os.environ, settings.timeout_s)
    return send_canaries(drift, choose_canaries(new, folders, count), endpoint, stand_in_recorded)
