"""`llmops run` takes every setting that pytest takes: it is the door for changes that nobody trusts."""

from __future__ import annotations

import argparse
import json

import pytest

from pytest_llmops.cli import run
from pytest_llmops.settings import INI_KEYS
from tests.command import main


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize("name", sorted({*INI_KEYS} - {"collect"}))
def test_each_setting_of_pytest_has_a_flag(name):
    """But for what pytest collects beside golden files."""
    assert hasattr(parsed(), name)


def test_flags_weigh_more_than_the_settings_of_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest-llmops]\nundecided = 'pass'\nknown_failures = 'pass'\nrepeats = 1\nbaseline = 'none'\n"
    )
    given = parsed(
        *("--undecided", "fail", "--known-failures", "fail", "--max-repeats", "7", "--timeout-s", "5"),
        *("--repeats", "auto", "--baseline", "git:main", "--concurrency", "2", "--record", "none"),
        *("--budget", "5 calls", "--app", "shop:answer", "--out", "run.json", "--home", "work"),
        *("--cassettes", "kept", "--allow-loosening", "one item", "--accept"),
    )
    settings = run._settings(given)
    assert (settings.undecided, settings.known_failures, settings.repeats) == ("fail", "fail", "auto")
    assert (settings.max_repeats, settings.timeout_s, settings.concurrency) == (7, 5.0, 2)
    assert (settings.record, settings.budget, settings.app) == ("none", "5 calls", "shop:answer")
    assert settings.baseline == "git:main"
    assert settings.path(settings.home) == tmp_path / "work"
    assert settings.path(settings.cassettes) == tmp_path / "kept"
    assert {"undecided", "repeats", "baseline"} <= settings.flagged
    assert given.allow_loosening == ["one item"]
    assert given.accept


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        ("[" * 100_000, "mcp.lock: is nested too deeply to be a lock of tools. "),
        ('{"servers": [\n<<<<<<< ours\n]}', "mcp.lock: line 2 is a mark of a git conflict. "),
        ("[]", "mcp.lock: is no list of servers. "),
        ('{"servers": [1]}', "mcp.lock: is no list of servers. "),
        ('{"servers": [{"server": "shop"}]}', ""),
    ],
)
def test_a_broken_tool_lock_is_reported_and_loses_no_run(tmp_path, monkeypatch, capsys, lock, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "locked_app.py").write_text("answer = str.upper\n")
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden/shop.yaml").write_text(
        "app: locked_app:answer\nchecks: {keywords: {all: [HI]}}\ncases: [{id: a, input: hi}]\n"
    )
    (tmp_path / "mcp.lock").write_text(lock)

    assert main(["run", "--out", "run.json"]) == 0

    out = capsys.readouterr().out
    assert message in out
    assert ("mcp.lock" in out) == bool(message)
    signature = json.loads((tmp_path / "run.json").read_text())["signature"]
    assert any(name.startswith("mcp:") for name in signature)
