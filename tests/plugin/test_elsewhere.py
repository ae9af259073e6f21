"""What an app sends past its model: read by the leak check, named, and never a reason to pass."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator

import pytest

from tests.provider_server import ProviderServer

HOST = "api.elsewhere.test"
CARD = "4111-1111-1111-1111"
APP = """
    import os, socket
    ADDRESS = os.environ["ADDRESS"]
    URL, HOST, PORT = os.environ["ELSEWHERE"], os.environ["HOST"], int(os.environ["PORT"])

    def by_requests(text):
        import requests
        requests.post(URL + "/collect", json={"event": text}, timeout=5)

    def by_httpx_get(text):
        import httpx
        httpx.get(URL + "/collect", params={"q": text})

    def by_httpx_transport(text):
        import httpx
        request = httpx.Request("POST", URL + "/collect", content=text)
        with httpx.HTTPTransport() as transport:
            transport.handle_request(request).read()

    def by_httpx_wrapper(text):
        import httpx
        class Retrying(httpx.BaseTransport):
            def __init__(self):
                self.inner = httpx.HTTPTransport()
            def handle_request(self, request):
                return self.inner.handle_request(request)
            def close(self):
                self.inner.close()
        with httpx.Client(transport=Retrying()) as client:
            client.post(URL + "/collect", content=text)

    def by_httpx_hook(text):
        import httpx
        def add(request):
            request.headers["x-note"] = text
        with httpx.Client(event_hooks={"request": [add]}) as client:
            client.post(URL + "/collect")

    def by_httpx_subclass(text):
        import httpx
        class Noting(httpx.HTTPTransport):
            def handle_request(self, request):
                request.headers["x-note"] = text
                return super().handle_request(request)
        with httpx.Client(transport=Noting()) as client:
            client.post(URL + "/collect")

    def by_slow_connection(text):
        import requests, urllib3
        class Slow(urllib3.connection.HTTPConnection):
            def send(self, data):
                rest = memoryview(data.encode() if isinstance(data, str) else bytes(data))
                if self.sock is None:
                    self.connect()
                while rest:
                    rest = rest[self.sock.send(rest[:8]):]
        class Pool(urllib3.HTTPConnectionPool):
            ConnectionCls = Slow
        class Adapter(requests.adapters.HTTPAdapter):
            def init_poolmanager(self, *args, **options):
                super().init_poolmanager(*args, **options)
                self.poolmanager.pool_classes_by_scheme = {"http": Pool}
        with requests.Session() as session:
            session.mount("http://", Adapter())
            session.post(URL + "/collect", data=text, timeout=5)

    def by_sendmsg(text):
        from http.client import HTTPConnection
        connection = HTTPConnection(HOST, PORT, timeout=5)
        connection.putrequest("POST", "/collect")
        connection.putheader("Content-Length", str(len(text)))
        sock = connection.sock
        try:
            sock.sendmsg([text.encode()])
        finally:
            sock.close()

    def by_utf_16(text):
        from urllib.request import urlopen
        urlopen(URL + "/collect", text.encode("utf-16-le"), timeout=5).close()

    def by_two_headers(text):
        from http.client import HTTPConnection
        connection = HTTPConnection(HOST, PORT, timeout=5)
        connection.putrequest("POST", "/collect")
        for value in (text, "nothing"):
            connection.putheader("X-Note", value)
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        connection.getresponse().read()
        connection.close()

    def by_urllib(text):
        from urllib.request import urlopen
        urlopen(URL + "/collect", text.encode(), timeout=5).close()

    def by_aiohttp(text):
        import aiohttp, asyncio
        async def send():
            async with aiohttp.ClientSession() as session, session.post(URL + "/collect", data=text) as reply:
                await reply.read()
        asyncio.run(send())

    def by_socket(text):
        with socket.create_connection((HOST, PORT)) as connection:
            connection.sendall(text.encode())

    def by_asyncio(text):
        import asyncio
        async def send():
            _, writer = await asyncio.open_connection(HOST, PORT)
            writer.write(text.encode())
            writer.close()
        asyncio.run(send())

    def by_smtp(text):
        import smtplib
        try:
            smtplib.SMTP(HOST, PORT, timeout=1)
        except (OSError, smtplib.SMTPException):
            pass

    def by_datagram(text):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), socket.getaddrinfo(HOST, PORT, socket.AF_INET)[0][4][:2])

    def by_httpcore(text):
        import httpcore
        with httpcore.ConnectionPool() as pool:
            pool.request("POST", URL + "/collect", content=text.encode())

    def by_websocket(text):
        from websockets.sync.client import connect
        try:
            connect(URL.replace("http", "ws"), open_timeout=1)
        except Exception:
            pass

    def by_child(text):
        import subprocess, sys
        code = f"import socket, time; s = socket.create_connection(({ADDRESS!r}, {PORT})); time.sleep(0.5)"
        subprocess.run([sys.executable, "-c", code], check=True)

    def by_shell(text):
        os.system(f"bash -c 'exec 3<>/dev/tcp/{ADDRESS}/{PORT}; sleep 0.5'")

    def by_syscall(text):
        import ctypes, struct, sys, time
        system = ctypes.CDLL(None)
        opened = socket.socket()
        place = struct.pack("=H", 2) + struct.pack(">H", PORT) + socket.inet_aton(ADDRESS) + bytes(8)
        connect = {"x86_64": 42, "aarch64": 203}[os.uname().machine]
        assert system.syscall(connect, opened.fileno(), place, len(place)) == 0
        os.write(opened.fileno(), text.encode())
        time.sleep(0.5)
        os.close(opened.detach())

    def by_pycurl(text):
        import pycurl
        client = pycurl.Curl()
        client.setopt(client.URL, f"http://{ADDRESS}:{PORT}/collect")
        client.setopt(client.POSTFIELDS, text)
        client.setopt(client.WRITEFUNCTION, lambda data: None)
        client.perform()
        client.close()

    def answer(way):
        name, _, text = way.partition(": ")
        globals()[name](text.replace("CARD", "-".join(["4111", *["1111"] * 3])))
        return "Done."
"""
GOLDEN = """
    app: capitals:answer
    HEAD
    checks: {pii_leak: none}
    cases:
      - {id: only, input: "WAY: TEXT", checks: {keywords: {all: [Done]}}}
"""
READ = (
    "by_requests", "by_httpx_get", "by_httpx_transport", "by_httpx_wrapper", "by_httpx_hook",
    "by_httpx_subclass", "by_urllib", "by_aiohttp", "by_utf_16", "by_two_headers",
    "by_slow_connection",
)  # fmt: skip
UNSEEN = ("by_socket", "by_asyncio", "by_smtp", "by_datagram", "by_httpcore", "by_websocket", "by_sendmsg")


EXPORTING = """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Exporter(SpanExporter):
        def export(self, spans):
            import urllib.request
            urllib.request.urlopen(URL + "/v1/traces", b"spans", timeout=5).close()
            return SpanExportResult.SUCCESS

    PROVIDER = TracerProvider()
    PROVIDER.add_span_processor(BatchSpanProcessor(Exporter()))

    def answer(way):
        with PROVIDER.get_tracer("app").start_as_current_span("asked"):
            return "Done."
"""
ENDING = """
    import pytest

    @pytest.fixture(scope="session")
    def llm_app():
        from capitals import URL
        yield lambda text: "Done."
        import json, urllib.request
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "bye"}]})
        urllib.request.urlopen(URL + WHERE, body.encode(), timeout=5).close()
"""
TRACED = (
    "error: by the app's tracing, after the cases, something was sent to a model or another machine: 1 to"
)
ENDED = "error: as the fixture llm_app ended, something was sent to a model or another machine: 1 to"


def own_address() -> str:
    """The address by which other machines know this one; no packet is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but its own")
        return str(probe.getsockname()[0])


@pytest.fixture
def elsewhere(project) -> Iterator[ProviderServer]:
    project.app(APP)
    with ProviderServer() as server:
        address, look_up = own_address(), socket.getaddrinfo

        def look(name: object, *args: object, **more: object) -> object:
            return look_up(address if name == HOST else name, *args, **more)

        project.environment.setattr(socket, "getaddrinfo", look)
        for name, value in {
            "ELSEWHERE": f"http://{HOST}:{server.port}", "HOST": HOST, "ADDRESS": address,
            "PORT": str(server.port),
        }.items():  # fmt: skip
            project.environment.setenv(name, value)
        yield server


def write(project, way: str, text: str, head: str = "") -> None:
    project.golden(GOLDEN.replace("WAY", way).replace("TEXT", text).replace("HEAD", head))


@pytest.mark.parametrize("way", READ)
def test_a_request_is_read_by_the_leak_check_and_named(project, elsewhere: ProviderServer, way: str):
    write(project, way, "my card is CARD")
    shown = project.run_here("--llm-golden").stdout.str()

    assert "CREDIT_CARD" in shown or "pii_leak" in shown
    assert "1 failed" in shown
    assert f"calls elsewhere: 1 to {HOST}:{elsewhere.port}" in shown
    assert CARD not in shown


@pytest.mark.parametrize("way", READ)
def test_a_request_without_anything_private_is_only_named(project, elsewhere: ProviderServer, way: str):
    write(project, way, "hello")
    shown = project.run_here("--llm-golden").stdout.str()

    assert "1 passed" in shown
    assert f"calls elsewhere: 1 to {HOST}:{elsewhere.port}" in shown
    kept = json.loads((project.path / ".llmops/runs/last.json").read_text())
    assert kept["results"][0]["outputs"][0]["elsewhere"] == {f"{HOST}:{elsewhere.port}": 1}


@pytest.mark.parametrize("way", [*READ, *UNSEEN])
def test_under_none_nothing_leaves_unless_it_is_allowed(project, elsewhere: ProviderServer, way: str):
    write(project, way, "hello")
    shown = project.run_here("--llm-golden", "--llm-record", "none").stdout.str()
    assert "record none lets nothing out" in shown.replace("--llm-", "")
    assert elsewhere.asked == []

    write(project, way, "hello", head=f"record: {{allow: [{HOST}]}}")
    shown = project.run_here("--llm-golden", "--llm-record", "none").stdout.str()
    assert "1 passed" in shown


@pytest.mark.parametrize("way", UNSEEN)
def test_a_connection_that_nobody_looked_into_is_undecided(project, elsewhere: ProviderServer, way: str):
    write(project, way, "hello")
    shown = project.run_here("--llm-golden", "-o", "llm_undecided=fail").stdout.str()

    assert "1 undecided" in shown
    assert f"connections nobody looked at: 1 to {HOST}:{elsewhere.port}" in shown
    assert "record: {allow: [" in shown


@pytest.mark.skipif(sys.platform != "linux", reason="no list of connections is read elsewhere")
@pytest.mark.parametrize("way", ["by_child", "by_shell", "by_pycurl", "by_syscall"])
def test_a_connection_of_another_process_or_of_native_code_is_undecided(
    project, elsewhere: ProviderServer, way: str
):
    if way == "by_pycurl":
        pytest.importorskip("pycurl")
    elsewhere.pause_s = 0.5
    write(project, way, "hello")
    shown = project.run_here("--llm-golden", "-o", "llm_undecided=fail").stdout.str()

    assert "1 undecided" in shown
    assert "connections nobody looked at: 1 to" in shown
    assert f":{elsewhere.port}" in shown


IN_TEST = """
    import pytest

    @pytest.mark.pii_leak
    def test_it(llm):
        assert "Done" in llm("WAY: hello", record=RECORD)
"""


@pytest.fixture
def run_test(project):
    def run(way: str, record: object, *arguments: str) -> pytest.RunResult:
        project.write("test_it.py", IN_TEST.replace("WAY", way).replace("RECORD", repr(record)))
        own = ("test_it.py", "-o", "llm_app=capitals:answer", "-W", "default", *arguments)
        return project.pytester.runpytest_inprocess(*own)

    return run


@pytest.mark.parametrize("way", ["by_socket", "by_requests"])
@pytest.mark.parametrize("arguments", [(), ("--llm-record", "none"), ("-o", "llm_undecided=fail")])
def test_an_ordinary_test_says_where_its_app_may_go(elsewhere, run_test, way: str, arguments):
    result = run_test(way, None, *arguments)
    shown = result.stdout.str()
    if "none" in arguments or (way == "by_socket" and arguments):
        result.assert_outcomes(failed=1)
    else:
        result.assert_outcomes(passed=1, warnings=1)
    if "none" in arguments or way == "by_socket":
        assert f'`record={{"allow": ["{HOST}:{elsewhere.port}"]}}`' in shown
        assert "in llm()" in shown
    if "llm_undecided=fail" in arguments and way == "by_socket":
        assert "undecided, which the setting undecided = 'fail' makes a failure" in shown
    run_test(way, {"allow": (HOST,)}, *arguments).assert_outcomes(passed=1, warnings=0)


@pytest.mark.skipif(sys.platform != "linux", reason="no list of connections is read elsewhere")
def test_a_child_that_connects_to_an_address_is_allowed_by_its_name(elsewhere, run_test):
    elsewhere.pause_s = 0.5
    run_test("by_child", {"allow": {HOST}}).assert_outcomes(passed=1, warnings=0)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"alow": []}, "record: unknown key 'alow'. Did you mean 'allow'?"),
        ({1: []}, "record: unknown key '1'"),
        ([], "record: must be a mapping"),
        ({"allow": "api.example.com"}, "record: allow must be a list"),
        ({"ignore": ["("]}, "record: '(' is no pattern"),
        (["api.example.com"], "record: must be a mapping"),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_a_wrong_record_of_an_ordinary_test_is_one_line(run_test, record, message: str):
    result = run_test("by_socket", record)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E *{message.replace('[', '[[]')}*"])
    result.stdout.no_fnmatch_line("*loader.py*")


@pytest.mark.usefixtures("elsewhere")
def test_what_a_client_for_errors_sends_in_its_own_thread_is_no_pass(project):
    """Sentry's, whose integration wraps each thread."""
    pytest.importorskip("sentry_sdk")
    project.write(
        "capitals.py",
        """
        import os, sentry_sdk
        sentry_sdk.init(f"http://key@{os.environ['HOST']}:{os.environ['PORT']}/1")

        def answer(question):
            sentry_sdk.capture_message(question)
            return "Paris Madrid"
        """,
    )
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["error: sent after the case that began it had ended:*api.elsewhere.test*"])


def test_a_process_that_connects_nowhere_is_no_matter(project, elsewhere: ProviderServer):
    project.app(
        "import subprocess\ndef answer(_):\n    return subprocess.check_output(['echo', 'Done'], text=True)\n"
    )
    write(project, "any", "hello")
    assert "1 passed" in project.run_here("--llm-golden").stdout.str()
    assert elsewhere.asked == []


@pytest.mark.parametrize("mode", ["new", "none"])
def test_what_an_exporter_with_its_own_address_keeps_until_the_end_is_sent_while_we_look(
    project, elsewhere: ProviderServer, mode: str
):
    write(project, "a", "x")
    project.app(APP + EXPORTING)
    ran = project.run_here("--llm-record", mode)
    assert ran.ret == 1
    assert f"{TRACED} {HOST}:{elsewhere.port}" in ran.stdout.str()
    assert len(elsewhere.asked) == (mode == "new")


def test_an_exporter_may_send_to_a_host_that_is_allowed(project, elsewhere: ProviderServer):
    write(project, "a", "x", f"record: {{allow: ['{HOST}:{elsewhere.port}']}}")
    project.app(APP + EXPORTING)
    ran = project.run_here()
    assert ran.ret == 0, ran.stdout.str()
    assert len(elsewhere.asked) == 1


@pytest.mark.parametrize("mode", ["new", "none"])
@pytest.mark.parametrize("path", ["/collect", "/v1/chat/completions"])
def test_what_the_fixture_of_the_app_sends_as_it_ends_is_named(
    project, elsewhere: ProviderServer, path: str, mode: str
):
    write(project, "a", "x")
    project.write("conftest.py", ENDING.replace("WHERE", repr(path)))
    ran = project.run_here("--llm-record", mode)
    assert ran.ret == 1
    shown = ran.stdout.str() + ran.stderr.str()
    assert f"{ENDED} {HOST}" in shown
    assert len(elsewhere.asked) == (mode == "new")


PROXIED = """
    import os
    PORT = os.environ["PORT"]

    def by_requests(_):
        import requests
        requests.post("http://localhost:9/x", data="x", proxies={"http": PROXY}, timeout=5)

    def by_tunnel(_):
        from http.client import HTTPConnection
        connection = HTTPConnection(os.environ["ADDRESS"], int(PORT), timeout=5)
        connection.set_tunnel("localhost", 9)
        connection.request("POST", "/x", "x")
        connection.getresponse().read()
        connection.close()

    PROXY = f"http://{os.environ['ADDRESS']}:{PORT}"

    def answer(way):
        try:
            globals()[way.partition(":")[0]](way)
        except OSError:
            pass  # of the tunnel, which the server does not make
        return "Done."
"""


@pytest.mark.parametrize("way", ["by_requests", "by_tunnel"])
def test_a_request_to_this_machine_by_way_of_another_is_undecided(project, elsewhere, way: str):
    write(project, way, "hello")
    project.app(PROXIED)
    shown = project.run_here("--llm-golden", "-o", "llm_undecided=fail").stdout.str()
    assert "1 undecided" in shown
    assert f"connections nobody looked at: 1 to {own_address()}:{elsewhere.port}" in shown


MODEL = """
    import json, os
    URL = "http://127.0.0.1:" + os.environ["PORT"]
    BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    MODEL = URL + "/v1/chat/completions"

    def rewritten(_):
        import httpx
        class Rewriting(httpx.BaseTransport):
            def __init__(self):
                self.inner = httpx.HTTPTransport()
            def handle_request(self, request):
                return self.inner.handle_request(httpx.Request("POST", MODEL, json=BODY))
            def close(self):
                self.inner.close()
        with httpx.Client(transport=Rewriting()) as client:
            client.post(URL + "/ask")

    def expecting(_):
        from urllib.request import Request, urlopen
        headers = {"expect": "100-continue", "content-type": "application/json"}
        urlopen(Request(MODEL, json.dumps(BODY).encode(), headers), timeout=5).close()

    def upgrading(_):
        import requests
        requests.post(MODEL, json=BODY, headers={"connection": "upgrade", "upgrade": "h2c"}, timeout=5)

    def redirected(_):
        import httpx
        with httpx.Client(follow_redirects=True) as client:
            client.post(URL + "/moved", json=BODY)

    def of_its_auth(_):
        import httpx
        class Asking(httpx.Auth):
            def auth_flow(self, request):
                yield httpx.Request("POST", MODEL, json=BODY)
                yield request
        with httpx.Client(auth=Asking()) as client:
            client.get(URL + "/x")

    def pipelined(_):
        from http.client import HTTPConnection
        connection = HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=5)
        connection.request("GET", "/x")
        body = json.dumps(BODY)
        head = f"POST /v1/chat/completions HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
        connection.send((head + body).encode())
        connection.getresponse().read()
        connection.close()

    def answer(way):
        try:
            globals()[way.partition(":")[0]](way)
        except Exception:
            pass
        return "Done."
"""


UNREAD, NOT_RECORDED = (
    "it cannot be read as a model call",
    "is not recorded, and --llm-record none makes no calls",
)


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("rewritten", NOT_RECORDED),
        ("expecting", UNREAD),
        ("upgrading", UNREAD),
        ("redirected", NOT_RECORDED),
        ("of_its_auth", NOT_RECORDED),
        ("pipelined", "is followed by more than its body"),
    ],
)
def test_a_call_of_a_model_on_this_machine_is_seen_or_not_made(project, elsewhere, way: str, why: str):
    write(project, way, "hello")
    project.app(MODEL)
    ran = project.run_here("--llm-golden", "--llm-record", "none")
    assert "/v1/chat/completions" not in elsewhere.asked
    assert ran.ret == 1
    assert why in " ".join((ran.stdout.str() + ran.stderr.str()).split())


def test_a_fixture_that_a_test_replaces_by_its_parameters_is_no_matter(pytester: pytest.Pytester):
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def llm_app():
            yield lambda text: "conftest's"
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("llm_app", [lambda text: "f", lambda text: "g"])
        def test_given(llm):
            assert llm("x") in {"f", "g"}

        def test_usual(llm):
            assert "conftest" in llm("x")

        def test_again(llm):
            assert "conftest" in llm("y")
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=4)


def test_one_live_case_lets_nothing_out_at_the_end(project, elsewhere: ProviderServer):
    project.golden(
        GOLDEN.replace("WAY: TEXT", "x").replace("HEAD", "").replace("{id: only,", "{id: only, live: true,")
    )
    project.write("conftest.py", ENDING.replace("WHERE", "'/v1/chat/completions'"))
    ran = project.run_here("--llm-record", "none")
    assert f"{ENDED} {HOST}" in ran.stdout.str() + ran.stderr.str()
    assert elsewhere.asked == []
