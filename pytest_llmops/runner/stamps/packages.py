"""Versions of the packages that the app imports, and of Python."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version


def stamp_packages(modules: Iterable[str]) -> dict[str, str]:
    """
    Return `package:NAME` to its version.

    Args:
        modules: Imported names, `yaml` or `google.genai`. One is left out where neither a distribution of
            that name nor the loaded module tells its version.
    """
    stamps = {"package:python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for module in modules:
        for name in (module, module.partition(".")[0]):
            if found := _version_of(name) or _own_version(name):
                stamps[f"package:{name.replace('.', '-')}"] = found
                break
    return stamps


@lru_cache(maxsize=1_024)
def _version_of(module: str) -> str:
    try:
        return version(module.replace(".", "-"))
    except (PackageNotFoundError, ValueError):
        return ""


def _own_version(module: str) -> str:
    loaded = getattr(sys.modules.get(module), "__version__", "")
    return loaded if isinstance(loaded, str) else ""
