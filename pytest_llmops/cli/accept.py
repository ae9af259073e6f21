"""`llmops accept RUN.json`: write the baseline from a run. Exit 3 if no case of it can be accepted."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path

from pytest_llmops.errors import AcceptanceError, SettingsError
from pytest_llmops.evaluation.baseline import accepted_path, describe_missed, describe_short, find_gone
from pytest_llmops.gates.baseline import Acceptance, AcceptOptions
from pytest_llmops.gates.release import RELEASE, Release, describe_drift
from pytest_llmops.gates.renames import describe_renames
from pytest_llmops.golden.own_metrics import import_metrics
from pytest_llmops.printable import printable
from pytest_llmops.records import Run
from pytest_llmops.reports.files.baseline_file import (
    load_release,
    name_release,
    release_path,
    update_baseline,
)
from pytest_llmops.reports.files.run_file import load_run
from pytest_llmops.reports.terminal import count_named
from pytest_llmops.revision.revision import is_revision
from pytest_llmops.settings import NO_BASELINE, Settings, find_root, load_settings

_NOTHING_ACCEPTED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN.json")
    parser.add_argument("--all", action="store_true", help="take the run's scores of known cases, too")
    parser.add_argument(
        "--merge",
        action="store_true",
        help="add the run's repeats to those of known cases: runs of three days show how far a day is off",
    )
    parser.add_argument(
        "--prune", action="store_true", help="take out cases that no golden file has any more"
    )
    parser.add_argument(
        "--with-outputs",
        action="store_true",
        help="keep the answers' texts, so that scores can be made again; they get into the repository",
    )
    parser.add_argument(
        "--release",
        nargs="?",
        const="",
        metavar="NAME",
        help="keep the baseline as it is then as the release, which later runs are compared with as well; "
        "NAME is today's date by default",
    )
    parser.add_argument("--baseline", metavar="FILE", help="default: the one of the settings")
    parser.set_defaults(do=_accept)


def _accept(given: argparse.Namespace) -> int:
    if given.all and given.merge:
        raise SettingsError(
            "--all takes the run's scores instead of the baseline's, --merge adds them; take one"
        )
    settings = load_settings(find_root(Path.cwd()))
    path = _find_path(given.baseline, settings)
    run = load_run(given.run)
    try:
        options = AcceptOptions(
            replace=given.all,
            prune=given.prune,
            with_outputs=given.with_outputs,
            merge=given.merge,
            gone=find_gone(path, settings),
        )
        before = load_release(path)
        if before is not None:
            import_metrics(settings)  # it is compared on their scales
        acceptance = update_baseline(path, run, options)
    except AcceptanceError as error:
        print(f"{given.run}: {error}", file=sys.stderr)  # noqa: T201 - a command talks to its user
        return _NOTHING_ACCEPTED
    lines = _render(path, acceptance)
    if given.prune and "partial" in run.signature:
        lines.append("cases of golden files that exist were not pruned: the run has a part of them only")
    lines += _describe_release(before, acceptance, run, path, named=given.release is not None)
    if given.release is not None:
        release = name_release(path, given.release or datetime.now().astimezone().date().isoformat())
        former = f", in place of release {printable(before.name)}" if before is not None else ""
        lines.append(f"{release_path(path)}: release {printable(release.name)}{former}")
    print("\n".join(lines))  # noqa: T201 - as above
    return 0


def _find_path(typed: str | None, settings: Settings) -> Path:
    """Return the file to write; a typed path is relative to the working directory."""
    if typed is not None:
        if is_revision(typed) or typed == NO_BASELINE:
            raise SettingsError(f"--baseline {typed}: a baseline is written to a file; name one")
        return Path.cwd() / typed
    return accepted_path(settings)


def _render(path: Path, acceptance: Acceptance) -> list[str]:
    missed = describe_missed(len(acceptance.missed))
    fewer = "1 of these has" if len(acceptance.fewer) == 1 else f"{len(acceptance.fewer)} of these have"
    return [
        f"{path}: {'written' if acceptance.changed else 'nothing changed'}",
        count_named(acceptance.added, "added"),
        count_named(acceptance.replaced, "replaced"),
        *([describe_short(len(acceptance.short))] if acceptance.short else []),
        *(
            count_named(cases, f"of these not scored by {printable(metric)} any more, as they were before")
            for metric, cases in acceptance.unscored.items()
        ),
        *([f"{fewer} fewer repeats than before: record with --llm-repeats auto"] if acceptance.fewer else []),
        count_named(acceptance.edited, "edited, so taken anew: what they ask was changed"),
        *([f"of all that were taken, {missed.replace(' of them', '')}"] if missed else []),
        f"{len(acceptance.kept)} kept",
        count_named(
            acceptance.stale, "of these stale: a metric is new or scores otherwise; --all takes the run's"
        ),
        count_named(acceptance.unused, "unused: in no golden file any more; --prune takes them out"),
        count_named(acceptance.pruned, "pruned"),
        *filter(None, [describe_renames(acceptance.renamed)]),
        f"{len(acceptance.refused)} refused",
        *(f"  {printable(case)}: {printable(reason)}" for case, reason in acceptance.refused),
    ]


def _describe_release(
    release: Release | None, acceptance: Acceptance, run: Run, path: Path, *, named: bool
) -> list[str]:
    """Report how far the accepted means are from the release; where there is none, the way to one."""
    if named:
        return []
    if release is None:
        steps = "so a drop in small steps is not seen; --release NAME keeps this baseline as one"
        return [f"no release baseline beside {path.name}, {steps}"] if acceptance.replaced else []
    drift = describe_drift(release, run.suite, acceptance.baseline.results)
    message = (
        f"release {printable(release.name)} has no score that this baseline can be compared with: if its "
        "metrics are custom ones, name their files under `metrics` in the settings; else name a new release: "
        f"{RELEASE}"
    )
    return [drift or message]
