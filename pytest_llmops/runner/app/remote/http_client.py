"""
Calls an app behind a URL.

Its requests are the app under test and no model call: they are never recorded or replayed, whatever the mode.
Whatever is not the answer that the golden file describes is an error of the case.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2

from pytest_llmops.detect.mask import mask_shown
from pytest_llmops.errors import AnswerError, AppBusyError, LLMOpsError, list_causes
from pytest_llmops.golden.apps import (
    TEXT,
    HttpApp,
    Version,
    fill,
    fill_url,
    find_secret,
    find_secrets,
    hide,
    list_templates,
    list_values,
    show_url,
)
from pytest_llmops.printable import printable
from pytest_llmops.protocols import Conversation, RemoteApp
from pytest_llmops.recorder.egress import looking
from pytest_llmops.recorder.limits.quota import read_pause_s
from pytest_llmops.records import Output, Span
from pytest_llmops.runner.app.answers import read_answer
from pytest_llmops.runner.app.remote.answers import (
    Parts,
    find,
    find_rest,
    join_texts,
    parse_json,
    read_parts,
    read_session,
)
from pytest_llmops.runner.app.remote.streams import read_events, read_records
from pytest_llmops.traces.capture import add_response, find_owner

MOST_BYTES = 16 << 20
"""Of a body, decoded."""

_MOST_REDIRECTS = 5
_EXCERPT = 200  # characters of a body in a message
_LOOKED_AT = 4_000  # of which so many are masked before they are cut
_BUSY = frozenset({429, 503})
_VERSION_S = 5.0
_FORM = "application/x-www-form-urlencoded"
OpenClient = Callable[[str], httpx2.AsyncClient]

_JSON = re.compile(r"application/(?:[\w.+-]*\+)?json|text/json")


@dataclass(slots=True, eq=False)
class HttpCaller(RemoteApp):
    """Calls one app; its connections belong to the loop on which it is called, until `close`."""

    spec: HttpApp
    at_once: int | None = None
    _clients: dict[bool, httpx2.AsyncClient] = field(default_factory=dict)
    _version: str = ""
    _unknown: str = ""
    _asking: asyncio.Task[None] | None = None
    _sessions: dict[str, str | float] = field(default_factory=dict)

    @property
    def conversation(self) -> Conversation:
        """Return what the requests of the golden file say of the conversation."""
        named = list_templates(self.spec)
        return "messages" if "messages" in named else "session" if "session" in named else ""

    async def __call__(self, question: Any, /, *, session: str = "") -> Output:
        """
        Return the service's answer to one case, or to one turn of it.

        Raises:
            AppBusyError: It is busy, by its status.
            AnswerError: There is no answer, for any other reason.
        """
        trace_id = token_hex(16)
        find_owner(trace_id)  # so that spans that the service sends belong to the case
        values = list_values(question, session)
        if self.spec.session:  # the service opens its own
            values = {**values, "session": self._sessions.get(session)}
        exchange = _Exchange(self.spec, values, trace_id, find_secrets(self.spec, os.environ))
        with looking():
            try:
                async with asyncio.timeout(self.spec.timeout_s):
                    output = await exchange.answer(self._open)
            except TimeoutError:
                raise AnswerError(
                    f"{exchange.name} gave no complete answer within {self.spec.timeout_s:g} s (timeout_s of "
                    "the app)"
                ) from None
            except LLMOpsError as error:
                why = exchange.hide(str(error))
                raise type(error)(f"{exchange.name}: {why}", *error.args[1:]) from None
            except Exception as error:  # noqa: BLE001 - of a library, and of what a user wrote for it
                raise AnswerError(f"{exchange.name}: {exchange.describe(error)}") from None
        if session and exchange.session is not None:
            self._sessions[session] = exchange.session
        elif session and self.spec.session and session not in self._sessions:
            raise AnswerError(
                f"{exchange.name}: the answer has no session at {self.spec.session}, so its further turns "
                "would begin conversations of their own"
            )
        return output

    async def prepare(self) -> None:
        """
        Read the version of the service, once; that there is none is known to all further cases too.

        Raises:
            AnswerError: It is not there.
        """
        version = self.spec.version
        if version is None or self._version:
            return
        if not self._unknown:
            self._asking = self._asking or asyncio.create_task(self._ask_version(version))
            await asyncio.shield(self._asking)  # a case that is given up ends it for no other case
        if self._unknown:
            raise AnswerError(self._unknown)

    async def _ask_version(self, version: Version) -> None:
        try:
            self._version = await self._read_version(version.url, version.at)
        except AnswerError as error:
            self._unknown = str(error)

    async def _read_version(self, url: str, at: str) -> str:
        asked = HttpApp(url=url, method="GET", headers=self.spec.headers, timeout_s=_VERSION_S)
        secrets = find_secrets(self.spec, os.environ)
        exchange = _Exchange(asked, list_values("", ""), token_hex(16), secrets)
        with looking():
            try:
                async with asyncio.timeout(_VERSION_S):
                    content, _ = await exchange.fetch(self._open)
                if at == TEXT:
                    version = content.decode("utf-8", "replace")
                else:
                    version = join_texts(find(at, exchange.parse(content), "version"))
                exchange.refuse_secrets(version)
            except LLMOpsError as error:
                why = exchange.hide(str(error))
                raise AnswerError(f"the version of the app at {exchange.name}: {why}") from None
            except Exception as error:  # noqa: BLE001 - as above
                why = exchange.describe(error) if not isinstance(error, TimeoutError) else "no answer"
                raise AnswerError(f"the version of the app at {exchange.name}: {why}") from None
        if not version.strip():
            raise AnswerError(f"the version of the app at {exchange.name} is empty")
        return printable(mask_shown(version.strip()), 100)

    async def close(self) -> None:
        """Close connections; a later call opens new ones."""
        clients, self._clients = self._clients, {}
        asking, self._asking, self._unknown = self._asking, None, ""
        if asking is not None:
            asking.cancel()
        for client in clients.values():
            with suppress(Exception):
                await client.aclose()

    def stamps(self) -> Mapping[str, str]:
        return {f"service:{self.spec.name}": self._version} if self._version else {}

    def files(self) -> tuple[str, ...]:
        return ()

    def _open(self, url: str) -> httpx2.AsyncClient:
        """Return the client for a URL; the one for http, which never speaks TLS, loads no certificates."""
        has_tls = not url.lower().startswith("http://")
        if has_tls not in self._clients:
            limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
            self._clients[has_tls] = httpx2.AsyncClient(limits=limits, timeout=None, verify=has_tls)
        return self._clients[has_tls]


@dataclass(slots=True, eq=False)
class _Exchange:
    """One request and its answer."""

    spec: HttpApp
    values: Mapping[str, Any]
    trace_id: str
    _secrets: Mapping[str, str]
    session: str | float | None = None
    _body: bytes = b""

    @property
    def name(self) -> str:
        return self.spec.name

    async def answer(self, open_client: OpenClient) -> Output:
        """Send the request and read the answer."""
        if self.spec.stream != "none":
            return await self._read_stream(open_client)
        content, kind = await self.fetch(open_client)
        if self.spec.answer == TEXT or (not self.spec.answer and kind == "text/plain"):
            if self.spec.session:
                raise AnswerError(f"its body is plain text, which has no session at {self.spec.session}")
            answer: dict[str, Any] = {"text": self._decode(content)}
            if any((self.spec.passages, self.spec.tool_calls, self.spec.tokens)):
                data = self.parse(content)
                self.refuse_secrets(data)
                answer = {**read_parts(replace(self.spec, answer="$"), data), **answer}
        else:
            data = self.parse(content, kind)
            self.refuse_secrets(data)
            try:
                answer = read_parts(self.spec, data)
                if self.spec.session:
                    self.session = read_session(self.spec.session, data)
            except AnswerError as error:
                raise AnswerError(f"{error}; its body: {self.excerpt(content)}") from None
            self._keep(find_rest(self.spec, data))
        return self._output(answer)

    def _output(self, answer: Mapping[str, Any], first_token_s: float | None = None) -> Output:
        output = read_answer(answer)
        self.refuse_secrets(output.text)  # which may be joined of several parts
        return replace(output, trace_id=output.trace_id or self.trace_id, first_token_s=first_token_s)

    def refuse_secrets(self, value: Any) -> None:
        """
        Look for secrets in what the service said, before anything of it is kept.

        Raises:
            AnswerError: There is one.
        """
        if name := find_secret(value, self._secrets):
            raise AnswerError(f"the answer contains the value of {name}, a variable that the request sends")

    def hide(self, text: str) -> str:
        """Return a text without the values of secrets."""
        return hide(text, self._secrets)

    async def fetch(self, open_client: OpenClient) -> tuple[bytes, str]:
        """
        Return the body of the answer, and its content type.

        Raises:
            AnswerError: The status is none of an answer, or the body is too large.
        """
        response = await self._send(open_client)
        try:
            async for _ in self._chunks(response):
                pass
        finally:
            await response.aclose()
        if not self._is_ok(response.status_code):
            self._refuse_status(response, self._body)
        return self._body, _kind_of(response)

    async def _send(self, open_client: OpenClient) -> httpx2.Response:
        """
        Send the request, and follow redirects that stay on the host.

        Raises:
            AnswerError: A redirect leads elsewhere, or in a circle.
        """
        url = fill_url(self.spec.url, self.values, os.environ)
        client = open_client(url)
        request = self._make(client, url)
        first = request.url
        for _ in range(_MOST_REDIRECTS + 1):
            response = await client.send(request, stream=True)
            if not response.has_redirect_location or self._is_ok(response.status_code):
                return response
            await response.aclose()
            following = response.next_request
            if following is None or not _stays(first, following.url):
                to = str(following.url if following else response.headers.get("location", ""))
                to = show_url(self.hide(to))
                raise AnswerError(
                    f"it redirects to {to} ({response.status_code}), which is another host, port or scheme; "
                    "the request is not sent there: write that URL if it is the app"
                )
            request = following
        raise AnswerError(f"it redirects more than {_MOST_REDIRECTS} times")

    def _make(self, client: httpx2.AsyncClient, url: str) -> httpx2.Request:
        spec = self.spec
        headers = {
            name: str(fill(f"{value} ", self.values, os.environ)).strip()
            for name, value in spec.headers.items()
        }
        names = {name.lower(): name for name in headers}
        content: bytes | None = None
        body = spec.sent
        if body is not None:
            filled = fill(body, self.values, os.environ)
            if spec.method == "GET":
                url += ("&" if urlsplit(url).query else "?") + _encode_form(filled)
            else:
                kind = headers.get(names.get("content-type", ""), "")
                content, default = _encode(filled, kind)
                if not kind:
                    headers["Content-Type"] = default
        if "traceparent" not in names:
            headers["traceparent"] = f"00-{self.trace_id}-{token_hex(8)}-01"
        if "accept" not in names and spec.stream == "sse":
            headers["Accept"] = "text/event-stream"
        return client.build_request(spec.method, url, headers=headers, content=content)

    async def _read_stream(self, open_client: OpenClient) -> Output:
        started_s, first_s = time.perf_counter(), None
        response = await self._send(open_client)
        try:
            if not self._is_ok(response.status_code):
                async for _ in self._chunks(response):
                    pass
                self._refuse_status(response, self._body)
            parts, last, marked = Parts(self.spec), "", False
            read = read_events if self.spec.stream == "sse" else read_records
            async for name, text in read(self._chunks(response)):
                last = text
                if text.strip() == "[DONE]":
                    marked = True
                    continue
                if name == "error":
                    raise AnswerError(f"the stream reports an error: {self._shown(text)}")
                if self.spec.answer == TEXT:
                    parts.add_text(text)
                else:
                    data = self.parse(text.encode(), what="a part of the stream")
                    self.refuse_secrets(data)
                    parts.add(data)
                if first_s is None and parts.text:
                    first_s = time.perf_counter() - started_s
            answer = parts.finish(marked=marked, describe=lambda: self._shown(last) or "none")
        finally:
            await response.aclose()
        self.refuse_secrets(answer["text"])
        self._keep(parts.rest)
        return self._output(answer, first_s)

    async def _chunks(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        size, parts = 0, []
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > MOST_BYTES:
                raise AnswerError(f"its answer has more than {MOST_BYTES >> 20} MiB")
            parts.append(chunk)
            yield chunk
        self._body = b"".join(parts)

    def _is_ok(self, status: int) -> bool:
        return any(low <= status <= high for low, high in self.spec.ok)

    def _refuse_status(self, response: httpx2.Response, content: bytes) -> None:
        status, listed = (
            response.status_code,
            ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in self.spec.ok),
        )
        message = f"it answered with status {status}, and {listed} are answers (ok): {self.excerpt(content)}"
        if status in _BUSY:
            raise AppBusyError(message, status, read_pause_s(response.headers.get("retry-after")))
        raise AnswerError(message)

    def parse(self, content: bytes, kind: str = "", *, what: str = "its body") -> Any:
        """
        Parse a JSON value.

        Raises:
            AnswerError: It is none.
        """
        try:
            return parse_json(content)
        except ValueError:  # also of bytes that are no text
            remedy = "" if not kind or _JSON.fullmatch(kind) else f" (its type is {printable(kind, 60)})"
            raise AnswerError(
                f"{what} is no JSON{remedy}, which {'answer' if self.spec.answer else 'an app by http'} "
                f"needs; it begins: {self.excerpt(content)}"
            ) from None

    def _decode(self, content: bytes) -> str:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise AnswerError("its body is no UTF-8") from None

    def excerpt(self, content: bytes) -> str:
        """Return the beginning of a body, as it may be shown."""
        return self._shown(content[: 4 * _LOOKED_AT].decode("utf-8", "replace")) or "(nothing)"

    def _shown(self, text: str) -> str:
        return printable(mask_shown(self.hide(text)[:_LOOKED_AT]), _EXCERPT)

    def _keep(self, rest: Any) -> None:
        """Keep what the service said besides, for the checks that look at all that leaves an app."""
        if rest:
            now = time.time()
            name = f"answer of {self.name}"
            add_response(
                Span(span_id="", parent_id=None, name=name, start=now, end=now, attributes={"body": rest})
            )

    def describe(self, error: Exception) -> str:
        """Describe why there is no answer."""
        tls = next(
            (cause for cause in list_causes(error, hidden=True) if isinstance(cause, ssl.SSLError)), None
        )
        why = printable(mask_shown(self.hide(str(tls or error) or type(error).__name__)), _EXCERPT)
        if tls is not None:
            return f"TLS failed: {why}; a certificate of your own is trusted by SSL_CERT_FILE"
        if isinstance(error, httpx2.ConnectError):
            return f"it cannot be reached: {why}; is it running?"
        if isinstance(error, (httpx2.RemoteProtocolError, httpx2.ReadError)):
            return f"its answer ended early or is none of HTTP: {why}"
        if isinstance(error, (httpx2.InvalidURL, httpx2.UnsupportedProtocol)):
            return f"no request can be sent to it: {why}"
        if isinstance(error, UnicodeError):
            return "a header or the URL contains characters that HTTP cannot send"
        return f"{type(error).__name__}: {why}"


def _kind_of(response: httpx2.Response) -> str:
    kind: str = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower()


def _stays(first: httpx2.URL, url: httpx2.URL) -> bool:
    """Return whether a redirect stays where it is: what a header sends as a secret is sent nowhere else."""
    return (first.scheme, first.host, first.port) == (url.scheme, url.host, url.port)


def _encode(body: Any, kind: str) -> tuple[bytes, str]:
    """Return the bytes of a body, and their content type where none is given."""
    if isinstance(body, str):
        return body.encode("utf-8", "replace"), "text/plain; charset=utf-8"
    if kind.partition(";")[0].strip().lower() == _FORM and isinstance(body, dict):
        return _encode_form(body).encode(), _FORM
    return json.dumps(body).encode(), "application/json"


def _encode_form(body: Mapping[str, Any]) -> str:
    pairs = []
    for name, value in body.items():
        values = value if isinstance(value, list) else [value]
        pairs += [(name, part if isinstance(part, str) else json.dumps(part)) for part in values]
    return urlencode(pairs, errors="replace")
