"""The recorder of a process, and the working folder that its recordings lie in."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

from pytest_llmops import cache
from pytest_llmops.recorder import Recorder
from pytest_llmops.recorder.limits.controller import START
from pytest_llmops.recorder.limits.gate import Limits
from pytest_llmops.runner.budget import Budget
from pytest_llmops.settings import Settings


def open_recorder(settings: Settings, budget: Budget | None = None, shared: Path | None = None) -> Recorder:
    """
    Open the recorder of this process, listening; to be uninstalled at the end.

    Args:
        shared: Folder that the processes of the run share.
    """
    home = open_home(settings)
    recorder = Recorder(
        committed=settings.path(settings.cassettes),
        local=home / "cassettes",
        mode=settings.record,
        budget=budget,
    )
    start = START if settings.concurrency == "auto" else math.inf
    recorder.obey(Limits(start=start, patience_s=settings.timeout_s, shared=shared))
    recorder.install()
    return recorder


def open_home(settings: Settings) -> Path:
    """Return the working folder, made if it was not there, and with the cache of this process in it."""
    home = settings.path(settings.home)
    _make_home(home, settings.root)
    cache.use_cache(home / "cache")
    return home


def _make_home(home: Path, root: Path) -> None:
    """
    Make a working folder that only its owner may enter, for it holds inputs and answers of the app.

    A new one keeps itself out of git. The project's own folder, or one above, keeps its mode.
    """
    with suppress(OSError):  # there already, or nothing can be written, which is reported where it matters
        home.mkdir(mode=0o700, parents=True)
        (home / ".gitignore").write_text("*\n", encoding="utf-8")
    with suppress(OSError):  # somebody else's
        if not root.resolve().is_relative_to(home.resolve()):
            home.chmod(0o700)
