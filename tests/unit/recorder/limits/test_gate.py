"""Calls of threads and of event loops that wait in line: each is sent in its turn, or ends without."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from pytest_llmops.recorder.call import CallLog, CallRules
from pytest_llmops.recorder.cassettes import CassetteSession
from pytest_llmops.recorder.exchange import Exchange, Recording
from pytest_llmops.recorder.identity import identify_body
from pytest_llmops.recorder.limits import gate
from pytest_llmops.recorder.limits.gate import Limits, Pauses, Turn, within
from pytest_llmops.recorder.redaction import Redaction

PAUSE = {"Retry-After": "0.01"}
ENOUGH_S = 20.0
"""What hangs is seen after these seconds."""


class Case:
    """A case with calls of one model, of which `slots` may be out at first."""

    def __init__(self, slots: float = 1, patience_s: float = ENOUGH_S) -> None:
        self.limits = Limits(start=slots, patience_s=patience_s)
        self.pauses = Pauses()
        self.is_over = False

    def turn(self) -> Turn:
        return self.limits.turn("a.test", "small", self.pauses, lambda: self.is_over)

    def sent(self) -> Turn:
        turn = self.turn()
        turn.wait()
        return turn

    def wait_beside(self, turn: Turn) -> None:
        """Wait on another thread, which ends with the case if nothing else wakes it."""
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(turn.wait)
            try:
                waiting.result(ENOUGH_S)
            finally:
                self.is_over = True

    @property
    def out(self) -> int:
        (line,) = self.limits._lines.values()
        return line.controller.out


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + ENOUGH_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.002)


def on_a_thread(turn: Turn) -> None:
    turn.wait()


def on_asyncio(turn: Turn) -> None:
    asyncio.run(turn.wait_async())


def on_trio(turn: Turn) -> None:
    import trio

    trio.run(turn.wait_async)


WITH_TRIO = pytest.mark.skipif(find_spec("trio") is None, reason="trio is not installed")
WAITS = pytest.mark.parametrize("wait", [on_a_thread, on_asyncio, pytest.param(on_trio, marks=WITH_TRIO)])


@WAITS
def test_a_call_that_is_woken_after_its_case_is_not_sent(wait):
    case = Case()
    before, late = case.sent(), case.turn()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(wait, late)
        until(lambda: case.pauses.is_waiting)
        case.is_over = True
        before.end()
        with pytest.raises(ConnectionError, match=r"the case ended while .* a limit of a\.test"):
            waiting.result(ENOUGH_S)

    assert case.out == 0
    assert not case.pauses.is_waiting


@WAITS
def test_a_refused_call_is_not_sent_again_after_its_case(wait):
    case = Case()
    turn = case.sent()
    assert turn.is_refused(429, {})
    assert turn.goes_again({"Retry-After": "0"}, b"")
    case.is_over = True
    with pytest.raises(ConnectionError, match="the case ended"):
        wait(turn)

    assert case.out == 0


def test_a_refusal_that_comes_after_the_end_of_its_call_changes_nothing():
    case = Case()
    turn = case.sent()
    turn.end()
    assert turn.is_refused(429, PAUSE)
    turn.goes_again(PAUSE, b"")

    assert case.out == 0
    assert case.sent()


@pytest.mark.parametrize(
    "finish",
    [
        lambda exchange: exchange.answer(200, "application/json", b"{}"),
        lambda exchange: exchange.fail("the connection was lost"),
    ],
)
def test_a_call_that_is_sent_while_its_case_ends_gives_its_place_back(finish: Callable[[Exchange], None]):
    case = Case()
    nowhere = CassetteSession(path=Path(), calls={}, stamp=None, sealed=False)
    recording = Recording(
        log=CallLog(case="", repeat=0, pauses=case.pauses),
        local=nowhere,
        committed=nowhere,
        mode="new",
        redaction=Redaction(lambda value: value),
        late=lambda _: None,
        rules=CallRules(),
        limits=case.limits,
    )
    request = {"model": "small", "messages": [{"role": "user", "content": "Hello"}]}
    exchange = recording.begin(identify_body("a.test", None, "/v1/chat/completions", request), "a.test", None)
    recording.end()
    exchange.wait()
    assert case.out == 1
    finish(exchange)

    assert case.out == 0


def test_a_call_that_hangs_beside_one_that_waits_runs_out_of_time(monkeypatch):
    monkeypatch.setattr(gate, "_LOOK_S", 0.02)
    case = Case(patience_s=0.1)
    sent = []

    async def call(name: str) -> None:
        await case.turn().wait_async()
        sent.append(name)
        await asyncio.Event().wait()

    async def app() -> bool:
        answering = asyncio.gather(*(call(name) for name in ("first", "second", "third")))
        try:
            return await asyncio.wait_for(within(answering, 0.1, case.pauses), ENOUGH_S)
        finally:
            answering.cancel()

    assert not asyncio.run(app())
    assert sent == ["first", "second", "third"]


def test_a_thread_that_waits_for_a_call_that_hangs_gets_the_refusal(monkeypatch):
    monkeypatch.setattr(gate, "_LOOK_S", 0.02)
    case = Case(patience_s=0.1)
    case.sent()
    turn = case.turn()
    case.wait_beside(turn)

    assert turn.is_refused(429, PAUSE)
    assert not turn.goes_again(PAUSE, b"")
    assert turn.given_up == "limited by a.test for 0 s"


def test_a_pause_that_an_answer_names_is_waited_for_beside_patience(monkeypatch):
    monkeypatch.setattr(gate, "_LOOK_S", 0.02)
    case = Case(slots=2, patience_s=0.05)
    hung, turn, began = case.sent(), case.turn(), time.monotonic()
    hung.is_refused(200, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "400ms"})
    case.wait_beside(turn)

    assert time.monotonic() - began > 0.4


@pytest.mark.parametrize("asks_first", [True, False])
def test_calls_are_sent_in_the_order_in_which_they_came(asks_first):
    """A client that asks first whether it has to wait, as aiohttp's does, joins at the end too."""
    case = Case()
    order = []

    async def call(number: int) -> None:
        turn = case.turn()
        if not (asks_first and turn.go_now()):
            await turn.wait_async()
        order.append(number)
        turn.end()

    async def app() -> None:
        first = case.sent()
        calls = []
        for number in range(4):
            calls.append(asyncio.create_task(call(number)))
            await asyncio.sleep(0)
        first.end()
        await asyncio.gather(*calls)

    asyncio.run(app())
    assert order == [0, 1, 2, 3]


def test_a_refused_call_is_sent_before_those_that_wait():
    case = Case()
    refused, order = case.sent(), []

    def send(turn: Turn, name: str) -> None:
        turn.wait()
        order.append(name)
        turn.end()

    other = threading.Thread(target=send, args=(case.turn(), "other"))
    other.start()
    until(lambda: case.pauses.is_waiting)
    assert refused.is_refused(429, PAUSE)
    assert refused.goes_again({"Retry-After": "0.2"}, b"")
    again = threading.Thread(target=send, args=(refused, "again"))
    again.start()
    for thread in (other, again):
        thread.join(ENOUGH_S)

    assert order == ["again", "other"]
