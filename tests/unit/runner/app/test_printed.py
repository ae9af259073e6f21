"""What an app prints is kept for its case, whatever the process prints to."""

from __future__ import annotations

import sys

from pytest_llmops.runner.app.printed import collect, route_through


def test_a_process_without_output_runs_cases_all_the_same(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with route_through(), collect() as printed:
        sys.stderr.write("seen")

    assert printed.texts() == (("stderr", "seen"),)
    assert "write" not in vars(sys.stderr)
