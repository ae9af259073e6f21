"""Ctrl-C: over within two seconds, and what was finished is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

TRIES = 4
LATE_S = 40.0
APP = """
    import time
    from pathlib import Path

    def answer(question):
        if question != "quick":
            time.sleep(60)
        return "an answer"
"""
GOLDEN = """
    version: 1
    app: capitals:answer
    cases:
      - {id: quick, input: quick, checks: {keywords: {all: [answer]}}}
      - {id: slow, input: slow, checks: {keywords: {all: [answer]}}}
"""


def start(command, folder):
    """The run once the quick case is told; begun anew if a worker tells it only after the slow one."""
    for _ in range(TRIES):
        started = subprocess.Popen(  # noqa: S603
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        late = threading.Timer(LATE_S, os.killpg, [started.pid, signal.SIGKILL])
        late.start()
        lines = []
        for line in started.stdout:
            lines.append(line)
            if "quick" in line and "PASSED" in line:
                late.cancel()
                return started, lines
        started.wait()
    raise AssertionError("".join(lines))


@pytest.mark.timeout(200)
@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_interrupt_ends_soon_and_keeps_what_was_finished(project, arguments):
    project.app(APP)
    project.golden(GOLDEN)
    command = [sys.executable, "-m", "pytest", "--llm-golden", "-v", "--llm-out", "run.json", *arguments]
    started, lines = start(command, project.path)
    os.killpg(started.pid, signal.SIGINT)
    begun = time.monotonic()
    all_printed = "".join([*lines, *started.stdout])
    started.stdout.close()
    started.wait()
    assert time.monotonic() - begun < 50, "pytest waited for the app"
    assert "Task was destroyed" not in all_printed
    assert started.returncode == pytest.ExitCode.INTERRUPTED
    run = json.loads((project.path / "run.json").read_text())
    assert [each["case"] for each in run["results"]] == ["golden/capitals.yaml::quick"]
