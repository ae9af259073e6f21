"""
One frozen `Settings` from flags, ini keys and `[tool.pytest-llmops]`, in that order of weight.

The names are the same everywhere: `timeout_s` in the table is `llm_timeout_s` in an ini file and
`--llm-timeout-s` on the command line, where there is such a flag.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from pytest_llmops.errors import SettingsError, hint

RecordMode = Literal["none", "once", "new", "all"]
Leniency = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    How a run is made.

    Attributes:
        root: The project's folder; every relative path below starts here.
        golden: Files or folders with golden files.
        app: `module:attribute`; overrides what golden files say.
        concurrency: Cases that may be in work at once, in each process.
        timeout_s: Time limit of one repeat of a case, in seconds.
        record: How cassettes are used, as in pytest-recording.
        repeats: How often each case is asked, unless it says so itself.
        baseline: A run file to compare with.
        out: Where the run file goes.
        home: Our working folder: runs, cache, traces. Never committed.
        cassettes: Committed cassettes, of endpoints that cost money.
        prices: Model to US dollars for a million prompt and completion tokens.
        undecided: What an undecided verdict does to the build.
        known_failures: What a case that failed in the baseline too does to the build.
    """

    root: Path = field(default_factory=Path.cwd)
    golden: tuple[str, ...] = ("golden/",)
    app: str | None = None
    concurrency: int = 150
    timeout_s: float = 120.0
    record: RecordMode = "new"
    repeats: int = 1
    baseline: str | None = None
    out: str | None = None
    home: str = ".llmops"
    cassettes: str = "golden/cassettes"
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    undecided: Leniency = "warn"
    known_failures: Leniency = "warn"

    def path(self, relative: str) -> Path:
        """A path from the settings, taken from the project's root."""
        return self.root / relative


def find_root(start: Path) -> Path:
    """The nearest folder upwards that holds a project's file, as pytest finds it; else the start."""
    for folder in (start, *start.parents):
        if any(
            (folder / name).is_file() for name in ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg")
        ):
            return folder
    return start


def load_settings(root: Path, *overrides: tuple[str, Mapping[str, Any]]) -> Settings:
    """
    Settings of the project at `root`.

    Args:
        root: Folder whose `pyproject.toml` may hold `[tool.pytest-llmops]`.
        overrides: (where it was written, name → value), weakest first; None values are skipped.

    Raises:
        SettingsError: An unknown name or a value that cannot be, with the place it was written.
    """
    values: dict[str, Any] = {}
    for origin, table in (("[tool.pytest-llmops]", _table(root)), *overrides):
        for name, value in table.items():
            if value is not None:
                values[name] = _checked(name, value, origin)
    return Settings(root=root, **values)


def _table(root: Path) -> Mapping[str, Any]:
    path = root / "pyproject.toml"
    if not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        if "pytest-llmops" not in text:
            return {}
        import tomllib

        tools = tomllib.loads(text).get("tool", {})
    except (OSError, ValueError) as error:  # bytes that are no UTF-8 and text that is no TOML among them
        raise SettingsError(f"{path}: {error}") from None
    table = tools.get("pytest-llmops", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: [tool.pytest-llmops] must be a table")
    return table


def _checked(name: str, value: Any, origin: str) -> Any:
    known = [each.name for each in fields(Settings) if each.name != "root"]
    if name not in known:
        raise SettingsError(f"{origin}: no setting is named {name!r}.{hint(name, known)}")
    choices = {
        "record": RecordMode, "undecided": Leniency, "known_failures": Leniency,
    }  # fmt: skip
    if name in choices:
        allowed = get_args(choices[name])
        if value not in allowed:
            near = hint(str(value), allowed)
            raise SettingsError(f"{origin}: {name} is one of {', '.join(allowed)}, not {value!r}.{near}")
        return value
    if name in {"concurrency", "repeats", "timeout_s"}:
        return _positive(name, value, origin, whole=name != "timeout_s")
    if name == "golden":
        return _paths(value, origin)
    if name == "prices":
        return _prices(value, origin)
    if not isinstance(value, str):
        raise SettingsError(f"{origin}: {name} must be text, not {value!r}")
    return value


def _paths(value: Any, origin: str) -> tuple[str, ...]:
    paths = [value] if isinstance(value, str) else value
    if (
        not isinstance(paths, list | tuple)
        or not paths
        or not all(isinstance(path, str) and path for path in paths)
    ):
        raise SettingsError(f"{origin}: golden must be a path or a list of paths, not {value!r}")
    return tuple(paths)


def _positive(name: str, value: Any, origin: str, *, whole: bool) -> float:
    try:
        number = int(value) if whole else float(value)
    except (OverflowError, TypeError, ValueError):
        number = 0
    cut = whole and isinstance(value, float) and number != value
    if cut or not 0 < number < math.inf or isinstance(value, bool):
        kind = "a whole number above 0" if whole else "a number of seconds above 0"
        raise SettingsError(f"{origin}: {name} must be {kind}, not {value!r}")
    return number


def _prices(value: Any, origin: str) -> Mapping[str, tuple[float, float]]:
    if isinstance(value, Mapping) and all(map(_is_pair, value.values())):
        return {
            str(model): (float(prompt), float(completion)) for model, (prompt, completion) in value.items()
        }
    raise SettingsError(
        f"{origin}: prices must map a model to [prompt, completion] in US dollars for a million tokens, "
        f'for example "gpt-4o-mini" = [0.15, 0.60]; not {value!r}'
    )


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and [
        type(each) in {int, float} and 0 <= each < math.inf for each in value
    ] == [True, True]
