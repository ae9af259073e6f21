"""A certificate authority of one session, which only the processes that its app starts trust."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from pytest_llmops.errors import MissingExtraError, SettingsError
from pytest_llmops.printable import printable

STORES = (
    "SSL_CERT_FILE",  # OpenSSL, so Python, Ruby, httpx; Go; Deno by way of its system store
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "DENO_CERT",
    "PIP_CERT",
    "HTTPLIB2_CA_CERTS",
    "NIX_SSL_CERT_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
)
"""Variables that name a file of certificates to trust; most of them in place of a client's own."""

_MOST_HOSTS = 256


class Authority:
    """
    Makes certificates for the hosts that clients ask for.

    Attributes:
        bundle: A file of all that a client would trust, and of this authority.
        upstream: Trusts what a client would, for the connections of the proxy itself.
    """

    def __init__(self, folder: str, environment: Mapping[str, str]) -> None:
        """
        Make a key, and write the bundle.

        Args:
            environment: May name files of certificates, as in `STORES`.

        Raises:
            MissingExtraError: A library is not installed.
            SettingsError: A file of certificates cannot be read.
        """
        try:
            import certifi
            import trustme
        except ImportError:
            raise MissingExtraError("--llm-proxy", "proxy") from None
        self._authority = trustme.CA(organization_name="pytest-llmops")
        self.upstream = ssl.create_default_context(cafile=certifi.where())
        self.upstream.set_default_verify_paths()
        texts = [Path(certifi.where()).read_bytes()]
        texts += (_read_store(name, path, self.upstream) for name, path in _list_stores(environment))
        self.bundle = Path(folder, "certificates.pem")
        self.bundle.write_bytes(b"\n".join([*texts, self._authority.cert_pem.bytes()]))
        self.context_for = lru_cache(_MOST_HOSTS)(self._make_context)

    def _make_context(self, host: str) -> ssl.SSLContext:
        """
        Return the settings by which a host's part is played.

        Raises:
            ValueError: No host can have that name.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])  # so that clients use no HTTP/2
        self._authority.issue_cert(host).configure_cert(context)
        return context


def _list_stores(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in STORES:
        if path := environment.get(name):
            yield name, path
    usual = ssl.get_default_verify_paths().cafile
    if usual and "SSL_CERT_FILE" not in environment:
        yield "the system", usual


def _read_store(name: str, path: str, context: ssl.SSLContext) -> bytes:
    try:
        if Path(path).is_dir():  # as OpenSSL keeps them; only the proxy itself can use it
            context.load_verify_locations(capath=path)
            return b""
        context.load_verify_locations(path)
        return Path(path).read_bytes()
    except OSError as error:  # an SSLError, where it holds no certificate
        reason = getattr(error, "reason", None) or error.strerror
        shown = printable(path)
        raise SettingsError(
            f"proxy: {name} names {shown} as its file of certificates, which cannot be read ({reason})"
        ) from None
