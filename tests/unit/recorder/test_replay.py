"""Calls through real clients, recorded from a real server and answered again without one."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest

from pytest_llmops.errors import CassetteError
from tests.openai_server import OpenAIServer
from tests.unit.recorder.asking import CASE, COMMITTED_FILE, KEY, LOCAL_FILE, ask, ask_streamed, messages


def embed(client: openai.OpenAI) -> list[list[float]]:
    reply = client.embeddings.create(model="encoder", input=["boots", "tents"])
    return [item.embedding for item in reply.data]


def ask_raw(client: openai.OpenAI) -> Any:
    raw = client.chat.completions.with_raw_response.create(model="small", messages=messages("Raw?"))
    return (
        raw.parse().choices[0].message.content,
        raw.headers["content-type"],
        raw.elapsed.total_seconds() >= 0,
    )


def ask_streaming_response(client: openai.OpenAI) -> Any:
    create = client.chat.completions.with_streaming_response.create
    with create(model="small", messages=messages("Lines?")) as response:
        return response.parse().choices[0].message.content


def ask_raw_bytes(client: openai.OpenAI) -> bytes:
    create = client.chat.completions.with_streaming_response.create
    with create(model="small", messages=messages("Bytes?"), stream=True) as response:
        return b"".join(response.iter_bytes())


def ask_with_usage(client: openai.OpenAI) -> str:
    return ask_streamed(client, "Usage?", stream_options={"include_usage": True})


@pytest.mark.parametrize(
    "use", [ask, ask_streamed, ask_with_usage, ask_raw, ask_streaming_response, ask_raw_bytes, embed]
)
@pytest.mark.parametrize(("which", "file"), [("client", LOCAL_FILE), ("far_client", COMMITTED_FILE)])
def test_what_was_recorded_is_answered_again_without_the_server(  # noqa: PLR0913, PLR0917
    request, recorder, server: OpenAIServer, tmp_path: Path, use: Callable[..., Any], which: str, file: Path
):
    client = request.getfixturevalue(which)
    with recorder().recording(CASE, 0) as first:
        made = use(client)
    with recorder("none").recording(CASE, 0) as second:
        replayed = use(client)

    assert replayed == made
    assert server.calls.total() == 1
    assert [call.outcome for call in (*first.calls, *second.calls)] == ["made", "replayed"]
    assert list(tmp_path.rglob("*.yaml")) == [tmp_path / file]
    before, after = first.calls[0], second.calls[0]
    for name in ("kind", "model", "model_reported", "text", "prompt_tokens", "completion_tokens", "key"):
        assert getattr(after, name) == getattr(before, name)
    assert after.duration_s == pytest.approx(before.duration_s, abs=1e-6)


async def _ask_async(client: openai.AsyncOpenAI) -> str:
    reply = await client.chat.completions.create(model="small", messages=messages("Async?"))
    return reply.choices[0].message.content or ""


async def _stream_async(client: openai.AsyncOpenAI) -> str:
    stream = await client.chat.completions.create(model="small", messages=messages("Async?"), stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


def _aiohttp(**options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(**options, http_client=openai.DefaultAioHttpClient())


def _legacy(**options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(**options, http_client=httpx.AsyncClient())


def test_a_call_log_tells_what_the_provider_said(recorder, client: openai.OpenAI):
    with recorder().recording(CASE, 3) as log:
        ask(client, "one two", temperature=0)
        embed(client)

    chat, embeddings = log.calls
    assert (chat.kind, chat.provider, chat.path) == ("chat", "loopback", "/v1/chat/completions")
    assert (chat.model, chat.model_reported, chat.fingerprint) == ("small", "small-served", "fp_test")
    assert (chat.prompt_tokens, chat.completion_tokens, chat.status) == (4, 3, 200)
    assert (chat.repeat, chat.nth, chat.request["temperature"]) == (3, 0, 0)
    assert chat.waited_s >= chat.duration_s > 0
    assert (embeddings.kind, embeddings.text) == ("embeddings", None)
    assert (embeddings.prompt_tokens, embeddings.completion_tokens) == (2, 0)


def test_a_replayed_call_keeps_the_time_it_once_took(recorder, server: OpenAIServer, client: openai.OpenAI):
    server.latency_s = 0.2
    for _ in range(2):
        with recorder().recording(CASE, 0) as log:
            ask(client)

    assert log.calls[0].duration_s >= 0.2
    assert log.calls[0].waited_s < 0.2


def test_an_equal_call_is_recorded_each_time_it_is_made(
    recorder, server: OpenAIServer, client: openai.OpenAI
):
    answers = iter("abc")
    server.answer = lambda _: next(answers)
    with recorder().recording(CASE, 0):
        made = [ask(client), ask(client)]
    with recorder().recording(CASE, 0) as log:
        again = [ask(client), ask(client), ask(client)]

    assert made == ["a", "b"]
    assert again == ["a", "b", "c"]
    assert [(call.nth, call.outcome) for call in log.calls] == [
        (0, "replayed"), (1, "replayed"), (2, "made"),
    ]  # fmt: skip


def test_repeats_of_a_case_share_a_file_and_no_answers(
    recorder, server: OpenAIServer, client: openai.OpenAI, tmp_path: Path
):
    answers = iter("abc")
    server.answer = lambda _: next(answers)
    for _ in range(2):
        run = recorder()
        said = []
        for repeat in range(3):
            with run.recording(CASE, repeat):
                said.append(ask(client))

    assert said == ["a", "b", "c"]
    assert len(list(tmp_path.rglob("*.yaml"))) == 1


def test_what_an_app_asked_before_it_raised_is_kept(recorder, server: OpenAIServer, client: openai.OpenAI):
    for _ in range(2):
        with contextlib.suppress(ZeroDivisionError), recorder().recording(CASE, 0):
            ask(client)
            raise ZeroDivisionError

    assert server.calls.total() == 1


def test_calls_outside_a_recording_and_of_other_paths_are_left_alone(
    recorder, server: OpenAIServer, client: openai.OpenAI, tmp_path: Path
):
    run = recorder()
    ask(client)
    ask(client)
    with run.recording(CASE, 0) as log:
        client.models.list()

    assert server.calls == {"/v1/chat/completions": 2, "/v1/models": 1}
    assert not log.calls
    assert not list(tmp_path.rglob("*.yaml"))


def test_none_refuses_what_is_not_recorded_and_names_what_differs(
    recorder, server: OpenAIServer, far_client: openai.OpenAI
):
    with recorder().recording(CASE, 0):
        ask(far_client, temperature=0.0)
    message = (
        rf"{CASE}: a chat call of small at api\.example\.test/v1/chat/completions is not recorded, "
        r".*record none.*returns-window\.yaml differs in temperature: 0\.0 -> 0\.7\..*--llm-record new"
    )
    with recorder("none").recording(CASE, 0) as log, pytest.raises(CassetteError, match=message):
        ask(far_client, temperature=0.7)

    assert server.calls.total() == 1
    assert [call.outcome for call in log.calls] == ["refused"]  # asked once, though the client has retries
    assert "temperature: 0.0 -> 0.7" in str(log.error)


def test_a_refusal_reaches_who_uses_a_client_that_retries_on_every_exception(recorder, server: OpenAIServer):
    with (
        openai.OpenAI(base_url=server.url, api_key=KEY, http_client=httpx.Client()) as client,
        recorder("none").recording(CASE, 0) as log,
        pytest.raises(openai.BadRequestError, match="is not recorded"),
    ):
        ask(client)

    assert len(log.calls) == 1
    assert isinstance(log.error, CassetteError)


def test_once_records_a_new_case_and_adds_nothing_to_an_old_one(
    recorder, server: OpenAIServer, client: openai.OpenAI
):
    run = recorder("once")
    for repeat in range(2):  # the file exists by the second repeat, but did not when the run began
        with run.recording(CASE, repeat):
            ask(client)
    later = recorder("once")
    with later.recording(CASE, 1):
        ask(client)
    with later.recording(CASE, 0) as log, pytest.raises(CassetteError, match="record once adds nothing"):
        ask(client, "Something new?")

    assert server.calls.total() == 2
    assert log.error is not None


def test_new_makes_only_what_is_missing(recorder, server: OpenAIServer, client: openai.OpenAI):
    with recorder("new").recording(CASE, 0):
        ask(client, "old")
    for _ in range(2):
        with recorder("new").recording(CASE, 0) as log:
            ask(client, "old")
            ask(client, "new")

    assert server.calls.total() == 2
    assert [call.outcome for call in log.calls] == ["replayed", "replayed"]


def test_all_keeps_only_the_calls_of_this_run(recorder, server: OpenAIServer, client: openai.OpenAI):
    with recorder("new").recording(CASE, 0):
        ask(client, "old")
        ask(client, "new")  # its place is taken anew, and stays when the next repeat is added
    run = recorder("all")
    for repeat in range(2):
        with run.recording(CASE, repeat):
            ask(client, "new")
    strict = recorder("none")
    for repeat in range(2):
        with strict.recording(CASE, repeat):
            ask(client, "new")
    with strict.recording(CASE, 0), pytest.raises(CassetteError):
        ask(client, "old")

    assert server.calls.total() == 4


def test_all_leaves_the_cassette_when_nothing_was_answered(
    recorder, server: OpenAIServer, client: openai.OpenAI
):
    with recorder("new").recording(CASE, 0):
        ask(client)
    server.fault = "500"
    with recorder("all").recording(CASE, 0), pytest.raises(openai.InternalServerError):
        ask(client)
    with recorder("none").recording(CASE, 0):
        assert ask(client) == "Echo: How long?"


def test_a_body_that_is_sent_in_pieces_is_read_once_and_sent_whole(recorder, server: OpenAIServer):
    async def body() -> AsyncIterator[bytes]:
        yield b'{"model": "encoder",'
        yield b' "input": "boots"}'

    async def run(mode: str) -> bytes:
        async with httpx2.AsyncClient() as client:
            with recorder(mode).recording(CASE, 0):
                headers = {"content-length": "38"}
                return (
                    await client.post(f"{server.url}/embeddings", content=body(), headers=headers)
                ).content

    assert json.loads(asyncio.run(run("new"))) == json.loads(asyncio.run(run("none")))
    assert server.requests == [{"model": "encoder", "input": "boots"}]
