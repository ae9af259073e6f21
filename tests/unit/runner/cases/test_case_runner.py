"""Cases that are run: begun once, in which process, and not begun after a stop."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from pytest_llmops.recorder import Recorder
from pytest_llmops.records import Case, Golden
from pytest_llmops.runner.app.calls import AppCaller
from pytest_llmops.runner.budget import Budget
from pytest_llmops.runner.cases.case_runner import CaseRunner, NotBegunError
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.runner.cases.tasks import Task
from pytest_llmops.runner.scoring import Scorer


@contextmanager
def running(tmp_path, app, store=None, budget=None):
    recorder = Recorder(committed=tmp_path / "committed", local=tmp_path / "local", mode="new")
    caller = AppCaller(app=app, recorder=recorder, timeout_s=5, prices={})
    golden = Golden(path="golden/x.yaml", cases=())
    runner = CaseRunner(
        golden=golden, caller=caller, scorer=Scorer(), concurrency=1, store=store, budget=budget
    )
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


def test_a_budget_that_is_spent_ends_nothing_where_nothing_further_is_called(tmp_path):
    """Repeats of this process's own cases need no look at the budget of another one."""
    budget = Budget.read("0 calls", {})
    (task,) = tasks(1)
    with running(tmp_path, str, SharedStore(folder=tmp_path, worker=0, workers=1), budget) as runner:
        begun = runner.wait(task)
        further = runner.wait(replace(task, repeats=2, begun=begun))

    assert [output.text for output in further.outputs] == ["0", "0"]
    assert not budget.ended
