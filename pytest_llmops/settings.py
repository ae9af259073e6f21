"""
One frozen `Settings` from flags, ini keys and `[tool.pytest-llmops]`, in that order of weight.

The names are the same everywhere: `timeout_s` in the table is `llm_timeout_s` in an ini file and
`--llm-timeout-s` on the command line, where there is such a flag.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from pytest_llmops.errors import SettingsError, hint

REVISION = "git:"
"""A baseline that begins so is one of a git revision."""

NO_BASELINE = "none"

MOST_REPEATS = 1000
"""Of a case, however they are asked for: more is a slip of the keyboard, and would never end."""

RecordMode = Literal["none", "once", "new", "all"]
Leniency = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    How a run is made.

    Attributes:
        root: The project's folder; every relative path below starts here.
        golden: Files or folders with golden files.
        collect: Whether pytest adds them to what it collects anyway.
        app: `module:attribute`; overrides what golden files say.
        concurrency: Cases that may be in work at once, in each process.
        timeout_s: Time limit of one repeat of a case, in seconds.
        record: How cassettes are used, as in pytest-recording.
        metrics: Files or modules that define metrics of the project's own.
        repeats: How often each case is run, unless it says so itself; `auto` runs it again only while a
            verdict is open. None is `auto` for cases that the baseline has, and one for others.
        max_repeats: The most that `auto` may ask a case.
        budget: What model calls may cost, `2.50` in US dollars or `500 calls`; looked at before each.
        baseline: What to compare with: a baseline or run file, `git:REF` for the merge base with it, or
            `none`. By default the accepted baseline, where there is one.
        accepted: Where an accepted baseline lies; `reviews` is the log of reviews.
        out: Where the run file goes.
        home: Our working folder: runs, cache, traces. Never committed.
        cassettes: Committed cassettes, of endpoints that cost money.
        judge: The chat model that judges answers where a golden file names none: `model`, `base_url`,
            `api_key_env` …
        calibration: Where the agreement of metrics with human labels is kept.
        prices: Model to US dollars for a million prompt and completion tokens.
        undecided: What an undecided verdict does to the build.
        known_failures: What a case that failed in the baseline too does to the build.
    """

    root: Path = field(default_factory=Path.cwd)
    golden: tuple[str, ...] = ("golden/",)
    collect: bool = False
    metrics: tuple[str, ...] = ()
    app: str | None = None
    concurrency: int = 150
    timeout_s: float = 120.0
    record: RecordMode = "new"
    repeats: int | Literal["auto"] | None = None
    max_repeats: int = 64
    budget: str | None = None
    baseline: str | None = None
    accepted: str = "golden/baseline.json"
    reviews: str = "golden/reviews.jsonl"
    out: str | None = None
    home: str = ".llmops"
    cassettes: str = "golden/cassettes"
    judge: Mapping[str, Any] = field(default_factory=dict)
    calibration: str = "golden/calibration.json"
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    undecided: Leniency = "warn"
    known_failures: Leniency = "warn"

    def path(self, relative: str) -> Path:
        """A path from the settings, taken from the project's root."""
        return self.root / relative


def typed_path(name: str, typed: str | None, folder: Path) -> str | None:
    """The value of a path setting given on the command line: it starts where it is typed."""
    if typed is None or (name == "baseline" and (typed == NO_BASELINE or typed.startswith(REVISION))):
        return typed
    return str(folder / typed)


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
        overrides: (where it was written, name → value), weakest first; None values are skipped. A place that
            ends in `--llm-…` is how names are written there.

    Raises:
        SettingsError: An unknown name or a value that cannot be, with the place it was written.
    """
    values: dict[str, Any] = {}
    for origin, table in (("[tool.pytest-llmops]", _table(root)), *overrides):
        for name, value in table.items():
            if value is not None:
                values[name] = _checked(name, value, origin)
    return Settings(root=root, **values)


INI_FILES = (
    "pytest.toml",
    ".pytest.toml",
    "pytest.ini",
    ".pytest.ini",
    "pyproject.toml",
    "tox.ini",
    "setup.cfg",
)
"""Where pytest looks for its settings, in this order."""


def read_ini(root: Path) -> tuple[str, dict[str, Any]]:
    """
    The name of the file that pytest takes its settings from, and what ours in it say; empty for none.

    A running plugin is told by pytest. This is for files of another revision, which no pytest has read.

    Raises:
        SettingsError: The file cannot be read.
    """
    known = {each.name for each in fields(Settings)} - {"root"}
    name, table = _find_pytest_table(root)
    ours = {key.removeprefix("llm_"): value for key, value in table.items() if key.startswith("llm_")}
    if isinstance(ours.get("golden"), str):
        ours["golden"] = shlex.split(ours["golden"])
    return name, {key: value for key, value in ours.items() if key in known and value}


def read_addopts(root: Path) -> tuple[str, tuple[str, ...]]:
    """
    The name of the same file, and the flags that it gives every run of pytest.

    Raises:
        SettingsError: The file cannot be read.
    """
    name, table = _find_pytest_table(root)
    written = table.get("addopts", ())
    if isinstance(written, list | tuple):
        return name, tuple(map(str, written))
    try:
        return name, tuple(shlex.split(str(written)))
    except ValueError:  # an open quote, of which pytest tells
        return name, (str(written),)


def _find_pytest_table(root: Path) -> tuple[str, Mapping[str, Any]]:
    for name in INI_FILES:
        table = _pytest_table(root / name)
        if table is not None:
            return name, table
    return "", {}


def _pytest_table(path: Path) -> Mapping[str, Any] | None:
    """What pytest would take from a file; None where it would look into the next one."""
    if not path.is_file():
        return None
    found: Any = _read_toml(path) if path.suffix == ".toml" else _read_sections(path)
    parts = {"pyproject.toml": ("tool", "pytest"), "setup.cfg": ("tool:pytest",)}
    for part in parts.get(path.name, ("pytest",)):
        found = found.get(part) if isinstance(found, Mapping) else None
    if path.name == "pyproject.toml" and isinstance(found, Mapping):
        found = found.get("ini_options", found) or None
    always = path.name in {"pytest.ini", ".pytest.ini"}  # even where it says nothing
    return found if isinstance(found, Mapping) else {} if always else None


def _table(root: Path) -> Mapping[str, Any]:
    path = root / "pyproject.toml"
    tools = _read_toml(path, "pytest-llmops").get("tool", {}) if path.is_file() else {}
    table = tools.get("pytest-llmops", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: [tool.pytest-llmops] must be a table")
    return table


def _read_toml(path: Path, word: str = "") -> Mapping[str, Any]:
    """What a file holds; nothing where the word is not in it."""
    try:
        text = path.read_text(encoding="utf-8")
        if word not in text:
            return {}
        import tomllib

        return tomllib.loads(text)
    except (OSError, ValueError) as error:  # bytes that are no UTF-8 and text that is no TOML among them
        raise SettingsError(f"{path}: {error}") from None


def _read_sections(path: Path) -> Mapping[str, Any]:
    from configparser import ConfigParser, Error

    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, Error) as error:
        raise SettingsError(f"{path}: {error}") from None
    return {name: dict(parser[name]) for name in parser.sections()}


def _checked(name: str, value: Any, origin: str) -> Any:
    known = [each.name for each in fields(Settings) if each.name != "root"]
    if name not in known:
        raise SettingsError(f"{origin}: no setting is named {name!r}.{hint(name, known)}")
    read: Callable[[Any, str], Any] = _READERS.get(name, _text)
    return read(value, _place(name, origin))


def _place(name: str, origin: str) -> str:
    """A setting as it is written there: `--llm-record`, `llm_record`, `pytest.ini: record`."""
    before, dots, _ = origin.rpartition("…")
    if not dots:
        return f"{origin}: {name}"
    prefix = before.rpartition(" ")[2]
    return f"{prefix}{name.replace('_', '-') if prefix.startswith('--') else name}"


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{place} must be text, not {value!r}")
    return value


def _choice(kind: Any, value: Any, place: str) -> Any:
    allowed = get_args(kind)
    if value not in allowed:
        near = hint(str(value), allowed)
        raise SettingsError(f"{place} must be one of {', '.join(allowed)}, not {value!r}.{near}")
    return value


def _switch(value: Any, place: str) -> bool:
    known = {True: True, False: False, "true": True, "false": False}
    if not isinstance(value, bool | str) or value not in known:
        raise SettingsError(f"{place} must be true or false, not {value!r}")
    return known[value]


def _repeats(value: Any, place: str) -> Any:
    return value if value == "auto" else _repeat_count(value, place)


def _repeat_count(value: Any, place: str) -> int:
    count = _count(value, place)
    if count > MOST_REPEATS:
        raise SettingsError(f"{place} must be {MOST_REPEATS} or less, not {value!r}")
    return count


def _budget(value: Any, place: str) -> str:
    return str(value) if type(value) in {int, float} else _text(value, place)


def _paths(value: Any, place: str) -> tuple[str, ...]:
    paths = [value] if isinstance(value, str) else value
    if (
        not isinstance(paths, list | tuple)
        or not paths
        or not all(isinstance(path, str) and path for path in paths)
    ):
        raise SettingsError(f"{place} must be a path or a list of paths, not {value!r}")
    return tuple(paths)


def _count(value: Any, place: str) -> int:
    number = _positive(int, value)
    if number is None or (isinstance(value, float) and number != value):
        raise SettingsError(f"{place} must be a whole number above 0, not {value!r}")
    return int(number)


def _seconds(value: Any, place: str) -> float:
    number = _positive(float, value)
    if number is None:
        raise SettingsError(f"{place} must be a number of seconds above 0, not {value!r}")
    return number


def _positive(kind: Callable[[Any], float], value: Any) -> float | None:
    try:
        number = kind(value)
    except (OverflowError, TypeError, ValueError):
        return None
    return number if 0 < number < math.inf and not isinstance(value, bool) else None


def _judge(value: Any, place: str) -> Mapping[str, Any]:
    judge = {"model": value} if isinstance(value, str) else value
    if not isinstance(judge, Mapping) or not isinstance(judge.get("model"), str) or not judge["model"]:
        raise SettingsError(
            f'{place} must name a model, for example {{model = "gpt-4o-mini"}}, not {value!r}'
        )
    return dict(judge)


def _prices(value: Any, place: str) -> Mapping[str, tuple[float, float]]:
    if isinstance(value, Mapping) and all(map(_is_pair, value.values())):
        return {
            str(model): (float(prompt), float(completion)) for model, (prompt, completion) in value.items()
        }
    raise SettingsError(
        f"{place} must map a model to [prompt, completion] in US dollars for a million tokens, "
        f'for example "gpt-4o-mini" = [0.15, 0.60]; not {value!r}'
    )


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and [
        type(each) in {int, float} and 0 <= each < math.inf for each in value
    ] == [True, True]


_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "golden": _paths,
    "metrics": _paths,
    "collect": _switch,
    "concurrency": _count,
    "timeout_s": _seconds,
    "record": partial(_choice, RecordMode),
    "repeats": _repeats,
    "max_repeats": _repeat_count,
    "budget": _budget,
    "judge": _judge,
    "prices": _prices,
    "undecided": partial(_choice, Leniency),
    "known_failures": partial(_choice, Leniency),
}
