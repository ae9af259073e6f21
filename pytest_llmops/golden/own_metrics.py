"""Custom metrics, which a project defines in its own files."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

from pytest_llmops.errors import MetricNameError, SettingsError, describe_error
from pytest_llmops.registry import registered_metrics
from pytest_llmops.settings import Settings

_imported: set[str] = set()

kept_metrics: set[str] = set()
"""Names that these files registered, which stay as long as the process, as their modules do."""


def import_metrics(settings: Settings) -> None:
    """
    Import the files and modules of the setting `metrics`, each once in a process, from the first checkout.

    Raises:
        SettingsError: A file or module is missing, or its code failed.
    """
    if settings.metrics and str(settings.root) not in sys.path:
        sys.path.insert(0, str(settings.root))  # as for the app, whose modules are there too
    for name in settings.metrics:
        if name not in _imported:
            known = registered_metrics()
            try:
                _import(name, settings.path(name))
            except MetricNameError:
                raise
            except (Exception, SystemExit) as error:
                message = (
                    f"the setting metrics names {name!r}, which cannot be imported: {describe_error(error)}"
                )
                raise SettingsError(message) from error
            _imported.add(name)
            kept_metrics.update(registered_metrics() - known)


def _import(name: str, path: Path) -> None:
    if not name.endswith(".py"):
        importlib.import_module(name)
        return
    module_name = name.removesuffix(".py").replace("/", ".")
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # so that a metric of it can be sent to another process and back
    spec.loader.exec_module(module)
