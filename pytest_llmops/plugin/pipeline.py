"""
What the pipeline requested, read before any code of the project can change it.

A conftest or the app may set `PYTEST_ADDOPTS` or `GIT_DIR` while it is imported. Neither may give a change
the permission that only the pipeline has, nor have it compared with another repository.
"""

from __future__ import annotations

import os
import shlex
from contextlib import suppress

import pytest

from pytest_llmops.plugin import LOOSEN
from pytest_llmops.revision.git import pin_environment

_FLAGS = pytest.StashKey[tuple[str, ...]]()
_CHOOSING = ("-k", "-m", "--deselect", "--lf", "--last-failed", "--sw", "--stepwise", "--maxfail", "-x")


def read_pipeline(config: pytest.Config) -> None:
    """Keep the flags and the environment that the process was started with."""
    flags: list[str] = []
    with suppress(ValueError):  # an open quote, of which pytest itself speaks
        flags = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    config.stash[_FLAGS] = (*map(str, config.invocation_params.args), *flags)
    pin_environment(dict(os.environ))
    config.add_cleanup(lambda: pin_environment(None))


def may_loosen(config: pytest.Config) -> bool:
    """Whether the pipeline allows it: a flag in the repository's own settings does not count."""
    return LOOSEN in config.stash.get(_FLAGS, ())


def selects(config: pytest.Config) -> bool:
    """Whether the pipeline chose among the cases."""
    return any("::" in each or each.startswith(_CHOOSING) for each in config.stash.get(_FLAGS, ()))
