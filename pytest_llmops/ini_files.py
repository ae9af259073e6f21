"""Our settings in the file from which pytest takes its own, of a revision that no pytest has read."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from configparser import ConfigParser, Error
from pathlib import Path
from typing import Any

from pytest_llmops.errors import SettingsError
from pytest_llmops.settings import SETTINGS, read_toml

INI_FILES = (
    "pytest.toml",
    ".pytest.toml",
    "pytest.ini",
    ".pytest.ini",
    "pyproject.toml",
    "tox.ini",
    "setup.cfg",
)
"""Files in which pytest looks for its settings, in this order."""

STRICT_XFAIL = ("strict_xfail", "xfail_strict", "strict")
"""Keys of pytest by which an unexpected pass fails: the first one that is set; an old pytest lacks some."""

_TRUE = ("1", "true", "yes", "on", "t", "y")


def read_ini(root: Path) -> tuple[str, dict[str, Any]]:
    """
    Return the name of the file from which pytest takes its settings, and ours in it; empty if there is none.

    Raises:
        SettingsError: The file cannot be read.
    """
    name, table = _find_pytest_table(root)
    ours = {key.removeprefix("llm_"): value for key, value in table.items() if key.startswith("llm_")}
    if isinstance(ours.get("golden"), str):
        ours["golden"] = shlex.split(ours["golden"])
    return name, {key: value for key, value in ours.items() if key in SETTINGS and value}


def read_addopts(root: Path) -> tuple[str, tuple[str, ...]]:
    """
    Return the name of the same file, and the flags that it adds to every run of pytest.

    Raises:
        SettingsError: The file cannot be read.
    """
    name, table = _find_pytest_table(root)
    written = table.get("addopts", ())
    if isinstance(written, list | tuple):
        return name, tuple(map(str, written))
    try:
        return name, tuple(shlex.split(str(written)))
    except ValueError:  # an open quote, which pytest reports
        return name, (str(written),)


def read_strict_xfail(root: Path) -> bool:
    """
    Return whether pytest fails what is expected to fail and passes; as its settings have it, without flags.

    Raises:
        SettingsError: The file cannot be read.
    """
    _, table = _find_pytest_table(root)
    written = (table.get(key) for key in STRICT_XFAIL)
    first = next((value for value in written if value is not None), False)
    return first if isinstance(first, bool) else str(first).strip().casefold() in _TRUE


def _find_pytest_table(root: Path) -> tuple[str, Mapping[str, Any]]:
    for name in INI_FILES:
        table = _pytest_table(root / name)
        if table is not None:
            return name, table
    return "", {}


def _pytest_table(path: Path) -> Mapping[str, Any] | None:
    """Return pytest's table of a file; None where pytest would look into the next one."""
    if not path.is_file():
        return None
    table: Any = read_toml(path) if path.suffix == ".toml" else _read_sections(path)
    parts = {"pyproject.toml": ("tool", "pytest"), "setup.cfg": ("tool:pytest",)}
    for part in parts.get(path.name, ("pytest",)):
        table = table.get(part) if isinstance(table, Mapping) else None
    if path.name == "pyproject.toml" and isinstance(table, Mapping):
        table = table.get("ini_options", table) or None
    always = path.name in {"pytest.ini", ".pytest.ini"}  # even without a section
    return table if isinstance(table, Mapping) else {} if always else None


def _read_sections(path: Path) -> Mapping[str, Any]:
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, Error) as error:
        raise SettingsError(f"{path}: {error}") from None
    return {name: dict(parser[name]) for name in parser.sections()}
