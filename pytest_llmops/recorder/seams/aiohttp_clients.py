"""
Requests of `aiohttp`, where its connector is asked for a connection.

A replayed response comes over a connection without a socket, so that the library's own parser reads it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

from pytest_llmops.recorder.egress import (
    Egress,
    begin,
    is_listening,
    looking,
    note_connection,
    note_unread,
    refuse_unread,
)
from pytest_llmops.recorder.exchange import Exchange
from pytest_llmops.recorder.limits.quota import REFUSALS
from pytest_llmops.recorder.patches import Change
from pytest_llmops.recorder.processes import note_looked
from pytest_llmops.recorder.seams.answers import Answer, BoundedBytes, read_answer, write_answer

LIBRARIES = ("aiohttp",)


def find_clients() -> Iterator[Change]:
    """Yield the method of the connector, if the library is imported by now."""
    module = sys.modules.get("aiohttp")
    if module is not None and hasattr(module, "BaseConnector"):
        yield module.BaseConnector, "connect", _record
        yield module.ClientSession, "_request", _obey


class _Later(BaseException):
    """A request has to wait for a limit, and is begun anew after that, or its time limit counts the wait."""


@dataclass(slots=True)
class _Attempts:
    """
    A request of a session, sent once or more.

    Attributes:
        exchange: The model call that it is, once that is known.
        may_go: It has waited.
        content: Its body, with the type that the library gave it.
        refusal: The answer that refused it for a limit.
        is_over: The app has its response.
    """

    exchange: Exchange | None = None
    may_go: bool = False
    content: bytes = b""
    content_type: str = ""
    refusal: Answer | None = None
    is_over: bool = False

    def begin(self, request: Egress) -> Exchange | None:
        """
        Begin the call, or go on with it.

        Raises:
            _Later: It has to wait first.
        """
        if self.may_go:
            self.may_go = False
            return self.exchange
        self.exchange = begin(request)
        self.content = request.content
        types = (value for name, value in request.headers if name.lower() == "content-type")
        self.content_type = next(types, "")
        if self.exchange is not None and not self.exchange.goes_now():
            raise _Later
        return self.exchange

    def options(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of the request with a body that can be sent once more."""
        data = written.get("data")
        if data is None or isinstance(data, bytes | str):
            return dict(written)
        headers = dict(written.get("headers") or {})
        headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        return {**written, "data": self.content, "headers": {**headers, "Content-Type": self.content_type}}


_attempts: ContextVar[_Attempts | None] = ContextVar("pytest_llmops_attempts", default=None)


def _obey(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def _request(self: Any, method: str, url: Any, **options: Any) -> Any:
        if not is_listening():
            return await original(self, method, url, **options)
        attempts = _Attempts()
        token = _attempts.set(attempts)
        try:
            return await _send(attempts, partial(original, self, method, url), options)
        finally:
            attempts.is_over = True
            _attempts.reset(token)

    return _request


async def _send(attempts: _Attempts, send: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Send a request once its provider's limits let it, and again while they refuse it."""
    from aiohttp import ClientResponseError

    while True:
        raised = None
        try:
            response = await send(**options)
        except _Later:
            await _wait(attempts)
            options = attempts.options(options)
            continue
        except ClientResponseError as error:  # of a session that raises for bad statuses
            response, raised = None, error
        except BaseException as error:
            if attempts.exchange is not None and attempts.may_go:  # it has waited, and was not sent
                attempts.exchange.fail(error)
            raise
        status, headers = (raised.status, raised.headers) if raised else (response.status, response.headers)
        exchange = attempts.exchange
        is_refused = exchange is not None and exchange.is_refused(status, headers or {})
        if exchange is not None and attempts.refusal is not None and not is_refused:
            attempts.refusal.give(exchange, left=True)  # of a status that is not always one of a limit
        if exchange is not None and is_refused:
            body = await response.read() if response is not None else b""
            if exchange.goes_again(headers or {}, body):
                attempts.refusal = None
                await _wait(attempts)
                options = attempts.options(options)
                continue
            if attempts.refusal is not None:
                attempts.refusal.give(exchange, left=True)
            else:
                exchange.fail(f"the answer had status {status}", status=status)
        if raised is not None:
            raise raised
        return response


async def _wait(attempts: _Attempts) -> None:
    if attempts.exchange is not None:
        try:
            await attempts.exchange.wait_async()
        except BaseException as error:
            attempts.exchange.fail(error)
            raise
    attempts.may_go = True


def _record(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def connect(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        if not is_listening():
            return await original(self, request, *args, **options)
        url = request.url
        upgrades = "upgrade" in request.headers
        if upgrades:
            refuse_unread(await _read_request(request), "asks for another protocol (Upgrade)")
            note_connection(url.host or "", url.port or 0)
        exchange = None if upgrades else await _begin(await _read_request(request))
        if exchange is not None and exchange.replay is not None:
            return _replay(self, request, exchange.replay)
        with looking(url.host or ""):
            try:
                connection = await original(self, request, *args, **options)
            except BaseException as error:
                if exchange is not None:
                    exchange.fail(error)
                raise
        if connection.transport is not None:
            (note_unread if upgrades else note_looked)(connection.transport.get_extra_info("socket"))
        if exchange is not None:
            _watch(connection, exchange, request.method)
        return connection

    return connect


async def _begin(request: Egress) -> Exchange | None:
    if (attempts := _attempts.get()) is not None:
        return attempts.begin(request)
    exchange = begin(request)
    if exchange is not None:
        await exchange.wait_async()
    return exchange


async def _read_request(request: Any) -> Egress:
    url = request.url
    return Egress(
        method=request.method,
        host=url.host or "",
        port=None if url.is_default_port() else url.port,
        path=url.raw_path,
        query=url.raw_query_string,
        headers=[(str(name), str(value)) for name, value in request.headers.items()],
        content=await _read_body(request),
    )


async def _read_body(request: Any) -> bytes:
    """The body, of which one that can be read only once is put back."""
    body = request.body
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if hasattr(body, "as_bytes"):
        return bytes(await body.as_bytes())
    writer = _Collected()
    await body.write(writer)
    await request.update_body(bytes(writer.data))
    return bytes(writer.data)


class _Collected:
    """Takes what a body writes."""

    def __init__(self) -> None:
        self.data = bytearray()

    async def write(self, chunk: bytes, **_: Any) -> None:
        self.data += chunk

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.data += chunk

    async def drain(self) -> None:
        """Wait for nothing."""


def _replay(connector: Any, request: Any, replay: tuple[str, bytes]) -> Any:
    import asyncio

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

    loop = asyncio.get_running_loop()
    protocol = ResponseHandler(loop)
    protocol.connection_made(_NoTransport())  # type: ignore[arg-type] # asyncio is heavy to import for a base
    protocol.data_received(write_answer(*replay))
    return Connection(connector, request.connection_key, protocol, loop)


class _NoTransport:
    """A connection that takes what is written and goes nowhere."""

    def __init__(self) -> None:
        self._closed = False

    def get_extra_info(self, _: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        """Drop it: what it asks is known."""

    def writelines(self, list_of_data: Any) -> None:
        """Drop them."""

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True

    abort = close

    def pause_reading(self) -> None:
        """Everything was read already."""

    def resume_reading(self) -> None:
        """Nothing more will come."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is buffered."""


def _watch(connection: Any, exchange: Exchange, method: str) -> None:
    """Collect what comes over a connection until it is given back, then log the answer."""
    protocol = connection.protocol
    raw = BoundedBytes()
    lost: list[BaseException | None] = []
    attempts = _attempts.get()
    receive, lose = protocol.data_received, protocol.connection_lost

    def data_received(data: bytes) -> None:
        raw.add(bytes(data))
        receive(data)

    def connection_lost(error: BaseException | None) -> None:
        lost.append(error)
        lose(error)

    def finish() -> None:
        del protocol.data_received, protocol.connection_lost
        _hand_over(protocol)
        if raw.fault:
            exchange.fail(raw.fault)
            return
        answer = read_answer(raw.join(), method)
        may_wait = attempts is not None and not attempts.is_over and exchange.turn is not None
        if answer is not None and attempts and may_wait and answer.status in REFUSALS:
            attempts.refusal = answer
        elif answer is not None:
            answer.give(exchange, left=not lost)
        elif lost:
            exchange.fail(lost[0] or "the connection was closed before an answer came")

    protocol.data_received, protocol.connection_lost = data_received, connection_lost
    _hand_over(protocol)
    connection.add_callback(finish)
    exchange.leave = connection.close  # a stream that is still read when the case ends


def _hand_over(protocol: Any) -> None:
    """Let the transport look its protocol's methods up again: some event loops remember them."""
    if protocol.transport is not None and not protocol.transport.is_closing():
        protocol.transport.set_protocol(protocol)
