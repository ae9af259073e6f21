"""Calls side by side, and calls that are never replayed: what a log and the rules of a case are for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from threading import Thread

import openai
import pytest

from pytest_llmops.recorder import CallLog
from pytest_llmops.recorder.call import CallRules
from tests.openai_server import OpenAIServer
from tests.unit.recorder.asking import CASE, KEY, ask
from tests.unit.recorder.test_replay import _aiohttp, _ask_async, _legacy, _stream_async


@pytest.mark.parametrize("use", [_ask_async, _stream_async])
@pytest.mark.parametrize("connect", [openai.AsyncOpenAI, _aiohttp, _legacy])
def test_async_clients_record_and_replay(
    recorder,
    server: OpenAIServer,
    use: Callable[[openai.AsyncOpenAI], Awaitable[str]],
    connect: Callable[..., openai.AsyncOpenAI],
):
    async def run(mode: str) -> tuple[str, CallLog]:
        async with connect(base_url=server.url, api_key=KEY) as client:
            with recorder(mode).recording(CASE, 0) as log:
                return await use(client), log

    made, first = asyncio.run(run("new"))
    replayed, second = asyncio.run(run("none"))

    assert replayed == made == "Echo: Async?"
    assert server.calls.total() == 1
    assert [first.calls[0].text, second.calls[0].text] == [made, made]


def test_concurrent_equal_calls_get_numbers_of_their_own(recorder, server: OpenAIServer):
    server.latency_s = 0.05

    async def run(mode: str) -> CallLog:
        async with openai.AsyncOpenAI(base_url=server.url, api_key=KEY) as client:
            with recorder(mode).recording(CASE, 0) as log:
                await asyncio.gather(*[_ask_async(client) for _ in range(20)])
        return log

    assert sorted(call.nth for call in asyncio.run(run("new")).calls) == list(range(20))
    assert {call.outcome for call in asyncio.run(run("none")).calls} == {"replayed"}
    assert server.calls.total() == 20


def test_threads_with_a_copied_context_land_in_the_log_of_their_case(recorder, client: openai.OpenAI):
    run = recorder()

    def work(number: int) -> None:
        with run.recording(f"golden/support.yaml::case-{number}", 0) as log:
            inner = [Thread(target=copy_context().run, args=(ask, client, f"{number}")) for _ in range(2)]
            for thread in inner:
                thread.start()
            for thread in inner:
                thread.join()
        logs[number] = log

    logs: dict[int, CallLog] = {}
    outer = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in outer:
        thread.start()
    for thread in outer:
        thread.join()

    assert {number: {call.text for call in log.calls} for number, log in logs.items()} == {
        number: {f"Echo: {number}"} for number in range(8)
    }
    assert all(len(log.calls) == 2 for log in logs.values())


@pytest.mark.parametrize("rules", [CallRules(live=True), CallRules(never=("127.0.0.1",))])
def test_a_call_that_is_never_replayed_is_not_kept_either(
    recorder, server: OpenAIServer, client: openai.OpenAI, tmp_path, rules
):
    for _ in range(2):
        with recorder("new").recording(CASE, 0, rules=rules) as log:
            ask(client)
        assert [call.outcome for call in log.calls] == ["made"]

    assert server.calls.total() == 2
    assert not list(tmp_path.rglob("*.yaml"))
