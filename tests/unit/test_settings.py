"""Settings from `pyproject.toml` and what weighs more than it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.errors import SettingsError
from pytest_llmops.settings import FLAGS, INI_KEYS, SETTINGS, Settings, load_settings

PRICES = (
    "flags: prices must be a table of models with [prompt, completion] in US dollars for a million tokens, "
    'for example "gpt-4o-mini" = [0.15, 0.60], not '
)


def write(root: Path, text: str | bytes) -> Path:
    (root / "pyproject.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


@pytest.mark.parametrize("text", [None, "", "[project]\nname = 'x'\n", "[tool.other]\n# pytest-llmops\n"])
def test_a_project_that_says_nothing_has_the_defaults(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        write(tmp_path, text)

    assert load_settings(tmp_path) == Settings(root=tmp_path)


def test_the_stronger_place_wins_and_none_is_silent(tmp_path: Path) -> None:
    write(tmp_path, "[tool.pytest-llmops]\nconcurrency = 4\nrepeats = 2\nrecord = 'none'\n")

    settings = load_settings(
        tmp_path, ("ini", {"concurrency": "8", "app": "a:b"}), ("flags", {"repeats": 3, "app": None})
    )

    assert (settings.concurrency, settings.repeats, settings.record, settings.app) == (8, 3, "none", "a:b")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("golden", "a.yaml", ("a.yaml",)),
        ("golden", ["a", "b"], ("a", "b")),
        ("timeout_s", "2.5", 2.5),
        ("timeout_s", 3, 3.0),
        ("concurrency", 4.0, 4),
        ("repeats", "auto", "auto"),
        ("repeats", "3", 3),
        ("max_repeats", "48", 48),
        ("prices", {"m": [0, 0.6]}, {"m": (0.0, 0.6)}),
        ("undecided", "fail", "fail"),
        ("home", ".llmops", ".llmops"),
        ("collect", "false", False),
        ("collect", "true", True),
        ("budget", 2.5, "2.5"),
    ],
)
def test_values_are_read(tmp_path: Path, name: str, value: Any, expected: Any) -> None:
    assert getattr(load_settings(tmp_path, ("flags", {name: value})), name) == expected


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("concurency", 1, "flags: no setting is named 'concurency'. Did you mean 'concurrency'?"),
        ("root", "/", "flags: no setting is named 'root'."),
        (
            "record",
            "noone",
            "flags: record must be one of none, once, new, all, not 'noone'. Did you mean 'none'?",
        ),
        ("concurrency", 0, "flags: concurrency must be a whole number above 0, not 0"),
        ("concurrency", 2.5, "flags: concurrency must be a whole number above 0, not 2.5"),
        ("concurrency", float("inf"), "flags: concurrency must be a whole number above 0, not inf"),
        ("concurrency", True, "flags: concurrency must be a whole number above 0, not True"),
        ("repeats", "Auto", "flags: repeats must be a whole number above 0, not 'Auto'"),
        ("max_repeats", "auto", "flags: max_repeats must be a whole number above 0, not 'auto'"),
        ("repeats", [1], "flags: repeats must be a whole number above 0, not [1]"),
        ("timeout_s", -1, "flags: timeout_s must be a number of seconds above 0, not -1"),
        ("timeout_s", float("nan"), "flags: timeout_s must be a number of seconds above 0, not nan"),
        ("timeout_s", "nan", "flags: timeout_s must be a number of seconds above 0, not 'nan'"),
        ("timeout_s", "inf", "flags: timeout_s must be a number of seconds above 0, not 'inf'"),
        ("golden", 3, "flags: golden must be a path or a list of paths, not 3"),
        ("golden", [], "flags: golden must be a path or a list of paths, not []"),
        ("golden", ["a", 3], "flags: golden must be a path or a list of paths, not ['a', 3]"),
        ("home", 3, "flags: home must be text, not 3"),
        ("prices", ["m"], PRICES + "['m']"),
        ("prices", {"m": "12"}, PRICES + "{'m': '12'}"),
        ("prices", {"m": [1]}, PRICES + "{'m': [1]}"),
        ("prices", {"m": [1, 2, 3]}, PRICES + "{'m': [1, 2, 3]}"),
        ("prices", {"m": [-1, 2]}, PRICES + "{'m': [-1, 2]}"),
        ("prices", {"m": [float("nan"), 2]}, PRICES + "{'m': [nan, 2]}"),
        ("prices", {"m": [True, 2]}, PRICES + "{'m': [True, 2]}"),
    ],
)
def test_a_value_that_cannot_be_names_its_place(tmp_path: Path, name: str, value: Any, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, ("flags", {name: value}))

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool]\npytest-llmops = 3\n", "*[tool.pytest-llmops] must be a table"),
        ("[tool.pytest-llmops]\nconcurrency = \n", "*pyproject.toml: *line 2*"),
        (b"# pytest-llmops \xff\n", "*pyproject.toml: *utf-8*"),
        (
            "[tool.pytest_llmops]\nrepeats = 1\n",
            "*[tool.pytest_llmops] is not read; write [tool.pytest-llmops]",
        ),
        ("[tool.PyTest.LLMOps]\n[tool.pytestllmops]\n", "*[tool.pytestllmops] is not read*"),
        ("[tool.pytest-llmops]\nrepeat = 1\n", "[tool.pytest-llmops]: no setting is named 'repeat'. Did*"),
    ],
)
def test_a_broken_table_is_told(tmp_path: Path, text: str | bytes, message: str) -> None:
    from fnmatch import fnmatchcase

    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, text))

    assert fnmatchcase(str(caught.value), message.replace("[tool", "[[]tool"))


def test_a_tool_that_is_no_table_is_not_ours(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, "tool = 'pytest-llmops'\n")) == Settings(root=tmp_path)


def test_paths_start_at_the_root(tmp_path: Path) -> None:
    assert load_settings(tmp_path).path(".llmops") == tmp_path / ".llmops"


def test_the_documentation_lists_every_setting() -> None:
    rows = [
        f"| `{name}` | {f'`--llm-{flag}`' if name in FLAGS else ''} | "
        f"{f'`--{flag}`' if name in INI_KEYS and name not in {'golden', 'collect'} else ''} | "
        f"{f'`llm_{name}`' if name in INI_KEYS else ''} | {setting.help} |"
        for name, setting in SETTINGS.items()
        for flag in [name.replace("_", "-")]
    ]
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")

    assert [line for line in page.splitlines() if line.startswith("| `")] == rows
