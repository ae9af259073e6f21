"""What every folder of tests may use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _forget_apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Modules that a test wrote are not the next one's, though half of the apps here are named `shop`."""
    known = set(sys.modules)
    yield
    written = tmp_path_factory.getbasetemp()
    for name in sys.modules.keys() - known:
        if written in Path(getattr(sys.modules[name], "__file__", None) or "/").parents:
            del sys.modules[name]


with suppress(ModuleNotFoundError):  # a golden run loads this too, where only the app is installed
    from hypothesis import HealthCheck, settings

    # How fast a busy machine draws, or builds its table of letters, says nothing of the code.
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
