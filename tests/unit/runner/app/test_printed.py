"""What an app prints is kept for its case, whatever the process prints to."""

from __future__ import annotations

import sys

import pytest

from pytest_llmops.records import UNSEEN, Failure, Output, Sample, Score
from pytest_llmops.registry import create_metric
from pytest_llmops.runner.app import printed as module
from pytest_llmops.runner.app.printed import Printed, collect, route_through


def test_a_process_without_output_runs_cases_all_the_same(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with route_through(), collect() as printed:
        sys.stderr.write("seen")

    assert printed.texts() == (("stderr", "seen"),)
    assert "write" not in vars(sys.stderr)


@pytest.mark.parametrize("nested", [False, True])
def test_what_is_too_long_to_keep_is_no_clean_result(nested, monkeypatch):
    monkeypatch.setattr(module, "_KEPT", 100)
    printed = inner = Printed()
    if nested:
        printed = Printed()
    for piece in ("x" * 90, "y" * 20):
        inner.add("log", piece)
    if nested:
        printed.take(inner)
    (span,) = printed.spans()
    (result,) = create_metric("pii_leak", {}).score([Sample(output=Output(text=""), spans=(span,))])

    assert span.attributes == {"text": "x" * 90, UNSEEN: 20}
    assert isinstance(result, Failure)
    assert "the app printed 20 characters more than are kept" in result.error


def test_what_is_too_long_to_show_is_looked_at(monkeypatch):
    monkeypatch.setattr(module, "_SHOWN", 10)
    printed = Printed()
    printed.add("log", "short\n")
    printed.add("log", "ann.lee@example.com")
    (result,) = create_metric("pii_leak", {}).score([Sample(output=Output(text=""), spans=printed.spans())])

    assert printed.texts() == (("log", "short\n\n… (19 more characters)\n"),)
    assert isinstance(result, Score)
    assert result.value == 1
