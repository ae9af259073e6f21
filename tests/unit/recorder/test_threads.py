"""Threads of an app carry the context of the case that starts them, for as long as a case runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from pytest_llmops.recorder.threads import carry_context, is_inherited, start_outside
from tests.bare_thread import run_bare

CASE: ContextVar[str] = ContextVar("case", default="none")


@pytest.fixture(autouse=True)
def outside() -> None:
    CASE.set("none")


def on_thread(thread: threading.Thread) -> None:
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def by_thread() -> str:
    seen: list[str] = []
    on_thread(threading.Thread(target=lambda value: seen.append(f"{value} {CASE.get()}"), args=("a",)))
    return seen[0].removeprefix("a ")


def by_subclass() -> str:
    class Own(threading.Thread):
        def run(self) -> None:
            self.seen = CASE.get()

    thread = Own()
    on_thread(thread)
    assert thread.run.__func__ is Own.run
    return thread.seen


def by_timer() -> str:
    seen: list[str] = []
    on_thread(threading.Timer(0.001, lambda: seen.append(CASE.get())))
    return seen[0]


def by_submit() -> str:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda *, name: f"{name}{CASE.get()}", name="x").result().removeprefix("x")


def by_map() -> str:
    with ThreadPoolExecutor(2) as pool:
        (seen,) = set(pool.map(lambda _: CASE.get(), range(8)))
    return seen


def by_to_thread() -> str:
    return asyncio.run(asyncio.to_thread(CASE.get))


def by_executor() -> str:
    async def run(pool: ThreadPoolExecutor | None) -> str:
        return await asyncio.get_running_loop().run_in_executor(pool, CASE.get)

    with ThreadPoolExecutor(1) as pool:
        assert asyncio.run(run(None)) == asyncio.run(run(pool))
    return asyncio.run(run(None))


@pytest.mark.parametrize(
    "start", [by_thread, by_subclass, by_timer, by_submit, by_map, by_to_thread, by_executor]
)
def test_every_way_to_start_a_thread_carries_the_case(start: Callable[[], str]):
    with carry_context():
        CASE.set("shop")
        assert start() == "shop"
    assert start() == ("shop" if start is by_to_thread else "none")


def test_a_pool_that_cases_share_takes_each_ones_context_and_keeps_none():
    with ThreadPoolExecutor(1) as pool:
        for case in ("one", "two"):
            with carry_context():
                token = CASE.set(case)
                assert pool.submit(CASE.get).result() == case
                CASE.reset(token)
                assert pool.submit(CASE.get).result() == "none"
        assert pool.submit(CASE.get).result() == "none"


def test_a_thread_that_was_given_a_context_says_so_and_a_task_of_a_pool_does_not():
    seen: list[bool] = []
    with carry_context(), ThreadPoolExecutor(1) as pool:
        on_thread(threading.Thread(target=lambda: seen.append(is_inherited.get())))
        seen.append(pool.submit(is_inherited.get).result())
    assert seen == [True, False]


def test_threads_of_our_own_carry_no_case():
    seen: list[str] = []
    with carry_context():
        CASE.set("shop")
        thread = threading.Thread(target=lambda: seen.append(CASE.get()))
        start_outside(thread)
        thread.join(10)
        assert run_bare(CASE.get) == "none"
    assert seen == ["none"]


def test_everything_is_put_back_once_the_last_case_ends():
    def now() -> tuple[object, object]:
        return threading.Thread.__dict__["start"], ThreadPoolExecutor.__dict__["submit"]

    before = now()
    with carry_context():
        with carry_context():
            changed = now()
        assert now() == changed
    assert changed[0] is not before[0]
    assert changed[1] is not before[1]
    assert now() == before


def test_what_another_library_put_on_top_stays_and_works(monkeypatch: pytest.MonkeyPatch):
    began: list[str] = []
    with carry_context():
        ours = threading.Thread.start

        def theirs(self: threading.Thread) -> None:
            began.append(self.name)
            ours(self)

        monkeypatch.setattr(threading.Thread, "start", theirs)
    assert threading.Thread.start is theirs
    for _ in range(2):
        with carry_context():
            CASE.set("shop")
            assert by_thread() == "shop"
        assert threading.Thread.start is theirs
    assert len(began) == 2
    monkeypatch.undo()
    threading.Thread.start = ours.__wrapped__


@pytest.mark.parametrize("is_first", [True, False])
def test_a_library_that_wraps_the_run_of_a_thread_may_pass_the_thread(monkeypatch, is_first):
    """As Sentry's client does, before or after we begin to listen."""
    wrapped: list[str] = []

    def wrap() -> None:
        original = threading.Thread.start

        def start(self: threading.Thread) -> None:
            run = getattr(self.run, "__func__", self.run)

            def run_wrapped(*args: object) -> None:
                wrapped.append(self.name)
                run(threading.current_thread(), *args[1:])

            self.run = run_wrapped  # type: ignore[method-assign]
            original(self)

        monkeypatch.setattr(threading.Thread, "start", start)

    if is_first:
        wrap()
    with carry_context():
        if not is_first:
            wrap()
        CASE.set("shop")
        assert by_thread() == "shop"
        monkeypatch.undo()
    assert len(wrapped) == 1


def test_a_thread_that_cannot_start_is_as_it_was():
    thread = threading.Thread(target=print)
    with carry_context():
        on_thread(thread)
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
    assert "run" not in thread.__dict__
