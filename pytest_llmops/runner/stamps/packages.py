"""Versions of the packages that the app imports, and of Python."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

_VERSION = re.compile(r"^Version: *(\S+)", re.MULTILINE)


def stamp_packages(modules: Iterable[str]) -> dict[str, str]:
    """
    Return `package:NAME` to its version.

    Args:
        modules: Imported names, `yaml` or `google.genai`. One is left out where neither a distribution of
            that name nor the loaded module tells its version.
    """
    stamps = {"package:python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for module in modules:
        for name in dict.fromkeys((module, module.partition(".")[0])):
            if known := _version_of(name.replace(".", "-")) or _own_version(name):
                stamps[f"package:{name.replace('.', '-')}"] = known
                break
    return stamps


def restamp_package(name: str) -> dict[str, str]:
    """
    Return the stamp of a package that this process may not have imported; empty where it is not installed.

    Args:
        name: As a stamp has it.
    """
    stamps = stamp_packages([name])
    if (stamp := f"package:{name}") not in stamps:
        versions = {_version_of(part) for part in _installed().get(name, ())}
        if len(versions) == 1:  # of several that share a name nobody knows which one it was
            stamps[stamp] = versions.pop()
    return stamps


@lru_cache(maxsize=1)
def _installed() -> Mapping[str, Sequence[str]]:
    """The distributions of each module, which takes a look at all that are installed."""
    return packages_distributions()


@lru_cache(maxsize=1_024)
def _version_of(name: str) -> str:
    try:
        metadata = distribution(name).read_text("METADATA") or ""
    except (PackageNotFoundError, ValueError):
        return ""
    match = _VERSION.search(metadata)  # a tenth of the time of parsing it as a message
    return match[1] if match else ""


def _own_version(module: str) -> str:
    loaded = getattr(sys.modules.get(module), "__version__", "")
    return loaded if isinstance(loaded, str) else ""
