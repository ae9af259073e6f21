"""
Stands between an app's HTTP client and the network, for the length of a recording.

`httpx` and `httpx2` share an interface, and every OpenAI client ends in the `send` of one of them. Their
classes are changed where they are loaded already, and as they load later; neither is imported here.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import timedelta
from functools import wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Protocol

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder.call import CallLog
from pytest_llmops.recorder.identity import is_model_call, may_call_model
from pytest_llmops.recorder.threads import is_inherited

_CREDENTIALS = frozenset({
    "authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "key", "api_key",
    "ocp-apim-subscription-key",
})  # fmt: skip
"""Headers and query parameters whose very purpose is a secret that the provider gave."""
_OF_THE_CLIENT = frozenset({
    "accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "host",
    "traceparent", "transfer-encoding", "user-agent",
})  # fmt: skip
_CLIENTS_OWN = "x-stainless-"


def describe_sent(request: Any) -> dict[str, Any]:
    """Path, query and headers of an httpx request, without credentials and what every client sends."""
    headers = {
        name: value
        for name, value in request.headers.multi_items()
        if name not in _CREDENTIALS | _OF_THE_CLIENT and not name.startswith(_CLIENTS_OWN)
    }
    query = [
        f"{name}={value}"
        for name, value in request.url.params.multi_items()
        if name.lower() not in _CREDENTIALS
    ]
    return {"path": request.url.path, "query": query, "headers": headers}


class Exchange(Protocol):
    """One model call under way; exactly one of `answer` and `fail` counts, the first."""

    @property
    def replay(self) -> tuple[str, bytes] | None:
        """Content type and bytes of the recorded answer, when there is one."""

    @property
    def duration_s(self) -> float: ...

    leave: Callable[[], None] | None
    """What ends a stream that is still being read when the recording does."""

    def answer(self, status: int, content_type: str, content: bytes, *, whole: bool = True) -> None: ...
    def fail(self, error: BaseException | str, *, status: int | None = None) -> None: ...


class Interceptor(Protocol):
    """What a recording does with a model call; raises CassetteError when it may not be made."""

    @property
    def ended(self) -> bool:
        """Whether the repeat that it records is over."""

    def begin(self, host: str, port: int | None, path: str, content: bytes, sent: Any) -> Exchange: ...
    def replay(self, host: str, port: int | None, path: str, body: Any) -> bytes | None: ...

    def meet_unattributed(self, error: CassetteError | None) -> None:
        """Note a call that may belong to any of several open recordings."""


class Listener(Protocol):
    """A recorder that listens in this process; `aside` takes the calls that belong to no case."""

    @property
    def aside(self) -> Interceptor: ...

    def recording(
        self, case: str, repeat: int, *, shared: bool = True
    ) -> AbstractContextManager[CallLog]: ...

    def rule_unattributed(self) -> CassetteError | None:
        """Count a call that may belong to any of several cases; the error where it may not be made."""


current: ContextVar[Interceptor | None] = ContextVar("pytest_llmops_recording", default=None)
_aside: ContextVar[bool] = ContextVar("pytest_llmops_aside", default=False)

recorders: list[Listener] = []
"""The last one decides."""

open_recordings: list[Interceptor] = []
"""Those of every context; a thread that the app started without its context may belong to any of them."""


def stand_aside() -> None:
    """From now on, what this thread asks a model outside a recording of its own is no call of an app's."""
    _aside.set(True)


def may_be_seen(request: Any) -> bool:
    """Whether anybody listens here to what may be a model call."""
    listening = bool(open_recordings) or current.get() is not None or _aside.get()
    return listening and may_call_model(request.method, request.url.path)


def find_recording(request: Any, content: bytes) -> Interceptor | None:
    """Whose call it is: this context's, or of the only case in work. None for what is no model call."""
    url = request.url
    if not may_be_seen(request) or not is_model_call(request.method, url.path, content):
        return None
    recording = current.get()
    if recording is not None and not (recording.ended and is_inherited.get()):
        return recording
    if recording is None and _aside.get():
        return recorders[-1].aside if recorders else None
    candidates = open_recordings[:2]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        _meet_unattributed()
    return None


def _meet_unattributed() -> None:
    """
    Count a call that nobody can give to a case.

    Raises:
        CassetteError: It may not be made.
    """
    error = recorders[-1].rule_unattributed() if recorders else None
    for candidate in open_recordings[:]:
        candidate.meet_unattributed(error)
    if error is not None:
        raise error


_LIBRARIES = ("httpx", "httpx2")
_OK = 200

_lock = threading.Lock()
_installations = 0
_changed: list[tuple[type, Any, Any]] = []


def install() -> None:
    """Change the clients; counted, so that several recorders of one process share it."""
    global _installations  # noqa: PLW0603  # the classes that are changed are global too
    with _lock:
        _installations += 1
        if _installations == 1:
            sys.meta_path.insert(0, _FINDER)
    change_late()


def uninstall() -> None:
    """Put back what was there, once nobody needs the change any more."""
    global _installations  # noqa: PLW0603
    with _lock:
        _installations -= 1
        if _installations == 0:
            sys.meta_path.remove(_FINDER)
            for client, original, ours in _changed:
                if client.__dict__.get("send") is ours:  # somebody who came later keeps his own
                    client.send = original  # type: ignore[attr-defined]
            _changed.clear()


def change_late() -> None:
    """Change what `install` met half imported, by another thread."""
    if len(_changed) < 2 * len(_LIBRARIES):
        with _lock:
            for name in _LIBRARIES:
                if _installations and (module := sys.modules.get(name)):
                    _change(module)


def _change(module: ModuleType) -> None:
    if not hasattr(module, "AsyncClient"):
        return
    stream = type("RecordedStream", (_RecordedStream, module.SyncByteStream, module.AsyncByteStream), {})
    for client, wrap in ((module.Client, _sync_send), (module.AsyncClient, _async_send)):
        original = client.__dict__.get("send")
        if original is None or any(original is ours for _, _, ours in _changed):
            continue  # `httpx` may be another name of `httpx2`
        client.send = wrap(original, module, stream)
        _changed.append((client, original, client.send))


def _sync_send(original: Callable[..., Any], module: ModuleType, stream_type: Any) -> Callable[..., Any]:
    @wraps(original)
    def send(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
        content = request.read() if may_be_seen(request) else b""
        recording = find_recording(request, content)
        if recording is None:
            return original(self, request, stream=stream, **options)
        exchange, ready = _begin(recording, request, content, module, stream=stream)
        if ready is not None:
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
        return _watched(response, exchange, stream_type, stream=stream)

    return send


def _async_send(original: Callable[..., Any], module: ModuleType, stream_type: Any) -> Callable[..., Any]:
    @wraps(original)
    async def send(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
        content = await request.aread() if may_be_seen(request) else b""
        recording = find_recording(request, content)
        if recording is None:
            return await original(self, request, stream=stream, **options)
        exchange, ready = _begin(recording, request, content, module, stream=stream)
        if ready is not None:
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
        return _watched(response, exchange, stream_type, stream=stream)

    return send


def _begin(
    recording: Interceptor, request: Any, content: bytes, module: ModuleType, *, stream: bool
) -> tuple[Any, Any]:
    """The exchange of a request, and the response where none has to be fetched."""
    url = request.url
    try:
        exchange = recording.begin(url.host, url.port, url.path, content, describe_sent(request))
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
    held = {"stream": module.ByteStream(body)} if stream else {"content": body}
    response = module.Response(_OK, headers={"content-type": content_type}, request=request, **held)
    response.elapsed = timedelta(seconds=exchange.duration_s)
    return exchange, response


def _watched(response: Any, exchange: Exchange, stream_type: Any, *, stream: bool) -> Any:
    content_type = response.headers.get("content-type", "")
    if not stream:
        exchange.answer(response.status_code, content_type, response.content)
    elif response.status_code == _OK:
        response.stream = stream_type(response, exchange, content_type)
        exchange.leave = response.stream.leave
    else:
        exchange.answer(response.status_code, content_type, b"")
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

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)  # such as `elapsed`, which responses read off their stream

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._stream:
                self._chunks.append(chunk)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self._exchange.fail(error, status=_OK)  # the answer had begun
            raise
        self._end(whole=True)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                self._chunks.append(chunk)
                yield chunk
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
        self._exchange.answer(_OK, self._content_type, content, whole=whole)


class _LateImports(MetaPathFinder):
    """Changes a library's clients as soon as the app imports it."""

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
                    with _lock:
                        if _installations:
                            _change(sys.modules.get(name, module))

                spec.loader.exec_module = exec_module  # type: ignore[method-assign]
                return spec
        return None


_FINDER = _LateImports()
