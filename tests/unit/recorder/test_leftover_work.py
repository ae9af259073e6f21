"""What a case leaves behind when it ends, and workers that serve one case after the other."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.openai_server import OpenAIServer
from tests.unit.recorder.asking import ask

if TYPE_CHECKING:
    import openai


class Worker:
    """Asks for whoever puts a question, on one thread that the first question starts."""

    def __init__(self, client: openai.OpenAI) -> None:
        self.client, self.jobs, self.thread = client, queue.Queue(), None

    def ask(self, text: str) -> str:
        if self.thread is None:
            self.thread = threading.Thread(target=self.work, daemon=True)
            self.thread.start()
        done: Future[str] = Future()
        self.jobs.put((text, done))
        return done.result(10)

    def work(self) -> None:
        while True:
            text, done = self.jobs.get()
            try:
                done.set_result(ask(self.client, text))
            except Exception as error:  # noqa: BLE001 - it is raised for whoever waits
                done.set_exception(error)


def test_a_worker_that_outlives_its_case_serves_the_next(recorder, client: openai.OpenAI):
    run, worker = recorder(), Worker(client)
    counts = []
    for case in ("golden/a.yaml::one", "golden/a.yaml::two"):
        with run.recording(case, 0) as log:
            worker.ask(case)
        counts.append(len(log.calls))
    assert (counts, run.unattributed, run.problems) == ([1, 1], 0, [])


def test_such_a_worker_is_nobodys_while_several_run(recorder, client: openai.OpenAI):
    run, worker = recorder(), Worker(client)
    with run.recording("golden/a.yaml::one", 0):
        worker.ask("first")
    with run.recording("golden/a.yaml::two", 0) as two, run.recording("golden/a.yaml::three", 0) as three:
        worker.ask("second")
    assert (two.calls, two.is_whole, three.calls, three.is_whole) == ([], False, [], False)
    assert run.unattributed == 1


def test_work_left_in_a_pool_is_of_its_case_and_counted(
    recorder, server: OpenAIServer, client: openai.OpenAI
):
    run, go = recorder(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with run.recording("golden/a.yaml::one", 0) as one:
            late = pool.submit(lambda: (go.wait(10), ask(client))[1])
        with run.recording("golden/a.yaml::two", 0) as two:
            go.set()
            late.result(10)
    assert (len(server.requests), two.calls, run.unattributed) == (1, [], 0)
    assert one.calls[0].outcome == "made"
    assert list(run.late.values()) == [1]
