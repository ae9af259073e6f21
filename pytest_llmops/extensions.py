"""Features that are installed, ours and those of other distributions, by the hooks of `hookspecs.py`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import EntryPoints, entry_points
from typing import Any, cast

import pluggy

from pytest_llmops import hookspecs
from pytest_llmops.errors import LLMOpsError, describe_error


class FeatureError(LLMOpsError):
    """An installed feature cannot be loaded, or one of its hooks broke."""

    def __init__(self, feature: str, reason: str) -> None:
        point = next(iter(installed(hookspecs.GROUP).select(name=feature)))
        package = f" of {point.dist.name}" if point.dist else ""
        super().__init__(f"the feature {feature}{package} ({point.value}) is broken: {reason}")


def call_hook(name: str, kind: type, **arguments: Any) -> Iterator[tuple[str, Any]]:
    """
    Call a hook in each feature that has it, and yield the feature's name with each result that is not None.

    Args:
        kind: The type that a result must have.

    Raises:
        FeatureError: A feature cannot be loaded, its hook raised, or returned a value of another type.
    """
    hook: pluggy.HookCaller = getattr(_load_features().hook, name)
    for implementation in reversed(hook.get_hookimpls()):
        feature = implementation.plugin_name
        try:
            result = implementation.function(**{key: arguments[key] for key in implementation.argnames})
        except LLMOpsError:
            raise
        except (Exception, SystemExit) as error:
            raise FeatureError(feature, f"{name} raised {describe_error(error)}") from error
        if result is None:
            continue
        if not isinstance(result, kind):
            shown = type(result).__name__
            raise FeatureError(feature, f"{name} returned a value of type {shown}, not {kind.__name__}")
        yield feature, result


def installed(group: str) -> EntryPoints:
    """Return the entry points of a group."""
    return _all_points().select(group=group)


@lru_cache(maxsize=1)
def _all_points() -> EntryPoints:
    return cast("EntryPoints", entry_points())  # reads a file of each distribution that is installed


@lru_cache(maxsize=1)
def _load_features() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    for point in installed(hookspecs.GROUP):
        if manager.has_plugin(point.name):
            raise FeatureError(point.name, "two distributions have a feature of this name")
        try:
            manager.register(point.load(), name=point.name)
            manager.check_pending()
        except (Exception, SystemExit) as error:
            raise FeatureError(point.name, describe_error(error)) from error
    return manager
