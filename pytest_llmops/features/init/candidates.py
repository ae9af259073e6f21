"""Functions of a project that may be its app, found without importing anything."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CALLED = ("answer", "ask", "chat", "respond", "reply")
"""Names of apps, the likeliest first, that are called without being named: they only answer."""

_NAMES = (*CALLED, "query", "invoke", "generate", "complete", "run")

_SKIPPED = {
    "tests",
    "test",
    "docs",
    "build",
    "dist",
    "node_modules",
    "site-packages",
    "golden",
    "venv",
    "env",
}
_ROUTES = {"get", "post", "put", "route", "websocket"}
_MOST_FILES = 2_000
_MOST_BYTES = 1_000_000  # of a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """
    Functions of a project that may be its app, the likeliest first.

    Attributes:
        apps: `module:function` of functions that take one argument.
        routes: `file:line` of handlers of a web framework, which cannot be called as they are.
    """

    apps: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()


def find_apps(root: Path) -> Candidates:
    """Search the Python files of a project for functions with the name and the argument of an app."""
    apps: list[tuple[int, str]] = []
    routes: list[str] = []
    for path in _list_files(root):
        for function in _list_functions(path):
            if _is_route(function):
                routes.append(f"{path.relative_to(root).as_posix()}:{function.lineno}")
            elif function.name in _NAMES and _takes_one(function) and _can_be_imported(path, root):
                apps.append((_NAMES.index(function.name), f"{_module(path, root)}:{function.name}"))
    return Candidates(apps=tuple(app for _, app in sorted(apps)), routes=tuple(routes))


def _list_files(root: Path) -> Iterator[Path]:
    left = _MOST_FILES
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED
            and not name.startswith(".")
            and not Path(folder, name, "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            if (
                name.endswith(".py")
                and Path(folder, name).is_file()
                and not name.startswith("test_")
                and name not in {"conftest.py", "setup.py"}
            ):
                yield Path(folder, name)
                left -= 1
                if not left:
                    return


def _list_functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the functions of a module; none where it is no Python that can be read."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _takes_one(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function can be called with one argument, and with no less."""
    given = function.args
    required = len(given.posonlyargs) + len(given.args) - len(given.defaults)
    return required == 1 and not any(default is None for default in given.kw_defaults)


def _is_route(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Attribute)
        and decorator.func.attr in _ROUTES
        for decorator in function.decorator_list
    )


def _can_be_imported(path: Path, root: Path) -> bool:
    return all(part.isidentifier() for part in _module(path, root).split("."))


def _module(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    parts = parts[1:] if parts[0] == "src" and len(parts) > 1 else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
