"""The steps of an answer as runs of LangSmith, sent by its real client to a server on this machine."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from reference_app.errors import SettingsError
from reference_app.graph import SupportApp
from reference_app.settings import read_settings
from reference_app.tracing import langsmith
from reference_app.tracing.settings import read_tracing_settings
from tests.app.langsmith_server import LangSmithServer

PLAN = json.dumps(
    {"route": "tools", "calls": [{"name": "order_status", "arguments": {"order_id": "FW-20001"}}]}
)
DOCUMENTS = json.dumps({"route": "documents", "calls": []})
VALUES = ("ada.quimby", "07700 900461", "4629 1830", "Quimby")
QUESTION = (
    "I'm Ada Quimby, ada.quimby@example.com, tel. 07700 900461, card 4629 1830 5577 1940. Where is FW-20001?"
)
KEY = "walrus-key"


@pytest.fixture
def model(model_server):
    model_server.answer = lambda _: PLAN
    return model_server


@pytest.fixture
def answer(running_shop, model):
    def run(question, url, **changed):
        variables = {
            **running_shop,
            "OPENAI_BASE_URL": model.url,
            "REFERENCE_APP_EMBEDDING_MODEL": "text-embedding-3-small",
            "REFERENCE_APP_TRACING": "langsmith",
            "REFERENCE_APP_PRICES": "gpt-4o-mini=0.15/0.60",
            "LANGSMITH_ENDPOINT": url,
            "LANGSMITH_API_KEY": KEY,
            "LANGSMITH_PROJECT": "support",
            **changed,
        }
        app = SupportApp(read_settings(variables))
        try:
            return app.answer(question)
        finally:
            app.close()

    return run


def by_name(server):
    return {run["name"]: run for run in server.runs.values()}


@pytest.mark.parametrize(
    ("multipart", "zstd", "path", "encoding"),
    [
        (True, True, "/runs/multipart", "zstd"),
        (True, False, "/runs/multipart", ""),
        (False, False, "/runs/batch", ""),
    ],
)
def test_the_runs_of_an_answer_are_there_when_it_is_given(answer, multipart, zstd, path, encoding):
    with LangSmithServer(multipart=multipart, zstd=zstd) as server:
        text = answer(QUESTION, server.url)["text"]

        runs = by_name(server)
        assert {(at, key) for at, _, key in server.requests} == {(path, KEY)}
        # The client compresses once it has read /info.
        assert encoding in {how for _, how, _ in server.requests} <= {"", encoding}
    types = {name.split()[0]: run["run_type"] for name, run in runs.items()}
    assert types == {
        "invoke_agent": "chain",
        "guard": "chain",
        "intake": "chain",
        "embeddings": "embedding",
        "planner": "chain",
        "chat": "llm",
        "tools": "chain",
        "execute_tool": "tool",
        "GET": "chain",
        "answerer": "chain",
    }
    root = runs["invoke_agent support"]
    assert all(run["trace_id"] == root["id"] and run["end_time"] for run in runs.values())
    assert all(run["session_name"] == "support" for run in runs.values())
    assert runs["planner"]["parent_run_id"] == root["id"]
    assert runs["chat gpt-4o-mini"]["parent_run_id"] == runs["planner"]["id"]
    assert runs["execute_tool order_status"]["parent_run_id"] == runs["tools"]["id"]
    assert all(run["dotted_order"].startswith(root["dotted_order"]) for run in runs.values())
    assert root["outputs"]["messages"] == [{"role": "assistant", "content": text}]


def test_a_model_call_and_a_tool_show_what_went_in_and_out(answer):
    with LangSmithServer() as server:
        answer(QUESTION, server.url)
    runs = by_name(server)

    chat = runs["chat gpt-4o-mini"]
    assert chat["inputs"]["messages"][0]["role"] == "system"
    assert chat["outputs"]["messages"][0]["content"] == PLAN
    usage = chat["outputs"]["usage_metadata"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert usage["total_cost"] == pytest.approx(
        (usage["input_tokens"] * 0.15 + usage["output_tokens"] * 0.6) / 1e6
    )
    metadata = chat["extra"]["metadata"]
    assert (metadata["ls_model_name"], metadata["reference_app.prompt.name"]) == ("gpt-4o-mini", "planner")
    assert metadata["reference_app.prompt.version"].count(".") == 2
    assert re.fullmatch("[0-9a-f]{64}", metadata["reference_app.prompt.sha256"])
    assert metadata["gen_ai.response.model"] == "gpt-4o-mini-served"
    tool = runs["execute_tool order_status"]
    assert tool["inputs"] == {"arguments": {"order_id": "FW-20001"}}
    assert tool["outputs"]["output"]["status"] == "shipped"
    assert tool["extra"]["metadata"]["gen_ai.tool.call.id"].startswith("call_")
    root = runs["invoke_agent support"]["extra"]["metadata"]
    assert {one["name"] for one in root["gen_ai.tool.definitions"]} >= {"order_status", "query_shop"}


def test_the_turns_of_a_thread_are_one_conversation(answer, monkeypatch):
    """By the name that LangSmith puts runs together by, and by the conventions' one."""
    with LangSmithServer() as server:
        monkeypatch.setattr(
            SupportApp, "answer", lambda app, turns: [list(app.run(one, thread="t-1")) for one in turns]
        )
        answer([QUESTION, "And who carries it?"], server.url)
        monkeypatch.undo()
        answer(QUESTION, server.url)

        roots = [
            run["extra"]["metadata"] for run in server.runs.values() if run["name"] == "invoke_agent support"
        ]
    named = [root["thread_id"] for root in roots]
    assert named == [root["gen_ai.conversation.id"] for root in roots]
    assert named[:2] == ["t-1", "t-1"]
    assert named[2] != "t-1"


def test_documents_are_those_of_a_retriever(answer, model):
    model.answer = lambda _: DOCUMENTS
    with LangSmithServer() as server:
        answer("How heavy is the Kestrel tent?", server.url)

    retrieval = by_name(server)["retrieval knowledge"]
    assert retrieval["run_type"] == "retriever"
    assert retrieval["inputs"] == {"query": "How heavy is the Kestrel tent?"}
    assert {document["type"] for document in retrieval["outputs"]["documents"]} == {"Document"}
    assert all(document["page_content"] for document in retrieval["outputs"]["documents"])


def test_a_short_process_loses_nothing(ask, shop, model):
    with LangSmithServer() as server:
        code, output, errors = ask(
            QUESTION,
            **shop,
            OPENAI_BASE_URL=model.url,
            REFERENCE_APP_EMBEDDING_MODEL="text-embedding-3-small",
            REFERENCE_APP_TRACING="both",
            LANGSMITH_ENDPOINT=server.url,
            LANGSMITH_API_KEY=KEY,
        )

        assert code == 0, errors
        assert output.startswith("Order FW-20001 has been shipped")
        assert "Traceback" not in errors
        assert len(server.runs) == 13  # that personal data was masked is one of them
        assert all(run["end_time"] for run in server.runs.values())


def test_nothing_personal_leaves_even_where_redaction_before_the_model_is_off(answer):
    with LangSmithServer() as server:
        answer(QUESTION, server.url, REFERENCE_APP_GUARDRAILS="input,output")

    sent = "".join(server.bodies)
    assert "[email]" in sent
    assert not [value for value in VALUES if value in sent]


def test_langgraphs_own_tracing_stays_off(ask, shop, model):
    with LangSmithServer() as server:
        code, _, errors = ask(
            QUESTION,
            **shop,
            OPENAI_BASE_URL=model.url,
            REFERENCE_APP_EMBEDDING_MODEL="text-embedding-3-small",
            LANGSMITH_TRACING="true",
            LANGSMITH_ENDPOINT=server.url,
            LANGSMITH_API_KEY=KEY,
        )

        assert code == 0, errors
        assert server.requests == []


@pytest.mark.parametrize("target", ["opentelemetry", "none"])
def test_nothing_is_sent_unless_it_is_asked_for(answer, target):
    with LangSmithServer() as server:
        answer(QUESTION, server.url, REFERENCE_APP_TRACING=target)

        assert server.requests == []


@pytest.mark.parametrize(("target", "spans"), [("both", True), ("langsmith", False), ("none", False)])
def test_the_setting_says_who_gets_the_steps(answer, monkeypatch, target, spans):
    opened = []
    real = __import__("opentelemetry.trace", fromlist=["get_tracer"]).get_tracer
    monkeypatch.setattr("opentelemetry.trace.get_tracer", lambda scope: opened.append(scope) or real(scope))
    with LangSmithServer() as server:
        answer(QUESTION, server.url, REFERENCE_APP_TRACING=target)

        assert bool(server.runs) == (target != "none")
    assert bool(opened) == spans


def test_a_failure_is_reported_by_its_type_alone(answer, model):
    answer(QUESTION, "", REFERENCE_APP_TRACING="none")  # the documents are embedded
    model.fault = "401"
    with LangSmithServer() as server, pytest.raises(Exception, match="401"):
        answer(QUESTION, server.url)

    root = by_name(server)["invoke_agent support"]
    assert root["error"] == "AuthenticationError"
    assert not [value for value in VALUES if value in "".join(server.bodies)]


@pytest.fixture
def waits(monkeypatch):
    """How long each question was ready to wait for LangSmith; the first one a third of a second."""
    from langsmith import Client, client
    from langsmith._internal import _background_thread

    waits = []
    real_flush, real_retry = Client.flush, client._default_retry_config
    monkeypatch.setattr(langsmith, "FLUSH_TIMEOUT_S", 0.3)
    monkeypatch.setattr(langsmith, "_timeouts_s", {})
    monkeypatch.setattr(
        Client, "flush", lambda self, wait_s: waits.append(wait_s) or real_flush(self, wait_s)
    )
    # Three times four attempts, which take 0.9 s with these pauses and 9 s with the client's own.
    monkeypatch.setattr(client, "_default_retry_config", lambda: real_retry().new(backoff_factor=0.05))
    # All clients of a process send from one pool, where the next test would wait for what still fails.
    with ThreadPoolExecutor(8) as pool:
        monkeypatch.setattr(_background_thread, "LANGSMITH_CLIENT_THREAD_POOL", pool)
        yield waits


@pytest.mark.parametrize("status", [None, 401, 500], ids=["down", "401", "500"])
def test_a_langsmith_that_fails_breaks_no_answer(answer, waits, capfd, status):
    with LangSmithServer(status=status or 202) as server:
        url = server.url if status else "http://127.0.0.1:9"
        texts = [answer(QUESTION, url)["text"]]
        began = time.monotonic()
        texts.append(answer(QUESTION, url)["text"])

    assert all("FW-20001" in text for text in texts)
    assert time.monotonic() - began < 4
    if status != 401:  # which is known at once
        assert waits == [langsmith.FLUSH_TIMEOUT_S, langsmith.LATE_FLUSH_TIMEOUT_S]
    errors = capfd.readouterr().err
    assert errors.count("LangSmith did not take the trace") <= 2
    assert not [value for value in (*VALUES, KEY, "Traceback") if value in errors]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"REFERENCE_APP_TRACING": "zipkin"}, "REFERENCE_APP_TRACING is 'zipkin'"),
        ({"REFERENCE_APP_PRICES": "gpt=cheap"}, "REFERENCE_APP_PRICES has 'gpt=cheap'"),
        ({"REFERENCE_APP_PRICES": "a=1/2, b=3"}, "has 'b=3'"),
    ],
)
def test_a_wrong_setting_is_named(variables, message):
    with pytest.raises(SettingsError, match=message):
        read_tracing_settings(variables)


def test_a_model_without_a_price_has_no_cost(answer):
    with LangSmithServer() as server:
        answer(QUESTION, server.url, REFERENCE_APP_PRICES="other=1/2")

    assert "total_cost" not in by_name(server)["chat gpt-4o-mini"]["outputs"]["usage_metadata"]
