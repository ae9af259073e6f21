"""Connections that were open before a case, or that others than Python use: undecided, each time."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from pytest_llmops.recorder import processes
from tests.plugin.test_elsewhere import own_address
from tests.provider_server import ProviderServer

HEAD = """
    import ctypes, os, socket, struct, subprocess, time
    ADDRESS, PORT = os.environ["ADDRESS"], int(os.environ["PORT"])
    REQUEST = b"POST /collect HTTP/1.1\\r\\nHost: elsewhere\\r\\nContent-Length: 2\\r\\n\\r\\nhi"
    CHILD = f"while read case; do [ $case = a ] || exec 3<>/dev/tcp/{ADDRESS}/{PORT}; echo Done.; done"

    look_up = socket.getaddrinfo
    socket.getaddrinfo = lambda name, *more, **options: look_up(
        ADDRESS if name == "elsewhere.test" else name, *more, **options
    )

    def connect():
        return socket.create_connection((ADDRESS, PORT))

    def connect_by_the_system():
        place = struct.pack("=H", socket.AF_INET) + struct.pack("!H", PORT)
        place += socket.inet_aton(ADDRESS) + bytes(8)
        opened = socket.socket()
        assert ctypes.CDLL(None).connect(opened.fileno(), place, len(place)) == 0
        return opened
"""
SHARED = """
    import threading
    opened, lock, both = [], threading.Lock(), threading.Barrier(2)

    def answer(question):
        both.wait()
        with lock:
            opened or opened.append(connect())
            opened[0].sendall(REQUEST)
            opened[0].recv(1000)
        both.wait()
        return "Done."
"""
AT_IMPORT = """
    opened = connect()

    def answer(question):
        if "idle" not in question:
            opened.sendall(REQUEST)
            opened.recv(1000)
        return "Done."
"""
OPENED_BY_THE_FIRST = """
    opened = []

    def answer(question):
        if not opened:
            opened.append(connect())
        opened[0].sendall(REQUEST)
        opened[0].recv(1000)
        return "Done."
"""
ENDED_BY_THE_SECOND = """
    opened = []

    def answer(question):
        if not opened:
            opened.append(connect())
            return "Done."
        opened[0].sendall(b"hi")
        opened[0].shutdown(socket.SHUT_WR)
        while opened[0].recv(1000):
            pass
        return "Done."
"""
CHILD_OF_THE_FIRST = """
    children = []

    def answer(question):
        if not children:
            children.append(subprocess.Popen(["bash", "-c", CHILD], stdin=-1, stdout=-1, text=True))
        children[0].stdin.write(question + "\\n")
        children[0].stdin.flush()
        return children[0].stdout.readline()
"""
IN_THE_BACKGROUND = """
    def answer(question):
        opened = f"opened.{question}"
        os.system(f"setsid bash -c 'exec 3<>/dev/tcp/{ADDRESS}/{PORT}; touch {opened}; sleep 5' &")
        while not os.path.exists(opened):
            time.sleep(0.02)
        time.sleep(0.3)
        return "Done."
"""
BY_THE_SYSTEM = """
    def answer(question):
        opened = connect_by_the_system()
        opened.sendall(REQUEST)
        opened.recv(1000)
        return "Done."
"""
BESIDE_A_SEEN_ONE = """
    import http.client

    def answer(question):
        seen = http.client.HTTPConnection(ADDRESS, PORT)
        seen.request("POST", "/v1/chat/completions", '{"model": "m", "messages": []}')
        seen.getresponse().read()
        opened = connect_by_the_system()
        opened.sendall(REQUEST)
        opened.recv(1000)
        return "Done."
"""
THROUGH_A_TRANSPORT = """
    import httpx

    class Elsewhere(httpx.HTTPTransport):
        def handle_request(self, request):
            request.url = request.url.copy_with(host=ADDRESS, port=PORT)
            return super().handle_request(request)

    def answer(question):
        with httpx.Client(transport=Elsewhere()) as client:
            client.post("http://localhost/collect", content=question)
        return "Done."
"""
KEPT_BY_A_CLIENT = """
    import http.client
    opened = http.client.HTTPConnection(ADDRESS, PORT)

    def answer(question):
        opened.request("POST", "/v1/chat/completions", '{"model": "m", "messages": ["%s"]}' % question)
        opened.getresponse().read()
        return "Done."
"""
CLOSED_BY_THE_SECOND = OPENED_BY_THE_FIRST.replace(
    "return",
    """if question == "b":
            opened[0].close()
        return""",
)
THROUGH_A_PROXY = """
    import httpx

    def answer(question):
        with httpx.Client(proxy=f"http://{ADDRESS}:{PORT}") as client:
            client.post("http://localhost/collect", content=question)
        return "Done."
"""
REDIRECTED = """
    import httpx, threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Redirects(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(307)
            self.send_header("Location", f"http://{ADDRESS}:{PORT}/collect")
            self.end_headers()

    near = HTTPServer(("127.0.0.1", 0), Redirects)
    threading.Thread(target=near.serve_forever, daemon=True).start()

    def answer(question):
        url = f"http://127.0.0.1:{near.server_port}/"
        httpx.post(url, content="my card is " + "-".join(["4111", *["1111"] * 3]), follow_redirects=True)
        return "Done."
"""
IN_A_POOL_AT_IMPORT = """
    from concurrent.futures import ThreadPoolExecutor

    def send():
        with connect() as opened:
            opened.sendall(REQUEST)

    with ThreadPoolExecutor() as pool:
        pool.submit(send).result()

    def answer(question):
        return "Done."
"""
KEPT_FROM_BEFORE = """
    def ask(client):
        body = {"model": "m", "messages": ["hi"]}
        return client.post(f"http://{ADDRESS}:{PORT}/v1/chat/completions", json=body)

    def answer(question):
        import helper
        ask(helper.client)
        return "Done."
"""
GOLDEN = """
    app: capitals:answer
    RULES
    cases:
      - {id: a, input: FIRST, checks: {keywords: {all: [Done]}}}
      - {id: b, input: b, checks: {keywords: {all: [Done]}}}
"""
IMPORTED = "error: while the app was imported something was sent to a model or another machine:"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no list of connections is read elsewhere")


@pytest.fixture
def elsewhere(project) -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        server.pause_s = 0.3  # what lasts no longer than some milliseconds is not seen
        project.environment.setenv("ADDRESS", own_address())
        project.environment.setenv("PORT", str(server.port))
        yield server


def run(project, app: str, *flags: str, first: str = "a", rules: str = "") -> str:
    project.app(HEAD + app)
    project.golden(GOLDEN.replace("FIRST", first).replace("RULES", rules))
    always = ("--llm-concurrency", "1", "--llm-repeats", "1", "-o", "llm_undecided=fail")
    ran = project.run(*always, *flags)
    return ran.stdout.str() + ran.stderr.str()


def allowing(address: str) -> str:
    return f"record: {{allow: ['{address}']}}"


@pytest.mark.parametrize(
    ("app", "cases"),
    [
        pytest.param(OPENED_BY_THE_FIRST, 2, id="opened by the first case"),
        pytest.param(CHILD_OF_THE_FIRST, 1, id="a child of the first case"),
        pytest.param(IN_THE_BACKGROUND, 2, id="a process without its parent"),
        pytest.param(BY_THE_SYSTEM, 2, id="by the function of the system"),
        pytest.param(BESIDE_A_SEEN_ONE, 2, id="beside a request that was seen"),
        pytest.param(THROUGH_A_PROXY, 2, id="through a proxy to this machine"),
        pytest.param(CLOSED_BY_THE_SECOND, 2, id="closed by the second case"),
        pytest.param(ENDED_BY_THE_SECOND, 2, id="ended by the second case, and left open"),
    ],
)
def test_each_case_that_uses_one_is_undecided(project, elsewhere: ProviderServer, app: str, cases: int):
    shown = run(project, app)

    assert f"{cases} undecided" in shown
    assert f"connections nobody looked at: {cases} to {own_address()}:{elsewhere.port}" in shown


@pytest.mark.parametrize("mode", ["new", "none"])
def test_one_of_the_imported_app_is_named_and_so_is_each_case_that_uses_it(
    project, elsewhere: ProviderServer, mode: str
):
    shown = run(project, AT_IMPORT, "--llm-record", mode)

    if mode == "none":
        assert "cannot be imported" in shown
        assert elsewhere.asked == []
    else:
        assert f"{IMPORTED} 1 to {own_address()}:{elsewhere.port}" in shown
        assert "2 undecided" in shown


def test_one_that_cases_share_while_all_are_open_makes_each_undecided(project, elsewhere: ProviderServer):
    assert "2 undecided" in run(project, SHARED, "--llm-concurrency", "2")
    assert len(elsewhere.asked) == 2


def test_a_case_that_does_not_use_it_passes(project, elsewhere: ProviderServer):
    shown = run(project, AT_IMPORT, first="idle")

    assert "1 passed, 1 error, 1 undecided" in shown  # of the case, of the import, of the other case
    assert len(elsewhere.asked) == 1


@pytest.mark.parametrize("written", ["{address}", "{address}:{port}", "elsewhere.test"])
def test_what_is_allowed_is_no_matter(project, elsewhere: ProviderServer, written: str):
    rules = allowing(written.format(address=own_address(), port=elsewhere.port))
    for mode in ("new", "none"):
        assert "2 passed" in run(project, OPENED_BY_THE_FIRST, "--llm-record", mode, rules=rules)


def test_under_none_what_could_not_be_refused_is_an_error_that_says_so(project, elsewhere: ProviderServer):
    shown = run(project, BY_THE_SYSTEM, "--llm-record", "none")

    assert "2 errors" in shown
    assert f"something was sent to {own_address()}:{elsewhere.port}" in shown
    assert "which --llm-record none cannot refuse" in shown


def test_a_way_through_a_proxy_of_this_machine_is_named(project, elsewhere: ProviderServer):
    project.environment.setenv("ALL_PROXY", f"socks5://127.0.0.1:{elsewhere.port}")
    shown = run(
        project, OPENED_BY_THE_FIRST.replace("connect()", "socket.create_connection(('127.0.0.1', PORT))")
    )

    assert "1 undecided" in shown  # of the case that opens it
    assert f"connections nobody looked at: 1 to 127.0.0.1:{elsewhere.port}" in shown


def test_a_request_that_a_client_keeps_its_connection_for_is_no_matter(project, elsewhere: ProviderServer):
    assert "2 passed" in run(project, KEPT_BY_A_CLIENT)
    assert len(elsewhere.asked) == 2


@pytest.mark.parametrize("app", [THROUGH_A_TRANSPORT, REDIRECTED])
def test_a_request_that_goes_on_to_another_host_is_read_there(project, elsewhere: ProviderServer, app: str):
    shown = run(project, app, rules="checks: {pii_leak: none}")

    assert f"calls elsewhere: 2 to {own_address()}:{elsewhere.port}" in shown
    assert ("2 failed" in shown) == (app == REDIRECTED)


def test_what_a_pool_sends_while_the_app_is_imported_is_named(project, elsewhere: ProviderServer):
    shown = run(project, IN_A_POOL_AT_IMPORT)

    assert f"{IMPORTED} 1 to {own_address()}:{elsewhere.port}" in shown


@pytest.mark.parametrize("library", ["httpx.Client()", "httpx2.Client()"])
def test_a_connection_that_was_kept_from_before_the_session_is_no_matter(
    project, elsewhere: ProviderServer, library: str
):
    lines = [f"import os, {library.partition('.')[0]}", f"client = {library}"]
    lines.append('client.get(f\'http://{os.environ["ADDRESS"]}:{os.environ["PORT"]}/warm\')')
    project.write("helper.py", "\n".join(lines))
    project.write("conftest.py", "import helper")

    assert "2 passed" in run(project, KEPT_FROM_BEFORE)
    assert len(elsewhere.asked) == 3


def test_without_a_list_of_processes_a_case_runs(monkeypatch):
    monkeypatch.setattr(processes.os, "listdir", refuse)
    processes.begin_to_watch()
    watch = processes.Watch(children=1)
    watch.begin()
    assert not watch.end()


def refuse(_: str) -> list[str]:
    raise FileNotFoundError


def test_messages_to_a_tool_server_leave_the_usage_that_the_app_states(project, elsewhere: ProviderServer):
    app = """
    import requests

    def answer(question):
        message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        requests.post(f"http://127.0.0.1:{PORT}/mcp", json=message, timeout=5)
        usage = {"prompt_tokens": 9, "completion_tokens": 1, "cost_usd": 5.0}
        return {"text": "Done.", "usage": usage}
    """
    rules = f"record: {{also: ['POST 127.0.0.1:{elsewhere.port}/mcp']}}"
    assert "18 prompt and 2 completion tokens, $10.0000" in run(project, app, rules=rules)
