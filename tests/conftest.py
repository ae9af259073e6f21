"""What every folder of tests may use."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.warm import warmed

pytest_plugins = ["pytester"]
collect_ignore = [] if find_spec("playwright") else ["browser"]  # of `make browser` and `make interop`
# Else the runs of tests report there, or show less.
for name in ("CI", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_ACTIONS"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _forget_apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Modules that a test wrote are not the next one's, though half of the apps here are named `shop`."""
    known = set(sys.modules)
    yield
    written = tmp_path_factory.getbasetemp()
    for name in sys.modules.keys() - known:
        if written in Path(getattr(sys.modules[name], "__file__", None) or "/").parents:
            del sys.modules[name]


@pytest.fixture(scope="session")
def python() -> Iterator[str]:
    """The path of a Python whose processes have imported everything when they begin, but for `COLD`."""
    with warmed() as path:
        yield path


@pytest.fixture
def warm(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of Python that a test starts are started by `python`."""
    monkeypatch.setattr(sys, "executable", python)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """
    Twelve thousand tests are collected without looking for garbage, and no later look goes through them.

    Collecting takes a third less of the processor's time, in each worker.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
        # Tests rewrite a module within the resolution of its mtime, so stale bytecode would be used.
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """No test waits for ever. An ini key would be an error where only the app is installed."""
    if config.getoption("timeout", None) is None:
        for item in items:
            if isinstance(item, pytest.Function) and item.get_closest_marker("timeout") is None:
                # A chat model reads thousands of tokens of examples before its first answer.
                item.add_marker(pytest.mark.timeout(300 if item.get_closest_marker("live") else 60))


# A shell without job control ignores SIGINT for what it starts in the background, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

with suppress(ModuleNotFoundError):  # a golden run loads this too, where only the app is installed
    from hypothesis import HealthCheck, settings

    # How fast a busy machine draws, or builds its table of letters, says nothing of the code.
    patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("ci", patient, max_examples=25, derandomize=True)
    settings.register_profile("nightly", patient, max_examples=500)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
