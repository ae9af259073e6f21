from __future__ import annotations

import datetime as dt
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from reference_app.safety import RefusedError
from reference_app.safety.fetching import fetch
from reference_app.safety.urls import Allowed

HOST = "shop.test"


class Pages(BaseHTTPRequestHandler):
    """Answers by path; `server.seen` holds the hosts and paths that were asked for."""

    def do_GET(self):
        self.server.seen.append((self.headers["Host"], self.path))
        name, _, rest = self.path.lstrip("/").partition("/")
        getattr(self, f"send_{name}")(rest)

    def answer(self, body=b"", status=200, **headers):
        self.send_response(status)
        for field, value in headers.items():
            self.send_header(field.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def send_page(self, _):
        self.answer(b"Tents", Content_Type="text/plain")

    def send_status(self, rest):
        self.answer(b"gone", status=int(rest))

    def send_hops(self, rest):
        left = int(rest)
        self.answer(status=302, Location=f"/hops/{left - 1}" if left else "/page")

    def send_to(self, rest):
        self.answer(status=302, Location=bytes.fromhex(rest).decode("latin-1"))

    def send_large(self, rest):
        self.answer(b"x" * int(rest))

    def send_zipped(self, _):
        self.answer(b"\x1f\x8b", Content_Encoding="gzip")

    def send_slow(self, _):
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(90):
                if not self.server.closing.wait(0.05):
                    self.wfile.write(b"drop by drop")
        except OSError:
            pass

    def send_nonsense(self, _):
        self.wfile.write(b"no such protocol\r\n\r\n")

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    started = []

    def start(context=None):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        server.daemon_threads = False
        server.seen, server.closing = [], threading.Event()
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def get(serve):
    server = serve()
    port = server.server_port
    allowed = Allowed(hosts=(HOST, "other.test"), ports=frozenset({port}), loopback=True)

    def run(path, **options):
        return fetch(
            f"http://{HOST}:{port}{path}", allowed, ask=lambda _host, _port: ["127.0.0.1"], **options
        )

    run.server, run.port = server, port
    return run


def to(url):
    return f"/to/{url.encode('latin-1').hex()}"


def test_a_page_comes_from_the_pinned_address_under_the_hosts_name(get):
    page = get("/page/?q=1#part")

    assert (page.status, page.kind, page.body) == (200, "text/plain", b"Tents")
    assert get.server.seen == [(f"{HOST}:{get.port}", "/page/?q=1")]


def test_loopback_is_refused_without_the_allowance(get):
    strict = Allowed(hosts=(HOST,), ports=frozenset({get.port}))

    with pytest.raises(RefusedError, match="public internet"):
        fetch(f"http://{HOST}:{get.port}/page", strict, ask=lambda _host, _port: ["127.0.0.1"])
    assert get.server.seen == []


def test_the_resolver_is_asked_once_a_hop(get):
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    allowed = Allowed(hosts=(HOST,), ports=frozenset({get.port}), loopback=True)

    page = fetch(f"http://{HOST}:{get.port}/page", allowed, ask=lambda _host, _port: next(answers))

    assert page.body == b"Tents"
    assert next(answers) == ["10.0.0.1"]


def test_a_status_is_an_answer(get):
    assert get("/status/404").status == 404


def test_three_redirects_are_followed(get):
    page = get("/hops/2")

    assert page.body == b"Tents"
    assert page.url == f"http://{HOST}:{get.port}/page"


def test_a_fourth_is_not(get):
    with pytest.raises(RefusedError, match="more than 3"):
        get("/hops/3")


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1/",
        "http://169.254.169.254/latest",
        "//gorse.test/",
        "http://shop.test@gorse.test/",
        "file:///etc/passwd",
        "http:\\\\gorse.test/",
        "/\t/gorse.test/",
        "http://[::1",
        "http://shop.test:1/",
    ],
)
def test_a_redirect_to_elsewhere_is_refused(get, location):
    with pytest.raises(RefusedError, match="redirects to a URL that is not allowed"):
        get(to(location))
    assert len(get.server.seen) == 1


def test_a_redirect_to_a_listed_host_with_a_private_address_is_refused(get):
    addresses = {HOST: ["127.0.0.1"], "other.test": ["10.1.2.3"]}
    allowed = Allowed(hosts=tuple(addresses), ports=frozenset({get.port}), loopback=True)

    with pytest.raises(RefusedError, match="public internet"):
        fetch(
            f"http://{HOST}:{get.port}{to(f'http://other.test:{get.port}/page')}",
            allowed,
            ask=lambda host, _port: addresses[host],
        )


def test_a_body_may_be_as_large_as_the_limit(get):
    assert len(get("/large/5000", max_bytes=5000).body) == 5000

    with pytest.raises(RefusedError, match="larger than 4999"):
        get("/large/5000", max_bytes=4999)


def test_a_compressed_body_is_refused(get):
    with pytest.raises(RefusedError, match="compresses"):
        get("/zipped")


def test_a_server_that_dribbles_is_left(get):
    with pytest.raises(RefusedError, match="too long"):
        get("/slow", timeout_s=0.3)


def test_no_time_is_no_request(get):
    with pytest.raises(RefusedError, match="too long"):
        get("/page", timeout_s=0)


def test_nonsense_is_refused(get):
    with pytest.raises(RefusedError, match="does not answer as it should"):
        get("/nonsense")


def test_a_closed_port_is_refused(get):
    get.server.shutdown()
    get.server.server_close()

    with pytest.raises(RefusedError, match="does not answer as it should"):
        get("/page")


@pytest.fixture
def certificate(tmp_path):
    """A certificate for `HOST` signed by itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    today = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure(serve, certificate):
    """A server over TLS, and the names that clients asked it for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    server = serve(context)
    server.names = names
    return server


def over_tls(server, certificate, host, path="/page"):
    return fetch(
        f"https://{host}:{server.server_port}{path}",
        Allowed(hosts=(HOST, "other.test"), ports=frozenset({server.server_port}), loopback=True),
        ask=lambda _host, _port: ["127.0.0.1"],
        trusted=ssl.create_default_context(cafile=str(certificate)),
    )


def test_tls_asks_for_the_host_and_checks_its_certificate(secure, certificate):
    assert over_tls(secure, certificate, HOST).body == b"Tents"
    assert secure.names == [HOST]


def test_the_certificate_of_another_host_is_refused(secure, certificate):
    with pytest.raises(RefusedError, match="does not answer as it should"):
        over_tls(secure, certificate, "other.test")
    assert secure.seen == []


def test_a_redirect_from_https_to_http_is_refused(secure, certificate):
    with pytest.raises(RefusedError, match="from https to http"):
        over_tls(secure, certificate, HOST, to(f"http://{HOST}:{secure.server_port}/page"))


def test_the_deadline_covers_all_hops(get):
    started = time.monotonic()
    late = started + 0.2

    def ask(_host, _port):
        time.sleep(max(0.0, late - time.monotonic()))
        return ["127.0.0.1"]

    allowed = Allowed(hosts=(HOST,), ports=frozenset({get.port}), loopback=True)
    with pytest.raises(RefusedError, match="too long"):
        fetch(f"http://{HOST}:{get.port}/page", allowed, ask=ask, timeout_s=0.1)
    assert get.server.seen == []
