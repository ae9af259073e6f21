from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_llmops.recorder.redaction import Redaction
from tests.openai_server import OpenAIServer
from tests.unit.recorder.asking import CASE, KEY, LOCAL_FILE, ask, ask_streamed

if TYPE_CHECKING:
    import openai

MAIL = "ada.lovelace@example.test"


def hide_mail(text: str) -> str:
    return re.sub(r"[\w.]+@[\w.]+\w", "<MAIL>", text)


@pytest.mark.parametrize("use", [ask, ask_streamed])
def test_nothing_private_is_written_and_the_call_is_still_found(
    recorder, server: OpenAIServer, client: openai.OpenAI, tmp_path: Path, use
):
    with recorder(redact=hide_mail).recording(CASE, 0):
        live = use(client, f"Write to {MAIL}, please.")
    with recorder("none", redact=hide_mail).recording(CASE, 0) as log:
        replayed = use(client, f"Write to {MAIL}, please.")

    assert live == f"Echo: Write to {MAIL}, please."  # the app itself got what the model said
    assert replayed == "Echo: Write to <MAIL>, please."
    assert log.calls[0].text == replayed
    assert server.calls.total() == 1
    written = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert "<MAIL>" in "".join(written)
    assert not [text for text in written if "lovelace" in text or KEY in text]


@pytest.mark.parametrize("streamed", [False, True])
def test_arguments_of_tools_are_redacted_inside_their_json(
    recorder, server: OpenAIServer, client: openai.OpenAI, tmp_path: Path, streamed
):
    arguments = json.dumps({"to": MAIL, "lines": [json.dumps({"cc": MAIL})]})
    tool = {"id": "call_1", "type": "function", "function": {"name": "send", "arguments": arguments}}
    server.answer = lambda _: {"content": None, "tool_calls": [tool]}
    use = ask_streamed if streamed else ask
    with recorder(redact=hide_mail).recording(CASE, 0):
        use(client)
    with recorder("none").recording(CASE, 0) as log:
        use(client)

    text = (tmp_path / LOCAL_FILE).read_text(encoding="utf-8")
    assert "lovelace" not in text
    body = json.dumps(log.calls[0].response)
    assert body.count("<MAIL>") == 2


def test_a_vector_is_never_touched(recorder, client: openai.OpenAI):
    def hide_all(text: str) -> str:
        return "<HIDDEN>" if len(text) > 20 else text

    vectors = []
    for mode in ("new", "none"):
        with recorder(mode, redact=hide_all).recording(CASE, 0):
            vectors.append(client.embeddings.create(model="encoder", input="x" * 30).data[0].embedding)

    assert vectors[0] == vectors[1]


def test_a_redaction_that_raises_keeps_the_case_and_writes_nothing(
    recorder, client: openai.OpenAI, tmp_path: Path
):
    def broken(text: str) -> str:
        raise ValueError(text)

    run = recorder(redact=broken)
    with run.recording(CASE, 0):
        assert ask(client, MAIL) == f"Echo: {MAIL}"

    assert run.problems == [f"{CASE}: its model calls were not kept: redacting them raised ValueError"]
    assert not (tmp_path / LOCAL_FILE).exists()


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop1234", "sk-ant-api03-abcdefghijklmnop", "AKIAIOSFODNN7QWERTZU",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "Bearer eyJhbGciOiJIUzI1NiJ9.e30",
    ],
)  # fmt: skip
def test_keys_are_replaced_when_no_redaction_is_given(
    recorder, client: openai.OpenAI, tmp_path: Path, secret
):
    with recorder().recording(CASE, 0):
        ask(client, f"use {secret} now", user=json.dumps({"b": secret}))

    written = (tmp_path / LOCAL_FILE).read_text(encoding="utf-8")
    assert secret.removeprefix("Bearer ") not in written
    assert written.count("redacted") >= 2


def test_names_are_redacted_too():
    assert Redaction(hide_mail).value({MAIL: 1}) == {"<MAIL>": 1}


@pytest.mark.parametrize("line", [": for {}", "data: for {}", 'data: ["{}"]', "event: {}"])
def test_a_line_of_a_stream_that_is_no_event_is_redacted_too(line):
    stream = f"{line}\n\ndata: [DONE]\n\n"

    assert Redaction(hide_mail).body("chat", stream.format(MAIL)) == stream.format("<MAIL>")


def test_a_secret_cut_in_two_by_a_stream_is_found_in_each_choice():
    def event(choice: int, piece: str) -> str:
        return "data: " + json.dumps({"choices": [{"index": choice, "delta": {"content": piece}}]})

    stream = "\n\n".join(
        [event(0, "To ada@ex"), event(1, "To bob@"), event(0, "ample.test!"), event(1, "b.test.")]
    )
    redacted = Redaction(hide_mail).body("chat", stream + "\n\ndata: [DONE]\n\n")

    assert "ample" not in redacted
    assert "bob" not in redacted
    said = {0: "", 1: ""}
    for line in redacted.split("\n"):
        if line.startswith("data: {"):
            choice = json.loads(line[6:])["choices"][0]
            said[choice["index"]] += choice["delta"]["content"]
    assert said == {0: "To <MAIL>!", 1: "To <MAIL>."}
    assert redacted.endswith("\n\ndata: [DONE]\n\n")
