"""Installed features, ours and those of other distributions, through the hooks of `hookspecs.py`."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import cast

import pluggy

from pytest_llmops import hookspecs
from pytest_llmops.errors import LLMOpsError, describe_error


class FeatureError(LLMOpsError):
    """An installed feature cannot be loaded."""

    def __init__(self, point: EntryPoint, reason: str) -> None:
        package = f" of {point.dist.name}" if point.dist else ""
        super().__init__(f"the feature {point.name}{package} ({point.value}) cannot be loaded: {reason}")


@lru_cache(maxsize=1)  # it reads a file of each installed distribution
def _all_points() -> EntryPoints:
    return cast("EntryPoints", entry_points())


def installed(group: str) -> EntryPoints:
    """Return the entry points of a group."""
    return _all_points().select(group=group)


@lru_cache(maxsize=1)
def hooks() -> pluggy.HookRelay:
    """
    Return the hooks of all installed features, each called by its name in `hookspecs.py`.

    Raises:
        FeatureError: A feature cannot be imported, or defines a hook that there is not.
    """
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    for point in installed(hookspecs.GROUP):
        try:
            manager.register(point.load(), name=point.name)
            manager.check_pending()
        except Exception as error:
            raise FeatureError(point, describe_error(error)) from error
    return manager.hook
