"""`llmops run` shows how far it is."""

from __future__ import annotations

import re
from functools import partial
from io import StringIO

import pytest

from pytest_llmops.cli.progress import show_progress
from pytest_llmops.evaluation.progress import State
from tests.command import main

APP = """
import time

def answer(question):
    time.sleep(0.05 * int(question))
    return question
"""
ROWS = "".join(
    f"  - {{id: n{at}, input: '{at}', checks: {{keywords: {{all: ['{at}']}}}}}}\n" for at in range(1, 9)
)


class Terminal(StringIO):
    def isatty(self):
        return True


@pytest.fixture
def shop(tmp_path, monkeypatch):
    (tmp_path / "golden").mkdir()
    (tmp_path / "slow_shop.py").write_text(APP)
    (tmp_path / "golden/shop.yaml").write_text(f"app: slow_shop:answer\ncases:\n{ROWS}")
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def run(monkeypatch, stream):
    shown = partial(show_progress, stream=stream, line_s=0.05)
    monkeypatch.setattr("pytest_llmops.cli.run.show_progress", shown)
    monkeypatch.setattr("pytest_llmops.cli.progress.LOOK_S", 0.05)
    assert main(["run", "--concurrency", "2"]) == 0
    return stream.getvalue()


@pytest.mark.usefixtures("shop")
def test_without_a_terminal_there_are_lines(monkeypatch):
    lines = run(monkeypatch, StringIO()).splitlines()

    numbers = [int(re.match(r"(\d) of 8 cases, 0 model calls", line)[1]) for line in lines[1:]]
    assert numbers == sorted(numbers)
    assert numbers[-1] >= 1
    assert re.search(r", about \d+ s left$", lines[-1])
    assert "\x1b" not in "".join(lines)


@pytest.mark.usefixtures("shop")
def test_on_a_terminal_there_is_a_table_that_is_gone_at_the_end(monkeypatch):
    text = run(monkeypatch, Terminal())

    assert "of 8 cases" in text
    assert text.endswith("\x1b[2K")


def test_calls_that_wait_for_a_limit_are_shown():
    state = State(1, 8, 3, None, None, {"api.example.com": 5})

    assert state.words() == ["1 of 8 cases", "3 model calls", "5 calls waiting for api.example.com"]


def test_a_reader_who_is_gone_breaks_no_run(shop, monkeypatch):  # noqa: ARG001 - it is run there
    monkeypatch.setattr(
        "pytest_llmops.cli.run.show_progress", partial(show_progress, stream=Closed(), line_s=0.05)
    )
    assert main(["run"]) == 0


class Closed(StringIO):
    def write(self, _):
        raise BrokenPipeError
