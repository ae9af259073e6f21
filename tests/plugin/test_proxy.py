"""`--llm-proxy`: calls of other processes are recorded, replayed and looked at as those of this process."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.extras import needs_pii, needs_proxy
from tests.plugin.test_elsewhere import own_address
from tests.plugin.varying import outcomes_of
from tests.provider_server import COMPLETION, PROMPT, ProviderServer

pytestmark = needs_proxy

HOST = "api.elsewhere.test"
CARD = "-".join(["4111", *["1111"] * 3])

# Each reads the address of a server, the path and a body from its arguments, and prints the answer.
CLIENTS = {
    "curl": ["curl", "-sS", "-H", "content-type: application/json", "--data", "{body}", "{url}"],
    "urllib": """
        import sys, urllib.request
        kind = {"content-type": "application/json"}
        request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), kind)
        print(urllib.request.urlopen(request).read().decode())
    """,
    "requests": """
        import sys, requests
        print(requests.post(sys.argv[1], data=sys.argv[2], headers={"content-type": "application/json"}).text)
    """,
    "httpx": """
        import sys, httpx
        print(httpx.post(sys.argv[1], content=sys.argv[2], headers={"content-type": "application/json"}).text)
    """,
    "node fetch": """
        const headers = {"content-type": "application/json"};
        fetch(process.argv[2], {method: "POST", headers, body: process.argv[3]})
            .then((reply) => reply.text()).then(console.log);
    """,
    "node http": """
        const http = require(process.argv[2].split(":")[0]);
        const headers = {"content-type": "application/json"};
        http.request(process.argv[2], {method: "POST", headers}, (reply) => reply.pipe(process.stdout))
            .end(process.argv[3]);
    """,
}
APP = """
    import json, os, re, subprocess, sys

    URL, COMMAND = os.environ["PROVIDER"], json.loads(os.environ["COMMAND"])

    def run(url, body):
        command = [part.replace("{body}", body).replace("{url}", url) for part in COMMAND]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        return done.stdout or f"fallback ({done.returncode}) {done.stderr[-300:]}"

    def answer(text):
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        if text.startswith("stream"):
            body["stream"] = True
        said = run(URL + "/v1/chat/completions", json.dumps(body))
        pieces = re.findall(r'"content": ?"([^"]*)"', said)
        return "".join(pieces) or said

    def collect(text):
        run(URL + "/collect", json.dumps({"event": text}))
        return "Done."
"""
GOLDEN = """
    app: capitals:answer
    checks: {keywords: {all: [days]}}
    cases:
      - {id: whole, input: how long}
      - {id: streamed, input: stream it}
"""


@pytest.fixture
def provider(project) -> Iterator[ProviderServer]:
    project.app(APP)
    project.golden(GOLDEN)
    with ProviderServer() as server:
        project.environment.setenv("PROVIDER", server.url)
        yield server


def use(project, name: str, node: str = "node") -> None:
    """Let the app ask by a client, in a separate process."""
    text = CLIENTS[name]
    if isinstance(text, list):
        command = text
    else:
        suffix, program = (".cjs", node) if name.startswith("node") else (".py", sys.executable)
        command = [program, str(project.write(f"client{suffix}", text)), "{url}", "{body}"]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    project.environment.setenv("COMMAND", json.dumps(command))


def last_run(project) -> Any:
    return json.loads((project.path / ".llmops/runs/last.json").read_text())


def usage_in(project) -> list[tuple[int, int]]:
    outputs = [output for result in last_run(project)["results"] for output in result["outputs"]]
    return [(output["usage"]["prompt_tokens"], output["usage"]["completion_tokens"]) for output in outputs]


def check_calls(project, counts: str, *arguments: str) -> None:
    """Both cases pass, with these calls, and the tokens of a call each."""
    result = project.run_here("--llm-proxy", *arguments)
    result.stdout.fnmatch_lines_random([counts])
    assert outcomes_of(result)["passed"] == 2
    assert usage_in(project) == [(PROMPT, COMPLETION)] * 2


@pytest.mark.parametrize("client", CLIENTS)
def test_calls_of_a_child_process_are_recorded_counted_and_replayed(project, provider, client):
    use(project, client)
    check_calls(project, "*2 model calls made, 0 replayed, 0 failed*")
    assert len(provider.asked) == 2

    provider.__exit__()
    check_calls(project, "*0 model calls made, 2 replayed, 0 failed*", "--llm-record", "none")


@pytest.fixture
def remote(project, provider) -> str:
    """The address of the provider by the name of another machine, which only this process can look up."""
    address, look_up = own_address(), socket.getaddrinfo

    def look(name: object, *args: object, **more: object) -> object:
        return look_up(address if name == HOST else name, *args, **more)

    project.environment.setattr(socket, "getaddrinfo", look)
    project.environment.setenv("PROVIDER", f"http://{HOST}:{provider.port}")
    return f"{HOST}:{provider.port}"


@pytest.fixture
def secure(project, provider, tmp_path: Path) -> str:
    """The address of the provider by https, with a certificate that the environment trusts."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", HOST).configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "own.pem"))
    provider._server.socket = context.wrap_socket(provider._server.socket, server_side=True)
    project.environment.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    project.environment.setenv("PROVIDER", f"https://localhost:{provider.port}")
    return f"localhost:{provider.port}"


@pytest.mark.usefixtures("secure")
@pytest.mark.parametrize("client", CLIENTS)
def test_calls_by_https_are_looked_at_too(project, provider, client):
    use(project, client)
    check_calls(project, "*2 model calls made, 0 replayed, 0 failed*")

    provider.__exit__()
    check_calls(project, "*0 model calls made, 2 replayed, 0 failed*", "--llm-record", "none")


def test_a_client_that_takes_no_proxy_is_led_by_its_base_url(project, provider):
    pytest.importorskip("aiohttp")
    by_base = """
        import aiohttp, asyncio, json, os, sys
        async def ask():
            async with aiohttp.ClientSession() as session:
                url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
                async with session.post(url, json=json.loads(sys.argv[2])) as reply:
                    print(await reply.text())
        asyncio.run(ask())
    """
    project.environment.setenv("OPENAI_BASE_URL", provider.url + "/v1")
    project.environment.setitem(CLIENTS, "aiohttp", by_base)
    use(project, "aiohttp")
    result = project.run_here("--llm-proxy")
    result.stdout.fnmatch_lines_random(["*2 model calls made, 0 replayed, 0 failed*"])
    assert outcomes_of(result)["passed"] == 2
    assert provider.asked == ["/v1/chat/completions"] * 2


@pytest.mark.usefixtures("provider")
def test_without_the_proxy_such_calls_are_unseen(project):
    use(project, "urllib")
    project.run_here().stdout.fnmatch_lines_random(["*no model call seen*"])


def test_calls_of_cases_side_by_side_are_kept_apart(project, provider):
    use(project, "urllib")
    questions = [f"how long {number}" for number in range(6)]
    cases = "".join(f"  - {{id: c{at}, input: {text}}}\n" for at, text in enumerate(questions))
    project.golden(f"app: capitals:answer\nchecks: {{keywords: {{all: [days]}}}}\ncases:\n{cases}")
    provider.pause_s = 0.3
    result = project.run_here("--llm-proxy")
    assert outcomes_of(result) == {"passed": 6, "failed": 0, "regressed": 0, "undecided": 0, "error": 0}
    for at, question in enumerate(questions):
        (kept,) = (project.path / ".llmops").rglob(f"*c{at}*.yaml")
        assert [text for text in questions if text in kept.read_text()] == [question]


def test_a_budget_counts_calls_of_child_processes(project, provider):
    use(project, "curl")
    result = project.run_here("--llm-proxy", "--llm-budget", "1 calls", "--llm-concurrency", "1")
    assert len(provider.asked) == 1
    assert outcomes_of(result)["error"] == 1
    result.stdout.fnmatch_lines_random(["*the budget of 1 call* is spent*"])


def test_under_none_no_call_is_made(project, provider):
    use(project, "urllib")
    result = project.run_here("--llm-proxy", "--llm-record", "none")
    assert provider.asked == []
    assert outcomes_of(result)["error"] == 2
    result.stdout.fnmatch_lines_random(["*is not recorded, and --llm-record none makes no calls*"])


@needs_pii
@pytest.mark.usefixtures("provider")
def test_what_a_child_process_sends_is_read_by_the_leak_check(project):
    use(project, "curl")
    project.golden("app: capitals:answer\nchecks: {pii_leak: none}\ncases: [{id: c, input: how long}]\n")
    project.app(APP.replace("def answer(text):", f"def answer(text):\n        text = {CARD!r}"))
    result = project.run_here("--llm-proxy")
    assert outcomes_of(result)["failed"] == 1
    assert CARD not in result.stdout.str()
    assert not [kept for kept in (project.path / ".llmops").rglob("*.yaml") if CARD in kept.read_text()]


def test_a_refusal_behind_a_fallback_is_a_failed_call(project, provider):
    use(project, "curl")
    project.golden(GOLDEN.replace("{keywords: {all: [days]}}", "{keywords: {none: [zzz]}}"))
    provider.status = 401
    result = project.run_here("--llm-proxy")
    result.stdout.fnmatch_lines_random(["*0 model calls made, 0 replayed, 2 failed*"])
    assert outcomes_of(result)["passed"] == 0


def test_a_provider_out_of_reach_is_a_failed_call(project, provider):
    use(project, "curl")
    project.golden(GOLDEN.replace("{keywords: {all: [days]}}", "{keywords: {none: [zzz]}}"))
    provider.__exit__()
    result = project.run_here("--llm-proxy")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines_random(["*2 model calls failed: ConnectionRefusedError*"])


COLLECT = "app: capitals:collect\nchecks: {pii_leak: none}\ncases: [{id: only, input: hello}]\n"


def test_what_is_no_model_call_is_noted_and_refused_under_none(project, provider, remote):
    use(project, "curl")
    project.golden(COLLECT)
    result = project.run_here("--llm-proxy")
    result.stdout.fnmatch_lines_random([f"*calls elsewhere: 1 to {remote}*"])
    assert provider.asked == ["/collect"]

    result = project.run_here("--llm-proxy", "--llm-record", "none")
    assert outcomes_of(result)["error"] == 1
    result.stdout.fnmatch_lines_random(["*lets nothing out*"])
    assert provider.asked == ["/collect"]


WEBSOCKET = """
    import socket, sys, os, urllib.parse
    proxy = urllib.parse.urlsplit(os.environ["HTTP_PROXY"])
    host = urllib.parse.urlsplit(sys.argv[1]).netloc
    connection = socket.create_connection((proxy.hostname, proxy.port))
    import base64
    token = base64.b64encode(f"{proxy.username}:x".encode()).decode()
    head = [f"GET http://{host}/live HTTP/1.1", f"Host: {host}", f"Proxy-Authorization: Basic {token}",
            "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "", ""]
    connection.sendall("\\r\\n".join(head).encode())
    head = connection.recv(1000)
    connection.sendall(b"hello")
    print(head, connection.recv(1000))
"""
TUNNEL = """
    import socket, sys, os, urllib.parse
    proxy = urllib.parse.urlsplit(os.environ["HTTP_PROXY"])
    host = urllib.parse.urlsplit(sys.argv[1]).netloc
    connection = socket.create_connection((proxy.hostname, proxy.port))
    import base64
    token = base64.b64encode(f"{proxy.username}:x".encode()).decode()
    head = [f"CONNECT {host} HTTP/1.1", f"Proxy-Authorization: Basic {token}", "", ""]
    connection.sendall("\\r\\n".join(head).encode())
    head = connection.recv(1000)
    connection.sendall(b"\\x00hello")
    print(head, connection.recv(1000))
"""


@pytest.fixture
def echo(project, remote) -> Iterator[socket.socket]:  # noqa: ARG001 - for the other machine's name
    """A server that sends back what it gets, after a switch of protocols if it is asked for one."""
    server = socket.create_server(("", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            while data := connection.recv(1000):
                head = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                connection.sendall(head if data.startswith(b"GET ") else b"echo " + data)

    threading.Thread(target=serve, daemon=True).start()
    project.environment.setenv("PROVIDER", f"http://{HOST}:{server.getsockname()[1]}")
    project.golden(
        "app: capitals:answer\nchecks: {keywords: {all: [echo]}}\ncases: [{id: only, input: hi}]\n"
    )
    yield server
    server.close()


@pytest.mark.parametrize("client", [WEBSOCKET, TUNNEL], ids=["websocket", "tunnel"])
def test_a_connection_in_which_nobody_can_look_is_undecided(project, echo, client):
    project.environment.setitem(CLIENTS, "client", client)
    use(project, "client")
    result = project.run_here("--llm-proxy")
    place = f"{HOST}:{echo.getsockname()[1]}"
    result.stdout.fnmatch_lines_random([f"*connections nobody looked at: 1 to {place}*"])
    assert outcomes_of(result)["undecided"] == 1

    result = project.run_here("--llm-proxy", "--llm-record", "none")
    assert outcomes_of(result)["error"] == 1
    result.stdout.fnmatch_lines_random([f"*{place}*"])

    project.golden(
        "app: capitals:answer\nrecord: {allow: [" + HOST + "]}\n"
        "checks: {keywords: {all: [echo]}}\ncases: [{id: only, input: hi}]\n"
    )
    result = project.run_here("--llm-proxy", "--llm-record", "none")
    assert outcomes_of(result)["passed"] == 1


def test_a_client_that_trusts_its_own_certificates_alone_is_an_error(project, provider, secure, tmp_path):
    pinned = f"""
        import ssl, sys, urllib.request
        context = ssl.create_default_context(cafile={str(tmp_path / "own.pem")!r})
        print(urllib.request.urlopen(sys.argv[1], sys.argv[2].encode(), context=context).read())
    """
    project.environment.setitem(CLIENTS, "pinned", pinned)
    use(project, "pinned")
    project.golden(GOLDEN.replace("{keywords: {all: [days]}}", "{keywords: {none: [zzz]}}"))
    result = project.run_here("--llm-proxy")
    assert result.ret != 0
    result.stdout.fnmatch_lines_random(
        [f"*error: 2 connections*does not accept the certificate*2 to {secure}*"]
    )
    assert provider.asked == []


SERVER = """
    import http.server, os, urllib.request
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            url = os.environ["PROVIDER"] + "/v1/chat/completions"
            request = urllib.request.Request(url, body, {"content-type": "application/json"})
            reply = urllib.request.urlopen(request)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(reply.read())
        def log_message(self, *_): pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
"""
SERVED = """
    import atexit, json, subprocess, sys, urllib.request
    process = subprocess.Popen([sys.executable, "server.py"], stdout=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    port = int(process.stdout.readline())

    def answer(text):
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/ask", json.dumps(body).encode())
        return json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"]
"""


def test_a_server_that_no_case_started_serves_the_only_one_open(project, provider):
    project.write("server.py", SERVER)
    project.app(SERVED)
    project.golden(GOLDEN.replace("stream it", "how long then"))
    provider.pause_s = 0.5
    result = project.run("--llm-proxy", "--llm-concurrency", "1")
    result.stdout.fnmatch_lines_random(["*2 model calls made, 0 replayed, 0 failed*"])
    assert outcomes_of(result)["passed"] == 2

    result = project.run("--llm-proxy", "--llm-record", "all")  # both at once
    result.stdout.fnmatch_lines_random(["*error: 2 unattributed calls*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.usefixtures("provider")
def test_workers_have_a_proxy_each(project):
    use(project, "urllib")
    result = project.run_here("--llm-proxy", "-n", "2")
    result.stdout.fnmatch_lines_random(["*2 model calls made, 0 replayed, 0 failed*"])
    assert outcomes_of(result)["passed"] == 2


def test_the_way_out_is_by_the_users_own_proxy(project, provider):
    """Here the provider plays the proxy: it gets the whole address."""
    use(project, "urllib")
    project.environment.setenv("HTTP_PROXY", f"http://me:pass@127.0.0.1:{provider.port}")
    project.environment.setenv("http_proxy", f"http://me:pass@127.0.0.1:{provider.port}")
    project.environment.setenv("PROVIDER", "http://api.nowhere.test")
    result = project.run_here("--llm-proxy")
    assert outcomes_of(result)["passed"] == 2
    assert provider.asked == ["http://api.nowhere.test/v1/chat/completions"] * 2


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("REQUESTS_CA_BUNDLE", "/no/such.pem", "*REQUESTS_CA_BUNDLE names /no/such.pem*cannot be read*"),
        ("HTTPS_PROXY", "socks5://me:secret@127.0.0.1:1", "*own proxy for https is none of the form http:*"),
    ],
)
def test_a_setting_of_the_environment_that_cannot_be_is_one_line(project, name, value, message):
    project.environment.setenv(name, value)
    result = project.run_here("--llm-proxy")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    assert "secret" not in result.stderr.str()
    assert "Traceback" not in result.stderr.str()


def test_a_missing_library_is_one_line(project):
    project.environment.setitem(sys.modules, "trustme", None)
    result = project.run_here("--llm-proxy")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(['*--llm-proxy needs: pip install "pytest-llmops[[]proxy]"*'])


@pytest.mark.usefixtures("provider")
def test_off_by_default_and_out_of_the_environment_of_this_process(project):
    before = {name for name in os.environ if name.lower().endswith("_proxy")}
    project.app("""
        import os, subprocess
        def answer(text):
            return subprocess.check_output(["env"], text=True) + str(os.environ.get("HTTPS_PROXY"))
    """)
    project.golden(GOLDEN.replace("all: [days]", "none: [ALL_PROXY]"))
    assert project.run_here().ret == 0
    project.golden(GOLDEN.replace("all: [days]", "all: [ALL_PROXY, NODE_EXTRA_CA_CERTS, None]"))
    assert project.run_here("--llm-proxy").ret == 0
    project.golden(GOLDEN.replace("all: [days]", "all: [ALL_PROXY]"))
    project.write("pytest.ini", "[pytest]\nllm_proxy = true\n")
    assert project.run_here().ret == 0
    assert {name for name in os.environ if name.lower().endswith("_proxy")} == before
    assert subprocess.Popen.__init__.__qualname__ == "Popen.__init__"


def test_hosts_past_the_proxy_are_those_that_both_the_user_and_the_golden_file_list(project):
    project.environment.setenv("NO_PROXY", "a.test, b.test")
    project.app("""
        import asyncio
        async def answer(text):
            shell = await asyncio.create_subprocess_shell("env | grep NO_PROXY", stdout=-1)
            return (await shell.communicate())[0].decode()
    """)
    project.golden("""
        app: capitals:answer
        record: {allow: [b.test, c.test]}
        checks: {exact_match: true}
        cases: [{id: only, input: hi, reference: NO_PROXY=b.test}]
    """)
    assert outcomes_of(project.run_here("--llm-proxy"))["passed"] == 1


def test_a_port_that_cannot_be_opened_is_one_line(project):
    def refuse(_: object) -> None:
        raise OSError(98, "Address already in use")

    project.environment.setattr(ThreadingHTTPServer, "server_bind", refuse)
    result = project.run_here("--llm-proxy")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*proxy: no port of 127.0.0.1 can be opened (Address already in use)*"])


REPLY = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "60 days"}},
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}  # fmt: skip
HANG_UP = """
    import os, socket, sys, urllib.parse
    proxy = urllib.parse.urlsplit(os.environ["HTTP_PROXY"])
    connection = socket.create_connection((proxy.hostname, proxy.port))
    head = [f"POST {sys.argv[1]} HTTP/1.1", "Host: x", "Content-Type: application/json"]
    connection.sendall("\\r\\n".join([*head, "Content-Length: 500", "", sys.argv[2]]).encode())
    connection.close()
    print("60 days")
"""
RETRY = """
    import sys, urllib.request
    kind = {"content-type": "application/json"}
    for timeout in (1, 20):
        try:
            request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), kind)
            print(urllib.request.urlopen(request, timeout=timeout).read().decode())
            break
        except OSError:
            continue
"""
LONG = """
    import sys, urllib.request
    request = urllib.request.Request(sys.argv[1], b"x" * (40 << 20), method="PUT")
    print(urllib.request.urlopen(request).read().decode())
"""


class Faulty(BaseHTTPRequestHandler):
    """A provider with the fault of its server."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.log.append(len(body))
        if self.server.fault == "slow" and len(self.server.log) == 1:
            time.sleep(3)
        content = json.dumps(REPLY).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if self.server.fault == "gzip":
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content) + 100 * (self.server.fault == "cut")))
        self.end_headers()
        with suppress(OSError):  # of a client that is gone
            self.wfile.write(content)
        self.close_connection = True

    do_PUT = do_POST  # noqa: N815 - the names of the base class

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def faulty(project) -> Iterator[ThreadingHTTPServer]:
    project.app(APP)
    project.golden(GOLDEN.replace("      - {id: streamed, input: stream it}\n", ""))
    server = ThreadingHTTPServer(("", 0), Faulty)
    server.log, server.fault = [], ""
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    project.environment.setenv("PROVIDER", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("fault", ["gzip", "cut"])
def test_an_answer_that_is_damaged_is_a_failed_call(project, faulty, fault):
    faulty.fault = fault
    use(project, "curl")
    result = project.run_here("--llm-proxy")
    result.stdout.fnmatch_lines_random(["*0 model calls made, 0 replayed, 3 failed*"])
    assert outcomes_of(result)["error"] == 1


def test_a_client_that_hangs_up_in_its_request_sends_nothing(project, faulty):
    project.environment.setitem(CLIENTS, "client", HANG_UP)
    use(project, "client")
    project.run_here("--llm-proxy").stdout.fnmatch_lines_random(["*no model call seen*"])
    assert faulty.log == []


@pytest.mark.skipif(sys.platform != "linux", reason="no system but Linux tells that a client is gone")
def test_a_call_that_its_client_gives_up_is_the_same_call_when_it_is_tried_again(project, faulty):
    faulty.fault = "slow"
    project.environment.setitem(CLIENTS, "client", RETRY)
    use(project, "client")
    result = project.run_here("--llm-proxy")
    result.stdout.fnmatch_lines_random(["*1 model call made, 0 replayed, 1 failed*"])

    asked = len(faulty.log)
    result = project.run_here("--llm-proxy", "--llm-record", "none")
    assert outcomes_of(result)["passed"] == 1
    assert len(faulty.log) == asked


def test_a_long_body_arrives_whole_and_is_undecided(project, faulty):
    look_up, address = socket.getaddrinfo, own_address()

    def look(name: object, *args: object, **more: object) -> object:
        return look_up(address if name == HOST else name, *args, **more)

    project.environment.setattr(socket, "getaddrinfo", look)
    project.environment.setenv("PROVIDER", f"http://{HOST}:{faulty.server_port}")
    project.environment.setitem(CLIENTS, "client", LONG)
    use(project, "client")
    result = project.run_here("--llm-proxy")
    assert faulty.log == [40 << 20]
    assert outcomes_of(result)["undecided"] == 1
    result.stdout.fnmatch_lines_random([f"*connections nobody looked at: 1 to {HOST}:{faulty.server_port}*"])


def test_two_runs_of_one_process_share_the_proxy_until_the_last_one_ends(tmp_path):
    from pytest_llmops import load_golden, run_golden
    from pytest_llmops.settings import Settings

    golden = tmp_path / "golden" / "shop.yaml"
    golden.parent.mkdir()
    golden.write_text("checks: {keywords: {all: [days]}}\ncases: [{id: a, input: 'how long'}]\n")
    with ProviderServer() as server:
        ask = ["curl", "-sS", "-d", '{"model": "m", "messages": []}', server.url + "/v1/chat/completions"]
        first_runs, second_runs, begun, ended = (threading.Event() for _ in range(4))

        def first(_: object) -> str:
            first_runs.set()
            second_runs.wait(20)
            waiting = ["sh", "-c", 'read line; "$@"', "sh", *ask]
            later = subprocess.Popen(waiting, stdin=-1, stdout=-1)  # noqa: S603 - a command of this test
            begun.set()
            ended.wait(20)
            return later.communicate(b"go\n")[0].decode()

        def second(_: object) -> str:
            second_runs.set()
            begun.wait(20)
            return subprocess.check_output(ask, text=True)  # noqa: S603 - as above

        def run(app: Any, name: str) -> Any:
            settings = Settings(root=tmp_path, proxy=True, home=name, cassettes=name, repeats=1)
            return run_golden(load_golden(golden), app, settings=settings)

        with ThreadPoolExecutor() as pool:
            runs = [pool.submit(run, first, "one")]
            first_runs.wait(20)
            runs.append(pool.submit(run, second, "two"))
            runs[1].result()
            ended.set()
            counts = [run.result().results[0].outputs[0].usage.prompt_tokens for run in runs]
    assert counts == [PROMPT, PROMPT]
