"""
Settings: the one list from which flags, ini keys, `[tool.pytest-llmops]` and their help come.

The names are the same everywhere: `timeout_s` in the table is `llm_timeout_s` in an ini file and
`--llm-timeout-s` on the command line. Flags weigh more than ini keys, and these more than the table.

Every run of pytest imports this module, so its own imports are light.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

from pytest_llmops.errors import SettingsError, hint

REVISION = "git:"
"""The begin of a baseline of a git revision."""

NO_BASELINE = "none"

MOST_AT_ONCE = 150
"""Cases of a process, where the settings name no number."""

_TABLE = "pytest-llmops"
_SIGNS = str.maketrans("", "", "-_. ")

COMMAND_LINE = "command line"
"""The begin of the place of a setting that was passed as a flag."""

RecordMode = Literal["none", "once", "new", "all"]
Leniency = Literal["pass", "warn", "fail"]
Spans = Literal["failed", "all", "none"]


class Setting(NamedTuple):
    """
    Facts of a setting besides its name, default and type, by which `setting_values` reads it.

    Attributes:
        help: As `--help` shows it.
        metavar: Of its flag in pytest; None if it has no flag, empty if the flag is a switch without a value.
        has_ini_key: Whether pytest has an ini key for it, and `llmops run`, which reads no such key, a flag.
    """

    help: str
    metavar: str | None = None
    has_ini_key: bool = True


def _setting(default: Any, help: str, **more: Any) -> Any:  # noqa: A002 - argparse's own word
    value = {"default_factory": dict} if default == {} else {"default": default}
    return field(**value, metadata={"setting": Setting(help, **more)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    The settings of a run.

    Attributes:
        root: The project's folder, at which every relative path below starts.
        flagged: Names of the settings that the command line passed.
    """

    root: Path = field(default_factory=Path.cwd)
    golden: tuple[str, ...] = _setting(("golden/",), "golden files or folders (default: golden/)")
    collect: bool = _setting(
        default=False,
        help="true adds the golden files to whatever pytest collects, even without --llm-golden",
    )
    metrics: tuple[str, ...] = _setting((), "files or modules that define custom metrics", has_ini_key=False)
    app: Annotated[str | Mapping[str, Any] | None, "app"] = _setting(
        None,
        "the app under test, a function or URL: of all golden files as a flag, else of those that name none",
        metavar="MODULE:ATTR",
    )
    runs_on: Annotated[Literal["threads", "main_thread", "test_loop"] | None, "runs_on"] = _setting(
        None,
        "where the app is called: threads (default), main_thread, test_loop; as a flag, of all golden files",
        metavar="PLACE",
    )
    baseline: str | None = _setting(
        None,
        "compare with this (default: golden/baseline.json, if there is one)",
        metavar="FILE|git:REF",
    )
    out: str | None = _setting(None, "write the run to this file", metavar="RUN.json")
    shard: Annotated[str | None, "shard"] = _setting(
        None,
        "run one of N parts of the cases, for machines that share a run; see llmops merge",
        metavar="I/N",
    )
    html: Annotated[str | None, "html"] = _setting(
        None, "write the report of the run to this file", metavar="REPORT.html"
    )
    spans: Spans = _setting(
        "failed",
        "spans that the run file keeps: all, none, or of repeats that broke, missed a bound or scored lower "
        "than the baseline (failed, default)",
        metavar="failed|all|none",
    )
    record: RecordMode = _setting(
        "new",
        "cassettes: none, once, new (default) or all",
        metavar="MODE",
    )
    # By default `auto` for cases that the baseline has, and one for others.
    repeats: Annotated[int | Literal["auto"] | None, "repeats"] = _setting(
        None, "run each case N times; auto repeats it while a verdict is open", metavar="N|auto"
    )
    budget: Annotated[str | None, "budget"] = _setting(
        None, "limit of model calls: 2.50 (US dollars), or '500 calls'", metavar="USD"
    )
    concurrency: Annotated[int | Literal["auto"], "concurrency"] = _setting(
        "auto",
        f"cases that run at once, in each process; auto (default): {MOST_AT_ONCE}, and of their model calls "
        "as many as each provider takes",
        metavar="auto|N",
    )
    timeout_s: float = _setting(
        120.0, "time limit for one call of the app in seconds (default 120)", metavar="S"
    )
    home: str = _setting(".llmops", "folder for runs, cache and local cassettes (default: .llmops)")
    accepted: str = _setting("golden/baseline.json", "the accepted baseline (default: golden/baseline.json)")
    cassettes: str = _setting(
        "golden/cassettes", "folder for committed cassettes (default: golden/cassettes)"
    )
    undecided: Leniency = _setting(
        "warn",
        "what an undecided verdict does to the build: pass, warn (default) or fail",
    )
    max_repeats: Annotated[int, "repeat_count"] = _setting(
        64, "most repeats of a case by repeats auto (default 64)"
    )
    known_failures: Leniency = _setting(
        "warn",
        "what a failure that the baseline has too does to the build: pass, warn (default) or fail",
    )
    approvals: tuple[str, ...] = _setting(
        (),
        "loosened items that changes may contain, each as a run prints it; read at the target of a change",
        has_ini_key=False,
    )
    reviews: str = _setting(
        "golden/reviews.jsonl",
        "the log of reviews (default: golden/reviews.jsonl)",
        has_ini_key=False,
    )
    judge: Annotated[Mapping[str, Any], "judge"] = _setting(
        {},
        "the chat model that judges unless a golden file names one: model, base_url, api_key_env and so on",
        has_ini_key=False,
    )
    calibration: str = _setting(
        "golden/calibration.json",
        "agreement of metrics with people, from llmops calibrate --save (default: golden/calibration.json)",
        has_ini_key=False,
    )
    prices: Annotated[Mapping[str, tuple[float, float]], "prices"] = _setting(
        {},
        "prices by model: US dollars per million prompt and completion tokens",
        has_ini_key=False,
    )
    attack: Annotated[Mapping[str, Any], "attack"] = _setting(
        {},
        "for llmops attack: placements, a table of placement to module:function",
        has_ini_key=False,
    )
    receive: Annotated[tuple[str, ...], "trace_formats"] = _setting(
        (), "open a receiver on loopback for traces of other processes: otlp, langsmith", metavar="FORMATS"
    )
    langsmith_forward: Literal["refuse", "forward", "masked"] = _setting(
        "refuse",
        "received LangSmith runs: refuse keeps them here (default), forward or masked sends them on",
    )
    proxy: bool = _setting(
        default=False,
        help="record model calls of other processes too, by a proxy that processes of the app are led to",
        metavar="",
    )
    export: Annotated[tuple[str, ...], "trace_formats"] = _setting(
        (), "send spans and scores, masked, at the end of the run: otlp, langsmith", metavar="FORMATS"
    )
    flagged: frozenset[str] = frozenset()

    @property
    def cases_at_once(self) -> int:
        """The most cases that a process runs at once."""
        return MOST_AT_ONCE if self.concurrency == "auto" else self.concurrency

    @property
    def last_run(self) -> str:
        """The file of the last golden run, from the root."""
        return f"{self.home}/runs/last.json"

    def path(self, relative: str) -> Path:
        """Return a path of the settings, from the project's root."""
        return self.root / relative


SETTINGS: Mapping[str, Setting] = {
    field.name: field.metadata["setting"] for field in fields(Settings) if field.metadata
}
"""Facts of each setting, by name."""

FLAGS = tuple(name for name, setting in SETTINGS.items() if setting.metavar is not None)
"""Settings with a flag `--llm-NAME` of pytest; it has a hyphen for each underscore."""

INI_KEYS = tuple(name for name, setting in SETTINGS.items() if setting.has_ini_key)
"""Settings with an ini key `llm_NAME`."""


def flag_words(name: str) -> dict[str, Any]:
    """Return the words by which argparse and pytest declare the flag of a setting."""
    setting = SETTINGS[name]
    if setting.metavar == "":
        return {"default": None, "action": "store_const", "const": True, "help": setting.help}
    return {"default": None, "metavar": setting.metavar, "help": setting.help}


def typed_path(name: str, typed: str | None, folder: Path) -> str | None:
    """Return a path setting of the command line, which starts at the folder where it is typed."""
    if typed is None or (name == "baseline" and (typed == NO_BASELINE or typed.startswith(REVISION))):
        return typed
    return str(folder / typed)


SCORED_BY = ("judge", "metrics", "runs_on")
"""Settings by which an answer or its scores differ."""

AFFECTED_HELP = (
    "run only cases that a change since REF can touch; the others have the results of its baseline"
)
"""Of the flag that names a revision whose baseline has the results of all cases that no change can touch."""


def affected_baseline(revision: str | None, baseline: str | None, *, dry: bool = False) -> str | None:
    """
    Return the baseline of a run of affected cases: that of the revision.

    Raises:
        SettingsError: Another one is named, too, or nothing shall be run (`dry`).
    """
    if revision is None:
        return baseline
    if dry:
        raise SettingsError(
            "a dry run cannot tell which cases a change touches, for it imports no app; leave one of them out"
        )
    named = revision if revision.startswith(REVISION) else f"{REVISION}{revision}"
    if baseline not in {None, named}:
        raise SettingsError(f"affected {revision}: its baseline is {named}; leave out --baseline {baseline}")
    return named


def find_root(start: Path) -> Path:
    """Return the nearest folder upwards with a project's file, as pytest finds it; else the start."""
    for folder in (start, *start.parents):
        if any(
            (folder / name).is_file() for name in ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg")
        ):
            return folder
    return start


def load_settings(root: Path, *overrides: tuple[str, Mapping[str, Any]]) -> Settings:
    """
    Return the settings of the project at `root`.

    Args:
        root: Folder whose `pyproject.toml` may contain `[tool.pytest-llmops]`.
        overrides: (place, name → value), weakest first; None values are skipped. A place that ends in `…`,
            `command line, flags --llm-…`, shows how names are written there.

    Raises:
        SettingsError: An unknown name or a value that cannot be, with the place it was written.
    """
    path = root / "pyproject.toml"
    tools = read_toml(path, "llmops").get("tool", {}) if path.is_file() else {}
    tools = tools if isinstance(tools, dict) else {}
    for table in tools:
        if table != _TABLE and table.casefold().translate(_SIGNS) == _TABLE.translate(_SIGNS):
            raise SettingsError(f"{path}: [tool.{table}] is not read; write [tool.{_TABLE}]")
    ours = tools.get(_TABLE, {})
    if not isinstance(ours, dict):
        raise SettingsError(f"{path}: [tool.pytest-llmops] must be a table")
    values: dict[str, Any] = {}
    flagged = set()
    for origin, table in (("[tool.pytest-llmops]", ours), *overrides):
        for name, value in table.items():
            if value is not None:
                values[name] = _checked(name, value, origin)
                flagged |= {name} if origin.startswith(COMMAND_LINE) else set()
    return Settings(root=root, flagged=frozenset(flagged), **values)


def read_toml(path: Path, word: str = "") -> Mapping[str, Any]:
    """Return the tables of a TOML file; none if the word does not occur in it."""
    try:
        text = path.read_text(encoding="utf-8")
        if word not in text:
            return {}
        import tomllib

        return tomllib.loads(text)
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no TOML
        raise SettingsError(f"{path}: {error}") from None


def _checked(name: str, value: Any, origin: str) -> Any:
    if name not in SETTINGS:
        raise SettingsError(f"{origin}: no setting is named {name!r}.{hint(name, SETTINGS)}")
    from pytest_llmops.documents.reading import refused_as
    from pytest_llmops.setting_values import read_setting

    with refused_as(SettingsError, f"{_place(name, origin)} "):
        return read_setting(get_type_hints(Settings, include_extras=True)[name], value)


def _place(name: str, origin: str) -> str:
    """Return a setting as it is written at its place: `--llm-record`, `llm_record`, `pytest.ini: record`."""
    before, dots, _ = origin.rpartition("…")
    if not dots:
        return f"{origin}: {name}"
    prefix = before.rpartition(" ")[2]
    return f"{prefix}{name.replace('_', '-') if prefix.startswith('--') else name}"
