"""Imports the app under test by the path that names it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import AppError, describe_error, hint
from pytest_llmops.printable import printable, with_article
from pytest_llmops.protocols import App
from pytest_llmops.runner.app.printed import collect_outside
from pytest_llmops.runner.app.process_end import describe, noting
from pytest_llmops.runner.app.tracebacks import describe_traceback, find_crash

_ERROR = 1_200  # characters


def resolve_app(path: str, root: Path) -> App:
    """
    Import the callable that `module:attribute` names; modules of the project's root can be named.

    Raises:
        AppError: The module cannot be imported, has no such attribute, or it cannot be called.
    """
    module_name, colon, attribute = path.partition(":")
    if "://" in path:
        raise AppError(
            f"the app {path!r}: a URL is not a module:attribute; that of an app begins with http:// or https://"
        )
    if not colon or not module_name or not attribute:
        raise AppError(f"the app {path!r} must be written module:attribute, such as shop.bot:answer")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    with noting() as ended:
        app: Any = _import(path, module_name, root)
    if ended:
        raise AppError(f"the app {path!r} cannot be imported: {describe(ended)}")
    for name in attribute.split("."):
        if not hasattr(app, name):
            raise AppError(f"the app {path!r}: {module_name} has no {name!r}.{hint(name, dir(app))}")
        app = getattr(app, name)
    if not callable(app):
        raise AppError(f"the app {path!r} is {with_article(type(app).__name__)}, which cannot be called")
    resolved: App = app
    return resolved


def _import(path: str, module_name: str, root: Path) -> Any:
    try:
        with collect_outside():
            return importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an exit too, and a skip: else a module could end the run as a success
        raise AppError(_describe_import(path, module_name, error, root)) from error


def _describe_import(path: str, module_name: str, error: BaseException, root: Path) -> str:
    """Describe a failed import: in a sentence with file and line, then by the app's own traceback."""
    failed = f"the app {path!r} cannot be imported"
    if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
        return f"{failed}: no module is named {error.name!r} in {root} or the environment"
    traceback = describe_traceback(error)
    crash = find_crash(traceback)
    place = f" at {crash[0]}:{crash[1]}" if crash else ""
    why = "its module ends the process:" if isinstance(error, SystemExit) else "importing it raised"
    raised = printable(mask(describe_error(error)), _ERROR)
    return f"{failed}: {why} {raised}{place}" + (f"\n{traceback}" if traceback else "")
