from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from pytest_llmops.recorder.loop_thread import LoopThread

WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


async def tell() -> tuple[str, str]:
    return threading.current_thread().name, WHO.get()


def test_work_is_done_on_one_thread_in_the_context_of_whoever_gave_it():
    loop = LoopThread(name="llmops-test")
    token = WHO.set("ada")
    try:
        assert [loop.submit(tell()).result(10) for _ in range(2)] == [("llmops-test", "ada")] * 2
    finally:
        WHO.reset(token)
        loop.close()


def test_what_runs_at_the_end_is_cancelled():
    loop = LoopThread(name="llmops-test")
    begun, ended = threading.Event(), threading.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    future = loop.submit(wait())
    assert begun.wait(10)
    loop.close()
    assert ended.wait(10)
    assert future.cancelled()


def test_the_last_coroutine_runs_once_the_others_are_cancelled():
    order: list[str] = []
    begun = threading.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            order.append("cancelled")

    async def end() -> None:
        order.append(threading.current_thread().name)
        raise OSError("a connection that does not close")

    loop = LoopThread(name="llmops-end", at_end=end)
    loop.submit(wait())
    assert begun.wait(10)
    loop.close()
    assert order == ["cancelled", "llmops-end"]
    assert "llmops-end" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.filterwarnings("error")
def test_work_that_comes_after_the_end_is_refused_and_left_unbegun(used):
    loop = LoopThread(name="llmops-late")
    if used:
        loop.submit(tell()).result(10)
    loop.close()

    for _ in range(2):
        work = tell()
        with pytest.raises(RuntimeError, match="the loop llmops-late was closed"):
            loop.submit(work)
        assert work.cr_frame is None  # closed, so that nothing is said of a coroutine that was never awaited
    loop.close()
    assert "llmops-late" not in {thread.name for thread in threading.enumerate()}


def test_a_loop_that_breaks_leaves_nobody_waiting():
    """As where an app closes the files that it rests on."""
    loop = LoopThread(name="test")

    async def break_it() -> None:
        def fail() -> None:
            raise OSError("Bad file descriptor")

        asyncio.get_running_loop()._run_once = fail  # type: ignore[attr-defined]
        await asyncio.sleep(60)

    with pytest.raises(RuntimeError, match="the event loop test broke: OSError: Bad file descriptor"):
        loop.submit(break_it()).result(timeout=10)
    late = tell()
    with pytest.raises(RuntimeError, match="the event loop test broke"):
        loop.submit(late)
    assert late.cr_frame is None
    loop.close()
