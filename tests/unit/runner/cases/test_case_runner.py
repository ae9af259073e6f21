"""Cases in task: what is begun, by which process, and what is not begun any more."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest

from pytest_llmops.recorder import Recorder
from pytest_llmops.records import Case, Golden
from pytest_llmops.runner.app.calls import AppCaller
from pytest_llmops.runner.cases.case_runner import CaseRunner, NotBegunError
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.runner.cases.tasks import Task
from pytest_llmops.runner.scoring import Scorer


@contextmanager
def running(tmp_path, app, store=None):
    recorder = Recorder(committed=tmp_path / "committed", local=tmp_path / "local", mode="new")
    caller = AppCaller(app=app, recorder=recorder, timeout_s=5, prices={})
    golden = Golden(path="golden/x.yaml", cases=())
    runner = CaseRunner(golden=golden, caller=caller, scorer=Scorer(), concurrency=1, store=store)
    try:
        yield runner
    finally:
        runner.close()
        runner.scorer.close()


def tasks(count: int) -> list[Task]:
    return [
        Task(id=f"golden/x.yaml::c{at}", case=Case(id=f"c{at}", input=at), repeats=1, metrics=())
        for at in range(count)
    ]


@pytest.mark.parametrize("shared", [False, True])
def test_after_a_stop_no_case_begins_in_any_process(tmp_path, shared):
    asked = []

    def answer(question):
        asked.append(question)
        time.sleep(0.2)
        return "yes"

    store = SharedStore(folder=tmp_path, worker=0, workers=2) if shared else None
    with running(tmp_path, answer, store) as runner:
        futures = [runner.submit(task) for task in tasks(5)]
        while not asked:
            time.sleep(0.01)
        if store is None:
            runner.stop()
        else:
            SharedStore(folder=tmp_path, worker=1, workers=2).stop()  # another process says so
        assert futures[0].result(5).outputs[0].text == "yes"
        for future in futures[1:]:
            with pytest.raises(NotBegunError):
                future.result(5)
    assert asked == [0]
