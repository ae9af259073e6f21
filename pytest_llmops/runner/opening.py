"""What a run needs, opened by its settings: app, rival, recorder, budget and caller."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from pytest_llmops import cache
from pytest_llmops.detect.value_lists import forget_hidden
from pytest_llmops.errors import AppError
from pytest_llmops.protocols import App
from pytest_llmops.recorder import Recorder
from pytest_llmops.records import Golden
from pytest_llmops.runner.app.calls import AppCaller
from pytest_llmops.runner.app.importing import resolve_app
from pytest_llmops.runner.app.rivals import Rival
from pytest_llmops.runner.budget import Budget
from pytest_llmops.runner.readiness import named_rival
from pytest_llmops.settings import Settings
from pytest_llmops.traces import opentelemetry


def open_budget(settings: Settings, file: Path | None = None) -> Budget | None:
    """The budget that the settings name; `file` is shared by the processes of a session."""
    if not settings.budget:
        return None
    budget = Budget.read(settings.budget, settings.prices, file)
    return None if settings.record == "none" else budget  # which makes no call that could cost anything


def describe_budget(budget: Budget | None) -> list[str]:
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


def open_rival(golden: Golden, settings: Settings, make_caller: Callable[[App], AppCaller]) -> Rival | None:
    """
    The rival that the golden file names, if it does.

    Args:
        make_caller: Makes what calls it.

    Raises:
        AppError: It cannot be imported.
    """
    rival = named_rival(golden, settings)
    return (
        None if rival is None or golden.rival is None else Rival(path=golden.rival, caller=make_caller(rival))
    )


def open_recorder(settings: Settings, budget: Budget | None = None) -> Recorder:
    """The recorder of this process, listening; to be uninstalled at the end."""
    home = settings.path(settings.home)
    _make_home(home, settings.root)
    cache.use_cache(home / "cache")
    recorder = Recorder(
        committed=settings.path(settings.cassettes),
        local=home / "cassettes",
        mode=settings.record,
        budget=budget,
    )
    recorder.install()
    return recorder


def _make_home(home: Path, root: Path) -> None:
    """
    A working folder that only its owner may enter, for it holds what the app was asked and answered.

    A new one says itself that it is not for git. The project's own folder, or one above, keeps its mode.
    """
    with suppress(OSError):  # there already, or nothing can be written, which is reported where it matters
        home.mkdir(mode=0o700, parents=True)
        (home / ".gitignore").write_text("*\n", encoding="utf-8")
    with suppress(OSError):  # somebody else's
        if not root.resolve().is_relative_to(home.resolve()):
            home.chmod(0o700)


def close_shared() -> None:
    """Close what the runs of this process share; to be called with the last of them."""
    forget_hidden()
    if completion := sys.modules.get("pytest_llmops.judges.completion"):
        completion.close()  # an interrupted session waits for no judge


def open_caller(
    app: App, recorder: Recorder, settings: Settings, prompts: Mapping[str, str] | None = None
) -> AppCaller:
    """What calls one app; its spans are listened to from now on."""
    opentelemetry.install()
    return AppCaller(
        app=app,
        recorder=recorder,
        timeout_s=settings.timeout_s,
        prices=settings.prices,
        prompts=prompts or {},
        root=settings.root,
    )
