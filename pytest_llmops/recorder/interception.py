"""
Sees the requests of this process' HTTP clients, answers or records them, while a recorder listens.

`httpx` and `httpx2` share an interface, and every OpenAI client ends in the `send` of one of them. Their
classes are patched where they are loaded already, and as they load later; neither is imported here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import partial, wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from threading import Lock
from types import ModuleType
from typing import Any, Protocol

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder.call import CallLog, CallRules
from pytest_llmops.recorder.exchange import Exchange, MetricCalls, Recording
from pytest_llmops.recorder.identity import is_model_call, may_call_model
from pytest_llmops.recorder.patches import Change, Patches
from pytest_llmops.recorder.threads import is_inherited

_LIBRARIES = ("httpx", "httpx2")
_OK = 200
_HIT = re.compile(r"\b(?:tcp_(?:\w+_)?)?hit\b", re.IGNORECASE)

# Headers and query parameters whose very purpose is a secret that the provider gave.
_CREDENTIALS = frozenset({
    "authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "key", "api_key",
    "ocp-apim-subscription-key",
})  # fmt: skip
_OF_EVERY_CLIENT = frozenset({
    "accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "host",
    "traceparent", "transfer-encoding", "user-agent",
})  # fmt: skip
_OF_OPENAI_CLIENTS = "x-stainless-"


class Listener(Protocol):
    """A recorder that listens in this process."""

    @property
    def metric_calls(self) -> MetricCalls: ...

    def recording(
        self, case: str, repeat: int, *, shared: bool = True, rules: CallRules | None = None
    ) -> AbstractContextManager[CallLog]: ...

    def rule_unattributed(self) -> CassetteError | None:
        """Count a call that may belong to any of several cases; the error where it may not be made."""


recorders: list[Listener] = []
"""The last one decides."""

current: ContextVar[Recording | None] = ContextVar("pytest_llmops_recording", default=None)
_in_metric: ContextVar[bool] = ContextVar("pytest_llmops_in_metric", default=False)

# Of every context; a thread that the app started without its context may belong to any of them.
_open_recordings: list[Recording] = []


@contextmanager
def attribute_calls(recording: Recording, *, shared: bool) -> Iterator[None]:
    """
    Give the calls of this context to a recording.

    Args:
        shared: And those of threads that know of no case, where it is the only one open.
    """
    _patches.refresh()  # `install` may have met a library half imported, by another thread
    token = current.set(recording)
    if shared:
        _open_recordings.append(recording)
    try:
        yield
    finally:
        if shared:
            _open_recordings.remove(recording)
        current.reset(token)


def stand_aside() -> None:
    """From now on, model calls of this thread outside a recording are a metric's, and none of an app."""
    _in_metric.set(True)


def _is_seen(request: Any) -> bool:
    """Return whether the request may be a model call that somebody here listens to."""
    listening = bool(_open_recordings) or current.get() is not None or _in_metric.get()
    return listening and may_call_model(request.method, request.url.path)


def _find_recording(request: Any, content: bytes) -> Recording | MetricCalls | None:
    """
    Return the recording of this context, or the only one open; None for a request that is no model call.

    Raises:
        CassetteError: Several are open, and the call may not be made.
    """
    if not _is_seen(request) or not is_model_call(request.method, request.url.path, content):
        return None
    recording = current.get()
    if recording is not None and not (recording.ended and is_inherited.get()):
        return recording
    if recording is None and _in_metric.get():
        return recorders[-1].metric_calls if recorders else None
    candidates = _open_recordings[:]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        error = recorders[-1].rule_unattributed() if recorders else None
        for candidate in candidates:
            candidate.note_unattributed(error)
        if error is not None:
            raise error
    return None


def _find_clients() -> Iterator[Change]:
    for name in _LIBRARIES:
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "AsyncClient"):
            yield module.Client, "send", partial(_record_send, module)
            yield module.AsyncClient, "send", partial(_record_async_send, module)


def _record_send(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def send(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
        content = request.read() if _is_seen(request) else b""
        recording = _find_recording(request, content)
        if recording is None:
            return original(self, request, stream=stream, **options)
        exchange, ready = _begin(recording, request, content, module, stream=stream)
        if exchange is None or ready is not None:
            return ready
        try:
            response = original(self, request, stream=True, **options)
        except BaseException as error:
            exchange.fail(error)
            raise
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
        content = await request.aread() if _is_seen(request) else b""
        recording = _find_recording(request, content)
        if recording is None:
            return await original(self, request, stream=stream, **options)
        exchange, ready = _begin(recording, request, content, module, stream=stream)
        if exchange is None or ready is not None:
            return ready
        try:
            response = await original(self, request, stream=True, **options)
        except BaseException as error:
            exchange.fail(error)
            raise
        if not stream:
            try:
                await response.aread()
            except BaseException as error:
                exchange.fail(error, status=response.status_code)
                await response.aclose()
                raise
        return _watched(response, exchange, module, stream=stream)

    return send


def _begin(
    recording: Recording | MetricCalls, request: Any, content: bytes, module: ModuleType, *, stream: bool
) -> tuple[Exchange | None, Any]:
    """Return the exchange of a request, and the response where none has to be fetched."""
    url = request.url
    try:
        exchange = recording.begin(url.host, url.port, url.path, content, _describe_sent(request))
    except CassetteError as error:
        # OpenAI's and Anthropic's clients of the `httpx` days retry on any exception, with pauses, and
        # then hide it. They heed this header, and show a message that comes with a status.
        if module.__name__ != "httpx" or "x-stainless-lang" not in request.headers:
            raise
        refusal = {"error": {"message": str(error), "type": "cassette_error"}}
        return None, module.Response(400, headers={"x-should-retry": "false"}, json=refusal, request=request)
    if exchange.replay is None:
        return exchange, None
    content_type, body = exchange.replay
    content_or_stream = {"stream": module.ByteStream(body)} if stream else {"content": body}
    headers = {"content-type": content_type}
    response = module.Response(_OK, headers=headers, request=request, **content_or_stream)
    response.elapsed = timedelta(seconds=exchange.duration_s)
    return exchange, response


def _describe_sent(request: Any) -> dict[str, Any]:
    """Path, query and headers of a request, without credentials and the headers of every client."""
    headers = {
        name: value
        for name, value in request.headers.multi_items()
        if name not in _CREDENTIALS | _OF_EVERY_CLIENT and not name.startswith(_OF_OPENAI_CLIENTS)
    }
    query = [
        f"{name}={value}"
        for name, value in request.url.params.multi_items()
        if name.lower() not in _CREDENTIALS
    ]
    return {"path": request.url.path, "query": query, "headers": headers}


def _watched(response: Any, exchange: Exchange, module: ModuleType, *, stream: bool) -> Any:
    content_type = response.headers.get("content-type", "")
    if stream and response.status_code == _OK:
        kind = type("RecordedStream", (_RecordedStream, module.SyncByteStream, module.AsyncByteStream), {})
        response.stream = kind(response, exchange, content_type)
        exchange.leave = response.stream.leave
    else:
        content = b"" if stream else response.content
        exchange.answer(response.status_code, content_type, content, cached=_is_cached(response.headers))
    return response


class _RecordedStream:
    """A response's bytes, handed on as they come and kept until the last."""

    def __init__(self, response: Any, exchange: Exchange, content_type: str) -> None:
        self._stream = response.stream
        self._exchange = exchange
        self._content_type = content_type
        self._chunks: list[bytes] = []
        encoding = response.headers.get("content-encoding")
        self._headers = {"content-encoding": encoding} if encoding else {}
        self._response_type = type(response)
        self._cached = _is_cached(response.headers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)  # such as `elapsed`, which responses read off their stream

    def __iter__(self) -> Iterator[bytes]:
        with self._to_the_end():
            for chunk in self._stream:
                self._chunks.append(chunk)
                yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._to_the_end():
            async for chunk in self._stream:
                self._chunks.append(chunk)
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
        content = b"".join(self._chunks)
        if self._headers:
            try:
                content = self._response_type(_OK, headers=self._headers, content=content).content
            except Exception:  # noqa: BLE001  # cut in the middle: whichever decoder it is, nothing is kept
                content, whole = b"", False
        self._exchange.answer(_OK, self._content_type, content, whole=whole, cached=self._cached)


def _is_cached(headers: Any) -> bool:
    """True if a cache reports a hit, as `x-cache` and `cf-cache-status` do, whatever the cache is called."""
    return any("cache" in name.lower() and _HIT.search(value) for name, value in headers.items())


class _LateImports(MetaPathFinder):
    """Patches a library's clients as soon as the app imports it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _LIBRARIES:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if finder is self or find is None else find(name, path, target)
            if spec is not None and spec.loader is not None:
                execute = spec.loader.exec_module

                def exec_module(module: ModuleType, execute: Callable[[ModuleType], None] = execute) -> None:
                    execute(module)
                    _patches.refresh()

                spec.loader.exec_module = exec_module  # type: ignore[method-assign]
                return spec
        return None


_patches = Patches(_find_clients)
_finder = _LateImports()
_lock = Lock()


def install() -> None:
    """Patch the clients; counted, so that several recorders of one process share it."""
    with _lock:
        if not _patches.has_users:
            sys.meta_path.insert(0, _finder)
        _patches.install()


def uninstall() -> None:
    """Restore the clients, once no recorder listens any more."""
    with _lock:
        _patches.uninstall()
        if not _patches.has_users:
            sys.meta_path.remove(_finder)
