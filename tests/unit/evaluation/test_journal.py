"""The file of a run's results, while lines are on their way to it."""

from __future__ import annotations

import threading

from pytest_llmops.evaluation import journal as module
from pytest_llmops.evaluation.journal import Journal, Seen, unfinished_path
from pytest_llmops.records import CaseResult
from pytest_llmops.settings import Settings


def test_closing_waits_for_lines_under_way(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_WAIT_S", 0.0)
    looks, goes_on = threading.Event(), threading.Event()

    def look() -> dict[str, str]:
        looks.set()
        assert goes_on.wait(10)
        return {}

    settings = Settings(root=tmp_path)
    journal = Journal.open(settings, (), Seen(stamps=look, errors=list), resumes=False, begins=True)
    assert journal is not None
    journal.add(CaseResult(case="golden/shop.yaml::a", input_hash="1"))
    assert looks.wait(10)
    threading.Timer(0.1, goes_on.set).start()
    journal.close(finished=False)

    path = unfinished_path(settings)
    assert goes_on.is_set()
    assert path.read_bytes().count(b"\n") == 2
