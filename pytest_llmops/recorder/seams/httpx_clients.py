"""
Requests of `httpx` and `httpx2`, which share an interface, and of the clients that are built on them.

Every one of them ends in the `send` of a client; neither library is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from datetime import timedelta
from functools import partial, wraps
from types import ModuleType
from typing import Any

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder.egress import (
    MOST_COLLECTED,
    Egress,
    begin,
    is_call,
    is_listening,
    looking,
    note_request,
)
from pytest_llmops.recorder.exchange import Exchange
from pytest_llmops.recorder.patches import Change
from pytest_llmops.recorder.processes import note_looked, note_unread
from pytest_llmops.recorder.seams.answers import BoundedBytes, is_cached, undo_coding

LIBRARIES = ("httpx", "httpx2")
_OK, _UPGRADED = 200, 101
_called: ContextVar[str] = ContextVar("pytest_llmops_called", default="")
"""The host of the model call that a client has under way."""


def find_clients() -> Iterator[Change]:
    """Yield the methods of the clients that are imported by now."""
    for name in LIBRARIES:
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "AsyncClient"):
            yield module.Client, "send", partial(_record_send, module)
            yield module.AsyncClient, "send", partial(_record_async_send, module)
            yield module.HTTPTransport, "handle_request", partial(_connect, module)
            yield module.AsyncHTTPTransport, "handle_async_request", partial(_connect_async, module)


def _connect(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    """
    Look at what really leaves, after hooks, redirects and custom transports.

    A model call that the client has under way is left alone, unless it goes to another host.
    """

    @wraps(original)
    def handle_request(self: Any, request: Any) -> Any:
        exchange = ready = None
        if not (called := _called.get()) and is_listening():
            content = _read_content(request, module)
            exchange, ready = _begin(request, content, module, stream=True, leaves=True)
        elif called and called != request.url.host:
            note_request(_read_request(request, _read_content(request, module)))
        if ready is not None:
            return ready
        with looking(request.url.host), _failing(exchange):
            if exchange is None:
                return _placed(original(self, request))
            response = _send(exchange, lambda: _placed(original(self, request)), module)
        return _watched(response, exchange, module, stream=True)

    return handle_request


def _connect_async(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def handle_async_request(self: Any, request: Any) -> Any:
        exchange = ready = None
        if not (called := _called.get()) and is_listening():
            content = await _aread_content(request, module)
            exchange, ready = _begin(request, content, module, stream=True, leaves=True)
        elif called and called != request.url.host:
            note_request(_read_request(request, await _aread_content(request, module)))
        if ready is not None:
            return ready
        with looking(request.url.host), _failing(exchange):
            if exchange is None:
                return _placed(await original(self, request))

            async def send() -> Any:
                return _placed(await original(self, request))

            response = await _send_async(exchange, send, module)
        return _watched(response, exchange, module, stream=True)

    return handle_async_request


@contextmanager
def _failing(exchange: Exchange | None) -> Iterator[None]:
    """Log a call that raises."""
    try:
        yield
    except BaseException as error:
        if exchange is not None:
            exchange.fail(error)
        raise


def _send(exchange: Exchange, send: Callable[[], Any], module: ModuleType) -> Any:
    """Send a call once its provider's limits let it, and again while they refuse it; return the response."""
    while True:
        exchange.wait()
        raised = None
        try:
            response = send()
        except module.HTTPStatusError as error:  # of an event hook, which many clients have for bad statuses
            response, raised = error.response, error
        if exchange.is_refused(response.status_code, response.headers):
            body = response.read() if raised is None else b""  # closed by the client, unread
            response.close()
            if exchange.goes_again(response.headers, body):
                continue
        if raised is not None:
            raise raised
        return response


async def _send_async(exchange: Exchange, send: Callable[[], Awaitable[Any]], module: ModuleType) -> Any:
    """The same, of an asynchronous client."""
    while True:
        await exchange.wait_async()
        raised = None
        try:
            response = await send()
        except module.HTTPStatusError as error:
            response, raised = error.response, error
        if exchange.is_refused(response.status_code, response.headers):
            body = await response.aread() if raised is None else b""
            await response.aclose()
            if exchange.goes_again(response.headers, body):
                continue
        if raised is not None:
            raise raised
        return response


def _placed(response: Any) -> Any:
    """Return a response, its socket noted: whatever opened it, what is sent there is seen."""
    with suppress(Exception):  # of a stream without a socket, such as a test's
        opened = response.extensions["network_stream"].get_extra_info("socket")
        (note_unread if response.status_code == _UPGRADED else note_looked)(opened)
    return response


def _record_send(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def send(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
        if not is_listening():
            return original(self, request, stream=stream, **options)
        leaves = _leaves(self, request, module.HTTPTransport)
        content = _read_content(request, module)
        exchange, ready = _begin(request, content, module, stream=stream, leaves=False)
        if ready is not None:
            return ready
        if exchange is None:
            with _calling(_host_of_call(request, content)):
                return original(self, request, stream=stream, **options)
        with _calling(request.url.host, leaves=leaves), _failing(exchange):
            response = _send(exchange, lambda: original(self, request, stream=True, **options), module)
        if not stream:
            try:
                response.read()
            except BaseException as error:
                exchange.fail(error, status=response.status_code)
                response.close()
                raise
        return _watched(response, exchange, module, stream=stream)

    return send


def _record_async_send(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def send(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
        if not is_listening():
            return await original(self, request, stream=stream, **options)
        leaves = _leaves(self, request, module.AsyncHTTPTransport)
        content = await _aread_content(request, module)
        exchange, ready = _begin(request, content, module, stream=stream, leaves=False)
        if ready is not None:
            return ready
        if exchange is None:
            with _calling(_host_of_call(request, content)):
                return await original(self, request, stream=stream, **options)
        with _calling(request.url.host, leaves=leaves), _failing(exchange):
            response = await _send_async(
                exchange, lambda: original(self, request, stream=True, **options), module
            )
        if not stream:
            try:
                await response.aread()
            except BaseException as error:
                exchange.fail(error, status=response.status_code)
                await response.aclose()
                raise
        return _watched(response, exchange, module, stream=stream)

    return send


def _read_content(request: Any, module: ModuleType) -> bytes:
    """The body of a request; of one that is too long to be kept its beginning, and the rest is still sent."""
    if isinstance(request.stream, module.ByteStream):
        return bytes(request.read())
    original, parts, size = request.stream, list[bytes](), 0
    pieces = iter(original)

    def go_on() -> Iterator[bytes]:
        yield from parts
        parts.clear()
        yield from pieces

    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size > MOST_COLLECTED:
            beginning = b"".join(parts)
            request.stream = _continued(module.SyncByteStream, "__iter__", go_on, original)
            return beginning
    request.stream = module.ByteStream(b"".join(parts))
    return bytes(request.read())


async def _aread_content(request: Any, module: ModuleType) -> bytes:
    """The same, of an asynchronous client."""
    if isinstance(request.stream, module.ByteStream):
        return bytes(await request.aread())
    original, parts, size = request.stream, list[bytes](), 0
    pieces = aiter(original)

    async def go_on() -> AsyncIterator[bytes]:
        for piece in parts:
            yield piece
        parts.clear()
        async for piece in pieces:
            yield piece

    async for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size > MOST_COLLECTED:
            beginning = b"".join(parts)
            request.stream = _continued(module.AsyncByteStream, "__aiter__", go_on, original)
            return beginning
    request.stream = module.ByteStream(b"".join(parts))
    return bytes(await request.aread())


def _continued(kind: type, name: str, go_on: Callable[[], Any], original: Any) -> Any:
    """A stream of a kind that goes on where it was left; a second time, as after a redirect, the original."""
    first = [go_on]
    return type(
        "ContinuedStream",
        (kind,),
        {name: lambda _: first.pop()() if first else getattr(original, name)()},
    )()


def _host_of_call(request: Any, content: bytes) -> str:
    """The host of a model call that belongs to no case, which is ruled already; empty for another request."""
    return request.url.host if is_call(_read_request(request, content)) else ""


@contextmanager
def _calling(host: str, *, leaves: bool = True) -> Iterator[None]:
    """Remember where a model call was to go, whatever a transport makes of it; empty for no call."""
    token = _called.set(host)
    try:
        # Else the client below would record the call too.
        with nullcontext() if leaves else looking(host):
            yield
    finally:
        _called.reset(token)


def _leaves(client: Any, request: Any, network: type) -> bool:
    """Whether the client's own transport sends the request, and not that of another library or of a test."""
    find = getattr(client, "_transport_for_url", None)
    return find is None or isinstance(find(request.url), network)


def _begin(
    request: Any, content: bytes, module: ModuleType, *, stream: bool, leaves: bool
) -> tuple[Exchange | None, Any]:
    """Return the exchange of a model call, and the response where none has to be fetched."""
    try:
        exchange = begin(_read_request(request, content, leaves=leaves))
    except CassetteError as error:
        # OpenAI's and Anthropic's clients of the `httpx` days retry on any exception, with pauses, and
        # then hide it. They heed this header, and show a message that comes with a status.
        if module.__name__ != "httpx" or "x-stainless-lang" not in request.headers:
            raise
        refusal = {"error": {"message": str(error), "type": "cassette_error"}}
        return None, module.Response(400, headers={"x-should-retry": "false"}, json=refusal, request=request)
    if exchange is None or exchange.replay is None:
        return exchange, None
    content_type, body = exchange.replay
    content_or_stream = {"stream": module.ByteStream(body)} if stream else {"content": body}
    headers = {"content-type": content_type}
    response = module.Response(_OK, headers=headers, request=request, **content_or_stream)
    response.elapsed = timedelta(seconds=exchange.duration_s)
    return exchange, response


def _read_request(request: Any, content: bytes, *, leaves: bool = True) -> Egress:
    return Egress(
        method=request.method,
        host=request.url.host,
        port=request.url.port,
        path=request.url.path,
        query=request.url.query.decode("ascii", "replace"),
        headers=request.headers.multi_items(),
        content=content,
        leaves=leaves,
    )


def _watched(response: Any, exchange: Exchange, module: ModuleType, *, stream: bool) -> Any:
    content_type = response.headers.get("content-type", "")
    if stream and response.status_code == _OK:
        kind = type("RecordedStream", (_RecordedStream, module.SyncByteStream, module.AsyncByteStream), {})
        response.stream = kind(response, exchange, content_type)
        exchange.leave = response.stream.leave
    else:
        content = b"" if stream else response.content
        exchange.answer(
            response.status_code, content_type, content, cached=is_cached(response.headers.items())
        )
    return response


class _RecordedStream:
    """A response's bytes, handed on as they come and kept until the last."""

    def __init__(self, response: Any, exchange: Exchange, content_type: str) -> None:
        self._stream = response.stream
        self._exchange = exchange
        self._content_type = content_type
        self._chunks = BoundedBytes()
        self._encoding = response.headers.get("content-encoding", "")
        self._cached = is_cached(response.headers.items())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)  # such as `elapsed`, which responses read off their stream

    def __iter__(self) -> Iterator[bytes]:
        with self._to_the_end():
            for chunk in self._stream:
                self._chunks.add(chunk)
                yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._to_the_end():
            async for chunk in self._stream:
                self._chunks.add(chunk)
                yield chunk

    @contextmanager
    def _to_the_end(self) -> Iterator[None]:
        """Log the answer once its last byte was read, or the failure; not where the reader stops early."""
        try:
            yield
        except GeneratorExit:
            raise
        except BaseException as error:
            self._exchange.fail(error, status=_OK)  # the answer had begun
            raise
        self._end(whole=True)

    def leave(self) -> None:
        self._end(whole=False)

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self.leave()

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self.leave()

    def _end(self, *, whole: bool) -> None:
        content, whole, fault = undo_coding(self._chunks.join(), self._encoding, whole=whole)
        if fault := self._chunks.fault or fault:
            self._exchange.fail(fault, status=_OK)
            return
        self._exchange.answer(_OK, self._content_type, content, whole=whole, cached=self._cached)
