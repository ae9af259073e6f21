"""Ctrl-C: over within two seconds, and what was finished is kept."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

OUTCOME = re.compile(rb"quick\S* PASSED|PASSED \S*quick")
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


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_interrupt_ends_soon_and_keeps_what_was_finished(project, arguments):
    project.app(APP)
    project.golden(GOLDEN)
    command = [sys.executable, "-m", "pytest", "--llm-golden", "-v", "--llm-out", "run.json", *arguments]
    started = subprocess.Popen(  # noqa: S603
        command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    hung = threading.Timer(120, started.kill)
    hung.start()
    printed = b""
    # Until the outcome is there, however busy the machine is. xdist ends its line only with the next one.
    while (piece := os.read(started.stdout.fileno(), 65_536)) and not OUTCOME.search(
        printed := printed + piece
    ):
        pass
    time.sleep(0.3)  # until pytest waits for the slow case, as when somebody presses Ctrl-C
    os.killpg(started.pid, signal.SIGINT)
    begun = time.monotonic()
    all_printed = (printed + started.stdout.read()).decode()
    started.stdout.close()
    started.wait()
    hung.cancel()
    assert time.monotonic() - begun < 50, "pytest waited for the app"
    assert "Task was destroyed" not in all_printed
    assert started.returncode == pytest.ExitCode.INTERRUPTED, all_printed
    run = json.loads((project.path / "run.json").read_text())
    assert [each["case"] for each in run["results"]] == ["golden/capitals.yaml::quick"]
