"""`--llm-isolate`: the app in a process of its own, so that no end of it is the end of the run."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_llmops.errors import MissingExtraError
from pytest_llmops.plugin.distribution import is_worker

_RESTARTS = 30


def isolate(config: pytest.Config) -> None:
    """
    Give the session one worker of xdist, unless it has some: what ends a worker is an error of its case.

    To be called before xdist reads its options.

    Raises:
        UsageError: xdist is not installed.
    """
    if is_worker(config):
        return
    if not config.pluginmanager.hasplugin("xdist"):
        raise pytest.UsageError(str(MissingExtraError("--llm-isolate", "xdist")))
    option: Any = config.option
    if not option.numprocesses and not option.tx:
        option.numprocesses = 1
    if option.maxworkerrestart is None:
        option.maxworkerrestart = str(_RESTARTS)  # of one worker xdist replaces four, that is one deadly case
