"""`run_golden`: one golden file from a script, without pytest and without verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pytest_llmops.evaluation.conclusion import sum_up
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.gates.copies import leave_out_copies
from pytest_llmops.gates.suite_channel.verdicts import watch_means
from pytest_llmops.protocols import App
from pytest_llmops.records import Golden, Run
from pytest_llmops.runner.app.call_notes import describe_calls, describe_remote
from pytest_llmops.runner.app.routing import route_through
from pytest_llmops.runner.readiness import app_path
from pytest_llmops.settings import Settings


def run_golden(  # noqa: PLR0913 - the public door
    golden: Golden,
    app: App | None = None,
    *,
    baseline: Run | None = None,
    repeats: int | Literal["auto"] | None = None,
    settings: Settings | None = None,
    problems: list[str] | None = None,
) -> Run:
    """
    Call the app with every case of a golden file and score its outputs.

    Args:
        app: The app under test; by default the one that the settings or the golden file name.
        baseline: The run that `compare` will compare this one with; with repeats `auto` it decides on them.
        repeats: Runs of each case, unless it has a number of its own; `auto` runs it again only while a
            verdict is open. By default `auto` for cases that the baseline has, else once.
        settings: Plain defaults when None; a project file is read by `load_settings` only.
        problems: Gets sentences about records that could not be kept with the results.

    Raises:
        AppError: The app cannot be found. What it raises when called becomes a failure of its case.
    """
    settings = settings or Settings()
    settings = replace(settings, repeats=repeats or settings.repeats)
    baseline = baseline and leave_out_copies(baseline)
    golden = watch_means(golden, baseline)
    evaluation = Evaluation.open(settings, naming="give run_golden an app")
    try:
        evaluation.compare_with(BaselineSource(goldens=(golden,), base=baseline))
        with route_through():
            evaluation.run(app)
        results = evaluation.wait_for_all(golden)
        run = sum_up(evaluation, results)
        sentences = [*evaluation.all_problems(), *describe_calls([golden], results, baseline)]
        if app is None:
            sentences += describe_remote([(golden, app_path(golden, settings))], results)
        sentences += evaluation.all_errors()
        if problems is not None:
            problems += sentences
    finally:
        evaluation.close()
    return run
