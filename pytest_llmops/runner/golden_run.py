"""A golden run from end to end, without pytest; the plugin uses the same parts, item by item."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from pytest_llmops.errors import AppError, MissingExtraError
from pytest_llmops.models import cache
from pytest_llmops.protocols import App
from pytest_llmops.recorder import Recorder
from pytest_llmops.records import CaseResult, Golden, Output, Run, Usage
from pytest_llmops.runner.app import resolve_app
from pytest_llmops.runner.asking import Asker
from pytest_llmops.runner.execution import Execution, plan
from pytest_llmops.runner.scoring import Scorer
from pytest_llmops.runner.signature import sign_run
from pytest_llmops.runner.store import SharedStore
from pytest_llmops.settings import Settings
from pytest_llmops.traces import capture
from pytest_llmops.traces.texts import rewrite


def run_golden(
    golden: Golden,
    app: App | None = None,
    *,
    repeats: int | None = None,
    settings: Settings | None = None,
) -> Run:
    """
    Ask every case of a golden file and score the answers.

    Args:
        app: The app under test; by default the one that the settings or the golden file name.
        repeats: How often each case is asked, unless it says so itself.
        settings: By default those of the current folder's project file are not read: plain defaults.

    Raises:
        AppError: The app cannot be found. What it raises when asked becomes a failure of its case.
    """
    settings = settings or Settings()
    app = app or named_app(golden, settings)
    recorder = open_recorder(settings)
    execution = open_execution(app, recorder, settings)
    try:
        futures = [execution.submit(work) for work in plan(golden, repeats or settings.repeats)]
        results = [future.result() for future in futures]
    finally:
        execution.close()
        recorder.uninstall()
    return make_run([golden], results, settings)


def named_app(golden: Golden, settings: Settings) -> App:
    """The app by its import path: the settings' weighs more than the golden file's."""
    path = settings.app or golden.app
    if path is None:
        raise AppError(
            f"{golden.path} names no app. Write `app: module:attribute` into it, pass --llm-app, "
            "or define the fixture llm_app in a conftest.py"
        )
    return resolve_app(path, settings.root)


def open_recorder(settings: Settings) -> Recorder:
    """The recorder of this process, listening; to be uninstalled at the end."""
    home = settings.path(settings.home)
    cache.use_cache(home / "cache")
    recorder = Recorder(
        committed=settings.path(settings.cassettes),
        local=home / "cassettes",
        mode=settings.record,
        redact=_stand_in,
    )
    recorder.install()
    return recorder


def open_execution(
    app: App,
    recorder: Recorder,
    settings: Settings,
    *,
    scorer: Scorer | None = None,
    store: SharedStore | None = None,
) -> Execution:
    """Cases of one app, ready to be submitted; to be closed at the end."""
    capture.install()
    asker = Asker(app=app, recorder=recorder, timeout_s=settings.timeout_s, prices=settings.prices)
    return Execution(
        asker=asker,
        scorer=scorer or Scorer(),
        concurrency=settings.concurrency,
        seal=mask_leaks,
        store=store,
    )


def make_run(goldens: Sequence[Golden], results: Iterable[CaseResult], settings: Settings) -> Run:
    """The results with what made them, ready to be written."""
    results = sorted(results, key=lambda result: result.case)
    return Run(
        signature=sign_run(goldens, results, app=settings.app, root=settings.root),
        results=tuple(results),
        suite={golden.path: golden.suite for golden in goldens},
        usage=total_usage(output for result in results for output in result.outputs),
    )


def merge_runs(runs: Sequence[Run]) -> Run:
    """Runs of different golden files as one."""
    return Run(
        signature={name: value for run in runs for name, value in run.signature.items()},
        results=tuple(result for run in runs for result in run.results),
        suite={path: checks for run in runs for path, checks in run.suite.items()},
        usage=total_usage(output for run in runs for result in run.results for output in result.outputs),
    )


def total_usage(outputs: Iterable[Output]) -> Usage:
    """The sum over outputs; None where a part is not known."""
    total = Usage()
    for usage in (output.usage for output in outputs):
        sums: dict[str, Any] = {}
        for each in dataclasses.fields(Usage):
            before, more = getattr(total, each.name), getattr(usage, each.name)
            sums[each.name] = None if before is None or more is None else before + more
        total = Usage(**sums)
    return total


def mask_leaks(result: CaseResult) -> CaseResult:
    """A result whose leak check found something holds masks in the places of what was found."""
    if not any(score.metric == "pii_leak" and score.value > 0 for score in result.scores):
        return result
    from pytest_llmops.models import pii

    scores = tuple(
        score if score.metric == "pii_leak" else replace(score, reason=pii.mask(score.reason), evidence=())
        for score in result.scores
    )
    return replace(result, outputs=tuple(map(_masked, result.outputs)), scores=scores)


def _masked(output: Output) -> Output:
    from pytest_llmops.models import pii

    def mask(label: str, text: str) -> str:
        return pii.mask(text, label=label)

    passages = output.passages
    return replace(
        output,
        text=pii.mask(output.text),
        passages=passages and tuple(replace(each, text=pii.mask(each.text)) for each in passages),
        tool_calls=tuple(
            replace(
                call,
                name=pii.mask(call.name),
                arguments=rewrite(call.arguments, mask),
                result=rewrite(call.result, mask),
            )
            for call in output.tool_calls
        ),
    )


def _stand_in(text: str) -> str:
    """What may be written to a cassette: with the extra `pii` nothing that Presidio finds."""
    from pytest_llmops.models import pii

    try:
        return pii.stand_in(text)
    except MissingExtraError:
        return text
