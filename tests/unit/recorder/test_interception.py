from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import httpx2
import pytest

from pytest_llmops.errors import BudgetError, CassetteError
from pytest_llmops.recorder import recording_of
from pytest_llmops.recorder.call import Call
from pytest_llmops.recorder.egress import stand_aside
from pytest_llmops.runner.budget import Budget
from tests.bare_thread import run_bare
from tests.openai_server import OpenAIServer

CLIENTS = (httpx.Client, httpx.AsyncClient, httpx2.Client, httpx2.AsyncClient)


def test_uninstall_puts_back_exactly_what_was_there(recorder):
    before = [client.__dict__["send"] for client in CLIENTS]
    finders = list(sys.meta_path)
    one = recorder()
    one.install()
    two = recorder()
    changed = [client.__dict__["send"] for client in CLIENTS]
    one.uninstall()
    one.uninstall()
    kept = [client.__dict__["send"] for client in CLIENTS]
    two.uninstall()

    assert all(now is not was for now, was in zip(changed, before, strict=True))
    assert kept == changed  # the other recorder still listens
    assert [client.__dict__["send"] for client in CLIENTS] == before
    assert sys.meta_path == finders


def test_what_another_library_put_on_top_stays(recorder, monkeypatch: pytest.MonkeyPatch):
    run = recorder()

    def theirs() -> None: ...

    ours = httpx2.Client.send
    monkeypatch.setattr(httpx2.Client, "send", theirs)
    run.uninstall()

    assert httpx2.Client.send is theirs
    monkeypatch.undo()
    assert httpx2.Client.send is ours
    httpx2.Client.send = ours.__wrapped__


LATE = """
import sys
from pathlib import Path
from pytest_llmops.recorder import Recorder
heavy = {"httpx", "httpx2", "openai", "yaml", "filelock", "asyncio", "pytest"} & set(sys.modules)
assert not heavy, heavy
run = Recorder(committed=Path("c"), local=Path("l"), mode="new")
run.install()
with run.recording("golden/support.yaml::late", 0) as log:
    import importlib
    library = importlib.import_module(sys.argv[2])
    with library.Client() as client:
        client.post(sys.argv[1] + "/embeddings", json={"model": "encoder", "input": "a"})
assert [call.kind for call in log.calls] == ["embeddings"], log
run.uninstall()
assert not hasattr(library.Client.send, "__wrapped__")
"""


@pytest.mark.parametrize("library", ["httpx2", "httpx"])
def test_a_library_imported_inside_the_case_is_seen(server: OpenAIServer, tmp_path: Path, library):
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", LATE, server.url, library],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_judge_beside_an_app_takes_no_call_of_the_apps_threads(recorder, server: OpenAIServer):
    """An app's thread that knows of no case asks a model while a judge's recording is open too."""
    run = recorder()

    def ask() -> None:
        with httpx.Client() as client:
            body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
            client.post(f"{server.url}/chat/completions", json=body)

    with run.recording("golden/a.yaml::app", 0) as log:
        with recording_of("golden/a.yaml::judged", 0) as judged:
            run_bare(ask)

        assert judged is not None
        assert (len(judged.calls), len(log.calls), log.is_whole) == (0, 1, True)


@pytest.mark.parametrize(("mode", "calls"), [("new", 1), ("none", 0)])
def test_calls_aside_are_kept_nowhere_and_under_none_not_made(
    recorder, server: OpenAIServer, mode: str, calls: int, tmp_path: Path
):
    recorder(mode)
    told: list[str] = []

    def embed() -> None:
        stand_aside()
        with httpx.Client() as client:
            try:
                client.post(f"{server.url}/embeddings", json={"model": "encoder-x", "input": ["a"]})
            except CassetteError as error:
                told.append(str(error))

    with recording_of("golden/a.yaml::app", 0):
        run_bare(embed)

    assert server.calls["/v1/embeddings"] == calls
    assert [("encoder-x" in text, "record none" in text) for text in told] == [(True, True)] * (1 - calls)
    assert not list(tmp_path.rglob("*app*.yaml"))


class Ledger:
    """Permits so many calls, and keeps what it was charged."""

    def __init__(self, calls: int) -> None:
        self.left = calls
        self.charged: list[Call] = []

    def permit(self, provider: str, model: str | None) -> None:
        if not self.left:
            raise BudgetError(f"{provider} {model}: spent")
        self.left -= 1

    def charge(self, call: Call) -> None:
        self.charged.append(call)


def embed_aside(url: str, times: int, *, asynchronous: bool = False) -> list[str]:
    """What was raised, or the status, of each call of an encoder on a thread of a metric."""
    seen: list[str] = []
    body = {"model": "encoder-x", "input": ["a b", "c"]}

    async def post() -> int:
        async with httpx2.AsyncClient() as client:
            return (await client.post(f"{url}/embeddings", json=body)).status_code

    def embed() -> None:
        stand_aside()
        with httpx2.Client() as client:
            for _ in range(times):
                try:
                    status = (
                        asyncio.run(post())
                        if asynchronous
                        else client.post(f"{url}/embeddings", json=body).status_code
                    )
                    seen.append(str(status))
                except (BudgetError, httpx2.HTTPError) as error:
                    seen.append(type(error).__name__)

    run_bare(embed)
    return seen


@pytest.mark.parametrize("asynchronous", [False, True])
def test_calls_aside_are_charged_with_their_tokens_failed_ones_as_well(
    recorder, server: OpenAIServer, asynchronous
):
    ledger = Ledger(5)
    run = recorder("new", budget=ledger)
    server.faults.extend(["429", "cut", "malformed", None, "500"])

    seen = embed_aside(server.url, 6, asynchronous=asynchronous)

    assert seen[0] == "429"
    assert seen[2:] == ["200", "200", "500", "BudgetError"]
    assert server.calls["/v1/embeddings"] == 5
    assert [(call.outcome, call.status, call.prompt_tokens) for call in ledger.charged] == [
        ("failed", 429, None),
        ("failed", None, None),
        ("failed", 200, None),
        ("made", 200, 3),
        ("failed", 500, None),
    ]
    assert {(call.model, call.kind, call.provider) for call in ledger.charged} == {
        ("encoder-x", "embeddings", "loopback")
    }
    assert run.describe_other_calls() == ["metrics: 1 model call made, 0 replayed, 4 failed"]


def test_calls_aside_cost_dollars(recorder, server: OpenAIServer):
    budget = Budget.read("0.001", {"encoder-x": (1000.0, 0.0)})
    recorder("new", budget=budget)

    assert embed_aside(server.url, 2) == ["200", "BudgetError"]
    assert budget.describe() == "$0.003 of $0.001"


def test_calls_of_judges_are_told_apart_from_the_apps(recorder, server: OpenAIServer):
    run = recorder()
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}

    for _ in range(2):
        with recording_of("golden/a.yaml::judged", 0), httpx.Client() as client:
            client.post(f"{server.url}/chat/completions", json=body)

    assert run.describe_other_calls() == ["judges: 1 model call made, 1 replayed, 0 failed"]
