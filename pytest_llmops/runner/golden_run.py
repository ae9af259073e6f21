"""A golden run from end to end, without pytest; the plugin uses the same parts, item by item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pytest_llmops.errors import AppError
from pytest_llmops.gates.asking import Asking
from pytest_llmops.gates.drops import watch_means
from pytest_llmops.gates.thresholds import count_tests, suite_share
from pytest_llmops.models import cache
from pytest_llmops.protocols import App
from pytest_llmops.recorder import Recorder
from pytest_llmops.records import CaseResult, Golden, Run
from pytest_llmops.runner import process_end
from pytest_llmops.runner.app import resolve_app
from pytest_llmops.runner.asking import Asker
from pytest_llmops.runner.attribution import Attribution
from pytest_llmops.runner.budget import Budget
from pytest_llmops.runner.execution import Execution
from pytest_llmops.runner.failed_calls import describe_failed_calls
from pytest_llmops.runner.importing import importing
from pytest_llmops.runner.masking import seal_result, stand_in
from pytest_llmops.runner.readiness import check_ready, named_rival
from pytest_llmops.runner.rivals import Rival
from pytest_llmops.runner.rounds import ask_in_rounds
from pytest_llmops.runner.scoring import Scorer
from pytest_llmops.runner.signature import prompt_versions, sign_run
from pytest_llmops.runner.store import SharedStore
from pytest_llmops.runner.time_limit import TimeLimit
from pytest_llmops.runner.usage import sum_outputs, sum_usage
from pytest_llmops.runner.work import Work, plan
from pytest_llmops.settings import Settings
from pytest_llmops.traces import capture

_OF_COMMAND = "pass --app"
_OF_CALL = "give run_golden an app"


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
    Ask every case of a golden file and score the answers.

    Args:
        app: The app under test; by default the one that the settings or the golden file name.
        baseline: What `compare` will hold the run against; with repeats `auto` it decides on them.
        repeats: How often each case is run, unless it says so itself; `auto` runs it again only while a
            verdict is open. By default `auto` for cases that the baseline has, else once.
        settings: Plain defaults when None; a project file is read by `load_settings` only.
        problems: Gets sentences about what could not be kept beside the results.

    Raises:
        AppError: The app cannot be found. What it raises when asked becomes a failure of its case.
    """
    settings = settings or Settings()
    settings = replace(settings, repeats=repeats or settings.repeats)
    golden = watch_means(golden, baseline)
    budget = open_budget(settings)
    told: list[str] = []
    asking = open_asking(golden, [golden], baseline, settings)
    errors: list[str] = []
    with _guarded(errors):
        run = _run(golden, app, asking, settings, budget, told, errors)
    if problems is not None:
        problems.extend([*told, *errors, *tell_budget(budget)])
    return run


def run_goldens(  # noqa: PLR0913 - what the runs share, and what they leave
    goldens: Sequence[Golden],
    baseline: Run | None,
    settings: Settings,
    problems: list[str],
    *,
    errors: list[str] | None = None,
    store: SharedStore | None = None,
) -> list[Run]:
    """
    A run of each file, by the app that it names, on one budget.

    Args:
        problems: Gets sentences about what could not be kept beside the results.
        errors: Gets a sentence for each error of the suite, which is none of a case; `problems` when None.
        store: Holds what earlier processes of the same run finished, where it goes on in a new one.
    """
    errors = problems if errors is None else errors
    with _guarded(errors):
        for golden in goldens:
            asking = open_asking(golden, goldens, baseline, settings)
            with importing(golden, settings, store):
                named_app(golden, settings, otherwise=_OF_COMMAND)
            check_ready(golden, _plan(golden, settings, asking), settings, store)
        budget = open_budget(settings, store.ledger if store else None)
        runs = []
        for golden in goldens:
            asking = open_asking(golden, goldens, baseline, settings)
            runs.append(_run(golden, None, asking, settings, budget, problems, errors, store))
    problems += tell_budget(budget)
    return runs


def _run(  # noqa: PLR0913, PLR0917 - what a run needs, opened
    golden: Golden,
    app: App | None,
    asking: Asking,
    settings: Settings,
    budget: Budget | None,
    problems: list[str],
    errors: list[str],
    store: SharedStore | None = None,
) -> Run:
    attribution = Attribution()
    with importing(golden, settings, store):
        app = named_app(golden, settings, otherwise=_OF_CALL) if app is None else app
    works = _plan(golden, settings, asking)
    check_ready(golden, works, settings, store)
    prompts = prompt_versions([golden], settings.root)
    recorder = open_recorder(settings, budget)
    rival = open_rival(golden, settings, lambda rival: open_asker(rival, recorder, settings))
    execution = open_execution(
        open_asker(app, recorder, settings, prompts), settings, rival=rival, store=store, budget=budget
    )

    def fetch(works: Sequence[Work]) -> list[CaseResult]:
        futures = [execution.submit(work) for work in works]
        return [future.result() for future in futures]

    try:
        results = ask_in_rounds(works, fetch, asking, lambda: budget is None or budget.may_go_on())
    finally:
        execution.close()
        recorder.uninstall()
    problems.extend([*recorder.problems, *recorder.tell_beside(), *attribution.warnings()])
    problems.extend(describe_failed_calls([golden], results.values()))
    errors.extend(attribution.errors(recorder))
    return make_run([golden], results.values(), settings)


@contextmanager
def _guarded(errors: list[str]) -> Iterator[None]:
    """Whoever would end the process is kept from it; what no case can be told of is an error of the suite."""
    process_end.install()
    try:
        yield
    finally:
        errors.extend(process_end.take_strays())
        process_end.uninstall()


def _plan(golden: Golden, settings: Settings, asking: Asking) -> list[Work]:
    return plan(golden, settings.repeats, settings.max_repeats, asking.base)


def open_asking(
    golden: Golden, goldens: Sequence[Golden], baseline: Run | None, settings: Settings
) -> Asking:
    """
    What decides on further repeats of the cases of one golden file.

    Args:
        goldens: All that the run has: they share one error budget.
    """
    return Asking(
        base={result.case: result for result in baseline.results} if baseline else {},
        suite={golden.path: golden.suite},
        most=settings.max_repeats,
        tests=count_tests(goldens),
        share=suite_share(goldens),
        explores=settings.repeats == "auto" or any(case.repeats == "auto" for case in golden.cases),
        goldens=(golden,),
    )


def open_budget(settings: Settings, file: Path | None = None) -> Budget | None:
    """The budget that the settings name; `file` is shared by the processes of a session."""
    if not settings.budget:
        return None
    budget = Budget.read(settings.budget, settings.prices, file)
    return None if settings.record == "none" else budget  # which makes no call that could cost anything


def tell_budget(budget: Budget | None) -> list[str]:
    """A sentence for the summary where a budget ended the run's repeats."""
    if budget is None or not budget.ended:
        return []
    return [f"the budget is spent: {budget.describe()}; verdicts that were open then stay so"]


def named_app(golden: Golden, settings: Settings, *, otherwise: str) -> App:
    """
    The app by its import path: the settings' weighs more than the golden file's.

    Args:
        otherwise: How else an app is named where the run was begun, for the message of one that is not.

    Raises:
        AppError: None is named, or it cannot be imported.
    """
    path = settings.app or golden.app
    if path is None:
        raise AppError(
            f"{golden.path} names no app"
            + (", and a .jsonl file cannot" if golden.path.endswith(".jsonl") else "")
            + f"; {otherwise}"
            + ("" if golden.path.endswith(".jsonl") else ", or write `app: module:attribute` into it")
        )
    return resolve_app(path, settings.root)


def open_rival(golden: Golden, settings: Settings, ask: Callable[[App], Asker]) -> Rival | None:
    """
    The rival that the golden file names, if it does.

    Args:
        ask: Makes what asks it.

    Raises:
        AppError: It cannot be imported.
    """
    rival = named_rival(golden, settings)
    return None if rival is None or golden.rival is None else Rival(path=golden.rival, asker=ask(rival))


def open_recorder(settings: Settings, budget: Budget | None = None) -> Recorder:
    """The recorder of this process, listening; to be uninstalled at the end."""
    home = settings.path(settings.home)
    _make_home(home)
    cache.use_cache(home / "cache")
    recorder = Recorder(
        committed=settings.path(settings.cassettes),
        local=home / "cassettes",
        mode=settings.record,
        redact=stand_in,
        purse=budget,
    )
    recorder.install()
    return recorder


def _make_home(home: Path) -> None:
    """A new working folder says itself that it is not for git; one that is there is left as it is."""
    with suppress(OSError):  # there already, or nothing can be written, which is told where it matters
        home.mkdir(parents=True)
        (home / ".gitignore").write_text("*\n", encoding="utf-8")


def open_asker(
    app: App, recorder: Recorder, settings: Settings, prompts: Mapping[str, str] | None = None
) -> Asker:
    """What asks one app; its spans are listened to from now on."""
    capture.install()
    return Asker(
        app=app,
        recorder=recorder,
        timeout_s=settings.timeout_s,
        prices=settings.prices,
        prompts=prompts or {},
    )


def open_execution(  # noqa: PLR0913 - what a process has of a session's
    asker: Asker,
    settings: Settings,
    *,
    rival: Rival | None = None,
    scorer: Scorer | None = None,
    store: SharedStore | None = None,
    budget: Budget | None = None,
) -> Execution:
    """Cases of one app, ready to be submitted; to be closed at the end."""
    return Execution(
        asker=asker,
        rival=rival,
        scorer=scorer or Scorer(here=TimeLimit(settings.timeout_s)),
        concurrency=settings.concurrency,
        seal=seal_result,
        store=store,
        budget=budget,
    )


def make_run(
    goldens: Sequence[Golden],
    results: Iterable[CaseResult],
    settings: Settings,
) -> Run:
    """The results with what made them, ready to be written."""
    results = sorted(results, key=lambda result: result.case)
    return Run(
        signature=sign_run(goldens, results, app=settings.app, root=settings.root, repeats=settings.repeats),
        results=tuple(results),
        suite={golden.path: golden.suite for golden in goldens},
        usage=sum_outputs(results),
    )


def merge_runs(runs: Sequence[Run]) -> Run:
    """Runs of different golden files as one."""
    return Run(
        signature={name: value for run in runs for name, value in run.signature.items()},
        results=tuple(result for run in runs for result in run.results),
        suite={path: checks for run in runs for path, checks in run.suite.items()},
        usage=sum_usage(run.usage for run in runs),
    )
