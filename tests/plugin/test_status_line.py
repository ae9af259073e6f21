"""While an item waits for its cases, the line below pytest's dots says how far they are."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress

import pytest

APP = """
import time

def answer(question):
    time.sleep(1.2 if question == "first" else 0)
    return question
"""
GOLDEN = """
app: slow:answer
cases:
  - {id: one, input: first, checks: {keywords: {all: [first]}}}
  - {id: two, input: second, checks: {keywords: {all: [second]}}}
"""
STATUS = re.compile(r"\x1bD\x1b\[A\x1b7\x1b\[B\r\x1b\[K(.*?)\x1b8")
ERASED = "\x1b7\x1b[B\r\x1b[K\x1b8"


@pytest.fixture
def run(project):
    project.write("slow.py", APP)
    project.golden(GOLDEN)

    def on_a_terminal(*arguments: str) -> str:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "pytest", "--llm-golden", "-p", "no:cacheprovider", *arguments]
        with subprocess.Popen(  # noqa: S603 - pytest
            command, cwd=project.path, stdin=theirs, stdout=theirs, stderr=theirs
        ):
            os.close(theirs)
            shown = b""
            with suppress(OSError):  # the other side is closed
                while part := os.read(ours, 2**16):
                    shown += part
        os.close(ours)
        return shown.decode()

    return on_a_terminal


def test_it_is_shown_below_the_dots_and_gone_at_the_end(run):
    shown = run()

    states = STATUS.findall(shown)
    assert states
    assert re.fullmatch(r"[01] of 2 cases   0 model calls(   about \d+ s left)?", states[-1])
    assert shown.rindex(ERASED) > shown.rindex(states[-1])
    rest = re.sub(r"\x1b\[\d*m", "", STATUS.sub("", shown).replace(ERASED, ""))
    assert re.search(r"^golden/capitals.yaml \.\. ", rest, re.MULTILINE)
    assert "2 passed" in rest


@pytest.mark.parametrize("arguments", [("-s",), ("-q",), ("-p", "no:terminal")])
def test_it_is_not_shown_where_the_app_prints_or_pytest_is_quiet(run, arguments):
    assert not STATUS.search(run(*arguments))


def test_it_is_not_shown_without_a_terminal(project):
    project.write("slow.py", APP)
    project.golden(GOLDEN)
    assert "\x1b" not in project.run("--color=no").stdout.str()
