"""Repeats that a cache answers count once, by the provider's name of an answer or by a header."""

from __future__ import annotations

import json
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import httpx
import pytest

from pytest_llmops import compare, load_golden, run_golden
from pytest_llmops.gates.baseline import accept
from pytest_llmops.gates.case_results import count_answers, values_by_metric
from pytest_llmops.reports.files.baseline_file import load_baseline, write_baseline
from pytest_llmops.reports.files.run_file import load_run, write_run
from pytest_llmops.settings import Settings
from tests.command import main

CASES = 24
GOLDEN = "version: 1\nsuite: {keywords: {max_drop: 0.05}}\ncases:\n" + "".join(
    f"  - {{id: c{case:02}, input: question {case}, checks: {{keywords: {{all: [good]}}}}}}\n"
    for case in range(CASES)
)


class Endpoint:
    """A provider that passes three answers of four, behind a cache that `forget` empties."""

    def __init__(self, kind: str) -> None:
        self.kind, self.draw, self.kept, self.calls = kind, random.Random(0), {}, 0  # noqa: S311
        self.lock = threading.Lock()

    def answer(self, question: str) -> tuple[dict, dict]:
        with self.lock:
            self.calls += 1
            hit = question in self.kept
            text = "good" if self.draw.random() < 0.75 else "bad"
            if self.kind in {"id", "header"}:
                text = self.kept.setdefault(question, (text, f"chatcmpl-{uuid4().hex}"))[0]
            name = {"id": (self.kept.get(question) or ("", ""))[1], "constant": "chatcmpl-1"}.get(
                self.kind, f"chatcmpl-{uuid4().hex}"
            )
        body = {
            "id": name,
            "object": "chat.completion",
            "created": 1,
            "model": "small",
            "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            ],
        }
        return body, {"x-proxy-cache": "HIT" if hit else "MISS"} if self.kind == "header" else {}

    def forget(self) -> None:
        self.kept.clear()


@pytest.fixture
def serve():
    servers = []

    def serve(endpoint: Endpoint) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                body, headers = endpoint.answer(request["messages"][0]["content"])
                content = json.dumps(body).encode()
                self.send_response(200)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1/chat/completions"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def run(tmp_path, serve):
    path = tmp_path / "golden/shop.yaml"
    path.parent.mkdir()
    path.write_text(GOLDEN)

    def begin(kind):
        endpoint = Endpoint(kind)
        url = serve(endpoint)

        client = httpx.Client()

        remembered = {}

        def app(question):
            if kind == "memo":
                if question not in remembered:
                    remembered[question] = ask(question)
                return remembered[question]
            return ask(question)

        def ask(question):
            request = {"model": "small", "messages": [{"role": "user", "content": question}]}
            text = client.post(url, json=request).json()["choices"][0]["message"]["content"]
            return "I am broken" if question in run.broken else text

        def run(*, forgets=True, **options):
            if forgets:
                endpoint.forget()
                remembered.clear()
            settings = Settings(root=tmp_path, record="all", concurrency=1 if kind == "memo" else 150)
            run.problems = []
            golden = load_golden(path, root=tmp_path)
            return run_golden(golden, app, settings=settings, problems=run.problems, **options)

        run.endpoint = endpoint
        run.broken = ()
        return run

    return begin


@pytest.mark.parametrize("kind", ["id", "header", "memo"])
def test_copies_count_once_in_a_baseline_and_in_a_run(run, kind, tmp_path, monkeypatch, capsys):
    ask = run(kind)
    first = ask(repeats=6)
    assert {count_answers(result) for result in first.results} == {1}
    assert {len(values_by_metric(result)["keywords"]) for result in first.results} == {1}
    write_run(first, tmp_path / "run.json")
    assert load_run(tmp_path / "run.json") == first
    write_baseline(accept(None, first).baseline, tmp_path / "golden/baseline.json")
    base = load_baseline(tmp_path / "golden/baseline.json")
    assert {(len(result.answers), result.left_out) for result in base.results} == {(1, 5)}

    calls = ask.endpoint.calls
    again = ask(baseline=base, repeats="auto")

    assert compare(base, again).outcome != "regressed"
    assert ask.endpoint.calls - calls <= 3 * CASES
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    main(["selfcheck"])
    assert "120 repeats left out: copies that a cache answered" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "repeats"), [("id", 10), ("id", "auto"), ("memo", "auto")])
def test_an_unchanged_app_behind_a_cache_is_not_red(run, kind, repeats):
    ask = run(kind)
    base, new = ask(repeats=10), ask(repeats=repeats)
    compared = compare(base, new)
    assert compared.outcome == "undecided"
    assert any("a cache answered each repeat with one answer" in row.advice for row in compared.verdicts)


def test_an_app_that_breaks_behind_a_cache_that_answers_as_before_has_failed(run):
    ask = run("id")
    base = ask(repeats=10)
    held = next(result.case for result in base.results if 1.0 in values_by_metric(result)["keywords"])
    ask.broken = {f"question {int(held[-2:])}"}
    assert compare(base, ask(repeats=10, forgets=False)).outcome == "failed"


@pytest.mark.parametrize("kind", ["constant", "fresh"])
def test_answers_that_all_have_one_name_or_each_their_own_are_no_copies(run, kind):
    first = run(kind)(repeats=4)
    assert not any(result.copies for result in first.results)
    assert {len(values_by_metric(result)["keywords"]) for result in first.results} == {4}
