"""Ctrl-C: over within two seconds, and what was finished is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

APP = """
    import time
    from pathlib import Path

    def answer(question):
        if question != "quick":
            time.sleep(60)
        Path("quick").touch()
        return "an answer"
"""
GOLDEN = """
    version: 1
    app: capitals:answer
    cases:
      - {id: quick, input: quick, checks: {keywords: {all: [answer]}}}
      - {id: slow, input: slow, checks: {keywords: {all: [answer]}}}
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_interrupt_ends_soon_and_keeps_what_was_finished(project, arguments):
    project.app(APP)
    project.golden(GOLDEN)
    command = [sys.executable, "-m", "pytest", "--llm-golden", "-v", "--llm-out", "run.json", *arguments]
    started = subprocess.Popen(  # noqa: S603
        command,
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not (project.path / "quick").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(started.pid, signal.SIGINT)
    begun = time.monotonic()
    told, _ = started.communicate(timeout=30)
    assert time.monotonic() - begun < 10, "pytest hung"
    assert "Task was destroyed" not in told
    assert started.returncode == pytest.ExitCode.INTERRUPTED
    run = json.loads((project.path / "run.json").read_text())
    assert [each["case"] for each in run["results"]] == ["golden/capitals.yaml::quick"]
