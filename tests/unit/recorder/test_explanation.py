from __future__ import annotations

import contextlib
import re
from pathlib import Path

import openai
import pytest

from pytest_llmops.errors import CassetteError, LLMOpsError
from pytest_llmops.recorder.explanation import RunLog, explain
from tests.openai_server import OpenAIServer
from tests.unit.recorder.asking import CASE, KEY, LOCAL_FILE, ask, messages

LONG = "You answer customers. " * 20


def hide_keys(text: str) -> str:
    return re.sub(r"sk-[\w-]{16,}", "<API_KEY>", text)


def folder(tmp_path: Path) -> Path:
    return tmp_path / ".llmops/explain"


def test_a_changed_call_is_explained_by_the_part_that_changed(
    recorder, client: openai.OpenAI, tmp_path: Path
):
    with recorder().recording(CASE, 0):
        ask(client, "Where is my parcel?", temperature=0.0)
        ask(client, f"{LONG}Within 60 days.{LONG}", temperature=0.0)
        ask(client, "Thanks", temperature=0.0)
    with recorder().recording(CASE, 0):
        ask(client, "Where is my parcel?", temperature=0.0)
        ask(client, f"{LONG}Within 90 days.{LONG}", temperature=0.0)
        ask(client, "Thanks", temperature=0.5, top_p=1)

    text = explain(folder(tmp_path), CASE)
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0] == f"{CASE}: 3 model calls, 1 replayed, 2 made, 0 failed"
    assert lines[1] == "repeat 0, --llm-record new"
    assert lines[2].startswith("1. chat small at loopback/v1/chat/completions: replayed from ")
    assert "returns-window.yaml differs in" in lines[3]
    before, after = lines[4].split(" -> ")
    assert before.startswith("messages[1].content: …'")
    assert "60 days" in before
    assert "90 days" in after
    assert len(lines[4]) < 200
    assert lines[6:] == ["temperature: 0.0 -> 0.5", "top_p: absent -> 1"]


def test_a_model_s_name_is_masked_in_the_log(recorder, client: openai.OpenAI, tmp_path: Path):
    with recorder(redact=hide_keys).recording(CASE, 0):
        client.chat.completions.create(model=KEY, messages=messages("Hi"))

    assert "chat <API_KEY> at loopback" in explain(folder(tmp_path), CASE)
    assert not any(KEY in path.read_text() for path in folder(tmp_path).iterdir())


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"model": "large"}, "model: 'small' -> 'large'"),
        ({"seed": True}, "seed: 1 -> True"),
        ({"repeat": 1}, "repeat: 0 -> 1"),
        ({"twice": True}, "nth: 0 -> 1"),
        ({"tools": [{"type": "function"}]}, "tools[0].type: absent -> 'function'"),
    ],
)
def test_each_part_of_the_identity_is_named(
    recorder, client: openai.OpenAI, tmp_path: Path, changed, difference
):
    settings = {"model": "small", "seed": 1, **changed}
    repeat, twice = settings.pop("repeat", 0), settings.pop("twice", False)
    with recorder().recording(CASE, 0):
        client.chat.completions.create(model="small", seed=1, messages=[])
    with recorder().recording(CASE, repeat):
        if twice:
            client.chat.completions.create(messages=[], **settings)
        client.chat.completions.create(messages=[], **settings)

    assert explain(folder(tmp_path), CASE).splitlines()[-1].strip() == difference


def test_excerpts_are_redacted_and_cannot_act_on_a_terminal(recorder, client: openai.OpenAI, tmp_path: Path):
    for text in ("a", "sk-secret-0123456789abcdef \x1b[31mred\u202e"):
        with recorder(redact=hide_keys).recording(CASE, 0):
            ask(client, text)

    text = explain(folder(tmp_path), CASE)
    assert "'a' -> '<API_KEY> \\x1b[31mred\\u202e'" in text


def test_a_change_that_redaction_hides_is_told_as_such(recorder, client: openai.OpenAI, tmp_path: Path):
    for text in ("sk-secret-0123456789abcdef", "sk-secret-0123456789abcdeg"):
        with recorder(redact=hide_keys).recording(CASE, 0):
            ask(client, text)

    assert "only in text that is redacted" in explain(folder(tmp_path), CASE)


def test_failures_and_refusals_are_told(
    recorder, server: OpenAIServer, client: openai.OpenAI, tmp_path: Path
):
    server.fault = "500"
    run = recorder()
    with run.recording(CASE, 0), pytest.raises(openai.InternalServerError):
        ask(client)
    assert "because the answer had status 500: Something broke." in explain(folder(tmp_path), CASE)

    with recorder("none").recording(CASE, 0), pytest.raises(CassetteError):
        ask(client)
    assert "failed" in explain(folder(tmp_path), CASE)
    assert "--llm-record none makes no calls" in explain(folder(tmp_path), CASE)

    (tmp_path / LOCAL_FILE).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / LOCAL_FILE).write_text("{")
    with pytest.raises(CassetteError), recorder().recording(CASE, 0):
        pass
    assert "Delete it or run with --llm-record all" in explain(folder(tmp_path), CASE)


def test_a_case_is_found_by_its_own_id_in_the_run_that_had_it_last(
    recorder, client: openai.OpenAI, tmp_path: Path
):
    run = recorder()
    for case in (CASE, "golden/shop.yaml::returns-window", "golden/shop.yaml::other"):
        with run.recording(case, 0):
            ask(client)
    for _ in range(30):  # runs without the case; some of their logs make room
        with recorder().recording("golden/shop.yaml::other", 0):
            pass
        with run.recording(CASE, 0):
            ask(client)

    assert explain(folder(tmp_path), "returns-window").count("returns-window: ") == 1
    assert len(list(folder(tmp_path).iterdir())) <= 21


def test_an_unknown_case_names_the_nearest(recorder, tmp_path: Path):
    with recorder().recording(CASE, 0):
        pass
    assert explain(folder(tmp_path), "returns-window").startswith(f"{CASE}: 0 model calls")
    with pytest.raises(LLMOpsError, match=r"'return-window'.*Did you mean 'returns-window'\?"):
        explain(folder(tmp_path), "return-window")
    with pytest.raises(LLMOpsError, match="no run has left a log"):
        explain(tmp_path / "nowhere", CASE)


def open_files(folder: Path) -> list[str]:
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing itself
            found.append(str(link.readlink()))
    return [each for each in found if each.startswith(str(folder))]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed on Linux")
def test_no_file_stays_open_after_the_end_whoever_is_late(tmp_path: Path):
    log = RunLog(tmp_path)
    entry = {"case": "a", "repeat": 0, "mode": "new", "error": None, "calls": []}
    log.add(entry)
    assert len(open_files(tmp_path)) == 1
    log.close()
    log.add(entry)  # a thread of the app that was left behind

    assert open_files(tmp_path) == []
    assert "0 model calls" in explain(tmp_path, "a")
    assert sum(len(path.read_text().splitlines()) for path in tmp_path.glob("*.jsonl")) == 2
